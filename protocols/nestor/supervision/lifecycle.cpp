#include <nestor/supervision/lifecycle.hpp>

#include <nestor/supervision/internal/turn.hpp>

#include <algorithm>
#include <utility>

namespace nestor::supervision {
namespace {

using nested::purpose;

failure silent(step at, std::string_view who) {
  return failure{errc::child_silent, at, std::string{who} + " did not answer", 0, {}};
}
failure crashed(step at, std::string_view who) {
  return failure{errc::child_crashed, at, std::string{who} + " ended without an answer", 0, {}};
}

// -- one function per phase: every event of that phase in one place -------------------------------

void queued(turn t, const any_event& e) {
  if (as<event::enqueued>(e))
    return t.arm(timer::overall, t.p.queue_within);
  if (as<event::started>(e)) {
    t.arm(timer::overall, t.p.ready_within);
    return t.authenticate();
  }
  t.ignore();
}

void authenticating(turn t, const any_event& e) {
  if (as<event::authenticated>(e) && t.s.auth == state::auth_state::asked) {
    t.s.auth = state::auth_state::held;
    return t.intend();
  }
  if (const auto* x = as<event::auth_failed>(e); x && t.s.auth == state::auth_state::asked)
    return t.release_auth(), t.replace_or_give_up(x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth)
    return t.release_auth(), t.replace_or_give_up(crashed(step::authenticate, "PROVIDER_AUTH"));
  if (as<event::tick>(e) && t.passed(timer::work))
    return t.release_auth(), t.replace_or_give_up(silent(step::authenticate, "PROVIDER_AUTH"));
  t.ignore();
}

void intending(turn t, const any_event& e) {
  if (const auto* x = as<event::recorded>(e); x && t.is_awaited(x->revision)) {
    if (t.s.auth != state::auth_state::held) { // lost meanwhile; nothing was created under this number
      --t.s.number;
      return t.authenticate();
    }
    t.s.tries = 0;
    return t.provision();
  }
  if (const auto* x = as<event::record_failed>(e); x && t.is_awaited(x->revision))
    return t.retry_after(endless_backoff);
  if (as<event::tick>(e) && t.passed(timer::retry))
    return t.record_and_await(note::intent);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth) {
    t.s.auth = state::auth_state::none;
    return;
  }
  t.ignore();
}

void provisioning(turn t, const any_event& e) {
  if (const auto* x = as<event::provisioned>(e); x && x->of == t.s.number)
    return t.own();
  if (const auto* x = as<event::provision_failed>(e); x && x->of == t.s.number) {
    if (x->why.code == errc::create_unknown)
      return t.s.why = x->why, t.settle();
    t.s.open = t.s.create_out = false;
    return t.release_auth(), t.replace_or_give_up(x->why);
  }
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth) {
    t.s.auth = state::auth_state::none;
    t.s.why = crashed(step::provision, "PROVIDER_AUTH");
    return t.settle();
  }
  if (as<event::tick>(e) && t.passed(timer::work)) {
    t.s.why = silent(step::provision, "PROVIDER_AUTH");
    return t.settle(); // its answer may still come; meanwhile it is looked for
  }
  t.ignore();
}

