// Who may ask: tokens by their hash, each with its tenant and role. The text of a token is told once, when it is made,
// and kept nowhere. Pure: the caller brings randomness and time, and keeps the book where it likes.
#pragma once

#include <nestor/api/route.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::api {

/// BLAKE2b-256 of the token. Unkeyed: a token is 256 random bits, which nobody guesses.
using token_hash = std::array<std::uint8_t, 32>;
token_hash hash_of(std::string_view token);

struct token_entry {
  std::string id; ///< `tok-` and 16 hexadecimal digits; names it without telling it
  std::string tenant = "default";
  role may = role::read;
  std::string note;
  wall_time created;
  token_hash hash{};
};

struct minted {
  secret text; ///< `nsk-` and 64 hexadecimal digits
  token_entry entry;
};
inline constexpr std::size_t token_entropy_bytes = 40;
/// `entropy` holds at least `token_entropy_bytes`.
minted mint(std::span<const std::uint8_t> entropy, std::string tenant, role may, std::string note, wall_time now);

/// A tenant's name: 1–63 of a-z, 0-9 and '-', as a sandbox's.
bool is_tenant(std::string_view text);

class token_book {
public:
  /// Tokens of one node: one for each client and person; more is a leak of them.
  static constexpr std::size_t entries_max = 10'000;

  void add(token_entry entry) { entries_.push_back(std::move(entry)); }
  /// Nullptr: it is none of them. Looks at every entry, and at all bytes of each.
  [[nodiscard]] const token_entry* find(std::string_view bearer) const;
  /// False when there is none of that id.
  bool revoke(std::string_view id);
  [[nodiscard]] std::span<const token_entry> entries() const { return entries_; }

private:
  std::vector<token_entry> entries_;
};

/// The book as JSON, hashes and no texts; and back. The failure's cause says what is wrong with the file.
std::string to_json(const token_book& book);
expected<token_book> read_token_book(std::string_view json);

} // namespace nestor::api
