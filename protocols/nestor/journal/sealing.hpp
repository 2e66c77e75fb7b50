// Secrets at rest: what is stored of a record is sealed with XChaCha20-Poly1305 (libsodium) under a key of the ring,
// bound to the record's identity, so that no record can pass for another one's. Pure: randomness and files are the
// caller's.
//
// The ring holds several keys by id. New records are sealed with the current one; the others stay to read what was
// written before.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/core/secret.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::journal {

inline constexpr std::size_t sealing_key_bytes = 32;
inline constexpr std::size_t nonce_bytes = 24; // random: long enough never to meet twice

struct sealing_key {
  std::uint32_t id = 0;
  secret bytes; ///< `sealing_key_bytes`
};

struct key_ring {
  std::vector<sealing_key> keys; ///< ids are unique
  std::uint32_t current = 0;     ///< id of the key that seals; it is in `keys`

  /// nullptr when there is none of that id.
  [[nodiscard]] const sealing_key* find(std::uint32_t id) const;
};

/// The ring as the text of a file, and back. Errors: `keys_refused`, with the line that is wrong and never what is in
/// it.
wiped_string to_text(const key_ring& ring);
expected<key_ring> read_key_ring(std::string_view text);

/// What a sealed text is bound to.
struct identity {
  std::string_view installation;
  std::string_view sandbox; ///< empty: the journal's own
  std::string_view kind;
  std::uint64_t number = 0; ///< revision, generation
};

/// One line of printable ASCII: form, key id, and the rest in base64. `nonce`: `nonce_bytes` of randomness.
std::string seal(std::string_view plain, const identity& of, const sealing_key& key,
                 std::span<const std::uint8_t> nonce);

/// Errors: `keys_refused` when the ring lacks the key, `journal_corrupt` when the text is not what `seal` made of that
/// identity under that key.
expected<wiped_string> unseal(std::string_view sealed, const identity& of, const key_ring& ring);

/// What everything begins with that this key sealed.
std::string sealed_beginning(std::uint32_t key_id);

/// A key of its own for another use, derived one way.
secret derived_key(const sealing_key& from, std::string_view installation, std::string_view use);

} // namespace nestor::journal