void settling(turn t, const any_event& e) {
  auto try_later = [&](const failure* why) { t.release_auth(), t.retry_after(endless_backoff, why); };
  if (const auto* x = as<event::provisioned>(e); x && x->of == t.s.number)
    return t.own();
  if (const auto* x = as<event::sighted>(e); x && x->look == t.s.look && t.s.provider_asked) {
    t.s.provider_asked = false;
    t.due(timer::work) = never;
    if (x->present)
      return t.own();
    if (!t.s.last_look)
      return t.arm(timer::retry,
                   std::clamp(std::chrono::ceil<milliseconds>(t.due(timer::settle) - t.now), 1ms, look_up_every));
    t.s.open = t.s.create_out = false;
    t.due(timer::settle) = never;
    return t.release_auth(), t.replace_or_give_up(t.s.why.value_or(
                               failure{errc::create_unknown, step::provision, "it was not created", 0, {}}));
  }
  if (as<event::authenticated>(e) && t.s.auth == state::auth_state::asked)
    return t.s.auth = state::auth_state::held, t.look_up();
  if (const auto* x = as<event::auth_failed>(e); x && t.s.auth == state::auth_state::asked)
    return try_later(&x->why);
  if (const auto* x = as<event::look_up_failed>(e); x && x->look == t.s.look && t.s.provider_asked)
    return try_later(&x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth)
    return try_later(nullptr);
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return try_later(nullptr);
    if (t.passed(timer::retry))
      return t.look_up();
    return; // `settle` only opens a door that the next look-up goes through
  }
  t.ignore();
}

/// configuring, updating, restoring: a CONFIGURATOR is at work, or waits to be started again.
void pushing(turn t, const any_event& e) {
  auto again = [&] {
    if (t.s.now == phase::restoring)
      return t.restore();
    return t.s.now == phase::updating ? t.update() : t.configure();
  };
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.heard_from(*x);
  if (const auto* x = as<event::writing>(e); x && t.is_current(x->of))
    return t.ask_to_write();
  if (const auto* x = as<event::recorded>(e); x && t.s.touch != 0 && x->revision == t.s.touch) {
    t.s.touched = true;
    t.s.touch = 0;
    return t.out.push_back(command::let_write{t.s.run});
  }
  if (const auto* x = as<event::record_failed>(e); x && t.s.touch != 0 && x->revision == t.s.touch)
    return t.stop_run(), t.retry_after(endless_backoff);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of))
    return t.end_run(), t.confirm();
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return t.end_run(), t.climb(x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), t.climb(crashed(t.s.run_at, "CONFIGURATOR"));
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(true), t.climb(silent(t.s.run_at, "CONFIGURATOR"));
    if (t.passed(timer::retry))
      return again();
    return;
  }
  if (as<event::configuration_changed>(e)) { // begin again with the newest
    t.stop_run();
    t.s.reconfigures = 0;
    t.s.tries = 0;
    return t.s.observed != 0 ? t.update() : t.configure();
  }
  t.ignore();
}

void confirming(turn t, const any_event& e) {
  if (const auto* x = as<event::recorded>(e); x && t.is_awaited(x->revision))
    return t.become_ready();
  if (const auto* x = as<event::record_failed>(e); x && t.is_awaited(x->revision))
    return t.retry_after(endless_backoff);
  if (as<event::tick>(e) && t.passed(timer::retry))
    return t.record_and_await(note::confirmed);
  if (as<event::configuration_changed>(e))
    return; // `wanted` is newer now: Ready with what is confirmed, then updated at once
  t.ignore();
}

/// It was confirmed, and is served or was until it went out of sight.
bool changes_rest(turn t, const any_event& e) {
  if (as<event::pause_requested>(e))
    return t.fall_asleep(), true;
  if (as<event::resume_requested>(e)) // it may sleep without our knowing: a pause that was given up came through
    return t.s.now == phase::unreachable ? (t.stop_run(), t.wake_up(), true) : true;
  return false;
}

void ready(turn t, const any_event& e) {
  auto probe_result = [&](auto&& proceed) {
    t.end_run();
    proceed();
  };
  auto push_again = [&] {
    t.s.dirty = t.s.lapsed = true;
    t.s.reconfigures = 0;
    t.due(timer::probe) = never;
    t.s.observed != t.s.wanted && !t.s.update_refused ? t.update() : t.restore();
  };
  if (changes_rest(t, e) || conversing(t, e))
    return;
  if (as<event::configuration_changed>(e)) {
    t.stop_run();
    t.s.reconfigures = 0;
    return t.update();
  }
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.heard_from(*x);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of))
    return probe_result([&] { x->another_server || x->drifted ? push_again() : t.watch(); });
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return probe_result([&] {
      if (!turn::unanswered(x->why))
        return push_again(); // it answers, but not as one that holds what was confirmed
      if (!t.s.update_refused)
        t.s.why = x->why;
      t.lose_sight();
    });
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return probe_result([&] { t.watch(); });
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(true), t.watch();
    if (t.passed(timer::probe))
      return t.start_run(++t.s.probes % deep_probe_every == 0 ? purpose::deep_probe : purpose::probe, t.s.observed);
    return;
  }
  t.ignore();
}

