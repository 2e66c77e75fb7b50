// Answers of providers' APIs as JSON: small, foreign, read once. A document that is none reads as null, and a member
// that is missing or of another type as empty.
#pragma once

#include <nestor/http/message.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers::internal {

/// Null when the body is no JSON document.
inline nlohmann::json json_of(const http::response& response) {
  auto document = nlohmann::json::parse(response.body.begin(), response.body.end(), nullptr, false);
  return document.is_discarded() ? nlohmann::json{} : document;
}

inline const nlohmann::json& at(const nlohmann::json& object, std::string_view name) {
  static const nlohmann::json none;
  if (!object.is_object())
    return none;
  auto found = object.find(name);
  return found == object.end() ? none : *found;
}

inline std::string text_at(const nlohmann::json& object, std::string_view name) {
  const auto& value = at(object, name);
  return value.is_string() ? value.get<std::string>() : std::string{};
}

inline std::optional<std::int64_t> integer_at(const nlohmann::json& object, std::string_view name) {
  const auto& value = at(object, name);
  return value.is_number_integer() ? std::optional{value.get<std::int64_t>()} : std::nullopt;
}

/// As a body. Text that is no UTF-8 is refused by `validate` long before.
inline wiped_string body_of(const nlohmann::json& document) {
  auto text = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  wiped_string body{text};
  wipe(text);
  return body;
}

} // namespace nestor::providers::internal
