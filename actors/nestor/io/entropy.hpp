// The one place that draws randomness from the system. Ids and keys are made from it by pure functions.
#pragma once

#include <nestor/core/secret.hpp>

#include <cstdint>
#include <span>

namespace nestor::io {

/// Fills `bytes` from the kernel's generator (libsodium). Does not fail: libsodium ends the process if there is none.
void fill_random(std::span<std::uint8_t> bytes);

/// A seed for `nestor::next_random`.
std::uint64_t random_seed();

/// A new session key: 32 random bytes as 43 characters of base64url without padding; legal in a header, an
/// environment variable and a URL.
secret make_session_key();

} // namespace nestor::io
