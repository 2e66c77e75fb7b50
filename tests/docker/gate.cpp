#include "gate.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace nestor::tests {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw std::runtime_error{path + " is too long for a socket"};
  path.copy(address.sun_path, path.size());
  return address;
}

/// All of it; false when the other side is gone.
bool pass_on(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    auto sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

} // namespace

gate::gate(std::string path, std::string engine) : path_(std::move(path)), engine_(std::move(engine)) {
  listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  auto address = address_of(path_);
  constexpr int backlog = 16;
  if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listening_, backlog) != 0)
    throw std::runtime_error{"cannot listen at " + path_};
  accepting_ = std::thread{[this] { accept(); }};
}

gate::~gate() {
  std::uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(stop_, &one, sizeof one);
  accepting_.join();
  for (auto& each : relays_)
    each.join();
  ::close(listening_);
  ::close(stop_);
}

void gate::accept() {
  std::array<pollfd, 2> watched{{{listening_, POLLIN, 0}, {stop_, POLLIN, 0}}};
  while (::poll(watched.data(), watched.size(), -1) > 0 && watched[1].revents == 0)
    if (auto client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC); client >= 0)
      relays_.emplace_back([this, client] { relay(client); });
}

void gate::relay(int client) {
  auto address = address_of(engine_);
  int behind = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool open = ::connect(behind, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  bool losing = false;
  std::array<char, 65'536> buffer{};
  std::array<pollfd, 3> watched{{{client, POLLIN, 0}, {behind, POLLIN, 0}, {stop_, POLLIN, 0}}};
  while (open && ::poll(watched.data(), watched.size(), -1) > 0 && watched[2].revents == 0)
    for (bool asking : {true, false}) {
      if (!open || watched[asking ? 0 : 1].revents == 0)
        continue;
      auto size = ::read(asking ? client : behind, buffer.data(), buffer.size());
      if (size <= 0) {
        open = false;
        continue;
      }
      std::string_view bytes{buffer.data(), static_cast<std::size_t>(size)};
      if (asking && bytes.starts_with("GET ") && bytes.substr(0, bytes.find('\r')).ends_with("/json HTTP/1.1"))
        ++looked;
      if (asking && bytes.find("/containers/create?") != bytes.npos && to_lose > 0) {
        --to_lose;
        losing = true;
      }
      if (!asking && losing) { // it has answered, so it is done
        ++lost;
        open = false;
      } else {
        open = pass_on(asking ? behind : client, bytes);
      }
    }
  ::close(behind);
  ::close(client);
}

} // namespace nestor::tests
