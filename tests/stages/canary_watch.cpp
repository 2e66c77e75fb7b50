// canary_watch [--key VARIABLE]... [--transcripts FOLDER] -- COMMAND...
// Runs COMMAND, keeps everything that it and what it starts write, and again and again reads the arguments and the
// environment of every process below it. Then searches all of it for canaries. Exit 0 only when COMMAND ended with 0
// and no canary was found. A VARIABLE is a session key's: it may be in the environment of its own sandbox, and nowhere
// else.
#include "support/canary.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using nestor::tests::canary_in;

constexpr int look_every_ms = 10;          // a child that lives shorter was still seen in what it wrote
constexpr std::size_t tail_shown = 20'000; // of the output, when the command failed

/// As far as it can be read: what is in /proc goes away while it is being read, and a stream's buffer throws then.
std::string contents_of(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  in >> text.rdbuf(); // catches what the buffer throws
  return text.str();
}

/// What the processes below us were called with: each text once.
class process_watch {
public:
  explicit process_watch(std::set<std::string> session_keys) : session_keys_(std::move(session_keys)) {}

  void look() {
    std::map<int, int> parents;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", gone})
      if (int pid = std::atoi(entry.path().filename().c_str()); pid > 0) {
        auto stat = contents_of(entry.path() / "stat"); // 1 (name) S parent …
        if (auto name_ends = stat.rfind(") "); name_ends != std::string::npos)
          parents[pid] = std::atoi(stat.c_str() + name_ends + 4);
      }
    for (auto [pid, parent] : parents)
      for (int up = parent; up > 0; up = parents.count(up) != 0 ? parents[up] : 0)
        if (up == ::getpid()) {
          keep(pid);
          break;
        }
  }

  [[nodiscard]] std::vector<std::string> found() const {
    std::vector<std::string> all;
    for (const auto& text : arguments_)
      if (auto canary = canary_in(text); !canary.empty())
        all.push_back("arguments of " + program_of(text) + ": " + canary);
    for (const auto& [program, entry] : environments_)
      if (auto canary = canary_in(entry); !canary.empty())
        all.push_back("environment of " + program + ", " + entry.substr(0, entry.find('=')) + ": " + canary);
    return all;
  }
  [[nodiscard]] std::string counted() const {
    return std::to_string(processes_.size()) + " processes (" + std::to_string(arguments_.size()) + " command lines, " +
           std::to_string(environments_.size()) + " variables)";
  }

private:
  static std::string program_of(const std::string& arguments) {
    return std::filesystem::path{arguments.c_str()}.filename().string();
  }

  void keep(int pid) {
    auto folder = std::filesystem::path{"/proc"} / std::to_string(pid);
    auto arguments = contents_of(folder / "cmdline");
    auto environment = contents_of(folder / "environ");
    auto program = program_of(arguments);
    processes_.insert(pid);
    arguments_.insert(arguments);
    bool sandbox = ('\0' + environment).find(std::string{'\0'} + "NESTOR_RUNTIME=") != std::string::npos ||
                   program == "nestor-nested-server";
    for (std::size_t at = 0; at < environment.size();) {
      auto end = std::min(environment.find('\0', at), environment.size());
      auto entry = environment.substr(at, end - at);
      if (!sandbox || session_keys_.count(entry.substr(0, entry.find('='))) == 0)
        environments_.emplace(program, std::move(entry));
      at = end + 1;
    }
  }

  std::set<std::string> session_keys_;
  std::set<int> processes_;
  std::set<std::string> arguments_;
  std::set<std::pair<std::string, std::string>> environments_;
};

struct options {
  std::set<std::string> session_keys;
  std::string transcripts;
  char** command = nullptr;
};

/// Starts the command; its output, errors included, comes out of the descriptor.
int start(char** command, pid_t& pid) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return -1;
  pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::execvp(command[0], command);
    std::fprintf(stderr, "%s: %s\n", command[0], std::strerror(errno));
    ::_exit(127);
  }
  ::close(ends[1]);
  return ends[0];
}

/// What it wrote until it and everything it started had ended, or closed their output.
std::string watch(int out, process_watch& processes) {
  std::string written;
  std::array<char, 65'536> chunk{};
  for (pollfd readable{out, POLLIN, 0};;) {
    processes.look();
    if (::poll(&readable, 1, look_every_ms) == 0)
      continue;
    auto size = ::read(out, chunk.data(), chunk.size());
    if (size <= 0)
      return written;
    written.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

std::vector<std::string> found_in_files(const std::string& folder, std::size_t& files, std::size_t& bytes) {
  std::vector<std::string> all;
  if (folder.empty())
    return all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{folder})
    if (entry.is_regular_file()) {
      auto text = contents_of(entry.path());
      ++files;
      bytes += text.size();
      if (auto canary = canary_in(text); !canary.empty())
        all.push_back("a program of the tests wrote: " + canary);
    }
  return all;
}

int run(const options& o) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1); // what daemonises stays below us
  pid_t pid = 0;
  int out = start(o.command, pid);
  if (out < 0)
    return 1;
  process_watch processes{o.session_keys};
  auto written = watch(out, processes);
  int status = 0;
  ::waitpid(pid, &status, 0);

  std::size_t files = 0, bytes = 0;
  auto found = found_in_files(o.transcripts, files, bytes);
  auto of_processes = processes.found();
  found.insert(found.end(), of_processes.begin(), of_processes.end());
  if (auto canary = canary_in(written); !canary.empty())
    found.push_back("output: " + canary);
  if (status != 0)
    std::printf("%s\n", written.substr(written.size() - std::min(written.size(), tail_shown)).c_str());
  for (const auto& line : found)
    std::printf("CANARY FOUND in %s\n", line.c_str());
  std::printf("searched %zu bytes of output, %zu bytes in %zu files, %s: %zu canaries\n", written.size(), bytes, files,
              processes.counted().c_str(), found.size());
  return status == 0 && found.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  for (int i = 1; i + 1 < argc && o.command == nullptr; ++i) {
    std::string option = argv[i];
    if (option == "--")
      o.command = argv + i + 1;
    else if (option == "--key")
      o.session_keys.insert(argv[++i]);
    else if (option == "--transcripts")
      o.transcripts = argv[++i];
  }
  if (o.command == nullptr || *o.command == nullptr) {
    std::fprintf(stderr, "canary_watch [--key VARIABLE]... [--transcripts FOLDER] -- COMMAND...\n");
    return 2;
  }
  return run(o);
}
