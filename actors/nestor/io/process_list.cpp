#include <nestor/io/process_list.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

namespace nestor::io {
namespace {

/// Empty when it cannot be read: a process may go between opening its file and reading it (ESRCH).
std::string content_of(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return {};
  std::string content;
  std::array<char, 4'096> bytes;
  for (ssize_t size = 0; (size = ::read(fd, bytes.data(), bytes.size())) > 0;)
    content.append(bytes.data(), static_cast<std::size_t>(size));
  ::close(fd);
  return content;
}

std::string proc_path(std::int64_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

} // namespace

std::optional<process_entry> process_at(std::int64_t pid) {
  auto text = content_of(proc_path(pid, "stat"));
  auto open = text.find('(');
  auto close = text.rfind(')'); // the name may hold anything, blanks and parentheses too
  if (open == std::string::npos || close == std::string::npos)
    return std::nullopt;
  process_entry entry;
  entry.pid = pid;
  entry.name = text.substr(open + 1, close - open - 1);
  std::istringstream fields{text.substr(close + 1)};
  std::string skipped;
  fields >> entry.state >> entry.parent >> skipped >> entry.process_session; // fields 3 to 6
  for (int field = 7; field < 22; ++field)
    fields >> skipped;
  fields >> entry.start_time;
  return fields ? std::optional{entry} : std::nullopt;
}

std::vector<process_entry> all_processes() {
  std::vector<process_entry> all;
  std::error_code failed;
  for (std::filesystem::directory_iterator item{"/proc", failed}, end; !failed && item != end; item.increment(failed)) {
    auto name = item->path().filename().string();
    std::int64_t pid = 0;
    auto [last, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || last != name.data() + name.size())
      continue;
    if (auto entry = process_at(pid))
      all.push_back(std::move(*entry));
  }
  return all;
}

const std::string& boot_id() {
  static const std::string id = [] {
    auto text = content_of("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return text;
  }();
  return id;
}

bool alive(const process_ref& process) {
  if (process.boot_id != boot_id())
    return false;
  auto entry = process_at(process.pid);
  return entry && entry->start_time == process.start_time && !entry->dead();
}

std::vector<process_entry> tree_of(const process_ref& process) {
  if (process.boot_id != boot_id())
    return {};
  auto rest = all_processes();
  std::vector<process_entry> tree;
  auto take = [&](auto&& belongs) {
    for (auto at = rest.begin(); at != rest.end();)
      if (!at->dead() && belongs(*at)) {
        tree.push_back(std::move(*at));
        at = rest.erase(at);
      } else {
        ++at;
      }
  };
  // The kernel gives the number away only when the session it names has no member left, so a later process with the
  // number means that the session is that one's.
  bool passed_on = std::ranges::any_of(rest, [&](const process_entry& entry) {
    return entry.pid == process.pid && entry.start_time != process.start_time;
  });
  take([&](const process_entry& entry) {
    bool itself = entry.pid == process.pid && entry.start_time == process.start_time;
    bool in_process_session = entry.process_session == process.pid && entry.start_time >= process.start_time;
    return itself || (in_process_session && !passed_on);
  });
  for (std::size_t i = 0; i < tree.size(); ++i)
    take([parent = tree[i].pid](const process_entry& entry) { return entry.parent == parent; });
  return tree;
}

std::vector<std::string> arguments_of(std::int64_t pid) {
  auto text = content_of(proc_path(pid, "cmdline"));
  std::vector<std::string> arguments;
  for (std::size_t at = 0; at < text.size();) {
    arguments.emplace_back(text.c_str() + at);
    at += arguments.back().size() + 1;
  }
  return arguments;
}

} // namespace nestor::io
