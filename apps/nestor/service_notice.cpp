#include "service_notice.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace nestor::cli {

void tell_service_manager(const std::string& message) {
  const char* named = std::getenv("NOTIFY_SOCKET");
  if (named == nullptr || *named == '\0')
    return;
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  auto size = std::strlen(named);
  if (size >= sizeof where.sun_path)
    return;
  std::memcpy(where.sun_path, named, size);
  if (where.sun_path[0] == '@')
    where.sun_path[0] = '\0'; // an abstract one
  int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  [[maybe_unused]] auto sent =
    ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&where), length);
  ::close(fd);
}

} // namespace nestor::cli
