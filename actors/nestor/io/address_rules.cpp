#include <nestor/io/address_rules.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace nestor::io {
namespace {

/// Never connected to. IANA's special-purpose registries (RFC 6890, 2024 edition) and the clouds' metadata services.
constexpr std::array<std::string_view, 17> never{
  "0.0.0.0/8",          // this network
  "169.254.0.0/16",     // link-local; AWS, GCP, Azure, DigitalOcean, Oracle metadata at .169.254
  "100.100.100.200/32", // Alibaba Cloud metadata
  "192.0.0.0/24",       // protocol assignments; Oracle Cloud metadata at .192
  "168.63.129.16/32",   // Azure's wire server
  "224.0.0.0/4",        // multicast
  "240.0.0.0/4",        // reserved, broadcast
  "192.0.2.0/24",
  "198.51.100.0/24",
  "203.0.113.0/24",   // documentation
  "::/128",           // unspecified
  "fe80::/10",        // link-local
  "fec0::/10",        // site-local, long deprecated and still routed by some
  "ff00::/8",         // multicast
  "fd00:ec2::/32",    // AWS metadata and its neighbours
  "fd20:ce::254/128", // GCP metadata
  "2001:db8::/32",    // documentation
};

/// For a specification only where allowed: these lead to the node itself or to its neighbours.
constexpr std::array<std::string_view, 8> near{
  "127.0.0.0/8",   "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
  "100.64.0.0/10", // shared address space of carriers and overlay networks
  "198.18.0.0/15", // benchmarking networks
  "::1/128",       "fc00::/7",
};

template <std::size_t N>
std::vector<address_range> parsed(const std::array<std::string_view, N>& texts) {
  std::vector<address_range> ranges;
  for (auto text : texts)
    ranges.push_back(parse_range(text).value());
  return ranges;
}

bool any_holds(const std::vector<address_range>& ranges, const ip_address& address) {
  return std::ranges::any_of(ranges, [&](const address_range& range) { return range.holds(address); });
}

ip_address v4_at(const ip_address& address, std::size_t offset) {
  ip_address embedded;
  std::copy_n(address.bytes.begin() + static_cast<std::ptrdiff_t>(offset), 4, embedded.bytes.begin());
  return embedded;
}

/// The IPv4 address that connecting to this IPv6 address ends at, if it is of such a kind.
std::optional<ip_address> embedded_v4(const ip_address& address) {
  static const auto mapped = parse_range("::ffff:0:0/96").value();
  static const auto translated = parse_range("::ffff:0:0:0/96").value(); // SIIT, RFC 2765
  static const auto compatible = parse_range("::/96").value();
  static const auto nat64 = parse_range("64:ff9b::/96").value();
  static const auto six_to_four = parse_range("2002::/16").value();
  static const auto loopback = parse_range("::1").value();
  if (!address.v6 || loopback.holds(address))
    return std::nullopt;
  if (mapped.holds(address) || translated.holds(address) || compatible.holds(address) || nat64.holds(address))
    return v4_at(address, 12);
  if (six_to_four.holds(address))
    return v4_at(address, 2);
  return std::nullopt;
}

/// Tunnels whose far end is written inside in a way that is not worth decoding: local NAT64 prefixes, Teredo.
bool opaque_tunnel(const ip_address& address) {
  static const auto local_nat64 = parse_range("64:ff9b:1::/48").value(); // RFC 8215
  static const auto teredo = parse_range("2001::/32").value();
  return address.v6 && (local_nat64.holds(address) || teredo.holds(address));
}

} // namespace

std::optional<ip_address> parse_address(std::string_view text) {
  char zero_ended[INET6_ADDRSTRLEN + 1] = {};
  if (text.empty() || text.size() > INET6_ADDRSTRLEN)
    return std::nullopt;
  std::memcpy(zero_ended, text.data(), text.size());
  ip_address address;
  if (inet_pton(AF_INET, zero_ended, address.bytes.data()) == 1)
    return address;
  if (inet_pton(AF_INET6, zero_ended, address.bytes.data()) != 1)
    return std::nullopt;
  address.v6 = true;
  return address;
}

std::string to_string(const ip_address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof text);
  return text;
}

bool address_range::holds(const ip_address& address) const {
  if (address.v6 != first.v6)
    return false;
  std::size_t whole = bits / 8U;
  if (!std::equal(first.bytes.begin(), first.bytes.begin() + static_cast<std::ptrdiff_t>(whole), address.bytes.begin()))
    return false;
  auto rest = bits % 8U;
  auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
  return rest == 0 || ((first.bytes[whole] ^ address.bytes[whole]) & mask) == 0;
}

std::optional<address_range> parse_range(std::string_view text) {
  auto slash = text.find('/');
  auto address = parse_address(text.substr(0, slash));
  if (!address)
    return std::nullopt;
  unsigned most = address->v6 ? 128 : 32;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    auto digits = text.substr(slash + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc{} || end != digits.data() + digits.size() || bits > most)
      return std::nullopt;
  }
  for (unsigned bit = bits; bit < most; ++bit)
    if ((address->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0)
      return std::nullopt;
  return address_range{*address, static_cast<std::uint8_t>(bits)};
}

bool allowed(const ip_address& address, address_source from, const address_rules& rules) {
  static const auto never_ranges = parsed(never);
  static const auto near_ranges = parsed(near);
  if (any_holds(never_ranges, address) || any_holds(rules.deny, address))
    return false;
  if (auto v4 = embedded_v4(address))
    return allowed(*v4, from, rules);
  bool trusted = from == address_source::node || any_holds(rules.allow, address);
  return trusted || (!opaque_tunnel(address) && !any_holds(near_ranges, address));
}

} // namespace nestor::io
