// `nestor serve`: the node that others drive. SIGTERM drains it (a second one ends it now), SIGHUP reads its
// configuration again.
#include "served_node.hpp"
#include "service_notice.hpp"
#include "spec_file.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>

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

  /// The next one; nothing when `other` became readable first.
  std::optional<int> next(int other) const {
    for (;;) {
      signalfd_siginfo caught{};
      if (::read(fd_, &caught, sizeof caught) == sizeof caught)
        return static_cast<int>(caught.ssi_signo);
      std::array<pollfd, 2> watched{{{fd_, POLLIN, 0}, {other, POLLIN, 0}}};
      ::poll(watched.data(), watched.size(), -1);
      if ((watched[1].revents & POLLIN) != 0)
        return std::nullopt;
    }
  }

private:
  int fd_ = -1;
};

/// Rung from the node's thread.
struct bell {
  int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ~bell() { ::close(fd); }
  void ring() const {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(fd, &one, sizeof one);
  }
};

void reload(served_node& node, const serve_options& o) {
  tell_service_manager("RELOADING=1");
  auto config = load_config(o.config);
  if (config) {
    node.reload(*config);
    say("the configuration was read again: `hosts` is in force; what else changed is with the next start");
  } else {
    say("the configuration has the faults above: the node goes on with the one it had");
  }
  tell_service_manager("READY=1");
}

/// Until it is told to end.
int attend(served_node& node, const signals& caught, const bell& ended, const serve_options& o) {
  bool draining = false;
  for (;;) {
    auto number = caught.next(ended.fd);
    if (!number) {
      say("drained: nothing is left");
      return done;
    }
    if (*number == SIGHUP) {
      reload(node, o);
    } else if (!std::exchange(draining, true)) {
      tell_service_manager("STOPPING=1\nSTATUS=ending every sandbox");
      say("draining: no new sandboxes, those that are there are ended; once more to stop now");
      node.end_everything();
    } else {
      say("stopped: guardians end the processes that are left");
      return failed;
    }
  }
}

} // namespace

int run_serve(const serve_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  if (!o.state.empty())
    config->serve.state = o.state;
  if (!o.listen.empty() && !set_listen(o.listen, config->serve)) {
    say(
      "--listen: expected a numeric address and a port such as 127.0.0.1:7077; beyond loopback with `tls` configured");
    return usage;
  }
  auto folder = state_folder_of(config->serve.state);
  if (folder.empty()) {
    say("there is no folder for the node's state: set HOME, or `state` in the configuration");
    return usage;
  }
  signals caught;
  bell ended;
  try {
    state_folder state{folder};
    served_node node{*config, state, state.open_tokens(), [&ended] { ended.ring(); }};
    state.announce(node.url());
    std::cout << "listening on " << node.url() << "\nthe first token is in " << state.file("token") << std::endl;
    tell_service_manager("READY=1\nSTATUS=listening on " + node.url());
    return attend(node, caught, ended, o);
  } catch (const std::runtime_error& e) { // std::system_error, too
    say(e.what());
    return refused;
  }
}

} // namespace nestor::cli
