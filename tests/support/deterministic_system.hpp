// An actor system whose actors run only when told to and whose time is virtual. The test-side half of actors/caf.hpp:
// the only other header that knows which CAF this is.
#pragma once

#include <nestor/actors/messages.hpp>

#include <optional>
#include <utility>

#if NESTOR_CAF_MODERN
#  include <caf/test/fixture/deterministic.hpp>
#  include <caf/test/reporter.hpp>
#else
#  include <caf/scheduler/test_coordinator.hpp>
#endif

namespace nestor::tests {

class deterministic_system {
public:
  ~deterministic_system() {
#if !NESTOR_CAF_MODERN
    while (scheduler().try_run_once() || scheduler().trigger_timeout()) {
    } // time-outs that are still scheduled would keep the system from ending
#endif
  }

  caf::actor_system& system() {
#if NESTOR_CAF_MODERN
    return fixture_.sys;
#else
    return system_;
#endif
  }

  /// Runs actors until every mailbox is empty; time stands still.
  void settle() {
#if NESTOR_CAF_MODERN
    fixture_.dispatch_messages();
#else
    while (scheduler().try_run_once()) {}
#endif
  }

  /// Runs one message of one actor: of those that have any, the `pick`-th, counted round. False: none has. 1.x lets
  /// nobody choose.
  bool run_one([[maybe_unused]] std::size_t pick) {
#if NESTOR_CAF_MODERN
    return fixture_.dispatch_message();
#else
    auto& jobs = scheduler().jobs;
    if (jobs.size() > 1)
      std::swap(jobs.front(), jobs[pick % jobs.size()]);
    return scheduler().try_run_once();
#endif
  }

  /// When the next delayed message is due. 1.x does not tell: then it is worth a look in a little while.
  std::optional<instant> next_timer() {
#if NESTOR_CAF_MODERN
    return fixture_.num_timeouts() == 0 ? std::nullopt : std::optional{now() + microseconds{20'000}};
#else
    const auto& schedule = scheduler().clock().schedule();
    if (schedule.empty())
      return std::nullopt;
    auto since = schedule.begin()->first.time_since_epoch();
    return instant{std::chrono::ceil<microseconds>(since).count()};
#endif
  }

  /// Lets time pass and delivers what is due; nobody runs.
  void pass(microseconds time) {
#if NESTOR_CAF_MODERN
    if (time.count() > 0) // else it throws
      fixture_.advance_time(time);
#else
    scheduler().advance_time(time);
#endif
  }

  /// Lets time pass, rings what is due, then settles.
  void advance(microseconds time) {
    pass(time);
    settle();
  }

  instant now() {
    auto since = system().clock().now().time_since_epoch();
    return instant{std::chrono::duration_cast<microseconds>(since).count()};
  }

private:
#if NESTOR_CAF_MODERN
  struct registered {
    registered() { actors::register_messages(); }
  } registered_;
  // Outside of CAF's own runner the fixture throws without a reporter. One for all: there may be several systems.
  struct reporting {
    reporting() {
      static const auto reporter = caf::test::reporter::make_default();
      reporter->verbosity(0);
      caf::test::reporter::instance(reporter.get());
    }
  } reporting_;
  caf::test::fixture::deterministic fixture_;
#else
  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  }
  struct config : caf::actor_system_config {
    config() {
      actors::register_messages();
      actors::prepare(*this);
      set("scheduler.policy", caf::atom("testing"));
    }
  } config_;
  caf::actor_system system_{config_};
#endif
};

/// A message to an actor after some virtual time.
template <class Message>
void tell_later(const caf::actor& whom, microseconds after, Message message) {
#if NESTOR_CAF_MODERN
  // Not `delay`: of a message without a sender that counts from the machine's time.
  caf::anon_mail(std::move(message)).schedule(whom->home_system().clock().now() + after).send(whom);
#else
  caf::delayed_anon_send(whom, after, std::move(message));
#endif
}

} // namespace nestor::tests
