#include <nestor/io/entropy.hpp>

#include <array>

#include <sodium.h>

namespace nestor::io {
namespace {

constexpr std::size_t session_key_bytes = 32; // 256 bits: beyond guessing, also by many keys at once

} // namespace

void fill_random(std::span<std::uint8_t> bytes) {
  // A negative answer means that no source of randomness could be opened; randombytes_buf then ends the process.
  static const bool ready = sodium_init() >= 0;
  static_cast<void>(ready);
  randombytes_buf(bytes.data(), bytes.size());
}

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes{};
  fill_random(bytes);
  std::uint64_t seed = 0;
  for (auto byte : bytes)
    seed = seed << 8U | byte;
  return seed;
}

secret make_session_key() {
  std::array<std::uint8_t, session_key_bytes> bytes{};
  fill_random(bytes);
  constexpr auto variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::array<char, sodium_base64_ENCODED_LEN(session_key_bytes, variant)> text{};
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), variant);
  auto key = secret::copy_of({text.data(), text.size() - 1}); // without the closing NUL
  wipe(bytes.data(), bytes.size());
  wipe(text.data(), text.size());
  return key;
}

} // namespace nestor::io
