#include "local_node.hpp"

#include <nestor/io/clock.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>

namespace nestor::cli {
namespace {

/// What crosses from the node's thread to the person's.
struct letter_box {
  std::mutex mutex;
  std::deque<told> letters;
  int bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ~letter_box() { ::close(bell); }

  void put(told what) {
    std::lock_guard lock{mutex};
    letters.push_back(std::move(what));
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(bell, &one, sizeof one);
  }
  std::optional<told> take() {
    std::lock_guard lock{mutex};
    std::uint64_t rung = 0;
    [[maybe_unused]] auto read = ::read(bell, &rung, sizeof rung);
    if (letters.empty())
      return std::nullopt;
    auto first = std::move(letters.front());
    letters.pop_front();
    return first;
  }
};

struct postman {
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.postman";
  std::shared_ptr<letter_box> box;
  postman(actors::self_ptr<>, std::shared_ptr<letter_box> into) : box(std::move(into)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::status_changed& x) { box->put(x); },
            [this](const actors::step_changed& x) { box->put(x); }};
  }
};

struct prepared_config : caf::actor_system_config {
  prepared_config() { actors::dedicate(*this); }
};

struct types_first {
  types_first() { actors::register_messages(); }
};

} // namespace

struct local_node::impl {
  types_first types; // CAF 1.x wants them before any configuration exists
  std::shared_ptr<letter_box> box = std::make_shared<letter_box>();
  int signals = -1;
  prepared_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<actors::node> node;
  caf::actor_addr postman_address;
};

local_node::local_node(const node_config& config) : impl_(std::make_unique<impl>()) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr); // before any thread is started: they inherit it
  impl_->signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  impl_->system = std::make_unique<caf::actor_system>(impl_->config);
  actors::node_options options;
  options.addresses_allowed = {"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"};
  options.addresses_allowed.insert(options.addresses_allowed.end(), config.addresses_allow.begin(),
                                   config.addresses_allow.end());
  options.addresses_denied = config.addresses_deny;
  options.resolve = config.resolve;
  options.ca_file = config.ca_file;
  options.accounts = config.accounts;
  if (config.sandboxes_max)
    options.limits.sandboxes_max = *config.sandboxes_max;
  options.detailed = true;
  options.observer = [this](caf::actor_system& system, actors::home* home) {
    auto made = actors::spawn<postman>(system, home, impl_->box);
    impl_->postman_address = made.address();
    return caf::actor_cast<caf::actor>(made);
  };
  impl_->node = std::make_unique<actors::node>(*impl_->system, std::move(options));
}

local_node::~local_node() {
  impl_->node.reset();
  impl_->system.reset();
  ::close(impl_->signals);
}

std::optional<told> local_node::next(milliseconds within) {
  auto until = io::steady_now() + within;
  for (;;) {
    if (auto letter = impl_->box->take())
      return letter;
    auto left = std::chrono::ceil<milliseconds>(until - io::steady_now());
    if (left.count() <= 0)
      return std::nullopt;
    std::array<pollfd, 2> watched{{{impl_->box->bell, POLLIN, 0}, {impl_->signals, POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX)));
    signalfd_siginfo caught{};
    if (::read(impl_->signals, &caught, sizeof caught) == sizeof caught)
      return told{interrupted{}};
  }
}

caf::actor_system& local_node::system() {
  return *impl_->system;
}

actors::node& local_node::node() {
  return *impl_->node;
}

std::string program_folder() {
  std::array<char, PATH_MAX> path{};
  auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  std::string text(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return text.substr(0, text.rfind('/'));
}

} // namespace nestor::cli
