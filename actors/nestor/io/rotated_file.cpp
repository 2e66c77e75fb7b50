#include <nestor/io/rotated_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace nestor::io {

rotated_file::rotated_file(std::string path, options how) : path_(std::move(path)), how_(how) {
  if (!open())
    throw std::runtime_error{path_ + " cannot be written: " + std::generic_category().message(errno)};
}

rotated_file::~rotated_file() {
  if (fd_ >= 0)
    ::close(fd_);
}

bool rotated_file::open() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat about {};
  if (fd_ < 0 || ::fchmod(fd_, 0600) != 0 || ::fstat(fd_, &about) != 0)
    return false;
  size_ = static_cast<std::size_t>(about.st_size);
  return true;
}

bool rotated_file::rotate() {
  ::close(std::exchange(fd_, -1));
  auto name = [this](unsigned number) { return number == 0 ? path_ : path_ + "." + std::to_string(number); };
  for (auto number = how_.kept; number > 0; --number)
    if (::rename(name(number - 1).c_str(), name(number).c_str()) != 0 && errno != ENOENT)
      return false;
  return open();
}

bool rotated_file::add(std::string_view line) {
  if (fd_ < 0 && !open())
    return false;
  if (size_ != 0 && size_ + line.size() > how_.bytes_max && !rotate())
    return false;
  auto written = ::write(fd_, line.data(), line.size());
  if (written > 0)
    size_ += static_cast<std::size_t>(written);
  return written == static_cast<ssize_t>(line.size());
}

} // namespace nestor::io
