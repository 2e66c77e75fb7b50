// Which network addresses may be connected to, as a pure function over bytes. Knows no socket and no resolver: the
// client asks it about the very address that it is about to connect to, so that no second look-up can differ.
// Exists because a specification's URL must not reach the cloud's metadata service or the node's own neighbours.
#pragma once

#include <nestor/seam/io_request.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::io {

/// An IPv4 address (the first 4 bytes) or an IPv6 address, in network order.
struct ip_address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const ip_address&, const ip_address&) = default;
};

/// Numeric addresses only ("127.0.0.1", "::1"); no brackets, no scope, no shortened IPv4 forms.
std::optional<ip_address> parse_address(std::string_view text);
std::string to_string(const ip_address& address);

/// A range of addresses: "10.0.0.0/8", "fd00::/8"; a single address stands for itself.
struct address_range {
  ip_address first;
  std::uint8_t bits = 0; ///< prefix length, 0–32 or 0–128

  [[nodiscard]] bool holds(const ip_address& address) const;
  friend bool operator==(const address_range&, const address_range&) = default;
};

/// Nothing when malformed, or when bits beyond the prefix are set ("10.0.0.1/8" is a typing error more often than not).
std::optional<address_range> parse_range(std::string_view text);

struct address_rules {
  std::vector<address_range> allow; ///< loopback and private ranges that a specification may name
  std::vector<address_range> deny;  ///< refused whoever supplied them
};

/// True when `address`, supplied by `from`, may be connected to.
/// Always refused: "this network", link-local, metadata services, multicast, broadcast, reserved; also when an IPv4
/// address of that kind is embedded in IPv6 (mapped, compatible, NAT64, 6to4), and whatever `deny` holds.
/// Refused for `address_source::spec` unless `allow` holds it: loopback, private, shared and unique-local ranges.
bool allowed(const ip_address& address, address_source from, const address_rules& rules);

} // namespace nestor::io
