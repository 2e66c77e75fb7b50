// YAML into JSON text, event by event: nothing is expanded, nothing is built twice.
#pragma once

#include "document.hpp"

namespace nestor::cli {

/// Why a text is no document, and where.
struct syntax_fault {
  position at;
  std::string path;
  std::string message;
};

/// Fills `json` and `places`. With `places_only`, the text is JSON that was checked already.
std::optional<syntax_fault> read_yaml(std::string_view text, document& into, bool places_only);

} // namespace nestor::cli
