#include <nestor/sandbox/placeholder.hpp>

#include <algorithm>

namespace nestor {
namespace {

constexpr std::uint64_t base_max = 1'000'000'000; // with the largest index it stays far from overflow
constexpr std::uint8_t width_max = 20;            // digits of the largest number there is

/// Reads digits at the front of `text` and removes them; nothing when there are none or the number is above `max`.
std::optional<std::uint64_t> take_number(std::string_view& text, std::uint64_t max) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > max)
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word))
    return false;
  text.remove_prefix(word.size());
  return true;
}

/// What stands between the braces.
std::optional<placeholder> parse(std::string_view text) {
  placeholder result;
  if (!text.starts_with('i')) {
    auto base = take_number(text, base_max);
    if (!base || !take(text, "+"))
      return std::nullopt;
    result.base = *base;
  }
  if (!take(text, "index"))
    return std::nullopt;
  if (take(text, "%")) {
    auto modulus = take_number(text, base_max);
    if (!modulus || *modulus == 0)
      return std::nullopt;
    result.modulus = *modulus;
  }
  if (take(text, ":0")) {
    auto width = take_number(text, width_max);
    if (!width)
      return std::nullopt;
    result.width = static_cast<std::uint8_t>(*width);
  }
  return text.empty() ? std::optional{result} : std::nullopt;
}

/// Was a placeholder meant? Only sums around the word `index` are; `{"index": 1}` and `{name}` are other things.
bool meant(std::string_view text) {
  return text.find("index") != text.npos && text.find_first_not_of("index0123456789+-*/%: ") == text.npos;
}

struct found {
  std::size_t begin; ///< of '{'
  std::size_t end;   ///< behind '}'
  std::string_view text;
};

std::optional<found> next(std::string_view text, std::size_t from) {
  for (auto open = text.find('{', from); open != text.npos; open = text.find('{', open + 1)) {
    auto close = text.find_first_of("{}", open + 1);
    if (close == text.npos)
      return std::nullopt;
    auto inside = text.substr(open + 1, close - open - 1);
    if (text[close] == '}' && meant(inside))
      return found{open, close + 1, inside};
  }
  return std::nullopt;
}

} // namespace

std::optional<pattern> pattern::of(std::string_view text) {
  pattern result;
  std::size_t done = 0;
  while (auto hit = next(text, done)) {
    auto number = parse(hit->text);
    if (!number)
      return std::nullopt;
    result.parts_.push_back({wiped_string{text.substr(done, hit->begin - done)}, *number});
    done = hit->end;
  }
  result.rest_ = wiped_string{text.substr(done)};
  return result;
}

bool counts(std::string_view text) {
  return next(text, 0).has_value();
}

} // namespace nestor
