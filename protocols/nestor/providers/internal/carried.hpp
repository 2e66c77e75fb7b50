// What a question carries from one turn of a conversation to the next: a few short texts, one a line.
#pragma once

#include <nestor/core/secret.hpp>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

namespace nestor::providers::internal {

/// Line ends inside a part become blanks: whoever wrote it cannot make two parts of one.
inline wiped_string carry(std::initializer_list<std::string_view> parts) {
  wiped_string text;
  for (auto part : parts) {
    auto from = text.size();
    text += part;
    std::replace(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), '\n', ' ');
    text += '\n';
  }
  return text;
}

/// The `index`-th of them; empty when there are fewer.
inline std::string carried_part(std::string_view text, std::size_t index) {
  for (; index > 0; --index) {
    auto end = text.find('\n');
    if (end == text.npos)
      return {};
    text.remove_prefix(end + 1);
  }
  return std::string{text.substr(0, text.find('\n'))};
}

} // namespace nestor::providers::internal
