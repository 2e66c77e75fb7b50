#include <nestor/actors/configurator.hpp>

namespace nestor::actors {

using namespace supervision;

configurator::configurator(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor, configurator_task task)
    : self_(self), around_(std::move(around)), supervisor_(std::move(supervisor)), run_(task.run),
      runtime_(std::move(task.runtime)), traceparent_(std::move(task.traceparent)),
      plan_(std::move(task.order), around_->clock->now()), asks_first_(task.asks_first) {}

caf::behavior configurator::make_behavior() {
  proceed(); // here and not while it is constructed: a crash must be this actor's, not its parent's
  return {[this](io_done& done) {
            if (done.ticket != ticket_ || !request_out_)
              return;
            request_out_ = false;
            if (winding_down_)
              return self_->quit();
            plan_.on_reply(std::get<http_reply>(done.reply), around_->clock->now());
            proceed();
          },
          [this](const woken& alarm) {
            if (alarm.ticket == ticket_ && !request_out_ && !held_)
              proceed();
          },
          [this](let_write) {
            if (auto send = std::exchange(held_, std::nullopt))
              perform(*send);
          },
          [this](wind_down) {
            winding_down_ = true;
            if (!request_out_)
              self_->quit();
          }};
}

void configurator::proceed() {
  auto action = plan_.next(around_->clock->now());
  std::visit([this](auto& what) { perform(what); }, action);
}

void configurator::perform(nested::send_request& send) {
  if (send.mutates && !wrote_) {
    wrote_ = true;
    report(event::writing{run_});
    if (asks_first_) {
      report_step(send.at, send.timeout);
      held_ = std::move(send);
      return;
    }
  }
  report_step(send.at, send.timeout);
  for (const auto& extra : runtime_->headers)
    send.request.headers.push_back(extra);
  if (!traceparent_.empty())
    send.request.headers.push_back({"traceparent", wiped_string{traceparent_}});
  request_out_ = true;
  around_->io->perform(http_call{runtime_->where, std::move(send.request), send.timeout, runtime_->from},
                       {self_->address(), ++ticket_});
}

void configurator::perform(const nested::wait_for& wait) {
  report_step(wait.at, wait.time);
  self_->tell(around_->timers, wake_at{around_->clock->now() + wait.time, self_->address(), ++ticket_});
}

void configurator::perform(nested::confirmation& confirmed) {
  auto shared = std::make_shared<nested::confirmation>(std::move(confirmed));
  report(event::run_confirmed{run_, shared->another_server, shared->drifted}, shared);
  self_->quit();
}

void configurator::perform(nested::run_failed& failed) {
  report(event::run_failed{run_, std::move(failed.why)});
  self_->quit();
}

void configurator::report(any_event what, std::shared_ptr<const nested::confirmation> confirmed) {
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, run_report{run_, std::move(what), std::move(confirmed)});
}

/// A word when the step or its number of tries changes, and before the time runs out that the last word granted.
void configurator::report_step(step at, milliseconds silent_for) {
  auto now = around_->clock->now();
  auto tries = plan_.tries();
  bool repeated = tries > 1 && tries != reported_tries_;
  if (at == reported_ && !repeated && now + silent_for <= heard_until_)
    return;
  reported_ = at;
  reported_tries_ = tries;
  auto granted = silent_for * 2; // so that a step of many quick requests needs few words
  heard_until_ = now + granted;
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, run_step{run_, at, static_cast<std::uint16_t>(std::max(tries, 1U)), granted});
}

} // namespace nestor::actors
