// Secrets from where they are kept: environment variables and files. The only place that reads either. Knows no
// specification. Resolved as late as possible, so that what is rotated outside is picked up by the next use.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/sandbox/configuration_source.hpp>

#include <cstddef>
#include <string>

namespace nestor::io {

/// Bytes of a secret's file; the largest in use are certificates with their chain, a tenth of it.
inline constexpr std::size_t secret_file_max = 65'536;

/// The value of the environment variable `name`. Errors: secret_unresolved when it is not set or empty; the cause names
/// the variable and never holds a value.
expected<secret> secret_from_env(const std::string& name);

/// The content of the regular file at `path`, without one trailing line end. Errors: secret_unresolved when it cannot
/// be read, is no regular file, is empty or larger than `secret_file_max`; the cause names the path and the reason.
expected<secret> secret_from_file(const std::string& path);

/// Both, in the form that the specification's reader asks for (`secret_lookup`).
expected<secret> look_up_secret(reference_kind kind, const std::string& name);

} // namespace nestor::io
