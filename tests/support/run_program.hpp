// Runs programs as a person or a script would, and keeps what they wrote. Short-lived ones to their end, others until
// the test is over. With NESTOR_TEST_TRANSCRIPTS set, everything they wrote is left in that folder, to be searched.
#pragma once

#include <array>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace nestor::tests {

struct program_end {
  int exit_code = -1; ///< -1: ended by a signal
  std::string out;
  std::string err;
};

/// How a program is started, besides its arguments.
struct program_start {
  std::vector<std::pair<std::string, std::string>> env{}; ///< added to ours
  std::optional<rlim_t> descriptors{};                    ///< RLIMIT_NOFILE, soft and hard
};

/// A folder of this test's own, removed with it.
class scratch_folder {
public:
  scratch_folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "nestor-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream{file(name), std::ios::binary} << text;
    return file(name);
  }

private:
  std::filesystem::path path_;
};

inline std::string contents_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Leaves what a program wrote where the search for canaries finds it.
inline void keep_transcript(const std::string& written) {
  if (const char* folder = std::getenv("NESTOR_TEST_TRANSCRIPTS"))
    std::ofstream{std::string{folder} + "/" + std::to_string(::getpid()), std::ios::binary | std::ios::app} << written;
}

/// Between fork and exec; does not return.
[[noreturn]] inline void become(std::vector<std::string> argv, int out, int err, const program_start& how) {
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  for (const auto& [name, value] : how.env)
    ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (auto& a : argv)
    arguments.push_back(a.data());
  arguments.push_back(nullptr);
  if (how.descriptors) {
    rlimit few{*how.descriptors, *how.descriptors};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

inline program_end run_program(const scratch_folder& scratch, std::vector<std::string> argv,
                               const program_start& how = {}) {
  auto out = scratch.file("out");
  auto err = scratch.file("err");
  auto child = ::fork();
  if (child == 0) {
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    become(std::move(argv), ::open(out.c_str(), flags, 0600), ::open(err.c_str(), flags, 0600), how);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  program_end end{WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents_of(out), contents_of(err)};
  keep_transcript(end.out + end.err);
  return end;
}

/// A program that goes on in the background; ended by SIGKILL with this object.
class background_program {
public:
  explicit background_program(std::vector<std::string> argv, const program_start& how = {}) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return;
    out_ = ends[0];
    pid_ = ::fork();
    if (pid_ == 0)
      become(std::move(argv), ends[1], ends[1], how);
    ::close(ends[1]);
  }
  background_program(const background_program&) = delete;
  background_program& operator=(const background_program&) = delete;
  ~background_program() {
    kill();
    ::close(out_);
    keep_transcript(shown_);
  }

  /// Reads what it writes until `text` is there. False when it ends, or is silent for `within_ms`, before that.
  bool shows(const std::string& text, int within_ms = 120'000) {
    using clock = std::chrono::steady_clock;
    auto until = clock::now() + std::chrono::milliseconds{within_ms};
    std::array<char, 4096> chunk{};
    pollfd readable{out_, POLLIN, 0};
    while (shown_.find(text) == std::string::npos) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
      auto size =
        left > 0 && ::poll(&readable, 1, static_cast<int>(left)) == 1 ? ::read(out_, chunk.data(), chunk.size()) : 0;
      if (size <= 0)
        return false;
      shown_.append(chunk.data(), static_cast<std::size_t>(size));
    }
    return true;
  }
  /// Everything it has written so far, errors included, as far as it was read.
  [[nodiscard]] const std::string& shown() const { return shown_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL; returns when it has ended.
  void kill() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

private:
  int out_ = -1;
  pid_t pid_ = 0;
  std::string shown_;
};

/// The binary under test: NESTOR_BINARY, or the one this build made.
inline std::string nestor_binary() {
  const char* chosen = std::getenv("NESTOR_BINARY");
  return chosen != nullptr ? chosen : std::string{NESTOR_BIN_DIR} + "/nestor";
}

/// The nested server that was built beside it.
inline std::string server_binary() {
  return (std::filesystem::path{nestor_binary()}.parent_path() / "nestor-nested-server").string();
}

} // namespace nestor::tests
