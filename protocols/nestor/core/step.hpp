// The steps of a sandbox's life that a timeline shows and a failure names. One list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nestor {

enum class step : std::uint8_t {
  queue,
  authenticate,
  provision,
  alive,
  settings,
  git_providers,
  secrets,
  verify,
  ready,
  destroy,
  absent,
  count_
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(step::count_)> step_names{
  "queue",   "authenticate", "provision", "alive",   "settings", "git_providers",
  "secrets", "verify",       "ready",     "destroy", "absent"};
static_assert(!step_names.back().empty());

constexpr std::string_view name_of(step s) {
  return step_names[static_cast<std::size_t>(s)];
}
inline std::string to_string(step s) {
  return std::string{name_of(s)};
}

constexpr std::optional<step> step_named(std::string_view name) {
  for (std::size_t i = 0; i < step_names.size(); ++i)
    if (step_names[i] == name)
      return static_cast<step>(i);
  return std::nullopt;
}

} // namespace nestor
