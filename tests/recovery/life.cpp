#include "recovery/life.hpp"

#include <nestor/actors/system.hpp>

#include <condition_variable>
#include <iostream>
#include <mutex>
#include <random>
#include <stdexcept>

#include <poll.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::tests {
namespace {

using namespace std::chrono_literals;

constexpr auto answer_within = 60s;
constexpr auto rest_within = 90s;
constexpr std::size_t words_between_acts = 2; // the node is busy with several sandboxes, and never with all of them

struct prepared : caf::actor_system_config {
  prepared() {
    actors::register_messages();
    actors::prepare(*this);
  }
};

/// Counts what the node's observer hears, and says each word aloud.
struct bell {
  std::mutex mutex;
  std::condition_variable rung;
  std::size_t times = 0;
  int to = -1;

  void say(const std::string& line) {
    auto text = line + "\n";
    (void)!::write(to, text.data(), text.size());
  }
  void ring() {
    say("event");
    std::lock_guard lock{mutex};
    ++times;
    rung.notify_all();
  }
  /// Waits for more words, but not for ever: there may be none.
  void wait_for(std::size_t more, std::chrono::milliseconds most) {
    std::unique_lock lock{mutex};
    auto until = times + more;
    rung.wait_for(lock, most, [&] { return times >= until; });
  }
};

struct listener {
  using handle_type = caf::actor;
  static constexpr const char* name = "listener";
  std::shared_ptr<bell> told;
  listener(actors::self_ptr<>, std::shared_ptr<bell> into) : told(std::move(into)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::status_changed&) { told->ring(); },
            [this](const actors::step_changed&) { told->ring(); }};
  }
};

class busy_node {
public:
  busy_node(const life_order& order, int to) : order_(order), engine_(order.seed) {
    bell_->to = to;
    actors::node_options options;
    options.journal = "sqlite://" + order.folder + "/journal.db";
    options.guardian = order.bin + "/nestor-guardian";
    options.addresses_allowed = {"127.0.0.0/8"};
    options.detailed = true;
    options.observer = [this](caf::actor_system& system, actors::home* home) {
      return caf::actor_cast<caf::actor>(actors::spawn<listener>(system, home, bell_));
    };
    node_.emplace(system_, std::move(options));
    bell_->say("up " + node_->around().journal->installation().text);
  }

  [[noreturn]] void work() {
    for (;;) {
      act();
      bell_->wait_for(words_between_acts, 100ms);
    }
  }

  int rest() {
    auto until = std::chrono::steady_clock::now() + rest_within;
    std::vector<std::string> report;
    while (!at_rest(report)) {
      if (std::chrono::steady_clock::now() > until)
        break;
      bell_->wait_for(1, 50ms);
    }
    for (const auto& line : report)
      bell_->say(line);
    bell_->say("rested");
    return 0;
  }

