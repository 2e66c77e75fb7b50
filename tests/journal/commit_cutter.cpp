#include "journal/commit_cutter.hpp"

#include <array>
#include <stdexcept>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace nestor::tests {
namespace {

// Where libpq looks for a server in a folder.
constexpr const char* socket_name = "/.s.PGSQL.5432";

int socket_at(const std::string& folder, bool listening) {
  auto path = folder + socket_name;
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path)
    throw std::runtime_error{"a socket's path is too long: " + path};
  path.copy(at.sun_path, path.size());
  int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* address = reinterpret_cast<const sockaddr*>(&at);
  if (listening ? ::bind(made, address, sizeof at) == 0 && ::listen(made, 4) == 0
                : ::connect(made, address, sizeof at) == 0)
    return made;
  ::close(made);
  return -1;
}

} // namespace

commit_cutter::commit_cutter(const std::string& folder, const std::string& to)
    : to_(to), listener_(socket_at(folder, true)) {
  if (listener_ < 0 || ::pipe(stop_) != 0)
    throw std::runtime_error{"no socket for a test"};
  thread_ = std::thread{[this] { serve(); }};
}

commit_cutter::~commit_cutter() {
  ::close(stop_[1]);
  thread_.join();
  ::close(stop_[0]);
  ::close(listener_);
}

void commit_cutter::serve() {
  for (;;) {
    std::array<pollfd, 2> both{{{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
    ::poll(both.data(), both.size(), -1);
    if (both[1].revents != 0)
      return;
    int client = ::accept(listener_, nullptr, nullptr);
    pass_on(client); // one client at a time
    ::close(client);
  }
}

void commit_cutter::pass_on(int client) const {
  int server = socket_at(to_, false);
  for (bool going = server >= 0; going;) {
    std::array<pollfd, 3> all{{{client, POLLIN, 0}, {server, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
    ::poll(all.data(), all.size(), -1);
    going = all[2].revents == 0 && (all[0].revents == 0 || passed(client, server)) &&
            (all[1].revents == 0 || passed(server, client));
  }
  ::close(server);
}

/// False when nothing more will come.
bool commit_cutter::passed(int from, int to) const {
  std::array<char, 65'536> bytes{};
  auto size = ::read(from, bytes.data(), bytes.size());
  if (size <= 0)
    return false;
  std::string_view text{bytes.data(), static_cast<std::size_t>(size)};
  if (::write(to, text.data(), text.size()) != size)
    return false;
  if (text.find("COMMIT") == std::string_view::npos || text.front() != 'Q' || !armed_.exchange(false))
    return true;
  (void)!::read(to, bytes.data(), bytes.size()); // its answer: it has committed
  ++cuts_;
  return false;
}

} // namespace nestor::tests
