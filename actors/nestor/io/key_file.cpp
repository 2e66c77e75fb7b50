#include <nestor/io/key_file.hpp>

#include <nestor/io/entropy.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace nestor::io {
namespace {

constexpr std::size_t ring_bytes_max = 65'536; // a thousand keys; more is another file
constexpr mode_t for_its_owner = 0600;

failure refused(const std::string& path, const std::string& what) {
  return failure{errc::keys_refused, step::queue, path + ": " + what, 0, {}};
}

failure refused_by_system(const std::string& path) {
  return refused(path, std::generic_category().message(errno));
}

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

/// Written aside and moved: `flags` of the move.
bool put(const std::string& path, const journal::key_ring& ring, unsigned flags) {
  auto aside = path + ".new";
  ::unlink(aside.c_str());
  {
    descriptor file{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, for_its_owner)};
    if (file.fd < 0 || !write_all(file.fd, to_text(ring)))
      return false;
  }
  return ::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), flags) == 0 && sync_folder_of(path);
}

} // namespace

expected<journal::key_ring> load_key_ring(const std::string& path) {
  descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat is {};
  if (file.fd < 0 || ::fstat(file.fd, &is) != 0)
    return refused_by_system(path);
  if ((is.st_mode & 077U) != 0)
    return refused(path, "others may read it; `chmod 600` it, and rotate the keys if somebody did");
  wiped_string text(ring_bytes_max + 1, '\0');
  auto size = ::read(file.fd, text.data(), text.size());
  if (size < 0)
    return refused_by_system(path);
  if (static_cast<std::size_t>(size) > ring_bytes_max)
    return refused(path, "too long for a key ring");
  auto ring = journal::read_key_ring(std::string_view{text}.substr(0, static_cast<std::size_t>(size)));
  if (!ring)
    return refused(path, ring.error().cause);
  return ring;
}

expected<journal::key_ring> make_key_ring(const std::string& path) {
  journal::key_ring ring;
  ring.keys.push_back(make_sealing_key(1));
  ring.current = 1;
  if (!put(path, ring, RENAME_NOREPLACE))
    return refused_by_system(path);
  return ring;
}

expected<void> replace_key_ring(const std::string& path, const journal::key_ring& ring) {
  if (!put(path, ring, 0))
    return refused_by_system(path);
  return {};
}

journal::sealing_key make_sealing_key(std::uint32_t id) {
  std::string bytes(journal::sealing_key_bytes, '\0');
  fill_random({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return {id, secret{std::move(bytes)}};
}

} // namespace nestor::io