void unreachable(turn t, const any_event& e) {
  auto keep_asking = [&] { t.retry_after(endless_backoff); };
  auto push = [&] {
    if (t.s.observed != t.s.wanted && !t.s.update_refused)
      return t.update();
    return t.s.observed != 0 ? t.restore() : t.configure();
  };
  if (changes_rest(t, e))
    return;
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.heard_from(*x);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of)) {
    t.end_run();
    t.s.tries = 0;
    t.s.doubted = false;
    t.s.dirty = t.s.lapsed = t.s.dirty || x->another_server || x->drifted;
    if (t.s.dirty || (t.s.observed != t.s.wanted && !t.s.update_refused))
      return push();
    if (!t.s.update_refused)
      t.s.why.reset();
    return t.watch();
  }
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of)) {
    t.end_run();
    if (!t.s.doubted || turn::unanswered(x->why))
      return keep_asking();
    t.s.doubted = false; // it answers, but cannot show that it holds what was confirmed
    t.s.dirty = t.s.lapsed = true;
    return push();
  }
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), keep_asking();
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(true), keep_asking();
    if (t.passed(timer::retry))
      return t.start_run(t.s.doubted ? purpose::deep_probe : purpose::probe, t.s.observed);
    return;
  }
  if (as<event::configuration_changed>(e))
    return void(t.s.update_refused = false); // pushed as soon as the server answers
  t.ignore();
}

void quarantined(turn t, const any_event& e) {
  if (as<event::configuration_changed>(e)) {
    t.s.reconfigures = 0;
    t.s.tries = 0;
    t.s.update_refused = false;
    return t.s.observed != 0 ? t.update() : t.configure();
  }
  if (!as<event::tick>(e))
    t.ignore();
}

void destroying(turn t, const any_event& e) {
  auto try_later = [&](const failure* why) { t.release_auth(), t.retry_after(endless_backoff, why); };
  if (const auto* x = as<event::absence_proven>(e); x && x->of == t.s.number)
    return t.gone();
  if (as<event::authenticated>(e) && t.s.auth == state::auth_state::asked)
    return t.s.auth = state::auth_state::held, t.destroy();
  if (const auto* x = as<event::auth_failed>(e); x && t.s.auth == state::auth_state::asked)
    return try_later(&x->why);
  if (const auto* x = as<event::destroy_failed>(e); x && x->of == t.s.number && t.s.provider_asked)
    return try_later(&x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth)
    return try_later(nullptr);
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return try_later(nullptr);
    if (t.passed(timer::retry))
      return t.destroy();
    return;
  }
  t.ignore();
}

void withdrawing(turn t, const any_event& e) {
  auto try_later = [&](const failure* why) { t.retry_after(endless_backoff, why); };
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.heard_from(*x);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of))
    return t.end_run(), t.gone();
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return t.end_run(), try_later(&x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), try_later(nullptr);
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(true), try_later(nullptr);
    if (t.passed(timer::retry))
      return t.withdraw();
    return;
  }
  if (!as<event::writing>(e))
    t.ignore();
}

void backing_off(turn t, const any_event& e) {
  if (as<event::tick>(e) && t.passed(timer::retry))
    return t.authenticate();
  t.ignore();
}

