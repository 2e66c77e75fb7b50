#include "state_folder.hpp"

#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace nestor::cli {
namespace {

std::string reason() {
  return errno == 0 ? "no reason given" : std::strerror(errno);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : value;
}

/// Whole or not at all, for its owner alone, on the disk when this returns.
bool write_file(const std::string& path, std::string_view text) {
  auto fresh = path + ".new";
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return false;
  bool written = ::fchmod(fd, 0600) == 0;
  while (written && !text.empty()) {
    auto count = ::write(fd, text.data(), text.size());
    written = count > 0;
    text.remove_prefix(written ? static_cast<std::size_t>(count) : 0);
  }
  written = written && ::fsync(fd) == 0;
  ::close(fd);
  return written && ::rename(fresh.c_str(), path.c_str()) == 0;
}

} // namespace

std::string state_folder_of(const std::string& configured) {
  if (!configured.empty())
    return configured;
  if (auto state = environment("XDG_STATE_HOME"); !state.empty())
    return state + "/nestor";
  auto home = environment("HOME");
  return home.empty() ? home : home + "/.local/state/nestor";
}

state_folder::state_folder(std::string path) : path_(std::move(path)) {
  std::error_code failed;
  bool fresh = std::filesystem::create_directories(path_, failed);
  if (failed)
    throw std::runtime_error{"the state folder " + path_ + " cannot be made: " + failed.message()};
  if (fresh)
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, failed);
  errno = 0;
  lock_ = ::open(file("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0)
    throw std::runtime_error{"the state folder " + path_ + " cannot be written: " + reason()};
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error{"another node uses the state folder " + path_ + "; give this one another (`state:`)"};
}

state_folder::~state_folder() {
  ::close(lock_);
}

api::token_book state_folder::open_tokens() {
  std::ifstream in{file("tokens.json"), std::ios::binary};
  if (in) {
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    auto book = api::read_token_book(text);
    if (!book)
      throw std::runtime_error{file("tokens.json") + ": " + book.error().cause};
    return std::move(*book);
  }
  std::array<std::uint8_t, api::token_entropy_bytes> entropy{};
  io::fill_random(entropy);
  auto first = api::mint(entropy, "default", api::role::admin, "made at the first start", io::wall_now());
  wipe(entropy.data(), entropy.size());
  api::token_book book;
  book.add(first.entry);
  bool kept = first.text.expose([&](std::string_view text) { return write_file(file("token"), text); });
  if (!kept || !keep_tokens(book))
    throw std::runtime_error{"the tokens cannot be written into " + path_ + ": " + reason()};
  return book;
}

bool state_folder::keep_tokens(const api::token_book& book) const {
  return write_file(file("tokens.json"), api::to_json(book));
}

void state_folder::announce(const std::string& url) const {
  if (!write_file(file("url"), url + "\n"))
    throw std::runtime_error{file("url") + " cannot be written: " + reason()};
}

} // namespace nestor::cli