  int drain() {
    auto left = node_->drain_now(60'000ms);
    bell_->say("rested");
    return left == 0 ? 0 : 1;
  }

private:
  /// Asks again when a question was passed on to a SUPERVISOR that was about to end.
  template <class Response, class Request>
  Response ask(const Request& request) {
    constexpr int times = 100;
    std::optional<Response> got;
    for (int i = 0; i < times && !got; ++i) {
      caf::scoped_actor self{system_};
      actors::ask(self, node_->front(), answer_within, request)
        .receive([&](Response& r) { got = std::move(r); }, [](const caf::error&) {});
    }
    if (!got)
      throw std::runtime_error{"the node did not answer"};
    return std::move(*got);
  }
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

  std::shared_ptr<nested::configuration> configuration(generation number) {
    auto c = std::make_shared<nested::configuration>();
    auto n = std::to_string(number);
    c->settings = wiped_string{R"({"llm_api_key":"CANARY-llm-)" + n + R"(","llm_model":"generation-)" + n + R"("})"};
    c->secret_settings = {"/llm_api_key"};
    c->git_providers.push_back({"github", secret::copy_of("CANARY-git-" + n), std::nullopt, std::nullopt});
    c->secrets.push_back({"TOKEN", secret::copy_of("CANARY-token-" + n), ""});
    return c;
  }

  void create() {
    auto spec = std::make_shared<sandbox_spec>();
    auto runtime = std::make_shared<runtime_spec>();
    spec->dialect = "openhands";
    if (below(3) == 0) {
      spec->provider = "static";
      runtime->url = order_.static_server + "/s/x" + std::to_string(engine_());
    } else {
      runtime->command = {order_.bin + "/nestor-nested-server", "--no-rate-limit"};
    }
    spec->runtime = std::move(runtime);
    spec->configuration = configuration(1);
    spec->policy.probe_every = 1'000ms;
    auto answer = ask<actors::accepted>(actors::create_sandbox{std::move(spec)});
    bell_->say(answer.refused ? "refused " + to_string(*answer.refused) : "accepted " + answer.id.text);
  }

  void act() {
    std::vector<sandbox_id> alive;
    for (auto& [id, word] : ask<actors::sandbox_list>(actors::list_sandboxes{}).items)
      if (!ended(word))
        alive.push_back(id);
    if (alive.size() < order_.sandboxes && below(4) != 0)
      return create();
    if (alive.empty())
      return;
    const auto& id = alive[below(alive.size())];
    if (below(2) == 0) {
      auto answer = ask<actors::accepted>(actors::destroy_sandbox{id});
      bell_->say((answer.refused ? "refused " : "ending ") + id.text);
      return;
    }
    auto seen = ask<actors::sandbox_seen>(actors::get_sandbox{id});
    if (seen.view && seen.view->wanted > 0)
      ask<actors::accepted>(actors::configure_sandbox{id, configuration(seen.view->wanted + 1)});
  }

  bool at_rest(std::vector<std::string>& report) {
    bool resting = true;
    report.clear();
    for (auto& [id, word] : ask<actors::sandbox_list>(actors::list_sandboxes{}).items) {
      if (ended(word)) {
        report.push_back("ended " + id.text);
        continue;
      }
      auto view = ask<actors::sandbox_seen>(actors::get_sandbox{id}).view;
      report.push_back("alive " + id.text + " " + std::string{nestor::name_of(view->word)} +
                       (view->why ? " " + to_string(*view->why) : ""));
      auto access = ask<actors::access>(actors::get_access{id});
      if (access.refused || view->word != status::ready || view->observed != view->wanted) {
        resting = false;
        continue;
      }
      std::string key = access.headers.empty() ? "-" : std::string{access.headers.front().value};
      report.push_back("ready " + id.text + " " + std::to_string(view->observed) + " " + access.url + " " + key);
    }
    return resting;
  }

  const life_order& order_;
  std::mt19937_64 engine_;
  std::shared_ptr<bell> bell_ = std::make_shared<bell>();
  prepared config_;
  caf::actor_system system_{config_};
  std::optional<actors::node> node_;
};

int live(const life_order& order, int to) {
  try {
    busy_node node{order, to};
    switch (order.what) {
      case life_order::doing::work: node.work();
      case life_order::doing::rest: return node.rest();
      case life_order::doing::drain: return node.drain();
    }
  } catch (const std::exception& e) { std::cerr << "a life ended: " << e.what() << std::endl; }
  return 4;
}

} // namespace

life::life(const life_order& order) {
  int ends[2];
  if (::pipe(ends) != 0)
    return;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[0]);
    for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM, SIGINT})
      ::signal(number, SIG_DFL); // the test's own handlers are not for this process
    ::signal(SIGPIPE, SIG_IGN);
    ::_exit(live(order, ends[1]));
  }
  ::close(ends[1]);
  from_ = ends[0];
}

life::~life() {
  kill();
  ::close(from_);
}

std::optional<std::string> life::line(int within_ms) {
  for (;;) {
    if (auto end = read_.find('\n'); end != std::string::npos) {
      auto found = read_.substr(0, end);
      read_.erase(0, end + 1);
      return found;
    }
    pollfd readable{from_, POLLIN, 0};
    char chunk[4096];
    auto size = ::poll(&readable, 1, within_ms) == 1 ? ::read(from_, chunk, sizeof chunk) : 0;
    if (size <= 0)
      return std::nullopt;
    read_.append(chunk, static_cast<std::size_t>(size));
  }
}

void life::kill() {
  if (pid_ <= 0)
    return;
  ::kill(pid_, SIGKILL);
  wait();
}

int life::wait() {
  int status = 0;
  ::waitpid(std::exchange(pid_, 0), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace nestor::tests
