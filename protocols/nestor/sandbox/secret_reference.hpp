// Where a secret is, instead of what it is: what a document says. Resolving asks a function for each reference; nothing
// here knows environment or files.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/secret.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace nestor {

/// Where a secret comes from: $env, $file or $literal.
enum class reference_kind : std::uint8_t { env, file, literal };

struct secret_reference {
  reference_kind kind = reference_kind::literal;
  std::string name; ///< of the variable or file; empty for a literal
  secret literal;
  std::string path; ///< where it stands in the document, for messages
};

/// Answers $env and $file. Its failure's cause says what could not be read and why, and holds nothing that was read.
using secret_lookup = std::function<expected<secret>(reference_kind kind, const std::string& name)>;

} // namespace nestor
