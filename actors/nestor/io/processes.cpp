#include <nestor/io/processes.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/guarded_child.hpp>
#include <nestor/io/guardian_protocol.hpp>
#include <nestor/io/internal/adopted_process.hpp>
#include <nestor/io/loopback_ports.hpp>
#include <nestor/io/process_list.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <charconv>
#include <deque>
#include <filesystem>
#include <list>
#include <utility>

namespace nestor::io {
namespace {

namespace asio = boost::asio;

std::string guardian_beside_us() {
  std::error_code failed;
  auto here = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  auto name = std::string{guardian::program};
  auto beside = here / name;
  return (std::filesystem::exists(beside, failed) ? beside : here.parent_path() / "bin" / name).string();
}

/// The child of an earlier node's guardian: it started before whatever was left to the guardian later. A guardian
/// without one is about to start it, or about to end: neither is absence.
io_reply child_of_guardian(const std::string& marker) {
  auto all = all_processes();
  for (const auto& entry : all) {
    if (entry.name != guardian::program || entry.dead())
      continue;
    auto arguments = arguments_of(entry.pid);
    if (arguments.size() <= guardian::argument_command || arguments[guardian::argument_marker] != marker)
      continue;
    const process_entry* first = nullptr;
    for (const auto& other : all)
      if (other.parent == entry.pid && !other.dead() && (first == nullptr || other.start_time < first->start_time))
        first = &other;
    if (first == nullptr)
      return process_refused{"its guardian " + std::to_string(entry.pid) + " has no child at the moment", true};
    process_started found{{first->pid, first->start_time, boot_id()}, 0};
    const auto& port = arguments[guardian::argument_port];
    std::from_chars(port.data(), port.data() + port.size(), found.port);
    return found;
  }
  return process_absent{};
}

} // namespace

struct processes::state final : guarded_child::owner {
  /// A child and who waits for what.
  struct record {
    guarded_child child;
    answer spawned;
    std::vector<answer> finders;
    std::vector<answer> enders;
    std::vector<std::function<void(process_absent)>> watchers;
    asio::steady_timer patience; ///< with its end
    record(poller& readiness, state& whose) : child(readiness, whose), patience(whose.context) {}
  };

  asio::io_context& context;
  processes_options options;
  poller readiness;
  loopback_ports ports;
  std::list<record> children;
  std::list<std::shared_ptr<adopted_process>> adopted;
  struct adopted_waiters {
    std::vector<answer> enders;
    std::vector<std::function<void(process_absent)>> watchers;
  };
  std::list<std::pair<process_ref, adopted_waiters>> waiting_for_adopted;
  std::deque<std::pair<process_ref, process_absent>> endings;
  std::shared_ptr<state*> alive = std::make_shared<state*>(this); ///< posted work holds it weakly

  state(asio::io_context& io, processes_options given) : context(io), options(std::move(given)), readiness(io) {
    if (options.guardian.empty())
      options.guardian = guardian_beside_us();
  }
  ~state();

  /// Later, on the same thread.
  void later(std::function<void()> work) {
    asio::post(context, [work = std::move(work), weak = std::weak_ptr{alive}] {
      if (!weak.expired())
        work();
    });
  }
  void reply(answer done, io_reply with) {
    later([done = std::move(done), with = std::move(with)] { done(with); });
  }

  record& record_of(guarded_child& child) {
    return *std::ranges::find_if(children, [&](const record& r) { return &r.child == &child; });
  }
  record* record_of(const process_ref& ref) {
    auto at = std::ranges::find_if(children, [&](const record& r) { return r.child.ref() == ref; });
    return at == children.end() ? nullptr : &*at;
  }
  const process_absent* ending_of(const process_ref& ref) const {
    auto at = std::ranges::find(endings, ref, &std::pair<process_ref, process_absent>::first);
    return at == endings.end() ? nullptr : &at->second;
  }

  adopted_waiters& waiters_of(const process_ref& ref, std::shared_ptr<adopted_process>& process);
  void adopted_gone(const process_ref& ref, const process_absent& how);
  void remember(const process_ref& ref, const process_absent& how);

