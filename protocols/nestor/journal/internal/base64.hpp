// URL-safe base64 without padding, for ciphertext only: libsodium's takes the same time for every text, which nobody
// needs to hide here and which took longer than everything else that is done to a record. Keys go through libsodium's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace nestor::journal::internal {

inline constexpr std::string_view base64_signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
inline constexpr std::uint8_t no_sign = 0xFF;

inline constexpr auto base64_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_sign);
  for (std::size_t i = 0; i < base64_signs.size(); ++i)
    values[static_cast<std::uint8_t>(base64_signs[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

inline void append_as_base64(std::string& out, std::string_view bytes) {
  auto at = out.size();
  out.resize(at + (bytes.size() * 4 + 2) / 3);
  char* to = out.data() + at;
  auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<std::uint8_t>(bytes[i])}; };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    auto group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (auto shift : {18U, 12U, 6U, 0U})
      *to++ = base64_signs[group >> shift & 63U];
  }
  if (i == bytes.size())
    return;
  bool two = i + 2 == bytes.size();
  auto group = byte(i) << 16U | (two ? byte(i + 1) << 8U : 0U);
  *to++ = base64_signs[group >> 18U];
  *to++ = base64_signs[group >> 12U & 63U];
  if (two)
    *to++ = base64_signs[group >> 6U & 63U];
}

/// False when `text` is not what `append_as_base64` makes of any bytes; `out` holds anything then.
inline bool read_base64(std::string& out, std::string_view text) {
  auto rest = text.size() % 4;
  out.resize(text.size() / 4 * 3 + (rest == 0 ? 0 : rest - 1));
  char* to = out.data();
  std::uint32_t seen = rest == 1 ? std::uint32_t{no_sign} : 0U;
  auto value = [&](std::size_t i) {
    std::uint32_t v = base64_values[static_cast<std::uint8_t>(text[i])];
    seen |= v;
    return v;
  };
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    auto group = value(i) << 18U | value(i + 1) << 12U | value(i + 2) << 6U | value(i + 3);
    for (auto shift : {16U, 8U, 0U})
      *to++ = static_cast<char>(group >> shift);
  }
  if (rest >= 2) {
    auto group = value(i) << 18U | value(i + 1) << 12U | (rest == 3 ? value(i + 2) << 6U : 0U);
    *to++ = static_cast<char>(group >> 16U);
    if (rest == 3)
      *to++ = static_cast<char>(group >> 8U);
    if ((group & (rest == 3 ? 0xFFU : 0xFFFFU)) != 0) // bits that no byte has
      return false;
  }
  return seen < 64;
}

} // namespace nestor::journal::internal
