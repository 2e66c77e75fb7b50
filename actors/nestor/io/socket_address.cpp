#include <nestor/io/internal/socket_address.hpp>

#include <cstring>

#include <netinet/in.h>
#include <sys/un.h>

namespace nestor::io {
namespace {

template <class Address>
socket_address as_socket_address(const Address& address, bool local) {
  socket_address result;
  result.size = sizeof address;
  result.local = local;
  std::memcpy(&result.storage, &address, sizeof address);
  return result;
}

} // namespace

socket_address tcp_address(const ip_address& ip, std::uint16_t port) {
  if (ip.v6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    std::memcpy(&address.sin6_addr, ip.bytes.data(), 16);
    return as_socket_address(address, IN6_IS_ADDR_LOOPBACK(&address.sin6_addr));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  std::memcpy(&address.sin_addr, ip.bytes.data(), 4);
  return as_socket_address(address, ip.bytes[0] == 127);
}

std::optional<socket_address> unix_address(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path)
    return std::nullopt;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return as_socket_address(address, true);
}

} // namespace nestor::io
