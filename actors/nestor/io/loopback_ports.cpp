#include <nestor/io/loopback_ports.hpp>

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nestor::io {
namespace {

constexpr microseconds held_back = std::chrono::minutes{1}; // a child that does not listen by then has failed
constexpr std::size_t held_back_max = 8'192;                // ports; a quarter of the usual range
constexpr int tries_max = 64;

/// `wanted` if it is free; 0: any.
std::optional<std::uint16_t> free_port(std::uint16_t wanted = 0) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return std::nullopt;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(wanted);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
               ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  return bound ? std::optional{ntohs(address.sin_port)} : std::nullopt;
}

} // namespace

bool loopback_ports::handed_out(std::uint16_t port) const {
  return std::ranges::any_of(handed_out_, [&](const auto& entry) { return entry.first == port; });
}

std::optional<std::uint16_t> loopback_ports::take(instant now, bool with_next) {
  while (!handed_out_.empty() && (now - handed_out_.front().second > held_back || handed_out_.size() > held_back_max))
    handed_out_.pop_front();
  for (int i = 0; i < tries_max; ++i) {
    auto port = free_port();
    if (!port)
      return std::nullopt;
    if (handed_out(*port))
      continue;
    auto next = static_cast<std::uint16_t>(*port + 1); // 0 after the last one
    if (with_next && (next == 0 || handed_out(next) || !free_port(next)))
      continue;
    handed_out_.emplace_back(*port, now);
    if (with_next)
      handed_out_.emplace_back(next, now);
    return port;
  }
  return std::nullopt;
}

} // namespace nestor::io
