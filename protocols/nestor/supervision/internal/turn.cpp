#include <nestor/supervision/internal/turn.hpp>

#include <memory>

namespace nestor::supervision {

using nested::purpose;

void turn::retry_after(const backoff_policy& policy, const failure* why) {
  if (why)
    s.obstacle = why->code;
  auto at_least = why && why->retry_after ? *why->retry_after : milliseconds{0};
  arm(timer::retry, backoff(policy, ++s.tries, s.seed, at_least));
}

// -- the journal --------------------------------------------------------------------------------
memo turn::memo_of(note what) const {
  bool asks = what == note::intent; // the create goes out once this is durable
  memo m;
  m.what = what;
  m.number = s.number;
  m.open = s.open || asks;
  m.create_out = s.create_out || asks;
  m.touched = s.touched || what == note::touched;
  m.doomed = s.doomed;
  m.replaced = static_cast<std::uint8_t>(s.replacements.count());
  m.wanted = s.wanted;
  m.observed = what == note::confirmed ? s.run_target : s.observed;
  m.refused = s.update_refused && m.observed != s.wanted;
  m.rests = s.rests;
  m.spoken = what == note::conversing ? talk::asked : s.spoken;
  m.unspoken = s.unspoken;
  if (s.why && (m.refused || m.doomed || what == note::quarantined))
    m.why = std::make_shared<const failure>(*s.why);
  return m;
}

void turn::record(note what) {
  out.push_back(command::record{++s.revision, memo_of(what)});
}
void turn::record_and_await(note what) {
  record(what);
  s.awaited = s.revision;
  arm(timer::retry, record_within);
}

bool turn::is_awaited(std::uint64_t revision) {
  if (s.awaited == 0 || revision != s.awaited)
    return false;
  s.awaited = 0;
  due(timer::retry) = never;
  return true;
}

// -- children -----------------------------------------------------------------------------------
void turn::start_run(purpose why, generation target) {
  ++s.run;
  if (why != purpose::probe && why != purpose::deep_probe && why != purpose::converse)
    ++s.fence;
  s.running = why;
  s.run_target = target;
  s.run_at = step::alive;
  s.touch = 0;
  arm(timer::work, first_word_within);
  bool asks_first = p.withdraws && !s.touched; // a server of somebody else's: first the record, then the write
  out.push_back(command::start_run{why, s.run, target, asks_first});
}

void turn::ask_to_write() {
  s.dirty = true;
  if (!p.withdraws || s.touched)
    return;
  record(note::touched);
  s.touch = s.revision;
}

void turn::end_run() {
  if (s.running == purpose::converse)
    s.spoken = talk::doubtful; // until somebody says better
  s.running.reset();
  s.touch = 0;
  due(timer::work) = never;
}

void turn::stop_run(bool hung) {
  if (s.running) {
    out.push_back(command::stop_run{hung});
    end_run();
  }
}

void turn::heard_from(const event::progressed& word) {
  s.run_at = word.at;
  arm(timer::work, word.silent_for + silence_margin);
}

bool turn::is_current(run_number run) const {
  return s.running && run == s.run;
}

void turn::need_auth() {
  if (s.auth != state::auth_state::none)
    return;
  s.auth = state::auth_state::asked;
  arm(timer::work, authenticate_within);
  out.push_back(command::authenticate{});
}

void turn::release_auth() {
  s.provider_asked = false;
  if (s.auth == state::auth_state::none)
    return;
  s.auth = state::auth_state::none;
  due(timer::work) = never;
  out.push_back(command::release_auth{});
}

// -- towards Ready ------------------------------------------------------------------------------
void turn::authenticate() {
  go(phase::authenticating);
  need_auth();
}

void turn::intend() {
  ++s.number;
  due(timer::work) = never;
  go(phase::intending);
  record_and_await(note::intent);
}

void turn::provision() {
  s.open = s.create_out = true;
  go(phase::provisioning);
  arm(timer::work, p.provision_within);
  out.push_back(command::provision{s.number});
}

void turn::settle() { // the create may or may not have done something: look, until that is known
  go(phase::settling);
  if (due(timer::settle) == never)
    arm(timer::settle, p.create_settles);
  look_up();
}

void turn::look_up() {
  due(timer::retry) = never;
  if (s.auth != state::auth_state::held)
    return need_auth();
  s.provider_asked = true;
  s.last_look = due(timer::settle) <= now; // only what is asked after that can prove absence
  arm(timer::work, look_up_within);
  out.push_back(command::look_up{s.number, ++s.look});
}

void turn::own() { // the runtime is there
  s.create_out = false;
  due(timer::settle) = due(timer::retry) = never;
  release_auth();
  record(note::runtime);
  s.tries = s.reconfigures = 0;
  s.dirty = s.lapsed = s.was_ready = false;
  s.observed = 0;
  s.spoken = talk::none; // another runtime, another conversation
  s.unspoken.reset();
  keep_lease();
  if (p.lives_at_most && due(timer::life) == never)
    arm(timer::life, *p.lives_at_most);
  if (s.doomed)
    return tear_down();
  configure();
}

void turn::configure() {
  due(timer::retry) = never;
  go(phase::configuring);
  start_run(purpose::configure, s.wanted);
}

void turn::update() {
  due(timer::retry) = due(timer::probe) = never;
  s.update_refused = false;
  s.awaited = 0;
  go(phase::updating);
  start_run(purpose::update, s.wanted);
}

void turn::restore() {
  due(timer::retry) = never;
  s.awaited = 0;
  go(phase::restoring);
  start_run(purpose::restore, s.observed);
}

void turn::confirm() {
  go(phase::confirming);
  record_and_await(note::confirmed);
}

void turn::become_ready() {
  if (s.spoken == talk::failed && s.observed != s.run_target)
    s.spoken = talk::none;
  s.observed = s.run_target;
  s.was_ready = true;
  s.dirty = s.lapsed = s.doubted = false;
  s.reconfigures = 0;
  s.tries = 0;
  due(timer::overall) = due(timer::retry) = never;
  s.update_refused = s.observed != s.wanted && s.update_refused;
  s.removing = s.removing && s.observed != s.wanted && !s.update_refused;
  if (!s.update_refused)
    s.why.reset();
  watch();
  if (s.observed != s.wanted && !s.update_refused)
    update();
}

void turn::watch() { // between 75 % and 125 % of the period, so that 100,000 sandboxes do not knock at once
  go(phase::ready);
  auto period = p.probe_every.count();
  auto spread = period / 2;
  auto jitter = spread > 0 ? static_cast<std::int64_t>(next_random(s.seed) % static_cast<std::uint64_t>(spread)) : 0;
  arm(timer::probe, milliseconds{period - spread / 2 + jitter});
  if (due(timer::retry) == never)
    converse();
}

// -- the ladder ---------------------------------------------------------------------------------
void turn::replace_or_give_up(const failure& why) {
  if (s.doomed)
    return tear_down();
  if (helps(why) == rung::give_up || !s.replacements.admit(p.replacements, now))
    return give_up(why);
  s.why = why;
  tear_down();
}

void turn::give_up(const failure& why) {
  if (!s.doomed)
    s.why = why;
  due(timer::overall) = never;
  bool ending = s.now == phase::destroying || s.now == phase::withdrawing; // nothing is left to keep
  if (p.keep_failed && s.open && !s.create_out && !s.requested && !ending) {
    stop_run();
    s.awaited = 0;
    return quarantine(why);
  }
  s.doomed = true;
  if (s.open)
    record(note::doomed);
  tear_down();
}

void turn::quarantine(const failure& why) {
  s.why = why;
  due(timer::retry) = due(timer::probe) = never;
  s.lapsed = s.was_ready; // nothing vouches for what it holds: not served, also not while something newer is pushed
  go(phase::quarantined);
  record(note::quarantined);
}

/// `again` restarts it on the same runtime.
void turn::climb(const failure& why) {
  auto may_restart = helps(why) <= rung::reconfigure && s.reconfigures < p.reconfigures;
  if (may_restart) {
    ++s.reconfigures;
    if (!s.update_refused)
      s.why = why;
    return retry_after(reconfigure_backoff, &why);
  }
  if (!s.was_ready)
    return replace_or_give_up(why);
  climb_with_work_inside(why);
}

void turn::climb_with_work_inside(const failure& why) {
  s.reconfigures = 0;
  s.tries = 0;
  if (s.now == phase::updating && s.observed != 0) {
    s.why = why;
    s.update_refused = true;
    return restore();
  }
  if (unanswered(why)) {
    s.dirty = true; // whatever it holds, it must be pushed again before it is served
    if (!s.update_refused)
      s.why = why;
    return lose_sight();
  }
  quarantine(why);
}

bool turn::unanswered(const failure& why) {
  return why.code == errc::nested_unreachable || why.code == errc::nested_timeout || why.code == errc::alive_timeout ||
         why.code == errc::name_unresolved;
}

void turn::lose_sight() {
  s.doubted = s.observed != 0; // unseen it may have restarted, too soon after its push for its clock to tell
  go(phase::unreachable);
  s.awaited = 0;
  due(timer::probe) = never;
  retry_after(endless_backoff);
}

// -- leaving: whatever we own, or may come to own, is gone before we say so ---------------------
void turn::tear_down() {
  if (s.create_out)
    return; // an answer is owed: it is waited for and looked for; what it brings is destroyed then
  stop_run();
  due(timer::probe) = due(timer::retry) = never;
  s.awaited = 0;
  s.tries = 0;
  s.rests = false;
  if (!s.open)
    return absence();
  due(timer::lease) = never;
  if (!p.withdraws) {
    go(phase::destroying);
    return destroy();
  }
  if (!s.touched)
    return gone();
  go(phase::withdrawing);
  withdraw();
}

void turn::destroy() {
  due(timer::retry) = never;
  if (s.auth != state::auth_state::held)
    return need_auth();
  s.provider_asked = true;
  arm(timer::work, p.destroy_within);
  out.push_back(command::destroy{s.number});
}

void turn::withdraw() {
  due(timer::retry) = never;
  start_run(purpose::withdraw, 0);
}

void turn::gone() { // proven: nothing of this attempt is left
  s.obstacle.reset();
  s.open = s.create_out = s.touched = s.dirty = s.lapsed = s.doubted = s.was_ready = s.rests = s.leased = false;
  s.observed = 0;
  s.spoken = talk::none;
  s.awaited = 0;
  due(timer::lease) = due(timer::settle) = due(timer::work) = due(timer::retry) = due(timer::probe) = never;
  absence();
}

void turn::absence() {
  stop_run();
  release_auth();
  s.tries = 0;
  if (s.doomed) {
    due(timer::overall) = due(timer::life) = never;
    go(phase::closing);
    return record_and_await(note::closed);
  }
  record(note::absent);
  go(phase::backing_off);
  auto at_least = s.why && s.why->retry_after ? *s.why->retry_after : milliseconds{0};
  arm(timer::retry, backoff(replace_backoff, s.replacements.count(), s.seed, at_least));
}

void turn::lost(const failure& why) {
  stop_run();
  bool served = s.was_ready || s.now == phase::quarantined;
  if (s.doomed || s.now == phase::destroying || s.now == phase::withdrawing)
    return gone();
  s.why = why;
  if (!served) {
    if (helps(why) == rung::give_up || !s.replacements.admit(p.replacements, now))
      s.doomed = true;
    return gone();
  }
  if (!p.replace_lost || !s.replacements.admit(p.replacements, now))
    s.doomed = true;
  else
    arm(timer::overall, p.ready_within);
  gone();
}

} // namespace nestor::supervision