void closing(turn t, const any_event& e) {
  if (const auto* x = as<event::recorded>(e); x && t.is_awaited(x->revision)) {
    t.go(phase::destroyed);
    t.out.push_back(command::finish{});
    return;
  }
  if (const auto* x = as<event::record_failed>(e); x && t.is_awaited(x->revision))
    return t.retry_after(endless_backoff);
  if (as<event::tick>(e) && t.passed(timer::retry))
    return t.record_and_await(note::closed);
  t.ignore();
}

// -- what may happen in any phase -----------------------------------------------------------------

bool leaving(phase p) {
  return p == phase::destroying || p == phase::withdrawing || p == phase::closing || p == phase::destroyed;
}

void on_destroy(turn t) {
  if (t.s.now == phase::destroyed)
    return t.ignore();
  t.s.requested = true;
  bool already = t.s.doomed;
  t.s.doomed = true;
  t.due(timer::overall) = never;
  if (already || leaving(t.s.now))
    return; // it is on its way; `requested` only changes what people read
  t.tear_down();
}

/// The specification asked for it: as if a person had.
void on_life_over(turn t) {
  if (t.s.doomed)
    return;
  t.s.why = failure{errc::lifetime_over,
                    step_of(t.s.now),
                    "policy.max_lifetime: " + std::to_string(t.p.lives_at_most->count()) + " ms have passed",
                    0,
                    {}};
  t.s.requested = t.s.doomed = true;
  t.due(timer::overall) = never;
  if (t.s.open)
    t.record(note::doomed);
  t.tear_down();
}

void on_overall(turn t) {
  if (t.s.now == phase::queued)
    return t.give_up(failure{errc::queue_timeout,
                             step::queue,
                             "not started within " + std::to_string(t.p.queue_within.count()) + " ms",
                             0,
                             {}});
  std::string cause = "not Ready within " + std::to_string(t.p.ready_within.count()) + " ms";
  auto at = t.s.running ? t.s.run_at : step_of(t.s.now);
  if (t.s.why) {
    cause += "; last failure: " + to_string(*t.s.why);
    at = t.s.running ? at : t.s.why->at; // between two tries
  }
  t.give_up(failure{errc::deadline_exceeded, at, std::move(cause), 0, {}});
}

void dispatch(turn t, const any_event& e) {
  switch (t.s.now) { // no default: a new phase must be answered here
    case phase::queued: return queued(t, e);
    case phase::authenticating: return authenticating(t, e);
    case phase::intending: return intending(t, e);
    case phase::provisioning: return provisioning(t, e);
    case phase::settling: return settling(t, e);
    case phase::configuring:
    case phase::updating:
    case phase::restoring: return pushing(t, e);
    case phase::confirming: return confirming(t, e);
    case phase::ready: return ready(t, e);
    case phase::unreachable: return unreachable(t, e);
    case phase::quarantined: return quarantined(t, e);
    case phase::pausing:
    case phase::resuming: return switching(t, e);
    case phase::paused: return paused(t, e);
    case phase::destroying: return destroying(t, e);
    case phase::withdrawing: return withdrawing(t, e);
    case phase::backing_off: return backing_off(t, e);
    case phase::closing: return closing(t, e);
    case phase::destroyed:
    case phase::count_: break;
  }
  t.ignore();
}

} // namespace

void feed(const policy& p, state& s, const any_event& e, instant now, std::vector<any_command>& out) {
  turn t{p, s, now, out};
  if (as<event::destroy_requested>(e))
    return on_destroy(t);
  if (const auto* x = as<event::configuration_changed>(e)) {
    if (s.doomed || x->to <= s.wanted)
      return t.ignore();
    s.wanted = x->to;
    s.removing = s.removing || x->removes;
    s.update_refused = false;
    if (s.now < phase::configuring || s.now == phase::backing_off)
      return; // the first push takes the newest
  }
  if (const auto* x = as<event::runtime_gone>(e)) {
    if (x->of != s.number || !s.open || s.create_out)
      return t.ignore();
    return t.lost(x->why);
  }
  if (const auto* x = as<event::renewed>(e))
    return x->of == s.number && s.open && !s.doomed ? t.keep_lease() : t.ignore();
  if (const auto* x = as<event::renewal_failed>(e)) {
    if (x->of != s.number || !s.open)
      return t.ignore();
    s.leased = false; // asked again in time
    return;
  }
  if (as<event::tick>(e)) {
    if (t.passed(timer::overall))
      on_overall(t);
    if (t.passed(timer::life))
      on_life_over(t);
    if (t.passed(timer::lease))
      t.renew();
  }
  dispatch(t, e);
}

