#include <model/lifecycle_world.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace nestor::supervision::model {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<any_event>> event_names{"enqueued",
                                                                                   "started",
                                                                                   "authenticated",
                                                                                   "auth_failed",
                                                                                   "recorded",
                                                                                   "record_failed",
                                                                                   "provisioned",
                                                                                   "provision_failed",
                                                                                   "sighted",
                                                                                   "look_up_failed",
                                                                                   "absence_proven",
                                                                                   "destroy_failed",
                                                                                   "runtime_gone",
                                                                                   "pause_requested",
                                                                                   "resume_requested",
                                                                                   "rested",
                                                                                   "woke",
                                                                                   "switch_failed",
                                                                                   "renewed",
                                                                                   "renewal_failed",
                                                                                   "progressed",
                                                                                   "writing",
                                                                                   "run_confirmed",
                                                                                   "run_failed",
                                                                                   "child_lost",
                                                                                   "configuration_changed",
                                                                                   "destroy_requested",
                                                                                   "tick"};
static_assert(!event_names.back().empty());

constexpr std::array<std::string_view, std::variant_size_v<any_command>> command_names{
  "authenticate", "release_auth", "provision", "look_up",  "destroy", "pause", "wake",
  "renew",        "start_run",    "let_write", "stop_run", "record",  "finish"};
static_assert(!command_names.back().empty());

bool claims_absence(phase p) {
  return p == phase::backing_off || p == phase::closing || p == phase::destroyed;
}

} // namespace

