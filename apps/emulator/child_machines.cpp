#include <emulator/child_command.hpp>
#include <emulator/child_machines.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/http_client.hpp>
#include <nestor/io/loopback_ports.hpp>
#include <nestor/io/processes.hpp>

#include <boost/asio/post.hpp>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

namespace nestor::emulator {
namespace {

namespace fs = std::filesystem;

constexpr milliseconds inner_timeout{120'000}; // of a request to a port inside: commands may take their time there
constexpr std::uint64_t inner_body_max = 16U << 20U;
constexpr std::string_view session_key_name = "SESSION_API_KEY";

bool names_port(std::string_view name) {
  return name == "PORT" || name == "port";
}

std::optional<std::uint16_t> number(std::string_view text) {
  std::uint16_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && failed == std::errc{} && end == text.data() + text.size() && value > 0 ? std::optional{value}
                                                                                                 : std::nullopt;
}

std::string inherited(const char* name, const char* otherwise) {
  const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): set in main, before anything else
  return value ? value : otherwise;
}

struct machine {
  variables env;
  std::map<std::uint16_t, std::uint16_t> ports; ///< inside to outside
  std::optional<process_ref> booted;
  std::uint64_t boots = 0; ///< an answer to an older boot is too late
  std::function<void(int)> ended;
  std::map<std::int64_t, std::shared_ptr<child_command>> commands;
};

} // namespace

struct child_machines::parts {
  boost::asio::io_context& io;
  child_machines_options options;
  nestor::io::processes processes;
  nestor::io::http_client client;
  nestor::io::loopback_ports free_ports;
  std::map<std::string, machine> all;

  parts(boost::asio::io_context& context, child_machines_options given)
      : io(context), options(std::move(given)), processes(context), client(context, client_options()) {}

  static nestor::io::http_client_options client_options() {
    nestor::io::http_client_options o;
    o.connections_per_origin = 64;
    o.body_max = inner_body_max;
    o.header_max = 32U << 10U;
    return o;
  }

  machine* find(const std::string& id) {
    auto at = all.find(id);
    return at == all.end() ? nullptr : &at->second;
  }
  [[nodiscard]] fs::path root(const std::string& id) const { return options.folder / id; }

  /// Where a path of the inside lies; nothing when it would lead out.
  [[nodiscard]] std::optional<fs::path> place(const std::string& id, const std::string& path) const {
    auto top = root(id);
    fs::path given{path};
    bool ours = path.starts_with(top.string() + "/") || path == top.string();
    auto full = ours ? given : given.is_absolute() ? top / given.relative_path() : top / "home/user" / given;
    full = full.lexically_normal();
    return full.string().starts_with(top.string()) ? std::optional{full} : std::nullopt;
  }

  std::uint16_t outside(machine& m, std::uint16_t inside) {
    auto at = m.ports.find(inside);
    if (at == m.ports.end())
      at = m.ports.emplace(inside, free_ports.take(nestor::io::steady_now()).value_or(inside)).first;
    return at->second;
  }

  /// `PORT=3000` and `--port 3000` of a line, translated.
  std::string translated(machine& m, std::string line) {
    for (std::string_view mark : {"PORT=", "port=", "--port "})
      for (auto at = line.find(mark); at != std::string::npos; at = line.find(mark, at + 1)) {
        auto from = at + mark.size();
        auto to = std::min(line.find_first_not_of("0123456789", from), line.size());
        if (auto inside = number(std::string_view{line}.substr(from, to - from)))
          line.replace(from, to - from, std::to_string(outside(m, *inside)));
      }
    return line;
  }
  variables translated(machine& m, variables env) {
    for (auto& [name, value] : env)
      if (auto inside = names_port(name) ? number(value) : std::nullopt)
        value = std::to_string(outside(m, *inside));
    return env;
  }