instant next_due(const state& s) {
  auto due = s.due;
  due[static_cast<std::size_t>(timer::settle)] = never; // it wakes nobody: the next look-up finds it passed
  return *std::ranges::min_element(due);
}

bool serving(const state& s) {
  if (s.doomed || !s.was_ready || s.observed == 0)
    return false;
  if (s.now == phase::ready)
    return true;
  bool live_change = s.now == phase::updating || s.now == phase::restoring;
  return live_change && !s.removing && !s.lapsed;
}

std::string_view inconsistency(const state& s) {
  if (s.create_out && !s.open)
    return "an answer is owed for a create that is not open";
  if ((s.now == phase::backing_off || s.now == phase::closing || s.now == phase::destroyed) && s.open)
    return "absence is claimed while a create is open";
  if (s.create_out && s.now != phase::provisioning && s.now != phase::settling)
    return "an answer is owed that nobody waits for";
  if (s.running && s.auth != state::auth_state::none)
    return "both children are at work";
  if (s.now == phase::ready && (s.observed == 0 || !s.was_ready || s.dirty || s.doubted))
    return "Ready without a confirmation";
  bool asleep = s.now == phase::pausing || s.now == phase::paused || s.now == phase::resuming;
  if (asleep && (!s.open || s.running || s.doomed || s.rests == (s.now == phase::resuming)))
    return "it rests while something else is done with it";
  if (s.now == phase::destroyed && !s.doomed)
    return "destroyed without being doomed";
  return {};
}

step step_of(phase p) {
  switch (p) {
    case phase::queued: return step::queue;
    case phase::authenticating: return step::authenticate;
    case phase::intending:
    case phase::provisioning:
    case phase::settling:
    case phase::backing_off: return step::provision;
    case phase::configuring:
    case phase::updating:
    case phase::restoring: return step::settings;
    case phase::confirming:
    case phase::ready:
    case phase::unreachable:
    case phase::quarantined:
    case phase::pausing:
    case phase::paused:
    case phase::resuming: return step::ready;
    case phase::destroying:
    case phase::withdrawing: return step::destroy;
    case phase::closing:
    case phase::destroyed:
    case phase::count_: break;
  }
  return step::absent;
}

std::string_view name_of(phase p) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(phase::count_)> names{
    "queued",    "authenticating", "intending",   "provisioning", "settling",    "configuring", "updating",
    "restoring", "confirming",     "ready",       "unreachable",  "quarantined", "pausing",     "paused",
    "resuming",  "destroying",     "withdrawing", "backing_off",  "closing",     "destroyed"};
  static_assert(!names.back().empty());
  return names.at(static_cast<std::size_t>(p));
}

std::string_view name_of(note n) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(note::count_)> names{
    "intent",   "runtime", "touched", "confirmed", "quarantined", "pausing",  "paused",
    "resuming", "doomed",  "absent",  "closed",    "conversing",  "conversed"};
  static_assert(!names.back().empty());
  return names.at(static_cast<std::size_t>(n));
}

std::string_view name_of(talk t) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(talk::count_)> names{"none",    "asked",  "doubtful",
                                                                                       "started", "failed", "unknown"};
  static_assert(!names.back().empty());
  return names.at(static_cast<std::size_t>(t));
}

} // namespace nestor::supervision
