#include <nestor/actors/provider_desk.hpp>

#include <algorithm>

namespace nestor::actors {
namespace {

// A revoked key is noticed by the first refused call anyway; this bounds how long an unused proof is believed.
constexpr std::chrono::minutes proof_good_for{5};
// A source is a variable or a small file: looking at it once a second is cheap and quick enough for a person rotating.
constexpr std::chrono::seconds read_every{1};
// Providers throttle addresses that repeat a bad key (Daytona: ten a minute): one refusal answers everybody for a while.
constexpr std::chrono::seconds refusal_stands_for{10};

bool same_credential(const providers::account& a, const providers::account& b) {
  return a.secrets == b.secrets;
}

} // namespace

provider_desk::provider_desk(self_ptr<> self, surroundings_ptr around)
    : self_(self), around_(std::move(around)), talk_(self, around_) {}

caf::behavior provider_desk::make_behavior() {
  return {[this](const prove_credential& request) { on_prove(request); },
          [this](const doubt_credential& doubt) { on_doubt(doubt); }, [this](io_done& done) { talk_.hear(done); },
          [this](const woken& alarm) { talk_.hear(alarm); }};
}

void provider_desk::answer(const caf::actor_addr& whom, credential_proven what) {
  if (auto asker = caf::actor_cast<caf::actor>(whom))
    self_->tell(asker, std::move(what));
}

bool provider_desk::good(const ledger& of) const {
  return of.proven && around_->clock->now() < of.proven_until &&
         (!of.proven->proven.until || around_->clock->wall() < *of.proven->proven.until);
}

void provider_desk::on_prove(const prove_credential& request) {
  const auto* source = providers::account_named(*around_->accounts, request.account);
  if (!source)
    return answer(
      request.whom,
      {nullptr,
       failure{
         errc::credential_missing, step::authenticate, "providers." + request.account + " is not configured", 0, {}}});
  auto& of = ledgers_[request.account];
  of.source = source;
  if (auto missing = read_again(of))
    return answer(request.whom, {nullptr, std::move(missing)});
  if (good(of))
    return answer(request.whom, {of.proven, std::nullopt});
  if (of.refused && around_->clock->now() < of.refused_until)
    return answer(request.whom, {nullptr, of.refused});
  of.waiting.push_back(request.whom);
  if (!of.proving)
    prove(of);
}

std::optional<failure> provider_desk::read_again(ledger& of) {
  auto now = around_->clock->now();
  if (of.read && now < of.read_until)
    return std::nullopt;
  auto lookup = around_->secrets ? around_->secrets : [](reference_kind, const std::string&) -> expected<secret> {
    return failure{errc::secret_unresolved, step::authenticate, "this node looks up no secrets", 0, {}};
  };
  auto read = providers::resolve(*of.source, lookup);
  if (!read) {
    of.read = of.proven = nullptr;
    return read.error();
  }
  of.read_until = now + read_every;
  if (of.read && same_credential(*of.read, *read))
    return std::nullopt;
  of.read = std::make_shared<const providers::account>(std::move(*read));
  of.proven = nullptr;
  of.refused.reset();
  return std::nullopt;
}

void provider_desk::prove(ledger& of) {
  of.proving = true;
  talk_.begin(of.source->plain.speaks->authenticate, of.read, std::make_shared<const providers::no_order>(),
              std::function{[this, &of, asked = of.read](provider_talk::outcome_of<providers::proof> came) {
                on_outcome(of, asked, std::move(came));
              }});
}

void provider_desk::on_outcome(ledger& of, const std::shared_ptr<const providers::account>& asked,
                               provider_talk::outcome_of<providers::proof> came) {
  of.proving = false;
  if (!of.read || !same_credential(*of.read, *asked)) { // another one is set meanwhile: that one counts
    if (of.read && !of.waiting.empty())
      prove(of);
    else
      came = failure{errc::credential_missing,
                     step::authenticate,
                     "providers." + asked->name + ": the credential was taken away",
                     0,
                     {}};
    if (of.proving)
      return;
  }
  credential_proven what;
  if (auto* shown = std::get_if<providers::proof>(&came)) {
    auto proven = std::make_shared<providers::account>(*asked);
    proven->proven = std::move(*shown);
    what.who = of.proven = std::move(proven);
    of.proven_until = around_->clock->now() + proof_good_for;
  } else {
    what.why = std::get<failure>(came);
    if (what.why->code == errc::auth_refused || what.why->code == errc::permission_missing) {
      of.refused = what.why;
      of.refused_until = around_->clock->now() + refusal_stands_for;
    }
  }
  for (const auto& each : std::exchange(of.waiting, {}))
    answer(each, what);
}

void provider_desk::on_doubt(const doubt_credential& doubt) {
  if (!doubt.who)
    return;
  auto at = ledgers_.find(doubt.who->name);
  if (at == ledgers_.end() || at->second.proven != doubt.who)
    return; // it was replaced meanwhile
  at->second.proven = nullptr;
  at->second.read_until = instant{}; // and the source is looked at anew
}

} // namespace nestor::actors
