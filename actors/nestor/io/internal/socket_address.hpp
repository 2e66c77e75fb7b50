// Where to connect to, as the kernel wants it. Internal to io/http_client.
#pragma once

#include <nestor/io/address_rules.hpp>

#include <optional>
#include <string>

#include <sys/socket.h>

namespace nestor::io {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool local = false; ///< loopback or unix: connecting is done, or has failed, as soon as it was asked for
};

socket_address tcp_address(const ip_address& ip, std::uint16_t port);

/// Nothing when the path is too long for a socket address.
std::optional<socket_address> unix_address(const std::string& path);

} // namespace nestor::io
