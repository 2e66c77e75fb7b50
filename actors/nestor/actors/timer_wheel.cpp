#include <nestor/actors/timer_wheel.hpp>

namespace nestor::actors {

timer_wheel::timer_wheel(self_ptr<> self, std::shared_ptr<clock_port> clock) : self_(self), clock_(std::move(clock)) {}

caf::behavior timer_wheel::make_behavior() {
  return {[this](wake_at& request) { set(request); },
          [this](const wheel_turns& turned) {
            if (turned.epoch != epoch_)
              return;
            next_turn_ = supervision::never;
            ring();
          }};
}

void timer_wheel::set(wake_at& request) {
  alarms_.push({request.when, ++order_, std::move(request.whom), request.ticket});
  turn();
}

void timer_wheel::ring() {
  auto now = clock_->now();
  while (!alarms_.empty() && alarms_.top().when <= now) {
    auto due = alarms_.top();
    alarms_.pop();
    if (auto whom = caf::actor_cast<caf::actor>(due.whom))
      self_->tell(whom, woken{due.ticket});
  }
  turn();
}

void timer_wheel::turn() {
  if (alarms_.empty() || alarms_.top().when >= next_turn_)
    return;
  next_turn_ = alarms_.top().when;
  auto delay = std::max(next_turn_ - clock_->now(), microseconds{0});
  self_->tell_after(delay, caf::actor_cast<caf::actor>(self_), wheel_turns{++epoch_});
}

} // namespace nestor::actors
