#include <nestor/providers/session_key.hpp>

#include <sodium.h>

#include <array>

namespace nestor::providers {
namespace {

// Its own use of the node's key: digests of configurations never equal a session key.
constexpr std::string_view domain = "nestor session key";
constexpr std::size_t bytes = 32; // 256 bits
constexpr int url_safe = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

} // namespace

secret session_key_of(const labels& stamp, const secret& node_secret) {
  std::string text{domain};
  auto number = std::to_string(stamp.number);
  for (std::string_view part :
       {std::string_view{stamp.installation.text}, std::string_view{stamp.sandbox.text}, std::string_view{number}})
    text.append("\n").append(part); // neither ids nor numbers hold a line end
  std::array<unsigned char, bytes> hash{};
  node_secret.expose([&](std::string_view key) {
    crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                       reinterpret_cast<const unsigned char*>(key.data()), key.size());
  });
  std::string encoded(sodium_base64_ENCODED_LEN(bytes, url_safe), '\0');
  sodium_bin2base64(encoded.data(), encoded.size(), hash.data(), hash.size(), url_safe);
  encoded.pop_back(); // its terminating zero
  wipe(hash.data(), hash.size());
  return secret{std::move(encoded)};
}

} // namespace nestor::providers
