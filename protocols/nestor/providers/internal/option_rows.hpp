// `runtime.options` of a provider kind as a table: what it may hold, of which type.
#pragma once

#include <nestor/core/expected.hpp>

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>

namespace nestor::providers::internal {

enum class option_holds : std::uint8_t { flag, whole, word };

struct option_row {
  std::string_view name;
  option_holds what = option_holds::flag;
  std::string_view words = {}; ///< of `word`: the only ones, blank-separated; empty: any text
};

inline bool is_one_of(std::string_view words, const std::string& word) {
  return (" " + std::string{words} + " ").find(" " + word + " ") != std::string::npos && !word.empty();
}

inline bool fits(const option_row& row, const nlohmann::json& value) {
  switch (row.what) {
    case option_holds::flag: return value.is_boolean();
    case option_holds::whole: return value.is_number_unsigned() && value.get<std::uint64_t>() > 0;
    case option_holds::word: break;
  }
  if (!value.is_string() || value.get<std::string>().empty())
    return false;
  return row.words.empty() || is_one_of(row.words, value.get<std::string>());
}

/// Everything in it has a row and fits it.
inline expected<void> check_options(std::string_view kind, std::span<const option_row> rows, std::string_view options) {
  auto refuse = [&](const std::string& cause) {
    return failure{errc::spec_invalid, step::provision, "runtime.options: " + cause, 0, {}};
  };
  auto document = nlohmann::json::parse(options, nullptr, false);
  if (!document.is_object())
    return refuse(std::string{kind} + " expects an object");
  for (const auto& [name, value] : document.items()) {
    auto row = std::ranges::find(rows, std::string_view{name}, &option_row::name);
    if (row == rows.end()) {
      std::string known;
      for (const auto& each : rows)
        known.append(known.empty() ? "" : ", ").append(each.name);
      return refuse("`" + name + "` is none of " + std::string{kind} + "'s: " + known);
    }
    if (!fits(*row, value))
      return refuse("`" + name + "` is not " +
                    (row->what == option_holds::flag    ? std::string{"true or false"}
                     : row->what == option_holds::whole ? std::string{"a positive whole number"}
                     : row->words.empty()               ? std::string{"a text"}
                                                        : "one of: " + std::string{row->words}));
  }
  return {};
}

} // namespace nestor::providers::internal
