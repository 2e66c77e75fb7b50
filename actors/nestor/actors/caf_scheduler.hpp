// The scheduler of a CAF system that carries a node and nothing else. Apart from caf.hpp because CAF's coordinator is a
// heavy header and one source needs it.
//
// CAF 0.17.6 hands every actor that ends to its clock's thread, to cancel time-outs that it may have had
// (`local_actor::cleanup`): a lock, a wake-up and two context switches each, four actors to a configured sandbox. And
// its work-stealing workers look for work a hundred times a second. Both cost more than the sockets of a push do.
#pragma once

#include <nestor/actors/caf.hpp>

#if !NESTOR_CAF_MODERN
#  include <caf/policy/work_sharing.hpp>
#  include <caf/scheduler/coordinator.hpp>

#  include <mutex>
#  include <thread>
#  include <unordered_set>
#endif

namespace nestor::actors {

#if !NESTOR_CAF_MODERN

/// CAF's clock, which is only told that an actor ended when that actor had a time-out.
class quiet_clock final : public caf::detail::thread_safe_actor_clock {
public:
  using super = caf::detail::thread_safe_actor_clock;

  void set_ordinary_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type,
                            std::uint64_t id) override {
    remember(self);
    super::set_ordinary_timeout(when, self, type, id);
  }
  void set_request_timeout(time_point when, caf::abstract_actor* self, caf::message_id id) override {
    remember(self);
    super::set_request_timeout(when, self, id);
  }
  void set_multi_timeout(time_point when, caf::abstract_actor* self, caf::atom_value type, std::uint64_t id) override {
    remember(self);
    super::set_multi_timeout(when, self, type, id);
  }
  void cancel_timeouts(caf::abstract_actor* self) override {
    {
      std::lock_guard lock{mutex_};
      if (waiting_.erase(self) == 0)
        return;
    }
    super::cancel_timeouts(self);
  }

private:
  void remember(caf::abstract_actor* self) {
    std::lock_guard lock{mutex_};
    waiting_.insert(self);
  }

  std::mutex mutex_;
  std::unordered_set<caf::abstract_actor*> waiting_; ///< an actor leaves it when it ends, at the latest
};

/// Workers that sleep until there is work, and the clock above with a thread of its own; the clock that CAF's
/// coordinator keeps for itself has nothing to do.
class quiet_coordinator final : public caf::scheduler::coordinator<caf::policy::work_sharing> {
public:
  using super = caf::scheduler::coordinator<caf::policy::work_sharing>;
  using super::super;

  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>) {
    return new quiet_coordinator(system);
  }
  quiet_clock& clock() noexcept override { return clock_; }

protected:
  void start() override {
    thread_ = std::thread{[this] {
      caf::detail::set_thread_name("caf.clock");
      clock_.run_dispatch_loop();
    }};
    super::start();
  }
  void stop() override {
    super::stop();
    clock_.cancel_dispatch_loop();
    thread_.join();
  }

private:
  quiet_clock clock_;
  std::thread thread_;
};

inline void use_quiet_scheduler(caf::actor_system_config& cfg) {
  cfg.load<quiet_coordinator>();
}

#else

/// 1.x has no such costs but the workers' looking for work.
inline void use_quiet_scheduler(caf::actor_system_config& cfg) {
  set_option(cfg, "scheduler.policy", "sharing");
}

#endif

} // namespace nestor::actors
