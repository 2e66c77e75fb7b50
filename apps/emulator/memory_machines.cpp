#include <emulator/memory_machines.hpp>

#include <algorithm>
#include <charconv>
#include <csignal>

namespace nestor::emulator {
namespace {

constexpr std::string_view home_folder = "/home/user";
constexpr std::string_view server_program = "nestor-nested-server";

std::string absolute(const std::string& path) {
  return path.starts_with('/') ? path : std::string{home_folder} + "/" + path;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return text;
}

std::string value_of(const variables& env, std::string_view name) {
  for (auto at = env.rbegin(); at != env.rend(); ++at)
    if (at->first == name)
      return at->second;
  return {};
}

std::optional<std::uint16_t> number(std::string_view text) {
  std::uint16_t value = 0;
  auto digits = text.substr(0, text.find_first_not_of("0123456789"));
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return !digits.empty() && failed == std::errc{} ? std::optional{value} : std::nullopt;
}

/// `NAME=value` words of a line, in front of the environment it runs with.
variables with_assignments(variables env, std::string_view line) {
  while (!line.empty()) {
    auto word = line.substr(0, line.find_first_of(" '\""));
    auto equals = word.find('=');
    if (equals != std::string_view::npos && equals > 0 && !word.starts_with('-'))
      env.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    line.remove_prefix(std::min(word.size() + 1, line.size()));
  }
  return env;
}

/// What `eval "$NAME"` in it, if there is one, stands for.
std::string with_evaluated(const variables& env, std::string line) {
  constexpr std::string_view before = "eval \"$";
  auto at = line.find(before);
  if (at == std::string::npos)
    return line;
  auto name = line.substr(at + before.size());
  return value_of(env, name.substr(0, name.find('"')));
}

/// The first part of a line, taken off it.
std::string take_part(std::string& line) {
  auto end = std::min(line.find(';'), line.find("&&"));
  auto part = std::string{trimmed(std::string_view{line}.substr(0, end))};
  line = end == std::string::npos ? std::string{} : line.substr(end + (line[end] == ';' ? 1 : 2));
  return part;
}

} // namespace

memory_machines::memory_machines(clockwork& time, memory_machines_options options)
    : time_(time), options_(std::move(options)) {}

memory_machines::machine* memory_machines::find(const std::string& id) {
  auto at = machines_.find(id);
  return at == machines_.end() ? nullptr : &at->second;
}

bool memory_machines::serve(machine& m, std::int64_t pid, const variables& env) {
  auto port = number(value_of(env, "PORT"));
  if (!port)
    port = number(value_of(env, "port"));
  if (m.ports.contains(port.value_or(usual_port)))
    return false;
  auto options = options_.server;
  options.session_key = secret::copy_of(value_of(env, "SESSION_API_KEY"));
  auto& place = m.ports[port.value_or(usual_port)];
  place.server = std::make_unique<nested_server::faulty_server>(std::move(options), nested_server::fault_plan{},
                                                                time_.now() + options_.server_starts_in);
  place.pid = pid;
  place.from = time_.now() + options_.server_starts_in;
  return true;
}

void memory_machines::boot(machine_order order, std::function<void(std::optional<std::string>)> done) {
  auto& m = machines_[order.id];
  m.env = order.env;
  m.up = true;
  auto line = order.command;
  for (const auto& word : order.argv)
    line += (line.empty() ? "" : " ") + word;
  if (line.empty() ? order.serves : line.find(server_program) != std::string::npos)
    serve(m, 0, with_assignments(order.env, line));
  time_.after(milliseconds{0}, [done = std::move(done)] { done(std::nullopt); });
}

void memory_machines::watch(const std::string& id, std::function<void(int)> ended) {
  if (auto* m = find(id))
    m->ended = std::move(ended);
}

void memory_machines::freeze(const std::string& id) {
  if (auto* m = find(id))
    m->frozen = true;
}
void memory_machines::thaw(const std::string& id) {
  if (auto* m = find(id))
    m->frozen = false;
}

void memory_machines::stop(const std::string& id) {
  auto* m = find(id);
  if (!m)
    return;
  m->up = false;
  m->frozen = false;
  m->ports.clear();
  m->commands.clear();
}

void memory_machines::discard(const std::string& id) {
  machines_.erase(id);
}

void memory_machines::crash(const std::string& id, int exit_code) {
  auto* m = find(id);
  if (!m)
    return;
  m->ports.clear();
  if (m->ended)
    time_.after(milliseconds{0}, [told = m->ended, exit_code] { told(exit_code); });
}

std::optional<std::int64_t> memory_machines::run(const std::string& id, command_order order, command_ears ears) {
  auto* m = find(id);
  if (!m || !m->up)
    return std::nullopt;
  auto pid = next_pid_++;
  auto line = order.line;
  for (const auto& word : order.argv)
    line += (line.empty() ? "" : " ") + word;
  line = with_evaluated(m->env, std::move(line));
  m->lines.push_back(line);
  auto& r = m->commands[pid];
  r.ears = std::move(ears);
  if (line.find(server_program) != std::string::npos) {
    auto env = m->env;
    env.insert(env.end(), order.env.begin(), order.env.end());
    bool leaves = trimmed(line).ends_with('&'); // the shell does not wait for it
    bool listens = serve(*m, leaves ? next_pid_++ : pid, with_assignments(std::move(env), line));
    if (leaves || !listens)
      time_.after(milliseconds{0}, [this, id, pid, leaves] { finish(id, pid, leaves ? 0 : 1); });
    return pid;
  }
  // The shell's own name in front of what it is to do: /bin/bash -l -c LINE.
  if (order.argv.size() > 2 && order.argv[0].ends_with("sh"))
    line = order.argv.back();
  time_.after(milliseconds{0}, [this, id, pid, line] { step(id, pid, line, 0); });
  return pid;
}

void memory_machines::finish(const std::string& id, std::int64_t pid, int exit_code) {
  auto* m = find(id);
  auto at = m ? m->commands.find(pid) : std::map<std::int64_t, running>::iterator{};
  if (!m || at == m->commands.end())
    return;
  auto ears = std::move(at->second.ears);
  m->commands.erase(at);
  std::erase_if(m->ports, [&](const auto& p) { return p.second.pid == pid; });
  if (ears.ended)
    ears.ended(exit_code);
}

void memory_machines::step(const std::string& id, std::int64_t pid, std::string rest, int exit_code) {
  auto* m = find(id);
  if (!m || !m->commands.contains(pid))
    return;
  if (m->frozen) // it stands still, and looks again when time goes on
    return time_.after(milliseconds{10}, [this, id, pid, rest, exit_code] { step(id, pid, rest, exit_code); });
  if (trimmed(rest).empty())
    return finish(id, pid, exit_code);
  auto part = take_part(rest);
  auto verb = part.substr(0, part.find(' '));
  auto words = part.size() > verb.size() ? part.substr(verb.size() + 1) : std::string{};
  auto say = [&](stream to, const std::string& text) {
    auto heard = m->commands.at(pid).ears.output;
    if (heard)
      heard(to, text);
  };
  milliseconds pause{0};
  exit_code = 0;
  if (verb == "echo") {
    bool err = words.ends_with("1>&2") || words.ends_with(">&2");
    say(err ? stream::err : stream::out,
        std::string{trimmed(words.substr(0, words.find(err ? " 1>&2" : "\n")))} + "\n");
  } else if (verb == "cat") {
    auto bytes = read(id, words);
    exit_code = bytes ? 0 : 1;
    say(bytes ? stream::out : stream::err, bytes.value_or("cat: " + words + ": No such file or directory\n"));
  } else if (verb == "pwd") {
    say(stream::out, std::string{home_folder} + "\n");
  } else if (verb == "sleep") {
    pause = milliseconds{1'000 * number(words).value_or(0)};
  } else if (verb == "exit") {
    return finish(id, pid, number(words).value_or(0));
  } else if (verb != "true") {
    exit_code = verb == "false" ? 1 : 127;
    if (exit_code == 127)
      say(stream::err, "sh: " + verb + ": not found\n");
  }
  time_.after(pause, [this, id, pid, rest, exit_code] { step(id, pid, rest, exit_code); });
}

bool memory_machines::signal(const std::string& id, std::int64_t pid, int number) {
  auto* m = find(id);
  if (!m || !m->commands.contains(pid))
    return false;
  time_.after(milliseconds{0}, [this, id, pid, number] { finish(id, pid, 128 + number); });
  return true;
}

bool memory_machines::feed(const std::string& id, std::int64_t pid, std::string_view, bool) {
  auto* m = find(id);
  return m && m->commands.contains(pid);
}

std::string memory_machines::home(const std::string&) const {
  return std::string{home_folder};
}

std::optional<std::string> memory_machines::read(const std::string& id, const std::string& path) {
  auto* m = find(id);
  auto at = m ? m->files.find(absolute(path)) : std::map<std::string, std::string>::iterator{};
  return m && at != m->files.end() ? std::optional{at->second} : std::nullopt;
}

bool memory_machines::write(const std::string& id, const std::string& path, std::string_view bytes) {
  auto* m = find(id);
  if (!m || path.empty() || path.ends_with('/'))
    return false;
  m->files[absolute(path)] = std::string{bytes};
  return true;
}

std::optional<file_entry> memory_machines::look(const std::string& id, const std::string& path) {
  auto full = absolute(path);
  auto name = full.substr(full.rfind('/') + 1);
  if (auto bytes = read(id, path))
    return file_entry{name, false, bytes->size()};
  return list(id, path) ? std::optional{file_entry{name, true, 0}} : std::nullopt;
}

std::optional<std::vector<file_entry>> memory_machines::list(const std::string& id, const std::string& path) {
  auto* m = find(id);
  auto folder = absolute(path);
  if (!folder.ends_with('/'))
    folder += '/';
  std::map<std::string, file_entry> found;
  bool exists = m && (m->directories.contains(folder) || folder == std::string{home_folder} + "/" || folder == "/");
  auto add = [&](const std::string& full, std::uint64_t size) {
    if (!full.starts_with(folder) || full == folder)
      return;
    exists = true;
    auto rest = full.substr(folder.size());
    auto name = rest.substr(0, rest.find('/'));
    found[name] = {name, rest.size() > name.size(), rest.size() > name.size() ? 0 : size};
  };
  if (m) {
    for (const auto& [full, bytes] : m->files)
      add(full, bytes.size());
    for (const auto& full : m->directories)
      add(full, 0);
  }
  if (!exists)
    return std::nullopt;
  std::vector<file_entry> entries;
  for (auto& [name, entry] : found)
    entries.push_back(std::move(entry));
  return entries;
}

bool memory_machines::make_directory(const std::string& id, const std::string& path) {
  auto* m = find(id);
  if (!m || path.empty())
    return false;
  m->directories.insert(absolute(path) + (path.ends_with('/') ? "" : "/"));
  return true;
}

bool memory_machines::remove(const std::string& id, const std::string& path) {
  auto* m = find(id);
  auto full = absolute(path);
  auto below = full + "/";
  auto gone =
    m ? std::erase_if(m->files, [&](const auto& f) { return f.first == full || f.first.starts_with(below); }) : 0;
  if (m)
    gone += std::erase_if(m->directories, [&](const auto& d) { return d.starts_with(below); });
  return gone > 0;
}

nested_server::faulty_server* memory_machines::server(const std::string& id, std::uint16_t port) {
  auto* m = find(id);
  auto at = m ? m->ports.find(port) : std::map<std::uint16_t, listening>::iterator{};
  return m && at != m->ports.end() ? at->second.server.get() : nullptr;
}

std::size_t memory_machines::runs(const std::string& id, std::string_view text) const {
  auto at = machines_.find(id);
  if (at == machines_.end())
    return 0;
  return static_cast<std::size_t>(
    std::ranges::count_if(at->second.lines, [&](const auto& line) { return line.find(text) != std::string::npos; }));
}

void memory_machines::forward(const std::string& id, std::uint16_t port, http::request request,
                              std::function<void(http_reply)> done) {
  auto* m = find(id);
  auto at = m ? m->ports.find(port) : std::map<std::uint16_t, listening>::iterator{};
  bool listens = m && at != m->ports.end() && at->second.from <= time_.now();
  if (!listens || m->frozen)
    return time_.after(milliseconds{0}, [done] { done(http::transport_error::refused); });
  auto reply = at->second.server->handle(request, time_.now(), "127.0.0.1");
  using way = nested_server::wire_reply::way;
  if (reply.how == way::hang)
    return;
  if (reply.how != way::answer)
    return time_.after(milliseconds{0}, [done] { done(http::transport_error::reset); });
  if (!reply.response.find("Content-Type") && !reply.response.body.empty())
    reply.response.headers.emplace_back("Content-Type", "application/json");
  time_.after(reply.delay, [done, r = std::move(reply.response)]() mutable { done(std::move(r)); });
}

} // namespace nestor::emulator
