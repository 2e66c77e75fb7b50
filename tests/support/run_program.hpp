// Runs a program to its end and keeps what it wrote. For short-lived commands: output is collected in files.
#pragma once

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace nestor::tests {

struct program_end {
  int exit_code = -1; ///< -1: ended by a signal
  std::string out;
  std::string err;
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

inline program_end run_program(const scratch_folder& scratch, std::vector<std::string> argv) {
  auto out = scratch.file("out");
  auto err = scratch.file("err");
  auto child = ::fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (auto& a : argv)
      arguments.push_back(a.data());
    arguments.push_back(nullptr);
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, contents_of(out), contents_of(err)};
}

/// The binary under test: NESTOR_BINARY, or the one this build made.
inline std::string nestor_binary() {
  const char* chosen = std::getenv("NESTOR_BINARY");
  return chosen != nullptr ? chosen : std::string{NESTOR_BIN_DIR} + "/nestor";
}

} // namespace nestor::tests
