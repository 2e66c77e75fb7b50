// `nestor serve`: the node that others drive. SIGTERM ends it in order and leaves its sandboxes to the next start (a
// second one ends it now), SIGHUP reads its configuration again.
#include "served_node.hpp"
#include "service_notice.hpp"
#include "spec_file.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace nestor::cli {
namespace {

void say(const std::string& text) {
  std::cerr << "nestor: " << printable(text) << std::endl;
}

/// The signals of a node, blocked for all its threads and read in one place.
class signals {
public:
  signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int each : {SIGINT, SIGTERM, SIGHUP})
      sigaddset(&set, each);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr); // before any thread is started: they inherit it
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~signals() { ::close(fd_); }
  signals(const signals&) = delete;
  signals& operator=(const signals&) = delete;

  /// From now on they do what they do to any process.
  void let_through() const {
    sigset_t none;
    sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  }

  [[nodiscard]] int next() const {
    for (;;) {
      signalfd_siginfo caught{};
      if (::read(fd_, &caught, sizeof caught) == sizeof caught)
        return static_cast<int>(caught.ssi_signo);
      pollfd watched{fd_, POLLIN, 0};
      ::poll(&watched, 1, -1);
    }
  }

private:
  int fd_ = -1;
};

void reload(served_node& node, const serve_options& o) {
  tell_service_manager("RELOADING=1");
  auto config = load_config(o.config);
  if (config) {
    node.reload(*config);
    node.say(log_level::info, "node.reloaded",
             "the configuration was read again: `hosts` is in force; what else changed is with the next start");
  } else {
    node.say(log_level::error, "node.reload_refused",
             "the configuration has the faults above: the node goes on with the one it had");
  }
  tell_service_manager("READY=1");
}

/// Until it is told to end.
void attend(served_node& node, const signals& caught, const serve_options& o) {
  while (caught.next() == SIGHUP)
    reload(node, o);
}

} // namespace

int run_serve(const serve_options& o) {
  auto config = load_config(o.config);
  if (!config || !flags_fit(o, *config))
    return usage;
  auto folder = state_folder_of(config->serve.state);
  if (folder.empty()) {
    say("there is no folder for the node's state: set HOME, or `state` in the configuration");
    return usage;
  }
  signals caught;
  try {
    state_folder state{folder};
    served_node node{*config, state, state.open_tokens()};
    state.announce(node.url());
    std::cout << "listening on " << node.url() << "\nthe first token is in " << state.file("token") << std::endl;
    node.say(log_level::info, "node.listening", node.url());
    tell_service_manager("READY=1\nSTATUS=listening on " + node.url());
    attend(node, caught, o);
    tell_service_manager("STOPPING=1");
    node.say(log_level::info, "node.stopping",
             "stopping: sandboxes stay as they are, and the next start has them again");
    caught.let_through(); // once more ends it at once
    return done;
  } catch (const std::runtime_error& e) { // std::system_error, too
    say(e.what());
    return refused;
  }
}

} // namespace nestor::cli