  /// What the image starts by itself, or was told to.
  std::vector<std::string> program_of(machine& m, const machine_order& order) {
    if (!order.command.empty())
      return {"/bin/bash", "-c", translated(m, order.command)};
    if (order.argv.empty())
      return order.serves ? options.server : std::vector<std::string>{};
    std::vector<std::string> argv;
    for (const auto& word : order.argv) {
      bool is_port = !argv.empty() && argv.back() == "--port" && number(word);
      argv.push_back(is_port ? std::to_string(outside(m, *number(word))) : translated(m, word));
    }
    return argv;
  }
};

child_machines::child_machines(boost::asio::io_context& io, child_machines_options options)
    : parts_(std::make_unique<parts>(io, std::move(options))) {}

child_machines::~child_machines() {
  for (auto& [id, m] : parts_->all)
    for (auto& [pid, command] : m.commands)
      command->abandon();
}

void child_machines::boot(machine_order order, std::function<void(std::optional<std::string>)> done) {
  auto& m = parts_->all[order.id];
  std::error_code failed;
  fs::create_directories(parts_->root(order.id) / "home/user", failed);
  m.env = parts_->translated(m, order.env);
  bool has_port = std::ranges::any_of(order.env, [](const auto& e) { return names_port(e.first); });
  if (!has_port)
    m.env.emplace_back("PORT", std::to_string(parts_->outside(m, usual_port)));
  // A login shell would begin with the system's PATH, in which our own programs are not.
  std::ofstream{parts_->root(order.id) / "home/user/.profile"} << "export PATH='" << inherited("PATH", "") << "'\n";
  auto argv = parts_->program_of(m, order);
  if (argv.empty())
    return boost::asio::post(parts_->io, [done = std::move(done)] { done(std::nullopt); });
  process_spawn spawn;
  spawn.argv = std::move(argv);
  spawn.marker = order.id;
  for (const auto& [name, value] : m.env)
    if (name == session_key_name)
      spawn.secret_env.emplace_back(name, secret::copy_of(value));
    else
      spawn.env.emplace_back(name, value);
  auto number = ++m.boots;
  parts_->processes.spawn(std::move(spawn), [this, id = order.id, number, done = std::move(done)](io_reply reply) {
    auto* started = std::get_if<process_started>(&reply);
    auto* now = parts_->find(id);
    if (started && (!now || now->boots != number)) // it was stopped meanwhile
      return parts_->processes.end({started->process, milliseconds{0}}, [](const io_reply&) {});
    if (!started) {
      auto* refused = std::get_if<process_refused>(&reply);
      return done(refused ? refused->reason : "its first program could not be started");
    }
    now->booted = started->process;
    parts_->processes.watch(started->process, [this, id, number](const process_absent& how) {
      auto* then = parts_->find(id);
      if (!then || then->boots != number)
        return;
      then->booted.reset();
      if (then->ended)
        then->ended(how.exit_status);
    });
    done(std::nullopt);
  });
}

void child_machines::watch(const std::string& id, std::function<void(int)> ended) {
  if (auto* m = parts_->find(id))
    m->ended = std::move(ended);
}

void child_machines::freeze(const std::string& id) {
  if (auto* m = parts_->find(id))
    for (auto& [pid, command] : m->commands)
      command->signal(SIGSTOP);
}

void child_machines::thaw(const std::string& id) {
  if (auto* m = parts_->find(id))
    for (auto& [pid, command] : m->commands)
      command->signal(SIGCONT);
}

void child_machines::stop(const std::string& id) {
  auto* m = parts_->find(id);
  if (!m)
    return;
  ++m->boots;
  for (auto& [pid, command] : std::exchange(m->commands, {}))
    command->abandon();
  m->ports.clear();
  if (auto process = std::exchange(m->booted, std::nullopt))
    parts_->processes.end({*process, milliseconds{0}}, [](const io_reply&) {});
}

void child_machines::discard(const std::string& id) {
  stop(id);
  parts_->all.erase(id);
  std::error_code ignored;
  fs::remove_all(parts_->root(id), ignored);
}

std::optional<std::int64_t> child_machines::run(const std::string& id, command_order order, command_ears ears) {
  auto* m = parts_->find(id);
  auto directory = m ? parts_->place(id, order.directory) : std::nullopt;
  if (!directory)
    return std::nullopt;
  std::error_code ignored;
  fs::create_directories(*directory, ignored);
  variables env{{"PATH", inherited("PATH", "/usr/local/bin:/usr/bin:/bin")},
                {"HOME", home(id)},
                {"LANG", inherited("LANG", "C.UTF-8")},
                {"USER", "user"}};
  env.insert(env.end(), m->env.begin(), m->env.end());
  for (auto& more : parts_->translated(*m, order.env)) { // the last of a name counts
    std::erase_if(env, [&](const auto& e) { return e.first == more.first; });
    env.push_back(std::move(more));
  }
  auto argv = order.argv;
  for (auto& word : argv)
    word = parts_->translated(*m, word);
  if (argv.empty()) {
    auto line = parts_->translated(*m, order.line);
    if (!order.carried.empty()) {
      auto kept = (parts_->root(id) / (".carried-" + std::to_string(std::hash<std::string>{}(order.carried)))).string();
      line = "[ -f '" + kept + "' ] && . '" + kept + "'\n" + line +
             "\nstatus_of_line=$?; { export -p; printf 'cd %q\\n' " + "\"$PWD\"; } > '" + kept +
             "'; exit $status_of_line";
    }
    argv = {"/bin/bash", "-c", line};
  }
  // Its ears tell the books first, then it is forgotten here.
  auto pid = std::make_shared<std::int64_t>(-1);
  command_ears ours{.output = std::move(ears.output), .ended = [this, id, pid, told = std::move(ears.ended)](int code) {
                      if (auto* now = parts_->find(id))
                        now->commands.erase(*pid);
                      if (told)
                        told(code);
                    }};
  auto command = std::make_shared<child_command>(parts_->io, std::move(ours));
  if (command->start(argv, env, directory->string()) != 0)
    return std::nullopt;
  *pid = command->pid();
  m->commands[*pid] = command;
  command->feed(order.input, !order.keeps_input);
  return *pid;
}

bool child_machines::signal(const std::string& id, std::int64_t pid, int number) {
  auto* m = parts_->find(id);
  auto at = m ? m->commands.find(pid) : std::map<std::int64_t, std::shared_ptr<child_command>>::iterator{};
  return m && at != m->commands.end() && at->second->signal(number);
}

bool child_machines::feed(const std::string& id, std::int64_t pid, std::string_view input, bool last) {
  auto* m = parts_->find(id);
  if (!m || !m->commands.contains(pid))
    return false;
  m->commands[pid]->feed(input, last);
  return true;
}

std::string child_machines::home(const std::string& id) const {
  return (parts_->root(id) / "home/user").string();
}

std::optional<std::string> child_machines::read(const std::string& id, const std::string& path) {
  auto from = parts_->place(id, path);
  std::error_code ignored;
  if (!from || !fs::is_regular_file(*from, ignored))
    return std::nullopt;
  std::ifstream in{*from, std::ios::binary};
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

bool child_machines::write(const std::string& id, const std::string& path, std::string_view bytes) {
  auto to = parts_->place(id, path);
  if (!to || path.empty())
    return false;
  std::error_code ignored;
  fs::create_directories(to->parent_path(), ignored);
  std::ofstream out{*to, std::ios::binary | std::ios::trunc};
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return static_cast<bool>(out.flush());
}

std::optional<file_entry> child_machines::look(const std::string& id, const std::string& path) {
  auto at = parts_->place(id, path);
  std::error_code failed;
  if (!at || !fs::exists(*at, failed))
    return std::nullopt;
  bool directory = fs::is_directory(*at, failed);
  return file_entry{at->filename().string(), directory, directory ? 0 : fs::file_size(*at, failed)};
}

std::optional<std::vector<file_entry>> child_machines::list(const std::string& id, const std::string& path) {
  auto at = parts_->place(id, path);
  std::error_code failed;
  if (!at || !fs::is_directory(*at, failed))
    return std::nullopt;
  std::vector<file_entry> entries;
  for (const auto& e : fs::directory_iterator{*at, failed})
    entries.push_back({e.path().filename().string(), e.is_directory(failed), e.is_regular_file() ? e.file_size() : 0});
  std::ranges::sort(entries, {}, &file_entry::name);
  return entries;
}

bool child_machines::make_directory(const std::string& id, const std::string& path) {
  auto at = parts_->place(id, path);
  std::error_code failed;
  return at && (fs::create_directories(*at, failed) || fs::is_directory(*at, failed));
}

bool child_machines::remove(const std::string& id, const std::string& path) {
  auto at = parts_->place(id, path);
  std::error_code failed;
  return at && *at != parts_->root(id) && fs::remove_all(*at, failed) > 0 && !failed;
}

void child_machines::forward(const std::string& id, std::uint16_t port, http::request request,
                             std::function<void(http_reply)> done) {
  auto* m = parts_->find(id);
  if (!m)
    return boost::asio::post(parts_->io, [done = std::move(done)] { done(http::transport_error::refused); });
  auto at = m->ports.find(port);
  http_call call;
  call.to.host = "127.0.0.1";
  call.to.port = at == m->ports.end() ? port : at->second; // what was started without a port of ours is where it said
  call.request = std::move(request);
  call.timeout = inner_timeout;
  call.from = address_source::node;
  parts_->client.call(std::move(call), [done = std::move(done)](http_reply reply) {
    if (auto* r = std::get_if<http::response>(&reply))
      std::erase_if(r->headers, [](const auto& h) { // of the connection inside
        return http::same_header_name(h.first, "Connection") || http::same_header_name(h.first, "Content-Length") ||
               http::same_header_name(h.first, "Transfer-Encoding") || http::same_header_name(h.first, "Keep-Alive");
      });
    done(std::move(reply));
  });
}

} // namespace nestor::emulator
