#include <nestor/io/secret_source.hpp>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nestor::io {
namespace {

failure unresolved(std::string cause) {
  return {errc::secret_unresolved, step::queue, std::move(cause), 0, {}};
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

struct open_file {
  int fd;
  ~open_file() {
    if (fd >= 0)
      ::close(fd);
  }
};

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n'))
    text.remove_suffix(1);
  if (text.ends_with('\r'))
    text.remove_suffix(1);
  return text;
}

} // namespace

expected<secret> secret_from_env(const std::string& name) {
  const char* value = std::getenv(name.c_str()); // NOLINT(concurrency-mt-unsafe): nobody here ever calls setenv
  if (value == nullptr)
    return unresolved("the environment variable " + name + " is not set");
  if (*value == '\0')
    return unresolved("the environment variable " + name + " is empty");
  return secret::copy_of(value);
}

expected<secret> secret_from_file(const std::string& path) {
  auto refuse = [&](const std::string& why) { return unresolved("the file " + path + " " + why); };
  if (path.find('\0') != std::string::npos)
    return refuse("has a name that no file can have");
  open_file file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)}; // a pipe must not make us wait
  if (file.fd < 0)
    return refuse("cannot be read: " + reason_of(errno));
  struct stat about {};
  if (::fstat(file.fd, &about) != 0)
    return refuse("cannot be read: " + reason_of(errno));
  if (!S_ISREG(about.st_mode))
    return refuse("is not a regular file");
  std::vector<char, wiping_allocator<char>> bytes(secret_file_max + 1);
  std::size_t size = 0;
  while (size < bytes.size()) {
    auto got = ::read(file.fd, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return refuse("cannot be read: " + reason_of(errno));
    if (got == 0)
      break;
    size += static_cast<std::size_t>(got);
  }
  if (size > secret_file_max)
    return refuse("is larger than " + std::to_string(secret_file_max) + " bytes");
  auto text = without_line_end({bytes.data(), size});
  if (text.empty())
    return refuse("is empty");
  return secret::copy_of(text);
}

expected<secret> look_up_secret(reference_kind kind, const std::string& name) {
  switch (kind) {
    case reference_kind::env: return secret_from_env(name);
    case reference_kind::file: return secret_from_file(name);
    case reference_kind::literal: break;
  }
  return failure{errc::internal, step::queue, "a literal is not looked up", 0, {}};
}

} // namespace nestor::io
