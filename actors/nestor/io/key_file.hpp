// The key ring's file: read, made when absent, replaced in one step. Nobody but its owner may read it.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/journal/sealing.hpp>

#include <string>

namespace nestor::io {

/// Errors: `keys_refused` when there is no such file, when others may read it, or when it is no key ring.
expected<journal::key_ring> load_key_ring(const std::string& path);

/// A ring with one new key, written to `path`, mode 0600, durable. Errors: `keys_refused`, also when the file is there.
expected<journal::key_ring> make_key_ring(const std::string& path);

/// Puts `ring` in the place of what `path` held: after a crash it is the old one or the new one. Errors:
/// `keys_refused`.
expected<void> replace_key_ring(const std::string& path, const journal::key_ring& ring);

/// A new key of that id.
journal::sealing_key make_sealing_key(std::uint32_t id);

} // namespace nestor::io
