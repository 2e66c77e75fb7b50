#include <nestor/io/durable_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace nestor::io {
namespace {

constexpr mode_t for_its_owner = 0600;

struct descriptor {
  int fd;
  explicit descriptor(int opened) : fd(opened) {}
  ~descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR)
      return false;
    text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
  return ::fsync(fd) == 0;
}

/// A name in a folder is durable when the folder is.
bool sync_folder_of(const std::string& path) {
  auto slash = path.rfind('/');
  auto folder = slash == std::string::npos ? std::string{"."} : path.substr(0, slash + 1);
  descriptor at{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return at.fd >= 0 && ::fsync(at.fd) == 0;
}

} // namespace

bool put_file(const std::string& path, std::string_view text, put how) {
  auto aside = path + ".new";
  ::unlink(aside.c_str());
  {
    descriptor file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, for_its_owner)};
    if (file.fd < 0 || !write_all(file.fd, text))
      return false;
  }
  unsigned flags = how == put::only_anew ? RENAME_NOREPLACE : 0;
  return ::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), flags) == 0 && sync_folder_of(path);
}

} // namespace nestor::io
