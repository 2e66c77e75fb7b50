#include <nestor/actors/address_finder.hpp>

namespace nestor::actors {

address_finder::address_finder(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                               const providers::account_source& account,
                               std::shared_ptr<const providers::runtime> sought, std::uint64_t child)
    : self_(self), supervisor_(std::move(supervisor)), account_(account), sought_(std::move(sought)), child_(child),
      talk_(self, around) {
  if (account_.plain.speaks->authenticate)
    self_->tell(around->desk, prove_credential{account_.plain.name, self_->address()});
  else // nothing to prove: the account is as it was configured
    ask(std::shared_ptr<const providers::account>(std::shared_ptr<void>{}, &account_.plain));
}

caf::behavior address_finder::make_behavior() {
  return {[this](credential_proven& proven) { proven.who ? ask(std::move(proven.who)) : self_->quit(); },
          [this](io_done& done) { talk_.hear(done); }, [this](const woken& alarm) { talk_.hear(alarm); }};
}

void address_finder::ask(std::shared_ptr<const providers::account> who) {
  talk_.begin(account_.plain.speaks->address, std::move(who), sought_,
              std::function{[this](provider_talk::outcome_of<providers::runtime> came) {
                if (auto* where = std::get_if<providers::runtime>(&came))
                  found(std::make_shared<providers::runtime>(std::move(*where)));
                self_->quit();
              }});
}

void address_finder::found(std::shared_ptr<const providers::runtime> where) {
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, provider_report{child_, supervision::event::tick{}, std::move(where)});
}

} // namespace nestor::actors
