// One line of the node's log: an event with fields, as JSON or as text. Names, words and numbers only: what a line
// holds is what the API shows anyway, so a secret has no way into it. Pure; who writes it where is not decided here.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nestor {

enum class log_level : std::uint8_t { debug, info, warning, error };
std::string_view name_of(log_level level);
std::optional<log_level> log_level_named(std::string_view name);

enum class log_format : std::uint8_t { text, json };

class log_line {
public:
  static constexpr std::size_t value_max = 1'024; ///< bytes of one field; what is longer is cut and ends in "…"
  /// Bytes of a line: what a pipe takes whole (PIPE_BUF), so that lines of several writers do not mix.
  static constexpr std::size_t line_max = 4'096;

  log_line(wall_time at, log_level level, std::string_view event) : at_(at), level_(level), event_(event) {}

  /// Empty text: the field is left out.
  log_line& with(std::string_view name, std::string_view text);
  log_line& with(std::string_view name, std::uint64_t number);

  [[nodiscard]] log_level level() const { return level_; }
  /// With its newline: {"time":…,"level":…,"event":…,fields}, or `time level event name=value …`.
  [[nodiscard]] std::string text(log_format as) const;

private:
  wall_time at_;
  log_level level_;
  std::string event_;
  std::vector<std::pair<std::string, std::variant<std::string, std::uint64_t>>> fields_;
};

} // namespace nestor
