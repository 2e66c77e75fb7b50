#include <nestor/io/key_file.hpp>

#include <nestor/io/durable_file.hpp>
#include <nestor/io/entropy.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace nestor::io {
namespace {

constexpr std::size_t ring_bytes_max = 65'536; // a thousand keys; more is another file

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
  if (!put_file(path, to_text(ring), put::only_anew))
    return refused_by_system(path);
  return ring;
}

expected<void> replace_key_ring(const std::string& path, const journal::key_ring& ring) {
  if (!put_file(path, to_text(ring)))
    return refused_by_system(path);
  return {};
}

journal::sealing_key make_sealing_key(std::uint32_t id) {
  std::string bytes(journal::sealing_key_bytes, '\0');
  fill_random({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return {id, secret{std::move(bytes)}};
}

} // namespace nestor::io
