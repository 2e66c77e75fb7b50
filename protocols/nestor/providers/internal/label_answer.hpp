// Our labels as providers with free-form names give them back: an object of texts.
#pragma once

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::providers::internal {

inline nlohmann::json object_of(const labels& stamp) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : pairs_of(stamp))
    object[name] = value;
  return object;
}

/// Ours, of exactly that attempt.
inline bool bears(const nlohmann::json& marks, const labels& stamp) {
  return std::ranges::all_of(pairs_of(stamp),
                             [&](const auto& each) { return text_at(marks, each.first) == each.second; });
}

inline bool bears(const nlohmann::json& marks, const installation_id& ours) {
  return text_at(marks, label_installation) == ours.text;
}

/// 0 when it is no number.
inline attempt attempt_at(const nlohmann::json& marks) {
  auto text = text_at(marks, label_attempt);
  attempt number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

} // namespace nestor::providers::internal