  void started(guarded_child& child) override;
  void refused(guarded_child& child, process_refused why) override;
  void gone(guarded_child& child, process_absent how) override;
  void unguarded(guarded_child& child) override;
  void over(guarded_child& child) override;
};

processes::state::~state() {
  alive.reset();
  for (auto& process : adopted)
    process->stop();
  for (auto& one : children)
    one.child.let_go(); // all at once, and only then wait
  auto until = steady_now() + milliseconds{1'000};
  for (auto& one : children)
    if (!one.child.stays()) {
      auto left = std::max<std::int64_t>(0, (until - steady_now()).count() / 1000);
      one.child.collect(milliseconds{left});
    }
}

// -- what children say --------------------------------------------------------------------------------------------

void processes::state::started(guarded_child& child) {
  auto& one = record_of(child);
  process_started what{child.ref(), child.port()};
  reply(std::exchange(one.spawned, nullptr), what);
  for (auto& done : std::exchange(one.finders, {}))
    reply(std::move(done), what);
}

void processes::state::refused(guarded_child& child, process_refused why) {
  auto& one = record_of(child);
  reply(std::exchange(one.spawned, nullptr), std::move(why));
  for (auto& done : std::exchange(one.finders, {}))
    reply(std::move(done), process_absent{});
}

void processes::state::gone(guarded_child& child, process_absent how) {
  auto& one = record_of(child);
  one.patience.cancel();
  remember(child.ref(), how);
  for (auto& done : std::exchange(one.enders, {}))
    reply(std::move(done), how);
  for (auto& done : std::exchange(one.watchers, {}))
    later([done = std::move(done), how] { done(how); });
}

void processes::state::unguarded(guarded_child& child) {
  auto& one = record_of(child);
  one.patience.cancel();
  std::shared_ptr<adopted_process> process;
  auto& waiters = waiters_of(child.ref(), process);
  std::ranges::move(std::exchange(one.watchers, {}), std::back_inserter(waiters.watchers));
  auto enders = std::exchange(one.enders, {});
  if (enders.empty())
    return process->watch();
  std::ranges::move(enders, std::back_inserter(waiters.enders));
  process->end(milliseconds{guardian::usual_grace_ms}, [] {});
}

void processes::state::over(guarded_child& child) {
  // From `gone` on it is known by its ending; the record goes when nothing of it is on the stack any more.
  later([this, &child] { children.remove_if([&](const record& r) { return &r.child == &child; }); });
}

// -- children of an earlier node ----------------------------------------------------------------------------------

processes::state::adopted_waiters& processes::state::waiters_of(const process_ref& ref,
                                                                std::shared_ptr<adopted_process>& process) {
  auto at = std::ranges::find_if(adopted, [&](const auto& p) { return p->ref() == ref; });
  if (at != adopted.end()) {
    process = *at;
    return std::ranges::find(waiting_for_adopted, ref, &std::pair<process_ref, adopted_waiters>::first)->second;
  }
  process = std::make_shared<adopted_process>(context, ref, options.kill_takes,
                                              [this, ref](const process_absent& how) { adopted_gone(ref, how); });
  adopted.push_back(process);
  return waiting_for_adopted.emplace_back(ref, adopted_waiters{}).second;
}

void processes::state::adopted_gone(const process_ref& ref, const process_absent& how) {
  remember(ref, how);
  auto at = std::ranges::find(waiting_for_adopted, ref, &std::pair<process_ref, adopted_waiters>::first);
  auto waiters = std::move(at->second);
  waiting_for_adopted.erase(at);
  adopted.remove_if([&](const auto& p) { return p->ref() == ref; }); // it holds on to itself while it is calling
  for (auto& done : waiters.enders)
    reply(std::move(done), how);
  for (auto& done : waiters.watchers)
    later([done = std::move(done), how] { done(how); });
}

void processes::state::remember(const process_ref& ref, const process_absent& how) {
  endings.emplace_back(ref, how);
  while (endings.size() > options.endings_remembered)
    endings.pop_front();
}

// -- the public face ----------------------------------------------------------------------------------------------

processes::processes(asio::io_context& context, processes_options options)
    : state_(std::make_unique<state>(context, std::move(options))) {}

processes::~processes() = default;

void processes::spawn(process_spawn what, answer done) {
  auto& s = *state_;
  if (s.children.size() >= s.options.children)
    return s.reply(std::move(done), process_refused{"too many children: " + std::to_string(s.children.size()), true});
  auto port = what.port == 0 ? s.ports.take(steady_now(), !what.next_port_env.empty()) : std::optional{what.port};
  if (!port)
    return s.reply(std::move(done), process_refused{"no free port on loopback", true});
  what.outlives_us = what.outlives_us || s.options.children_stay;
  auto& one = s.children.emplace_back(s.readiness, s);
  if (auto why = one.child.start(s.options.guardian, what, *port)) {
    s.children.pop_back();
    return s.reply(std::move(done), std::move(*why));
  }
  one.spawned = std::move(done);
}

void processes::end(process_end what, answer done) {
  auto& s = *state_;
  if (const auto* how = s.ending_of(what.process))
    return s.reply(std::move(done), *how);
  auto still_there = [ref = what.process] {
    return process_refused{"something of process " + std::to_string(ref.pid) +
                           " is still there although it was killed"};
  };
  if (auto* one = s.record_of(what.process); one != nullptr && one->child.guarded()) {
    one->enders.push_back(std::move(done));
    one->child.end(what.grace);
    one->patience.expires_after(what.grace + s.options.kill_takes);
    one->patience.async_wait([&s, one, still_there, weak = std::weak_ptr{s.alive}](boost::system::error_code stopped) {
      if (stopped || weak.expired())
        return;
      for (auto& waiting : std::exchange(one->enders, {}))
        waiting(still_there());
    });
    return;
  }
  std::shared_ptr<adopted_process> process;
  s.waiters_of(what.process, process).enders.push_back(std::move(done));
  s.later([&s, process, still_there, what] {
    process->end(what.grace, [&s, still_there, ref = what.process] {
      auto at = std::ranges::find(s.waiting_for_adopted, ref, &std::pair<process_ref, state::adopted_waiters>::first);
      for (auto& waiting : std::exchange(at->second.enders, {}))
        s.reply(std::move(waiting), still_there());
    });
  });
}

void processes::look(process_look what, answer done) {
  auto& s = *state_;
  if (const auto* how = s.ending_of(what.process))
    return s.reply(std::move(done), *how);
  auto* one = s.record_of(what.process);
  bool there = (one != nullptr && one->child.guarded()) || alive(what.process) || !tree_of(what.process).empty();
  s.reply(std::move(done), there ? io_reply{process_present{}} : io_reply{process_absent{}});
}

void processes::find(process_find what, answer done) {
  auto& s = *state_;
  for (auto& one : s.children)
    if (one.child.marker() == what.marker && one.child.guarded() && s.ending_of(one.child.ref()) == nullptr) {
      if (one.spawned)
        one.finders.push_back(std::move(done));
      else
        s.reply(std::move(done), process_started{one.child.ref(), one.child.port()});
      return;
    }
  s.reply(std::move(done), child_of_guardian(what.marker));
}

void processes::output(process_output of, answer done) {
  auto& s = *state_;
  if (const auto* how = s.ending_of(of.process))
    return s.reply(std::move(done), process_printed{true, how->output_tail});
  if (auto* one = s.record_of(of.process); one != nullptr && one->child.guarded())
    return s.reply(std::move(done), process_printed{true, one->child.printed()});
  s.reply(std::move(done), process_printed{});
}

void processes::watch(process_ref process, std::function<void(process_absent)> gone) {
  auto& s = *state_;
  if (const auto* how = s.ending_of(process))
    return s.later([gone = std::move(gone), how = *how] { gone(how); });
  if (auto* one = s.record_of(process); one != nullptr && one->child.guarded()) {
    one->watchers.push_back(std::move(gone));
    return;
  }
  std::shared_ptr<adopted_process> adopted;
  s.waiters_of(process, adopted).watchers.push_back(std::move(gone));
  s.later([adopted] { adopted->watch(); });
}

} // namespace nestor::io
