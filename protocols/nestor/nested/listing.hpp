// Lists of names as servers show them. What a list looks like is the server's; what it means is the dialect's.
#pragma once

#include <nestor/nested/dialect.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested {

struct listed_secret {
  std::string name;
  std::string description; ///< empty: none, or not shown
};

/// The secrets in the array at `root` ("/secrets"): strings, or objects with a `name`; sorted by it. Nothing when
/// `body` is not one JSON document with such an array.
std::optional<std::vector<listed_secret>> read_secrets(std::string_view body, std::string_view root);
/// Their names alone.
std::optional<std::vector<std::string>> read_secret_names(std::string_view body, std::string_view root);

/// The git providers in the array at `root`: strings, or objects with `provider` or `name`, and `host` where it is
/// told.
std::optional<std::vector<shown_git_provider>> read_git_providers(std::string_view body, std::string_view root);

} // namespace nestor::nested
