// nestor-nested-server: the server inside a runtime. Options and environment are read here and nowhere else. It prints
// one line when it listens, and nothing about requests: their bodies are secrets.
#include <nested_server/actions.hpp>
#include <nested_server/listener.hpp>

#include <nestor/io/clock.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace nestor;
using namespace nestor::nested_server;

constexpr int exit_usage = 2;
constexpr int exit_failed = 1;

struct options {
  model_options model;
  std::string bind = "127.0.0.1";
  std::uint16_t port = 3000;
  std::string ports;
  std::vector<std::string> faults;
  std::string fault_once;
  std::uint64_t fault_seed = 1;
  std::optional<std::uint16_t> actions_port;
  bool admin = false;
};

/// A key, taken out of our environment: a child or /proc shows it no more.
secret take_key(const char* name) {
  char* text = std::getenv(name);
  if (!text)
    return {};
  auto key = secret::copy_of(text);
  wipe(text, std::strlen(text));
  ::unsetenv(name);
  return key;
}

bool environment_flag(const char* name, bool fallback) {
  const char* text = std::getenv(name);
  return text ? std::string_view{text} == "1" : fallback;
}

int usage(const std::string& what) {
  std::cerr << "nestor-nested-server: " << what << "\n";
  return exit_usage;
}

/// "11000-11063" as first and last; nothing when it is no such range.
std::optional<std::pair<std::uint16_t, std::uint16_t>> port_range(std::string_view text) {
  auto dash = text.find('-');
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto read = [](std::string_view digits, std::uint16_t& out) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return !digits.empty() && error == std::errc{} && end == digits.data() + digits.size();
  };
  bool good = dash != std::string_view::npos && read(text.substr(0, dash), first) &&
              read(text.substr(dash + 1), last) && first > 0 && first <= last;
  return good ? std::optional{std::pair{first, last}} : std::nullopt;
}

/// The first process that creates the file has the faults; those after it are well.
bool faults_are_ours(const std::string& path) {
  if (path.empty())
    return true;
  int file = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600); // NOLINT
  if (file >= 0)
    ::close(file);
  return file >= 0;
}

expected<std::vector<fault_rule>> rules_of(const options& o) {
  std::vector<fault_rule> rules;
  for (const auto& spec : o.faults) {
    auto rule = parse_fault(spec);
    if (!rule)
      return rule.error();
    rules.push_back(std::move(*rule));
  }
  if (!rules.empty() && !faults_are_ours(o.fault_once))
    rules.clear();
  return rules;
}

/// As many connections as the system allows; a bench opens thousands.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void describe(CLI::App& app, options& o) {
  app.add_option("--port", o.port, "Port to listen on; 0 takes a free one")->envname("PORT")->capture_default_str();
  app.add_option("--ports", o.ports, "Listen on every port of a range A-B instead, each a server of its own");
  app.add_option("--bind", o.bind, "Address to listen on; another than loopback needs SESSION_API_KEY")
    ->capture_default_str();
  app.add_option("--dialect", o.model.dialect, "Which nested server to be")
    ->check(CLI::IsMember(dialect_names()))
    ->capture_default_str();
  app.add_option("--fault", o.faults, "Misbehave; may be repeated, see below");
  app.add_option("--fault-once", o.fault_once, "The faults are for the first process that creates this file only");
  app.add_option("--fault-seed", o.fault_seed, "Seed of faults with a percentage")->capture_default_str();
  app.add_flag("!--no-rate-limit", o.model.rate_limit, "openhands: neither delay nor refuse many requests in a second");
  app.add_flag("--deferred-init", o.model.deferred_init,
               "agent-server: start dormant; POST /api/init wakes it, with OH_SECRET_KEY or else SESSION_API_KEY");
  app.add_flag("!--no-reads", o.model.reads, "generic: do not offer the optional GETs");
  app.add_option("--refuse-token", o.model.refused_tokens, "Git tokens with this prefix are refused; may be repeated")
    ->capture_default_str();
  app.add_option(
    "--server-info-ms",
    [&o](const CLI::results_t& given) {
      std::int64_t ms = 0;
      if (!CLI::detail::lexical_cast(given.front(), ms) || ms < 0)
        return false;
      o.model.server_info_delay = milliseconds{ms};
      return true;
    },
    "openhands: /server_info takes so long, as the original does (100)");
  app
    .add_option("--actions-port", o.actions_port, "Port for POST /execute_action; 0 takes a free one. It runs commands")
    ->envname("ACTIONS_PORT");
  app.add_flag("--admin", o.admin, "Answer /_admin/: shows everything in clear; for tests, on loopback only");
  app.footer("Environment: PORT, ACTIONS_PORT, SESSION_API_KEY (without it everything is open), OH_SECRET_KEY, "
             "ALLOW_SET_CONVERSATION_ID=0.\n"
             "Each path prefix /s/NAME is a server of its own.\n\n" +
             fault_help());
}

std::optional<std::string> objection(const options& o) {
  bool loopback = o.bind == "::1" || o.bind.starts_with("127.");
  if (!loopback && o.model.session_key.empty())
    return "--bind " + o.bind + " opens this server to others: set SESSION_API_KEY";
  if (!loopback && o.admin)
    return "--admin shows secrets and is for loopback only: leave out --bind";
  if (!o.ports.empty() && !port_range(o.ports))
    return "--ports takes a range like 11000-11063, not '" + o.ports + "'";
  return std::nullopt;
}

int serve(const options& o, std::vector<fault_rule> rules) {
  raise_descriptor_limit();
  listener server;
  server.stop_on_signals();
  auto started = io::steady_now();
  auto range = port_range(o.ports).value_or(std::pair{o.port, o.port});
  std::uint16_t first = 0;
  for (unsigned port = range.first; port <= range.second; ++port) {
    faulty_server model{o.model, fault_plan{rules, o.fault_seed}, started};
    auto chosen =
      server.listen(o.bind, static_cast<std::uint16_t>(port), std::make_shared<model_site>(std::move(model), o.admin));
    if (port == range.first)
      first = chosen;
  }
  // Only when all of them listen: whoever waits for this line goes on at once.
  std::cout << "listening on " << o.bind << ":" << first;
  if (range.first != range.second)
    std::cout << " to " << range.second;
  std::cout << std::endl;
  if (o.actions_port) {
    auto actions = std::make_shared<action_site>(server.io(), o.model.session_key, started);
    std::cout << "actions on " << o.bind << ":" << server.listen(o.bind, *o.actions_port, actions) << std::endl;
  }
  server.run();
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  o.model.session_key = take_key("SESSION_API_KEY");
  o.model.init_key = take_key("OH_SECRET_KEY");
  o.model.choose_conversation_id = environment_flag("ALLOW_SET_CONVERSATION_ID", true);
  CLI::App app{"A nested server: keeps settings, git providers and secrets in memory, as the dialect says."};
  describe(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : exit_usage; }
  if (auto wrong = objection(o))
    return usage(*wrong);
  auto rules = rules_of(o);
  if (!rules)
    return usage(rules.error().cause);
  try {
    return serve(o, std::move(*rules));
  } catch (const std::exception& e) {
    std::cerr << "nestor-nested-server: " << e.what() << "\n";
    return exit_failed;
  }
}
