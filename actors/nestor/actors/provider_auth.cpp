#include <nestor/actors/provider_auth.hpp>

namespace nestor::actors {

using namespace supervision;

provider_auth::provider_auth(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                             const providers::provider& provider, std::uint64_t child)
    : self_(self), around_(std::move(around)), supervisor_(std::move(supervisor)), provider_(provider), child_(child) {
  report(event::authenticated{}); // neither `process` nor `static` has a credential to prove
}

caf::behavior provider_auth::make_behavior() {
  return {[this](do_provision& work) { converse(work); }, [this](do_look_up& work) { converse(work); },
          [this](do_destroy& work) { converse(work); },
          [this](io_done& done) {
            auto found = open_.extract(done.ticket);
            if (!found.empty())
              found.mapped().on_reply(done.reply);
          },
          [this](const woken& alarm) {
            auto found = open_.find(alarm.ticket);
            if (found == open_.end() || !found->second.later)
              return;
            auto request = std::move(*found->second.later);
            found->second.later.reset();
            around_->io->perform(std::move(request), {self_->address(), alarm.ticket});
          }};
}

void provider_auth::report(any_event what, std::shared_ptr<const providers::runtime> found) {
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, provider_report{child_, std::move(what), std::move(found)});
}

void provider_auth::ask(providers::ask question, std::function<void(const io_reply&)> on_reply) {
  auto ticket = ++ticket_;
  if (question.after > milliseconds{0}) {
    open_.emplace(ticket, conversation{std::move(on_reply), std::move(question.request)});
    return self_->tell(around_->timers, wake_at{around_->clock->now() + question.after, self_->address(), ticket});
  }
  open_.emplace(ticket, conversation{std::move(on_reply), std::nullopt});
  around_->io->perform(std::move(question.request), {self_->address(), ticket});
}

void provider_auth::converse(do_provision& work) {
  auto order = std::make_shared<const providers::provision_order>(std::move(work.order));
  on_progress(provider_.provision(*order), order);
}

void provider_auth::converse(do_look_up& work) {
  auto order = std::make_shared<const providers::provision_order>(std::move(work.order));
  on_progress(provider_.observe(*order), order, work.look);
}

void provider_auth::converse(do_destroy& work) {
  on_progress(provider_.destroy(*work.gone), work.gone, work.number);
}

void provider_auth::on_progress(providers::progress<providers::runtime> state,
                                const std::shared_ptr<const providers::provision_order>& order) {
  auto number = order->stamp.number;
  if (auto* question = std::get_if<providers::ask>(&state))
    return ask(std::move(*question),
               [this, order](const io_reply& reply) { on_progress(provider_.provisioned(*order, reply), order); });
  if (auto* why = std::get_if<failure>(&state))
    return report(event::provision_failed{number, std::move(*why)});
  report(event::provisioned{number},
         std::make_shared<providers::runtime>(std::move(std::get<providers::runtime>(state))));
}

void provider_auth::on_progress(providers::progress<providers::sighting> state,
                                const std::shared_ptr<const providers::provision_order>& order, std::uint64_t look) {
  if (auto* question = std::get_if<providers::ask>(&state))
    return ask(std::move(*question), [this, order, look](const io_reply& reply) {
      on_progress(provider_.observed(*order, reply), order, look);
    });
  if (auto* why = std::get_if<failure>(&state))
    return report(event::look_up_failed{look, std::move(*why)});
  auto& seen = std::get<providers::sighting>(state);
  if (auto* found = std::get_if<providers::runtime>(&seen))
    return report(event::sighted{look, true}, std::make_shared<providers::runtime>(std::move(*found)));
  report(event::sighted{look, false});
}

void provider_auth::on_progress(providers::progress<providers::absent> state,
                                const std::shared_ptr<const providers::runtime>& gone, attempt number) {
  if (auto* question = std::get_if<providers::ask>(&state))
    return ask(std::move(*question), [this, gone, number](const io_reply& reply) {
      on_progress(provider_.destroyed(*gone, reply), gone, number);
    });
  if (auto* why = std::get_if<failure>(&state))
    return report(event::destroy_failed{number, std::move(*why)});
  report(event::absence_proven{number});
}

} // namespace nestor::actors
