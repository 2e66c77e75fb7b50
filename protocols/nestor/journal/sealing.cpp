#include <nestor/journal/sealing.hpp>

#include <nestor/journal/internal/base64.hpp>

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace nestor::journal {
namespace {

constexpr int base64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr std::string_view ring_form = "nestor key ring 1";
constexpr std::string_view sealed_form = "s1.";
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(nonce_bytes == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
static_assert(sealing_key_bytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

/// libsodium chooses between its implementations when it is initialised. When another thread does that in the midst of
/// a calculation, one implementation goes on with what another began, and writes beyond it.
void choose_implementations() {
  static const bool ready = sodium_init() >= 0;
  if (!ready)
    std::abort();
}

// Of what a sealed text is bound to: two ids, a kind, a number.
constexpr std::size_t bound_usually = 128;

const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* raw(wiped_string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

template <class Text>
void append_base64(Text& out, std::string_view bytes) {
  auto at = out.size();
  out.resize(at + sodium_base64_encoded_len(bytes.size(), base64));
  sodium_bin2base64(out.data() + at, out.size() - at, raw(bytes), bytes.size(), base64);
  out.pop_back(); // its terminating zero
}

std::optional<wiped_string> from_base64(std::string_view text) {
  wiped_string bytes(text.size() / 4 * 3 + 3, '\0');
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(raw(bytes), bytes.size(), text.data(), text.size(), nullptr, &size, &end, base64) != 0 ||
      end != text.data() + text.size())
    return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

/// Unambiguous: no part holds a line end.
std::string bound_to(const identity& of) {
  std::string text{"nestor journal"};
  text.reserve(bound_usually);
  auto n = std::to_string(of.number);
  for (std::string_view part : {of.installation, of.sandbox, of.kind, std::string_view{n}})
    text.append("\n").append(part);
  return text;
}

failure bad(errc code, std::string cause) {
  return failure{code, step::queue, std::move(cause), 0, {}};
}

std::string_view next_of(std::string_view& text, char separator) {
  auto end = std::min(text.find(separator), text.size());
  auto part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

} // namespace

const sealing_key* key_ring::find(std::uint32_t id) const {
  auto at = std::ranges::find(keys, id, &sealing_key::id);
  return at == keys.end() ? nullptr : &*at;
}

wiped_string to_text(const key_ring& ring) {
  wiped_string text{ring_form};
  text.append("\ncurrent ").append(std::to_string(ring.current)).append("\n");
  for (const auto& key : ring.keys) {
    text.append("key ").append(std::to_string(key.id)).append(" ");
    key.bytes.expose([&](std::string_view bytes) { append_base64(text, bytes); });
    text.append("\n");
  }
  return text;
}

expected<key_ring> read_key_ring(std::string_view text) {
  key_ring ring;
  std::size_t line_number = 0;
  auto wrong = [&](std::string_view what) {
    return bad(errc::keys_refused, "the key ring's line " + std::to_string(line_number) + ": " + std::string{what});
  };
  while (!text.empty()) {
    auto line = next_of(text, '\n');
    ++line_number;
    if (line_number == 1) {
      if (line != ring_form)
        return wrong("expected `" + std::string{ring_form} + "`");
      continue;
    }
    if (line.empty())
      continue;
    auto word = next_of(line, ' ');
    auto id = number(next_of(line, ' '));
    if (!id || *id == 0 || (word != "key" && word != "current"))
      return wrong("expected `current ID` or `key ID BASE64`");
    if (word == "current") {
      ring.current = *id;
      continue;
    }
    auto bytes = from_base64(line);
    if (!bytes || bytes->size() != sealing_key_bytes)
      return wrong("the key is not 32 bytes in base64");
    if (ring.find(*id))
      return wrong("a second key of that id");
    ring.keys.push_back({*id, secret::copy_of(*bytes)});
  }
  if (!ring.find(ring.current))
    return bad(errc::keys_refused, "the key ring does not hold the key that it names as current");
  return ring;
}

std::string seal(std::string_view plain, const identity& of, const sealing_key& key,
                 std::span<const std::uint8_t> nonce) {
  choose_implementations();
  std::string bytes(nonce_bytes + plain.size() + tag_bytes, '\0'); // never holds what is plain
  std::copy_n(nonce.begin(), nonce_bytes, bytes.begin());
  auto with = bound_to(of);
  unsigned long long size = 0;
  key.bytes.expose([&](std::string_view k) {
    crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(bytes.data()) + nonce_bytes, &size,
                                               raw(plain), plain.size(), raw(with), with.size(), nullptr, nonce.data(),
                                               raw(k));
  });
  std::string out;
  out.reserve(bytes.size() / 3 * 4 + 24);
  out.append(sealed_form).append(std::to_string(key.id)).append(".");
  internal::append_as_base64(out, bytes);
  return out;
}

expected<wiped_string> unseal(std::string_view sealed, const identity& of, const key_ring& ring) {
  choose_implementations();
  auto what = [&] {
    return "the " + std::string{of.kind} + " record" + (of.sandbox.empty() ? "" : " of " + std::string{of.sandbox});
  };
  if (!sealed.starts_with(sealed_form))
    return bad(errc::journal_corrupt, what() + " is not sealed as it should be");
  sealed.remove_prefix(sealed_form.size());
  auto id = number(next_of(sealed, '.'));
  std::string bytes;
  if (!id || !internal::read_base64(bytes, sealed) || bytes.size() < nonce_bytes + tag_bytes)
    return bad(errc::journal_corrupt, what() + " is not sealed as it should be");
  const auto* key = ring.find(*id);
  if (!key)
    return bad(errc::keys_refused,
               what() + " is sealed with key " + std::to_string(*id) + ", which the key ring does not hold");
  wiped_string plain(bytes.size() - nonce_bytes - tag_bytes, '\0');
  auto with = bound_to(of);
  unsigned long long size = 0;
  int failed = key->bytes.expose([&](std::string_view k) {
    return crypto_aead_xchacha20poly1305_ietf_decrypt(raw(plain), &size, nullptr, raw(bytes) + nonce_bytes,
                                                      bytes.size() - nonce_bytes, raw(with), with.size(), raw(bytes),
                                                      raw(k));
  });
  if (failed != 0)
    return bad(errc::journal_corrupt, what() + " cannot be opened with key " + std::to_string(*id));
  return plain;
}

std::string sealed_beginning(std::uint32_t key_id) {
  return std::string{sealed_form} + std::to_string(key_id) + ".";
}

secret derived_key(const sealing_key& from, std::string_view installation, std::string_view use) {
  choose_implementations();
  std::string text{"nestor derived key\n"};
  text.append(installation).append("\n").append(use);
  std::string bytes(sealing_key_bytes, '\0');
  from.bytes.expose([&](std::string_view k) {
    crypto_generichash(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), raw(text), text.size(), raw(k),
                       k.size());
  });
  return secret{std::move(bytes)};
}

} // namespace nestor::journal
