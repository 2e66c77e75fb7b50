#include <nestor/actors/provider_desk.hpp>

#include <algorithm>
#include <iterator>

namespace nestor::actors {
namespace {

// A revoked key is noticed by the first refused call anyway; this bounds how long an unused proof is believed.
constexpr std::chrono::minutes proof_good_for{5};
// A source is a variable or a small file: looking at it once a second is cheap and quick enough for a person rotating.
constexpr std::chrono::seconds read_every{1};
// Providers throttle addresses that repeat a bad key (Daytona: ten a minute): one refusal answers all for a while.
constexpr std::chrono::seconds refusal_stands_for{10};
// A page holds a hundred or so: this many sandboxes are a hundred times what one account may have.
constexpr std::size_t pages_max = 10'000;

bool same_credential(const providers::account& a, const providers::account& b) {
  return a.secrets == b.secrets;
}

} // namespace

provider_desk::provider_desk(self_ptr<> self, surroundings_ptr around)
    : self_(self), around_(std::move(around)), talk_(self, around_) {}

/// One account's list, page after page.
struct provider_desk::inventory {
  std::shared_ptr<const providers::account> who;
  installation_id installation;
  std::string cursor;
  std::size_t pages = 0;
  runtimes_listed so_far;
  promise<runtimes_listed> answer;
};

caf::behavior provider_desk::make_behavior() {
  return {[this](const prove_credential& request) {
            with_proof(request.account, [this, whom = request.whom](const credential_proven& what) {
              if (auto asker = caf::actor_cast<caf::actor>(whom))
                self_->tell(asker, what);
            });
          },
          [this](const doubt_credential& doubt) { on_doubt(doubt); },
          [this](const verify_account& request) { return on_verify(request); },
          [this](list_runtimes& request) { return on_list(request); },
          [this](read_output& request) { return on_read_output(request); },
          [this](const end_runtime& request) { return on_end(request); },
          [this](io_done& done) { talk_.hear(done); },
          [this](const woken& alarm) { talk_.hear(alarm); }};
}

bool provider_desk::good(const ledger& of) const {
  return of.proven && around_->clock->now() < of.proven_until &&
         (!of.proven->proven.until || around_->clock->wall() < *of.proven->proven.until);
}

void provider_desk::with_proof(const std::string& account, std::function<void(const credential_proven&)> use) {
  const auto* source = providers::account_named(*around_->accounts, account);
  if (!source)
    return use(
      {nullptr,
       failure{errc::credential_missing, step::authenticate, "providers." + account + " is not configured", 0, {}}});
  auto& of = ledgers_[account];
  of.source = source;
  if (auto missing = read_again(of))
    return use({nullptr, std::move(missing)});
  if (!source->plain.speaks->authenticate)
    return use({of.read, std::nullopt});
  if (good(of))
    return use({of.proven, std::nullopt});
  if (of.refused && around_->clock->now() < of.refused_until)
    return use({nullptr, of.refused});
  of.waiting.push_back(std::move(use));
  if (!of.proving)
    prove(of);
}

caf::result<account_verified> provider_desk::on_verify(const verify_account& request) {
  if (auto at = ledgers_.find(request.account); at != ledgers_.end()) {
    at->second.proven = nullptr;
    at->second.refused.reset();
    at->second.read_until = instant{};
  }
  promise<account_verified> answer{self_};
  with_proof(request.account,
             [answer](const credential_proven& what) mutable { answer.deliver(account_verified{what.why}); });
  return answer.result();
}

caf::result<runtimes_listed> provider_desk::on_list(list_runtimes& request) {
  promise<runtimes_listed> answer{self_};
  with_proof(
    request.account, [this, answer, ours = std::move(request.installation)](const credential_proven& what) mutable {
      if (!what.who)
        return answer.deliver(runtimes_listed{{}, what.why});
      if (!what.who->speaks->list)
        return answer.deliver(runtimes_listed{
          {},
          failure{
            errc::capability_missing, step::provision, what.who->name + " cannot list what carries a label", 0, {}}});
      next_page(std::make_shared<inventory>(inventory{what.who, std::move(ours), {}, 0, {}, answer}));
    });
  return answer.result();
}

caf::result<output_read> provider_desk::on_read_output(read_output& request) {
  promise<output_read> answer{self_};
  with_proof(request.account, [this, answer, of = std::move(request.of)](const credential_proven& what) mutable {
    if (!what.who)
      return answer.deliver(output_read{{}, what.why});
    if (!what.who->speaks->output)
      return answer.deliver(output_read{{false}, std::nullopt});
    talk_.begin(what.who->speaks->output, what.who, std::move(of),
                std::function{[answer](provider_talk::outcome_of<providers::printed> came) mutable {
                  auto* why = std::get_if<failure>(&came);
                  answer.deliver(why ? output_read{{}, std::move(*why)}
                                     : output_read{std::move(std::get<providers::printed>(came)), std::nullopt});
                }});
  });
  return answer.result();
}

caf::result<runtime_ended> provider_desk::on_end(const end_runtime& request) {
  promise<runtime_ended> answer{self_};
  with_proof(request.account, [this, answer, ref = request.ref](const credential_proven& what) mutable {
    if (!what.who)
      return answer.deliver(runtime_ended{what.why});
    auto gone = std::make_shared<providers::runtime>();
    gone->ref = ref;
    talk_.begin(what.who->speaks->destroy, what.who, std::shared_ptr<const providers::runtime>{std::move(gone)},
                std::function{[answer](provider_talk::outcome_of<providers::absent> came) mutable {
                  auto* why = std::get_if<failure>(&came);
                  answer.deliver(runtime_ended{why ? std::optional{std::move(*why)} : std::nullopt});
                }});
  });
  return answer.result();
}

void provider_desk::next_page(const std::shared_ptr<inventory>& of) {
  auto order = std::make_shared<const providers::list_order>(providers::list_order{of->installation, of->cursor});
  talk_.begin(of->who->speaks->list, of->who, std::move(order),
              std::function{[this, of](provider_talk::outcome_of<providers::listing> came) {
                if (auto* why = std::get_if<failure>(&came)) {
                  of->so_far.why = std::move(*why);
                  return of->answer.deliver(std::move(of->so_far));
                }
                auto& page = std::get<providers::listing>(came);
                std::ranges::move(page.items, std::back_inserter(of->so_far.items));
                of->cursor = std::move(page.next);
                if (of->cursor.empty())
                  return of->answer.deliver(std::move(of->so_far));
                if (++of->pages < pages_max)
                  return next_page(of);
                of->so_far.why = failure{
                  errc::provider_unavailable, step::provision, of->who->name + ": the list does not end", 0, {}};
                of->answer.deliver(std::move(of->so_far));
              }});
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
      return prove(of);
    came = failure{errc::credential_missing,
                   step::authenticate,
                   "providers." + asked->name + ": the credential was taken away",
                   0,
                   {}};
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
    each(what);
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
