// Canaries: every secret of a test begins with the same word, and whatever was written is searched for it in every form
// that a log, a URL, a JSON text, a dump or a header may give it. Needs nothing but the standard library.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::tests {

/// What every secret of every test begins with.
inline constexpr std::string_view canary_mark = "CANARY";

namespace canaries {

inline int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/// The number that `digits` hexadecimal characters from `at` on stand for; -1 when they are none.
inline int hex_at(std::string_view text, std::size_t at, std::size_t digits) {
  int value = 0;
  for (std::size_t i = at; i < at + digits; ++i) {
    int digit = i < text.size() ? hex_value(text[i]) : -1;
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

/// What %41, \x41, \u0041, \" and \/ stand for. Everything else stays.
inline std::string unescaped(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char next = i + 1 < text.size() ? text[i + 1] : '\0';
    std::size_t lead = text[i] == '%' ? 1 : text[i] == '\\' && (next == 'x' || next == 'u') ? 2 : 0;
    std::size_t digits = lead == 2 && next == 'u' ? 4 : 2;
    int code = lead > 0 ? hex_at(text, i + lead, digits) : -1;
    if (code >= 0) {
      plain += code < 0x100 ? static_cast<char>(code) : '?';
      i += lead + digits - 1;
    } else if (text[i] != '\\' || next == '\0') {
      plain += text[i];
    } else {
      plain += next;
      ++i;
    }
  }
  return plain;
}

inline std::string lower_case(std::string_view text) {
  std::string low{text};
  for (auto& c : low)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return low;
}

inline std::string hex_of(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (unsigned char c : text)
    out.append({digits[c >> 4U], digits[c & 15U]});
  return out;
}

/// Those characters of base64 text that depend on `text` alone, when it begins `aligned` bytes into a group of three.
inline std::string base64_core(std::string_view text, std::size_t aligned, std::string_view last_two) {
  constexpr std::string_view first_62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  auto bit = [&](std::size_t i) {
    auto byte = i / 8;
    return byte < aligned ? 0U : static_cast<unsigned char>(text[byte - aligned]) >> (7 - i % 8) & 1U;
  };
  std::string out;
  for (std::size_t at = (aligned * 8 + 5) / 6 * 6; at + 6 <= (aligned + text.size()) * 8; at += 6) {
    unsigned value = 0;
    for (std::size_t i = at; i < at + 6; ++i)
      value = value << 1U | bit(i);
    out += value < first_62.size() ? first_62[value] : last_two[value - first_62.size()];
  }
  return out;
}

struct form {
  std::string_view name;
  std::string text;
};

/// The forms that no unescaping undoes.
inline std::vector<form> forms_of(std::string_view mark) {
  std::vector<form> all{{"raw", std::string{mark}}};
  for (std::size_t aligned : {0U, 1U, 2U})
    for (std::string_view last_two : {"+/", "-_"})
      all.push_back({"base64", base64_core(mark, aligned, last_two)});
  return all;
}

} // namespace canaries

/// Empty when nothing in `text` says `mark`; else in which form it is there, and after what.
inline std::string canary_in(std::string_view text, std::string_view mark = canary_mark) {
  constexpr std::size_t shown_before = 60;
  auto found = [&](std::string_view name, std::string_view where, std::size_t at) {
    auto from = at < shown_before ? 0 : at - shown_before;
    return std::string{name} + " after `" + std::string{where.substr(from, at - from)} + "`";
  };
  auto once = canaries::unescaped(text);
  auto twice = canaries::unescaped(once); // JSON in JSON, a URL in JSON
  struct layer {
    std::string_view escapes, text;
  };
  for (const auto& [escapes, layer] :
       std::array<layer, 3>{{{"", text}, {"escaped ", once}, {"twice escaped ", twice}}}) {
    for (const auto& [name, form] : canaries::forms_of(mark))
      if (auto at = layer.find(form); at != std::string_view::npos)
        return found(std::string{escapes} + std::string{name}, layer, at);
    auto low = canaries::lower_case(layer);
    if (auto at = low.find(canaries::hex_of(mark)); at != std::string::npos)
      return found(std::string{escapes} + "hex", layer, at);
  }
  return {};
}

} // namespace nestor::tests
