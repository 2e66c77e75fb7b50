// Names of things, each its own type, so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace nestor {

/// A sandbox: `nst-` and 26 lower-case base32 characters (130 random bits). Legal as a name, tag, metadata value and
/// DNS label at every provider.
struct sandbox_id {
  std::string text;
  friend auto operator<=>(const sandbox_id&, const sandbox_id&) = default;
};

/// One journal's lifetime, stamped on everything it creates: `nsi-` and 26 base32 characters. Made once per journal.
struct installation_id {
  std::string text;
  friend auto operator<=>(const installation_id&, const installation_id&) = default;
};

/// Bytes of randomness that `make_sandbox_id` and `make_installation_id` need.
inline constexpr std::size_t id_entropy_bytes = 17;

/// Pure: the caller brings the randomness. `entropy` holds at least `id_entropy_bytes`.
sandbox_id make_sandbox_id(std::span<const std::uint8_t> entropy);
installation_id make_installation_id(std::span<const std::uint8_t> entropy);

/// True when `text` has the shape of a sandbox id.
bool is_sandbox_id(std::string_view text);

inline const std::string& to_string(const sandbox_id& id) {
  return id.text;
}
inline const std::string& to_string(const installation_id& id) {
  return id.text;
}

/// Which wanted configuration: 1 for the first, +1 for each change. 0 = none.
using generation = std::uint64_t;
/// Which create at the provider, counted from 1 per sandbox; fixed when its intent is recorded.
using attempt = std::uint32_t;
/// Fencing number of (runtime, configuration attempt). Access handed out for one is void in the next.
using incarnation = std::uint64_t;
/// Number of one piece of work given to a child; every reply carries it and older ones are ignored.
using run_number = std::uint64_t;

} // namespace nestor

template <>
struct std::hash<nestor::sandbox_id> {
  std::size_t operator()(const nestor::sandbox_id& id) const noexcept { return std::hash<std::string>{}(id.text); }
};
