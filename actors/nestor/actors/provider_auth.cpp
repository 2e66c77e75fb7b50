#include <nestor/actors/provider_auth.hpp>

namespace nestor::actors {

using namespace supervision;

provider_auth::provider_auth(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                             const providers::account_source& account, std::uint64_t child)
    : self_(self), around_(std::move(around)), supervisor_(std::move(supervisor)), account_(account), child_(child),
      talk_(self, around_) {
  authenticate();
}

caf::behavior provider_auth::make_behavior() {
  return {[this](do_provision& work) { converse(work); }, [this](do_look_up& work) { converse(work); },
          [this](do_destroy& work) { converse(work); },   [this](credential_proven& proven) { on_proven(proven); },
          [this](io_done& done) { talk_.hear(done); },    [this](const woken& alarm) { talk_.hear(alarm); }};
}

void provider_auth::authenticate() {
  if (!account_.plain.speaks->authenticate) { // nothing to prove: the account is as it was configured
    who_ = std::shared_ptr<const providers::account>(std::shared_ptr<void>{}, &account_.plain);
    return report(event::authenticated{});
  }
  self_->tell(around_->desk, prove_credential{account_.plain.name, self_->address()});
}

void provider_auth::on_proven(credential_proven& proven) {
  who_ = std::move(proven.who);
  if (who_)
    report(event::authenticated{});
  else
    report(event::auth_failed{std::move(*proven.why)});
}

void provider_auth::report(any_event what, std::shared_ptr<const providers::runtime> found) {
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, provider_report{child_, std::move(what), std::move(found)});
}

void provider_auth::doubt(const failure& why) {
  if (why.code == errc::auth_refused || why.code == errc::permission_missing)
    self_->tell(around_->desk, doubt_credential{who_});
}

void provider_auth::converse(do_provision& work) {
  auto order = std::make_shared<const providers::provision_order>(std::move(work.order));
  auto stamp = order->stamp;
  auto number = stamp.number;
  talk_.begin(account_.plain.speaks->provision, who_, std::move(order),
              std::function{[this, number, stamp](provider_talk::outcome_of<providers::runtime> came) {
                if (auto* why = std::get_if<failure>(&came))
                  return doubt(*why), provision_failed(stamp, std::move(*why));
                report(event::provisioned{number},
                       std::make_shared<providers::runtime>(std::move(std::get<providers::runtime>(came))));
              }});
}

void provider_auth::converse(do_look_up& work) {
  auto order = std::make_shared<const providers::provision_order>(std::move(work.order));
  talk_.begin(account_.plain.speaks->observe, who_, std::move(order),
              std::function{[this, look = work.look](provider_talk::outcome_of<providers::sighting> came) {
                if (auto* why = std::get_if<failure>(&came))
                  return doubt(*why), report(event::look_up_failed{look, std::move(*why)});
                auto& seen = std::get<providers::sighting>(came);
                if (auto* found = std::get_if<providers::runtime>(&seen))
                  return report(event::sighted{look, true}, std::make_shared<providers::runtime>(std::move(*found)));
                report(event::sighted{look, false});
              }});
}

void provider_auth::converse(do_destroy& work) {
  talk_.begin(account_.plain.speaks->destroy, who_, work.gone,
              std::function{[this, stamp = work.stamp](provider_talk::outcome_of<providers::absent> came) {
                if (auto* why = std::get_if<failure>(&came))
                  return doubt(*why), report(event::destroy_failed{stamp.number, std::move(*why)});
                end_twins(stamp, [this, number = stamp.number](std::optional<failure> why) {
                  if (why)
                    return report(event::destroy_failed{number, std::move(*why)});
                  report(event::absence_proven{number});
                });
              }});
}

/// A provision that failed with something to end has ended one; a plain refusal has created none.
void provider_auth::provision_failed(const providers::labels& stamp, failure why) {
  if (why.code != errc::provision_failed)
    return report(event::provision_failed{stamp.number, std::move(why)});
  end_twins(stamp, [this, number = stamp.number, why](std::optional<failure> left) mutable {
    if (left) // then look-ups find out
      why = failure{errc::create_unknown, step::provision, why.cause + "; and then: " + left->cause, 0, {}};
    report(event::provision_failed{number, std::move(why)});
  });
}

void provider_auth::end_twins(const providers::labels& stamp, std::function<void(std::optional<failure>)> over) {
  const auto& speaks = *account_.plain.speaks;
  if (!speaks.twin)
    return over(std::nullopt);
  auto gave_up = [this, over](failure why) {
    doubt(why);
    why.code = errc::destroy_failed;
    why.at = step::destroy;
    over(std::move(why));
  };
  talk_.begin(speaks.twin, who_, std::make_shared<const providers::labels>(stamp),
              std::function{[this, stamp, over, gave_up](provider_talk::outcome_of<providers::sighting> came) {
                if (auto* why = std::get_if<failure>(&came))
                  return gave_up(std::move(*why));
                auto* found = std::get_if<providers::runtime>(&std::get<providers::sighting>(came));
                if (!found)
                  return over(std::nullopt);
                talk_.begin(
                  account_.plain.speaks->destroy, who_, std::make_shared<const providers::runtime>(std::move(*found)),
                  std::function{[this, stamp, over, gave_up](provider_talk::outcome_of<providers::absent> ended) {
                    if (auto* why = std::get_if<failure>(&ended))
                      return gave_up(std::move(*why));
                    end_twins(stamp, over);
                  }});
              }});
}

} // namespace nestor::actors
