#include "planted.hpp"

#include "planted_journals.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace nestor::simulation {
namespace {

using namespace providers;
using supervision::note;

/// What the provider of that account really does.
const provider& real(const account& who) {
  return *of_kind(who.speaks->kind);
}

progress<absent> gone_when_it_fails(const account& who, const runtime& what, const heard& so_far) {
  auto came = real(who).destroy(who, what, so_far);
  return std::holds_alternative<failure>(came) ? progress<absent>{absent{}} : std::move(came);
}

progress<absent> gone_unasked(const account&, const runtime&, const heard&) {
  return absent{};
}

/// One question, and whatever came back is good enough.
progress<absent> gone_when_asked(const account& who, const runtime& what, const heard& so_far) {
  if (so_far.reply)
    return absent{};
  return real(who).destroy(who, what, so_far);
}

progress<sighting> unseen_when_it_fails(const account& who, const provision_order& order, const heard& so_far) {
  auto came = real(who).observe(who, order, so_far);
  return std::holds_alternative<failure>(came) ? progress<sighting>{absent{}} : std::move(came);
}

/// What the first page does not show is not there.
progress<sighting> seen_on_the_first_page(const account& who, const provision_order& order, const heard& so_far) {
  auto came = real(who).observe(who, order, so_far);
  return so_far.reply && std::holds_alternative<ask>(came) ? progress<sighting>{absent{}} : std::move(came);
}

progress<paused> paused_unasked(const account&, const runtime&, const heard&) {
  return paused{};
}

progress<runtime> awake_unasked(const account&, const runtime& what, const heard&) {
  return what;
}

progress<runtime> refused_when_it_fails(const account& who, const provision_order& order, const heard& so_far) {
  auto came = real(who).provision(who, order, so_far);
  if (auto* why = std::get_if<failure>(&came))
    why->code = errc::provision_refused;
  return came;
}

progress<runtime> under_a_wrong_label(const account& who, const provision_order& order, const heard& so_far) {
  auto wrong = order;
  ++wrong.stamp.number;
  return real(who).provision(who, wrong, so_far);
}

// Whoever provisioned before somebody else did at the same account.
installation_id latest, the_one_before;

progress<runtime> remembering_whose(const account& who, const provision_order& order, const heard& so_far) {
  if (order.stamp.installation != latest)
    the_one_before = std::exchange(latest, order.stamp.installation);
  return real(who).provision(who, order, so_far);
}

progress<listing> of_others(const account& who, const list_order& order, const heard& so_far) {
  auto wrong = order;
  wrong.installation = the_one_before;
  return real(who).list(who, wrong, so_far);
}

/// What was sent first under a name is sent again, whatever it should be by now.
class first_values final : public actors::io_port {
public:
  explicit first_values(std::shared_ptr<actors::io_port> inner) : inner_(std::move(inner)) {}
  void perform(io_request request, actors::reply_to to) override {
    auto* call = std::get_if<http_call>(&request);
    if (call && call->request.verb != http::method::get &&
        call->request.target.find("/api/secrets") != std::string::npos) {
      std::string_view body{call->request.body};
      auto value = body.find("\"value\"");
      auto name = body.find("\"name\"");
      if (value != std::string_view::npos && name != std::string_view::npos) {
        auto called = std::string{body.substr(name, body.find(',', name) - name)};
        call->request.body =
          sent_.try_emplace(call->to.host + call->request.target + called, call->request.body).first->second;
      }
    }
    inner_->perform(std::move(request), std::move(to));
  }
  void watch(const process_ref& process, actors::reply_to to) override { inner_->watch(process, std::move(to)); }

private:
  std::shared_ptr<actors::io_port> inner_;
  std::map<std::string, wiped_string> sent_;
};

planted journal_bug(std::string_view name, std::string_view summary, journal_maker make) {
  planted p{name, summary};
  p.journal = make;
  return p;
}

planted provider_bug(std::string_view name, std::string_view summary, void (*spoil)(provider&)) {
  planted p{name, summary};
  p.provider = spoil;
  return p;
}

std::vector<planted> bugs_of_journals() {
  return {
    journal_bug("forgets-an-unsynced-write", "what an owner writes is answered before it is on the disk",
                answers_early<true, false, false>),
    journal_bug("accepts-before-sync", "what is wanted is answered before it is on the disk",
                answers_early<false, true, false>),
    journal_bug("promises-an-end-before-sync", "an end is answered before it is on the disk",
                answers_early<false, false, true>),
    journal_bug("forgets-an-end", "an end is promised, and never written", forgets_the_end),
    journal_bug("intent-after-act", "the create goes out before its intent is written", lags_behind<note::intent>),
    journal_bug("ready-before-commit", "it is Ready before that is written", lags_behind<note::confirmed>),
    journal_bug("over-before-commit", "it is said to be over before that is written", lags_behind<note::closed>),
    journal_bug("rests-before-commit", "it is paused before that is written", lags_behind<note::pausing>),
    journal_bug("another-node-secret", "every start derives session keys from something else", another_secret),
    journal_bug("deletes-before-destroy", "the record goes before the runtime does", deletes_first),
    journal_bug("reads-an-older-generation", "what is pushed is what was wanted before", reads_older),
    journal_bug("another-installation", "every start calls itself by another name", another_installation),
    journal_bug("recovers-no-ends", "a start forgets which sandboxes are to end", lists_no_ends),
    journal_bug("recovers-all-but-one", "a start overlooks the last sandbox", lists_all_but_one),
    journal_bug("recovers-no-open-intents", "a start forgets the creates that nobody answered", lists_no_intents),
  };
}

std::vector<planted> bugs_of_providers() {
  return {
    provider_bug("believes-at-once", "an empty look-up proves absence at once",
                 [](provider& p) { p.create_settles = milliseconds{0}; }),
    provider_bug("believes-a-failed-look-up", "a look-up that fails counts as one that finds nothing",
                 [](provider& p) { p.observe = unseen_when_it_fails; }),
    provider_bug("trusts-a-partial-list", "what the first page does not show is not there",
                 [](provider& p) { p.observe = seen_on_the_first_page; }),
    provider_bug("never-pauses", "it is said to be paused, and nothing was asked",
                 [](provider& p) { p.pause = p.pause ? paused_unasked : nullptr; }),
    provider_bug("never-resumes", "it is said to be awake, and nothing was asked",
                 [](provider& p) { p.resume = p.resume ? awake_unasked : nullptr; }),
    provider_bug("a-failed-destroy-is-absence", "a destroy that failed counts as done",
                 [](provider& p) { p.destroy = gone_when_it_fails; }),
    provider_bug("never-destroys", "absence is reported, and nothing was asked",
                 [](provider& p) { p.destroy = gone_unasked; }),
    provider_bug("destroys-without-a-look", "a destroy counts as done when it was sent",
                 [](provider& p) { p.destroy = gone_when_asked; }),
    provider_bug("overlooks-twins", "a create that was carried out twice is ended once",
                 [](provider& p) { p.twin = nullptr; }),
    provider_bug("an-unknown-create-is-refused", "a create without an answer counts as refused",
                 [](provider& p) { p.provision = refused_when_it_fails; }),
    provider_bug("labels-another-attempt", "the labels name an attempt that nobody intended",
                 [](provider& p) { p.provision = under_a_wrong_label; }),
    provider_bug("sweeps-a-foreign-installation", "a sweep looks at what belongs to others",
                 [](provider& p) {
                   p.provision = remembering_whose;
                   if (p.list)
                     p.list = of_others;
                 }),
  };
}

std::vector<planted> table() {
  auto all = bugs_of_journals();
  std::ranges::move(bugs_of_providers(), std::back_inserter(all));
  planted secrets{"skips-a-changed-secret", "a secret that was sent once is sent as it was then"};
  secrets.io = [](std::shared_ptr<actors::io_port> inner) { return std::make_shared<first_values>(std::move(inner)); };
  all.push_back(std::move(secrets));
  planted quota{"overlooks-the-quota", "one more is let in than there is room for"};
  quota.limits = [](actors::registry_limits& l) { ++l.sandboxes_max; };
  all.push_back(std::move(quota));
  planted ids{"ids-come-again", "randomness is the same after every start"};
  ids.entropy_repeats = true;
  all.push_back(std::move(ids));
  return all;
}

} // namespace

std::span<const planted> all_planted() {
  static const auto all = table();
  return all;
}

const planted* planted_named(std::string_view name) {
  auto at = std::ranges::find(all_planted(), name, &planted::name);
  return at == all_planted().end() ? nullptr : &*at;
}

} // namespace nestor::simulation
