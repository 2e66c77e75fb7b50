#include <nestor/core/ids.hpp>

#include <algorithm>
#include <cassert>

namespace nestor {
namespace {

constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567"; // RFC 4648 base32, lower case
constexpr std::size_t digits = 26;
constexpr std::string_view sandbox_prefix = "nst-";
constexpr std::string_view installation_prefix = "nsi-";

std::string base32(std::string_view prefix, std::span<const std::uint8_t> entropy) {
  assert(entropy.size() >= id_entropy_bytes);
  std::string text{prefix};
  std::uint32_t bits = 0;
  unsigned held = 0;
  std::size_t next = 0;
  while (text.size() < prefix.size() + digits) {
    if (held < 5) {
      bits = (bits << 8) | entropy[next++];
      held += 8;
    }
    held -= 5;
    text += alphabet[(bits >> held) & 31U];
  }
  return text;
}

} // namespace

sandbox_id make_sandbox_id(std::span<const std::uint8_t> entropy) {
  return {base32(sandbox_prefix, entropy)};
}

installation_id make_installation_id(std::span<const std::uint8_t> entropy) {
  return {base32(installation_prefix, entropy)};
}

bool is_sandbox_id(std::string_view text) {
  return text.size() == sandbox_prefix.size() + digits && text.starts_with(sandbox_prefix) &&
         std::ranges::all_of(text.substr(sandbox_prefix.size()),
                             [](char c) { return alphabet.find(c) != std::string_view::npos; });
}

} // namespace nestor
