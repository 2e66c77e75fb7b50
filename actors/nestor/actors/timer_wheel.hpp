// TIMER WHEEL: everybody's alarm clock. CAF's own timers cost too much by the hundred thousand; this one keeps a heap
// and asks CAF for a single delayed message, for its earliest alarm. Equal times ring in the order they were set.
#pragma once

#include <nestor/actors/messages.hpp>

#include <queue>
#include <vector>

namespace nestor::actors {

class timer_wheel {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.timer-wheel";

  timer_wheel(self_ptr<> self, std::shared_ptr<clock_port> clock);
  caf::behavior make_behavior();

private:
  struct alarm {
    instant when;
    std::uint64_t order = 0;
    caf::actor_addr whom;
    std::uint64_t ticket = 0;
    friend bool operator>(const alarm& a, const alarm& b) {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    }
  };

  void set(wake_at& request);
  void ring();
  void turn();

  self_ptr<> self_;
  std::shared_ptr<clock_port> clock_;
  std::priority_queue<alarm, std::vector<alarm>, std::greater<>> alarms_;
  std::uint64_t order_ = 0;
  std::uint64_t epoch_ = 0; ///< of the delayed message that counts; older ones are ignored
  instant next_turn_ = supervision::never;
};

} // namespace nestor::actors