world::world(std::uint64_t seed, bool withdraws) : rng_(seed) {
  p_.withdraws = withdraws;
  p_.keep_failed = chance(25);
  p_.replace_lost = chance(50);
  p_.pauses = !withdraws;
  if (!withdraws && chance(30))
    p_.lease = milliseconds{90'000};
  if (chance(20))
    p_.lives_at_most = milliseconds{600'000};
  p_.converses = chance(40);
  p_.create_settles = withdraws || chance(50) ? milliseconds{0} : milliseconds{5'000};
  p_.replacements.max = static_cast<std::uint32_t>(pick(4));
  p_.reconfigures = static_cast<std::uint8_t>(pick(3));
  s_.seed = seed;
  mortal_ = chance(60);
  feed(event::enqueued{});
  feed(event::started{});
}

void world::broken(std::string what) {
  if (violation_.empty())
    violation_ = std::move(what);
}

std::string world::transcript() const {
  std::string text;
  for (const auto& line : log_)
    text += line + "\n";
  return text;
}

failure world::some_failure() {
  constexpr std::array codes{errc::nested_unreachable,   errc::nested_timeout,       errc::nested_error,
                             errc::not_confirmed,        errc::git_token_refused,    errc::session_key_refused,
                             errc::store_corrupt,        errc::provider_unavailable, errc::auth_refused,
                             errc::conversation_unknown, errc::configuration_refused};
  return failure{codes[pick(codes.size())], step::settings, "made up", 0, {}};
}

void world::feed(const any_event& e) {
  state before = s_;
  out_.clear();
  supervision::feed(p_, s_, e, now_, out_);
  auto line = std::string{name_of(before.now)} + " + " + std::string{event_names[e.index()]} + " -> " +
              std::string{name_of(s_.now)};
  for (const auto& c : out_)
    line.append(" ").append(command_names[c.index()]);
  log_.push_back(std::move(line));
  edges_.emplace(before.now, event_names[e.index()], s_.now);
  auto commands = out_;
  for (const auto& c : commands)
    perform(c);
  check(before, e);
}

void world::perform(const any_command& any) {
  if (std::holds_alternative<command::authenticate>(any)) {
    auth_owed_ = true;
  } else if (std::holds_alternative<command::release_auth>(any)) {
    auth_owed_ = false;
    if (look_up_owed_)
      stale_.emplace_back(event::sighted{look_up_owed_->look, look_up_owed_->present});
    look_up_owed_.reset();
    destroy_owed_.reset();
    if (switch_owed_ && chance(50))
      asleep_ = *switch_owed_; // given up, and done all the same
    switch_owed_.reset();
  } else if (const auto* c = std::get_if<command::provision>(&any)) {
    if (!intents_.contains(c->number))
      broken("a create went out before its intent was durable");
    if (!p_.withdraws &&
        (!alive_.empty() || std::ranges::any_of(creates_, [](const create& x) { return x.takes_effect.has_value(); })))
      broken("a second create went out while an earlier one may still live");
    create made{c->number, std::nullopt, false};
    if (kind_ || chance(80))
      made.takes_effect = now_ + (kind_ ? milliseconds{0}
                                        : milliseconds{static_cast<std::int64_t>(
                                            pick(static_cast<std::uint64_t>(p_.create_settles.count()) + 1))});
    creates_.push_back(made);
    pass_time(now_);
  } else if (const auto* l = std::get_if<command::look_up>(&any)) {
    look_up_owed_ = look_up{l->look, alive_.contains(l->number)};
  } else if (const auto* d = std::get_if<command::destroy>(&any)) {
    if (!s_.doomed && s_.was_ready)
      broken("a runtime with work inside is destroyed without a request");
    destroy_owed_ = d->number;
  } else if (std::holds_alternative<command::pause>(any) || std::holds_alternative<command::wake>(any)) {
    bool falls = std::holds_alternative<command::pause>(any);
    if (!durable_ || !durable_->open || durable_->rests != falls)
      broken("paused or resumed before that was durable");
    if (run_owed_)
      broken("paused or resumed while a run is at work");
    switch_owed_ = falls;
  } else if (std::holds_alternative<command::renew>(any)) {
    if (!s_.open || s_.doomed || s_.now == phase::paused)
      broken("a lease is renewed that nobody needs");
    renewal_owed_ = s_.number;
  } else if (const auto* r = std::get_if<command::start_run>(&any)) {
    if (run_owed_)
      broken("two runs at once against one runtime");
    bool again = last_push_.made && last_push_.made->why == r->why && last_push_.made->target == r->target &&
                 last_push_.on == s_.number;
    last_push_.times = pushes(r->why) && again ? last_push_.times + 1 : 1;
    if (last_push_.times > p_.reconfigures + 1U)
      broken("a configuration was restarted more often than the budget allows");
    if (r->why == nested::purpose::converse)
      check_conversation(*r);
    last_push_.made = *r;
    last_push_.on = s_.number;
    run_owed_ = run{r->number, r->why, r->target, !r->asks_first};
  } else if (const auto* w = std::get_if<command::let_write>(&any)) {
    if (!run_owed_ || run_owed_->number != w->number)
      return broken("a run that is over may write");
    run_owed_->may_write = true;
  } else if (std::holds_alternative<command::stop_run>(any)) {
    if (run_owed_)
      stale_.emplace_back(event::run_confirmed{run_owed_->number, false, false});
    run_owed_.reset();
  } else if (const auto* n = std::get_if<command::record>(&any)) {
    records_.push_back({n->revision, n->kept, s_.run});
  } else if (std::holds_alternative<command::finish>(any)) {
    finished_ = true;
    if (s_.now != phase::destroyed)
      broken("finished before it was destroyed");
  }
}

void world::check(const state& before, const any_event& e) {
  check_truth();
  if (s_.now == phase::ready && before.now != phase::ready && before.now == phase::confirming) {
    if (durable_confirmed_ != s_.observed || durable_confirmed_run_ != before.run || confirmed_run_ != before.run)
      broken("Ready without a durable confirmation of this run");
  }
  if (s_.now == phase::ready && before.now != phase::ready && before.now != phase::confirming &&
      before.now != phase::unreachable)
    broken("Ready out of nowhere");
  if (serving(s_) && (s_.observed == 0 || durable_confirmed_ != s_.observed))
    broken("served without a durable confirmation of what is served");
  if (serving(s_) && asleep_ && s_.now != before.now)
    broken("served while it sleeps");
  if (serving(s_) && told_)
    broken("served although its server is known to be another one");
  if (serving(s_) && before.now == phase::quarantined)
    broken("served out of quarantine");
  if (serving(s_))
    work_inside_ = s_.number;
  if (s_.spoken == talk::failed)
    conversed_.erase(s_.number); // certainly not: asked for again with the next generation
  if (const auto* c = std::get_if<event::configuration_changed>(&e);
      c && c->removes && s_.wanted == c->to && before.wanted < c->to)
    takes_away_ = c->to;
  if (s_.now == phase::ready && s_.update_refused)
    takes_away_ = 0; // refused: what was to be taken away stays
  if (serving(s_) && s_.now != phase::ready && durable_confirmed_ < takes_away_)
    broken("served while an update takes something away");
  bool old =
    p_.lives_at_most && std::holds_alternative<event::tick>(e) && s_.why && s_.why->code == errc::lifetime_over;
  bool proven = std::holds_alternative<event::runtime_gone>(e) || std::holds_alternative<event::switch_failed>(e);
  if (before.was_ready && !before.doomed && s_.doomed && !std::holds_alternative<event::destroy_requested>(e) &&
      !proven && !old)
    broken("given up with work inside");
  if (before.doomed && !s_.doomed)
    broken("came back from its end");
  if (before.now == phase::destroyed && s_.now != phase::destroyed)
    broken("left destroyed");
  if (out_.size() > 8)
    broken("a storm of commands");
}

/// What holds whatever happened, a crash included.
void world::check_truth() {
  if (auto text = inconsistency(s_); !text.empty())
    broken(std::string{text});
  bool may_appear = std::ranges::any_of(creates_, [](const create& c) { return c.takes_effect.has_value(); });
  if (claims_absence(s_.now) && !p_.withdraws && (!alive_.empty() || may_appear))
    broken("absent is claimed while something we own is alive or may yet be");
  if (claims_absence(s_.now) && p_.withdraws && written_ && alive_.contains(s_.number))
    broken("withdrawn is claimed while something of ours is in the server");
  if (p_.withdraws && written_ && !(durable_ && durable_->open && durable_->touched))
    broken("a server that is not ours was written to before that was durable");
  bool resting =
    s_.now == phase::quarantined || s_.now == phase::destroyed || s_.now == phase::queued || s_.now == phase::paused;
  if (!resting && next_due(s_) == never)
    broken("nothing would ever happen again in " + std::string{name_of(s_.now)});
  if (s_.number > p_.replacements.max * 2 + 2 + durable_losses_allowed())
    broken("more creates than the budget allows");
}

void world::check_resumed(const state& before) {
  check_truth();
  if (serving(s_))
    broken("served by a new life before anything was looked at");
  if (requested_ && !s_.doomed)
    broken("an accepted request to end was forgotten");
  if (s_.run <= before.run || s_.fence <= before.fence || s_.revision <= before.revision || s_.look <= before.look)
    broken("a new life uses numbers of an old one");
  if (rests_ && !s_.doomed && s_.now != phase::pausing && s_.now != phase::paused)
    broken("an accepted request to rest was forgotten");
  bool ours = durable_ && durable_->open && work_inside_ == durable_->number;
  if (ours && !s_.doomed && !s_.was_ready)
    broken("a new life does not know that work is inside");
  for (const auto& c : creates_)
    if (!p_.withdraws && (c.takes_effect || alive_.contains(c.number)) && (!s_.open || s_.number != c.number))
      broken("a new life does not know of a create that may live");
}

void world::pass_time(instant to) {
  now_ = std::max(now_, to);
  for (auto& c : creates_)
    if (c.takes_effect && *c.takes_effect <= now_) {
      c.takes_effect.reset();
      alive_.insert(c.number);
      held_ = 0;
      written_ = asleep_ = false;
    }
}

// -- answers --------------------------------------------------------------------------------------

void world::answer_auth() {
  if (kind_ || chance(75)) {
    auth_owed_ = false;
    return feed(event::authenticated{});
  }
  if (chance(50)) {
    auth_owed_ = false;
    return feed(event::auth_failed{
      failure{chance(30) ? errc::auth_refused : errc::provider_unavailable, step::authenticate, "made up", 0, {}}});
  }
  auth_owed_ = false;
  feed(event::child_lost{child::provider_auth});
}

void world::answer_create() {
  auto& c = creates_.back();
  c.answered = true;
  auto number = c.number;
  if (alive_.contains(number) && (kind_ || chance(70)))
    return feed(event::provisioned{number});
  if (!alive_.contains(number) && !c.takes_effect && (kind_ || chance(60))) // certain: nothing was or will be created
    return feed(event::provision_failed{
      number,
      failure{chance(20) ? errc::provision_refused : errc::provision_failed, step::provision, "made up", 0, {}}});
  if (chance(50))
    return feed(event::provision_failed{number, failure{errc::create_unknown, step::provision, "made up", 0, {}}});
  if (auth_owed_ || s_.auth == state::auth_state::none)
    return;
  feed(event::child_lost{child::provider_auth}); // the answer is lost with the child
}

void world::answer_look_up() {
  auto asked = *look_up_owed_; // what was true when it was asked: later truths may be missing from the answer
  look_up_owed_.reset();
  if (kind_ || chance(75))
    return feed(event::sighted{asked.look, asked.present});
  feed(event::look_up_failed{asked.look, failure{errc::provider_unavailable, step::provision, "made up", 0, {}}});
}

void world::answer_destroy() {
  auto number = *destroy_owed_;
  if (kind_ || chance(60)) {
    destroy_owed_.reset();
    alive_.erase(number);
    return feed(event::absence_proven{number});
  }
  destroy_owed_.reset();
  if (chance(30))
    alive_.erase(number); // it worked, and the answer says otherwise
  if (chance(70))
    return feed(event::destroy_failed{number, failure{errc::destroy_failed, step::destroy, "made up", 0, {}}});
  feed(event::child_lost{child::provider_auth});
}

void world::answer_switch() {
  bool falls = *std::exchange(switch_owed_, std::nullopt);
  if (!alive_.contains(s_.number))
    return feed(event::switch_failed{
      s_.number,
      failure{kind_ || chance(50) ? errc::runtime_lost : errc::provider_unavailable, step::ready, {}, 0, {}}});
  bool done = kind_ || chance(70);
  if (done && asleep_ && !falls && chance(50)) { // what wakes up is not always what fell asleep
    held_ = 0;
    another_ = true;
  }
  if (done)
    asleep_ = falls;
  if (kind_ || (done && chance(80)))
    return falls ? feed(event::rested{s_.number}) : feed(event::woke{s_.number});
  if (chance(30))
    return feed(event::child_lost{child::provider_auth});
  auto code = chance(20) ? errc::permission_missing : errc::provider_unavailable;
  feed(event::switch_failed{s_.number, failure{code, step::ready, "made up", 0, {}}});
}

void world::answer_renewal() {
  auto of = *std::exchange(renewal_owed_, std::nullopt);
  if (kind_ || chance(60))
    return feed(event::renewed{of});
  if (chance(50))
    feed(event::renewal_failed{of, failure{errc::provider_unavailable, step::ready, "made up", 0, {}}});
}

void world::answer_run() {
  auto& r = *run_owed_;
  bool mutates = pushes(r.why) || r.why == nested::purpose::withdraw;
  if (!p_.withdraws && (!alive_.contains(s_.number) || asleep_)) {
    auto number = r.number;
    run_owed_.reset();
    return feed(event::run_failed{number, failure{errc::nested_unreachable, step::alive, "made up", 0, {}}});
  }
  if (mutates && !r.told && (kind_ || chance(80))) {
    r.told = true;
    if (r.may_write) { // else it waits
      r.wrote = written_ = true;
      held_ = 0;
    }
    return feed(event::writing{r.number});
  }
  if (r.told && !r.wrote) { // it waited for the word
    r.wrote = written_ = true;
    held_ = 0;
  }
  if (!kind_ && chance(15))
    return feed(event::progressed{r.number, step::secrets, milliseconds{10'000}});
  auto done = r;
  if (kind_ || chance(55)) {
    if (mutates && !done.wrote)
      return; // a push that confirms has written first
    run_owed_.reset();
    if (pushes(done.why)) {
      held_ = done.target;
      confirmed_run_ = done.number;
      another_ = false;
    } else if (done.why == nested::purpose::withdraw) {
      held_ = 0;
      written_ = false;
    }
    bool another = !mutates && another_;
    bool drifted = done.why == nested::purpose::deep_probe && held_ != s_.observed;
    told_ = told_ || another || drifted;
    if (done.why == nested::purpose::converse && !another)
      started_.insert(s_.number);
    bool was_served = s_.now == phase::ready;
    feed(event::run_confirmed{done.number, another, drifted});
    if (s_.now == phase::ready && !was_served && held_ != s_.observed)
      broken("Ready although its server holds something else");
    return;
  }
  run_owed_.reset();
  if (chance(75))
    return feed(event::run_failed{done.number, failure_of(done)});
  feed(event::child_lost{child::configurator});
}

void world::answer_record() {
  auto record = records_.front();
  records_.erase(records_.begin());
  if (!kind_ && chance(15)) {
    if (record.kept.what == note::touched)
      last_push_ = {}; // it is the journal that failed, not the configuration
    if (chance(50))
      feed(event::record_failed{record.revision});
    return; // otherwise never heard of again
  }
  make_durable(record);
  feed(event::recorded{record.revision});
}

void world::make_durable(const pending_record& record) {
  durable_ = record.kept;
  rests_ = record.kept.rests && record.kept.open && !record.kept.doomed;
  if (record.kept.what == note::intent)
    intents_.insert(record.kept.number);
  if (record.kept.what == note::confirmed) {
    told_ = false;
    durable_confirmed_ = record.kept.observed;
    durable_confirmed_run_ = record.run;
  }
}

bool world::answer_something() {
  std::vector<void (world::*)()> possible;
  if (auth_owed_)
    possible.push_back(&world::answer_auth);
  if (!creates_.empty() && !creates_.back().answered)
    possible.push_back(&world::answer_create);
  if (look_up_owed_)
    possible.push_back(&world::answer_look_up);
  if (destroy_owed_)
    possible.push_back(&world::answer_destroy);
  if (switch_owed_)
    possible.push_back(&world::answer_switch);
  if (renewal_owed_)
    possible.push_back(&world::answer_renewal);
  if (run_owed_ && (run_owed_->may_write || !run_owed_->told))
    possible.push_back(&world::answer_run);
  if (!records_.empty())
    possible.push_back(&world::answer_record);
  if (gone_owed_)
    possible.push_back(&world::answer_watch);
  if (possible.empty())
    return false;
  (this->*possible[pick(possible.size())])();
  return true;
}

void world::meddle() {
  switch (pick(11)) {
    case 0:
      if (chance(50)) {
        requested_ = true; // durable before it is accepted
        feed(event::destroy_requested{});
      }
      return;
    case 1:
    case 2: return feed(event::configuration_changed{++wanted_, chance(50)});
    case 3: // the runtime ends by itself
      if (!p_.withdraws && alive_.contains(s_.number)) {
        alive_.erase(s_.number);
        ++losses_;
        feed(event::runtime_gone{s_.number, failure{errc::runtime_exited, step::alive, "made up", 0, {}}});
      }
      return;
    case 7:
      if (objection_to_rest(p_, s_).empty() && chance(50))
        feed(event::pause_requested{});
      return;
    case 8:
    case 9:
      if (objection_to_wake(p_, s_).empty())
        feed(event::resume_requested{});
      return;
    case 4: // the nested server restarts empty
      held_ = 0;
      another_ = true;
      if (!p_.withdraws)
        written_ = false;
      return;
    case 5: // late and doubled answers
      if (!stale_.empty())
        feed(stale_[pick(stale_.size())]);
      return;
    case 6:
      if (s_.look > 1)
        feed(event::sighted{s_.look - 1, chance(50)});
      return;
    default:
      if (s_.run > 0)
        feed(event::run_confirmed{s_.run - 1, chance(50), false});
  }
}

bool world::step() {
  if (finished_ || !violation_.empty())
    return false;
  if (mortal_ && pick(100) < 3) {
    crash();
    return violation_.empty();
  }
  auto dice = pick(100);
  if (dice < 70 && answer_something())
    return true;
  if (dice < 78) {
    meddle();
    return true;
  }
  auto due = next_due(s_);
  if (due != never)
    pass_time(chance(80) ? due : now_ + milliseconds{static_cast<std::int64_t>(pick(500))});
  feed(event::tick{});
  return true;
}

bool world::comes_to_rest(int steps) {
  kind_ = true;
  for (auto& c : creates_)
    if (c.takes_effect)
      c.takes_effect = now_;
  pass_time(now_);
  for (int i = 0; i < steps && violation_.empty(); ++i) {
    bool talks = p_.converses && s_.observed == s_.wanted && s_.spoken <= talk::doubtful;
    bool settled = s_.now == phase::ready && !run_owed_ && !talks && (s_.observed == s_.wanted || s_.update_refused);
    if (finished_ || s_.now == phase::quarantined || s_.now == phase::paused || settled)
      return true;
    if (!answer_something()) {
      pass_time(next_due(s_));
      feed(event::tick{});
    }
  }
  return !violation_.empty();
}

} // namespace nestor::supervision::model
