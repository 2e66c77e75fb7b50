#include <nestor/actors/system.hpp>

#include <nestor/actors/provider_desk.hpp>
#include <nestor/actors/timer_wheel.hpp>
#include <nestor/bridge/durable_journal.hpp>
#include <nestor/bridge/memory_journal.hpp>
#include <nestor/bridge/real_io.hpp>
#include <nestor/io/clock.hpp>
#include <nestor/io/entropy.hpp>
#include <nestor/io/secret_source.hpp>
#include <nestor/node/node_config.hpp>

#include <stdexcept>

namespace nestor::actors {
namespace {

// Actors that were told to end do so within messages; more time means that something is stuck.
constexpr std::chrono::seconds actors_end_within{10};
// A million records are read in less; what takes longer has stopped.
constexpr std::chrono::seconds recover_within{600};

struct real_clock final : clock_port {
  [[nodiscard]] instant now() const override { return io::steady_now(); }
  [[nodiscard]] wall_time wall() const override { return io::wall_now(); }
};

struct real_entropy final : entropy_port {
  void fill(std::span<std::uint8_t> bytes) override { io::fill_random(bytes); }
};

std::string explained(const failure& why) {
  return to_string(why) + ". " + std::string{row_of(why.code).remedy};
}

std::vector<io::address_range> ranges_of(const std::string& field, const std::vector<std::string>& texts) {
  std::vector<io::address_range> ranges;
  for (const auto& text : texts) {
    auto range = io::parse_range(text);
    if (!range)
      throw std::invalid_argument{field + ": `" + text + "` is not a range of addresses such as 127.0.0.0/8"};
    ranges.push_back(*range);
  }
  return ranges;
}

io::address_rules rules_of(const node_options& options) {
  return {ranges_of("addresses.allow", options.addresses_allowed),
          ranges_of("addresses.deny", options.addresses_denied)};
}

std::shared_ptr<journal_port> journal_of(const node_options& options, entropy_port& entropy) {
  if (options.journal.empty())
    return std::make_shared<bridge::memory_journal>(entropy);
  io::journal_store_options where;
  where.keys = options.keys;
  if (options.journal.starts_with(journal_scheme)) {
    where.path = options.journal.substr(journal_scheme.size());
    if (where.keys.empty())
      where.keys = where.path + ".keys";
  } else if (options.journal.starts_with(postgresql_scheme)) {
    where.path = options.journal;
    if (where.keys.empty())
      throw std::invalid_argument{"keys.file: a journal in PostgreSQL needs the path of its key ring"};
  } else { // not shown: it may hold a password
    throw std::invalid_argument{"journal: neither sqlite:// and the path of a file, nor a postgresql:// address"};
  }
  auto store = io::journal_store::open(where);
  if (!store)
    throw std::runtime_error{explained(store.error())};
  return std::make_shared<bridge::durable_journal>(std::move(*store));
}

} // namespace

struct node::impl {
  caf::actor_system& system;
  bridge::reactor reactor;
  std::shared_ptr<bridge::real_io> io;
  surroundings_ptr around;
  caf::actor front;
  caf::actor reaper;

  impl(caf::actor_system& s) : system(s), reactor(s) {}
  void recover();
  void end();
};

node::node(caf::actor_system& system, node_options options) : impl_(std::make_unique<impl>(system)) {
  auto entropy = std::make_shared<real_entropy>();
  auto journal = journal_of(options, *entropy); // first: it may refuse
  io::http_client_options http;
  http.connections = options.connections_max;
  http.connections_per_origin = options.connections_per_origin;
  http.idle = options.connections_max;
  http.waiting = options.calls_waiting_max;
  http.ca_file = options.ca_file;
  http.addresses = rules_of(options);
  http.names.overrides.assign(options.resolve.begin(), options.resolve.end());
  io::processes_options processes;
  if (!options.guardian.empty())
    processes.guardian = options.guardian;
  processes.children_stay = !options.journal.empty(); // the next node finds them by what the journal knows
  impl_->reactor.run_here([&] { impl_->io = std::make_shared<bridge::real_io>(impl_->reactor, http, processes); });

  auto around = std::make_shared<surroundings>();
  around->io = impl_->io;
  around->clock = std::make_shared<real_clock>();
  around->entropy = std::move(entropy);
  around->journal = std::move(journal);
  if (options.observer)
    around->observer = options.observer(system, &impl_->reactor);
  around->detailed = options.detailed;
  around->traces = options.traces;
  around->timers = spawn<timer_wheel>(system, &impl_->reactor, around->clock);
  around->accounts = options.accounts;
  around->secrets = io::look_up_secret;
  around->desk = spawn<provider_desk>(system, &impl_->reactor, around);
  impl_->around = around;
  impl_->front = spawn<sandbox_registry>(system, &impl_->reactor, impl_->around, options.limits);
  if (options.journal.empty())
    return;
  impl_->recover();
  impl_->reaper = spawn<actors::reaper>(system, &impl_->reactor, impl_->around, impl_->front, options.sweeps);
}

void node::impl::recover() {
  std::optional<failure> why = failure{errc::journal_unavailable, step::queue, "it was not read in time", 0, {}};
  {
    caf::scoped_actor self{system};
    ask(self, front, recover_within, actors::recover{})
      .receive([&](const recovered& r) { why = r.why; }, [](const caf::error&) {});
  }
  if (!why)
    return;
  end();
  throw std::runtime_error{explained(*why)};
}

node::~node() {
  impl_->end();
}

void node::impl::end() {
  // Actors first, while the loop that runs them still turns; then what they used.
  {
    caf::scoped_actor self{system};
    std::vector<caf::actor> all{front, around->desk, around->timers};
    if (reaper)
      all.insert(all.begin(), reaper);
    for (const auto& each : all) {
      self->monitor(each);
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    }
    front = reaper = nullptr;
    for (auto left = all.size(); left > 0; --left)
      self->receive([](const caf::down_msg&) {}, caf::after(actors_end_within) >> [] {});
  }
  around.reset();
  reactor.settle();
  reactor.run_here([&] { io->close(); });
  reactor.shut_down();
}

const caf::actor& node::front() const {
  return impl_->front;
}

const caf::actor& node::reaper() const {
  return impl_->reaper;
}

const surroundings& node::around() const {
  return *impl_->around;
}

surroundings_ptr node::shared_around() const {
  return impl_->around;
}

bridge::reactor& node::loop() {
  return impl_->reactor;
}

std::size_t node::drain_now(milliseconds within) {
  caf::scoped_actor self{impl_->system};
  std::size_t left = 0;
  bool answered = false;
  ask(self, impl_->front, within, drain{})
    .receive([&](const drained& d) { left = d.left, answered = true; }, [](const caf::error&) {});
  if (answered)
    return left;
  ask(self, impl_->front, actors_end_within, list_sandboxes{})
    .receive(
      [&](const sandbox_list& all) {
        for (const auto& [id, word] : all.items)
          left += ended(word) ? 0 : 1;
      },
      [](const caf::error&) {});
  return left;
}

} // namespace nestor::actors
