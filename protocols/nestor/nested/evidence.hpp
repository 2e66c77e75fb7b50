// How surely a step of the configuration is known to have taken effect.
#pragma once

#include <cstdint>
#include <string_view>

namespace nestor::nested {

/// Weakest first, so that the evidence of a whole push is the minimum over its steps.
enum class evidence : std::uint8_t {
  none,     ///< nothing was pushed yet
  answer,   ///< the server said so; it offers no way to look
  presence, ///< read back: the names are there, the values cannot be read
  value     ///< read back: the values are the wanted ones
};

constexpr std::string_view name_of(evidence e) {
  switch (e) {
    case evidence::none: return "none";
    case evidence::answer: return "answer";
    case evidence::presence: return "presence";
    case evidence::value: return "value";
  }
  return "none";
}

} // namespace nestor::nested
