#include <nestor/supervision/lifecycle.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <utility>

namespace nestor::supervision {
namespace {

using nested::purpose;

// -- limits ---------------------------------------------------------------------------------------
// A proof of a credential is one cheap call; 15 s is its time-out with room for a queue.
constexpr milliseconds authenticate_within{15'000};
// The first word of a CONFIGURATOR comes with its first request; it has nothing to wait for.
constexpr milliseconds first_word_within{30'000};
// What a child may be late beyond what it announced: a scheduler hiccup, a stopped VM.
constexpr milliseconds silence_margin{5'000};
// A look-up for an unknown create is one or a few pages.
constexpr milliseconds look_up_within{30'000};
// Between look-ups for an unknown create: list lag at providers is seconds.
constexpr milliseconds look_up_every{1'000};
// A commit waits for the disk; longer than this it is written again under a new revision.
constexpr milliseconds record_within{10'000};
// Replacing a runtime: the first at once-ish, later ones leave a sick provider alone.
constexpr backoff_policy replace_backoff{200ms, 30'000ms};
// Restarting a configuration on the same runtime: its steps were retried already.
constexpr backoff_policy reconfigure_backoff{200ms, 5'000ms};
// Whatever is repeated without limit (destroy, withdraw, unreachable, journal): at most once a minute in the end.
constexpr backoff_policy endless_backoff{250ms, 60'000ms};
// Every tenth probe reads the configuration back.
constexpr std::uint32_t deep_probe_every = 10;

template <class Event>
const Event* as(const any_event& e) {
  return std::get_if<Event>(&e);
}

/// One transition being made: the machine, its policy, the clock's word and the commands so far.
struct turn {
  const policy& p;
  state& s;
  instant now;
  std::vector<any_command>& out;

  instant& due(timer t) { return s.due[static_cast<std::size_t>(t)]; }
  bool passed(timer t) { return due(t) <= now && (due(t) = never, true); }
  void arm(timer t, milliseconds after) { due(t) = now + after; }
  void go(phase next) { s.now = next; }
  void ignore() { ++s.ignored; }

  void retry_after(const backoff_policy& policy, const failure* why = nullptr) {
    if (why)
      s.obstacle = why->code;
    auto at_least = why && why->retry_after ? *why->retry_after : milliseconds{0};
    arm(timer::retry, backoff(policy, ++s.tries, s.seed, at_least));
  }

  // -- the journal --------------------------------------------------------------------------------
  void record(note what) { out.push_back(command::record{++s.revision, what}); }
  void record_and_await(note what) {
    record(what);
    s.awaited = s.revision;
    arm(timer::retry, record_within);
  }
  bool is_awaited(std::uint64_t revision) {
    if (s.awaited == 0 || revision != s.awaited)
      return false;
    s.awaited = 0;
    due(timer::retry) = never;
    return true;
  }

  // -- children -----------------------------------------------------------------------------------
  void start_run(purpose why, generation target) {
    ++s.run;
    if (why != purpose::probe && why != purpose::deep_probe)
      ++s.fence;
    s.running = why;
    s.run_target = target;
    arm(timer::work, first_word_within);
    out.push_back(command::start_run{why, s.run, target});
  }
  void end_run() {
    s.running.reset();
    due(timer::work) = never;
  }
  void stop_run() {
    if (s.running) {
      out.push_back(command::stop_run{});
      end_run();
    }
  }
  bool is_current(run_number run) { return s.running && run == s.run; }

  void need_auth() {
    if (s.auth != state::auth_state::none)
      return;
    s.auth = state::auth_state::asked;
    arm(timer::work, authenticate_within);
    out.push_back(command::authenticate{});
  }
  void release_auth() {
    s.provider_asked = false;
    if (s.auth == state::auth_state::none)
      return;
    s.auth = state::auth_state::none;
    due(timer::work) = never;
    out.push_back(command::release_auth{});
  }

  // -- towards Ready ------------------------------------------------------------------------------
  void authenticate() {
    go(phase::authenticating);
    need_auth();
  }
  void intend() {
    ++s.number;
    due(timer::work) = never;
    go(phase::intending);
    record_and_await(note::intent);
  }
  void provision() {
    s.open = s.create_out = true;
    go(phase::provisioning);
    arm(timer::work, p.provision_within);
    out.push_back(command::provision{s.number});
  }
  void settle() { // the create may or may not have done something: look, until that is known
    go(phase::settling);
    if (due(timer::settle) == never)
      arm(timer::settle, p.create_settles);
    look_up();
  }
  void look_up() {
    due(timer::retry) = never;
    if (s.auth != state::auth_state::held)
      return need_auth();
    s.provider_asked = true;
    s.last_look = due(timer::settle) <= now; // only what is asked after that can prove absence
    arm(timer::work, look_up_within);
    out.push_back(command::look_up{s.number, ++s.look});
  }
  void own() { // the runtime is there
    s.create_out = false;
    due(timer::settle) = due(timer::retry) = never;
    release_auth();
    record(note::runtime);
    s.tries = s.reconfigures = 0;
    s.touched = s.dirty = s.lapsed = s.was_ready = false;
    s.observed = 0;
    if (s.doomed)
      return tear_down();
    configure();
  }
  void configure() {
    due(timer::retry) = never;
    go(phase::configuring);
    start_run(purpose::configure, s.wanted);
  }
  void update() {
    due(timer::retry) = due(timer::probe) = never;
    s.update_refused = false;
    go(phase::updating);
    start_run(purpose::update, s.wanted);
  }
  void restore() {
    due(timer::retry) = never;
    go(phase::restoring);
    start_run(purpose::restore, s.observed);
  }
  void confirm() {
    go(phase::confirming);
    record_and_await(note::confirmed);
  }
  void become_ready() {
    s.observed = s.run_target;
    s.was_ready = true;
    s.dirty = s.lapsed = false;
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
  void watch() { // between 75 % and 125 % of the period, so that 100,000 sandboxes do not knock at once
    go(phase::ready);
    auto period = p.probe_every.count();
    auto spread = period / 2;
    auto jitter = spread > 0 ? static_cast<std::int64_t>(next_random(s.seed) % static_cast<std::uint64_t>(spread)) : 0;
    arm(timer::probe, milliseconds{period - spread / 2 + jitter});
  }

  // -- the ladder ---------------------------------------------------------------------------------
  void replace_or_give_up(const failure& why) {
    if (s.doomed)
      return tear_down();
    if (helps(why) == rung::give_up || !s.replacements.admit(p.replacements, now))
      return give_up(why);
    s.why = why;
    tear_down();
  }
  void give_up(const failure& why) {
    if (!s.doomed)
      s.why = why;
    due(timer::overall) = never;
    if (p.keep_failed && s.open && !s.create_out && !s.requested) {
      stop_run();
      s.awaited = 0;
      return quarantine(why);
    }
    s.doomed = true;
    tear_down();
  }
  void quarantine(const failure& why) {
    s.why = why;
    due(timer::retry) = due(timer::probe) = never;
    go(phase::quarantined);
  }
  /// A push failed. `again` restarts it on the same runtime.
  void climb(const failure& why) {
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
  void climb_with_work_inside(const failure& why) {
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
  static bool unanswered(const failure& why) {
    return why.code == errc::nested_unreachable || why.code == errc::nested_timeout ||
           why.code == errc::alive_timeout || why.code == errc::name_unresolved;
  }
  void lose_sight() {
    go(phase::unreachable);
    due(timer::probe) = never;
    retry_after(endless_backoff);
  }

  // -- leaving: whatever we own, or may come to own, is gone before we say so ---------------------
  void tear_down() {
    if (s.create_out)
      return; // an answer is owed: it is waited for and looked for; what it brings is destroyed then
    stop_run();
    due(timer::probe) = due(timer::retry) = never;
    s.awaited = 0;
    s.tries = 0;
    if (!s.open)
      return absence();
    if (!p.withdraws) {
      go(phase::destroying);
      return destroy();
    }
    if (!s.touched)
      return gone();
    go(phase::withdrawing);
    withdraw();
  }
  void destroy() {
    due(timer::retry) = never;
    if (s.auth != state::auth_state::held)
      return need_auth();
    s.provider_asked = true;
    arm(timer::work, p.destroy_within);
    out.push_back(command::destroy{s.number});
  }
  void withdraw() {
    due(timer::retry) = never;
    start_run(purpose::withdraw, 0);
  }
  void gone() { // proven: nothing of this attempt is left
    s.obstacle.reset();
    s.open = s.create_out = s.touched = s.dirty = s.lapsed = s.was_ready = false;
    s.observed = 0;
    s.awaited = 0;
    due(timer::settle) = due(timer::work) = due(timer::retry) = due(timer::probe) = never;
    absence();
  }
  void absence() {
    stop_run();
    release_auth();
    s.tries = 0;
    if (s.doomed) {
      due(timer::overall) = never;
      go(phase::closing);
      return record_and_await(note::closed);
    }
    record(note::absent);
    go(phase::backing_off);
    auto at_least = s.why && s.why->retry_after ? *s.why->retry_after : milliseconds{0};
    arm(timer::retry, backoff(replace_backoff, s.replacements.count(), s.seed, at_least));
  }
  /// The provider proves that the runtime ended by itself.
  void lost(const failure& why) {
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
};

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
    return t.settle();
  }
  if (as<event::tick>(e) && t.passed(timer::work))
    return t.settle(); // its answer may still come; meanwhile it is looked for
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
    return t.arm(timer::work, x->silent_for + silence_margin);
  if (const auto* x = as<event::writing>(e); x && t.is_current(x->of)) {
    t.s.dirty = true;
    return;
  }
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of))
    return t.end_run(), t.confirm();
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return t.end_run(), t.climb(x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), t.climb(crashed(step::settings, "CONFIGURATOR"));
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(), t.climb(silent(step::settings, "CONFIGURATOR"));
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
  if (as<event::configuration_changed>(e)) {
    t.stop_run();
    t.s.reconfigures = 0;
    return t.update();
  }
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.arm(timer::work, x->silent_for + silence_margin);
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
      return t.stop_run(), t.watch();
    if (t.passed(timer::probe))
      return t.start_run(++t.s.probes % deep_probe_every == 0 ? purpose::deep_probe : purpose::probe, t.s.observed);
    return;
  }
  t.ignore();
}

void unreachable(turn t, const any_event& e) {
  auto keep_asking = [&] { t.retry_after(endless_backoff); };
  if (const auto* x = as<event::progressed>(e); x && t.is_current(x->of))
    return t.arm(timer::work, x->silent_for + silence_margin);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of)) {
    t.end_run();
    t.s.tries = 0;
    t.s.dirty = t.s.lapsed = t.s.dirty || x->another_server || x->drifted;
    if (t.s.observed != t.s.wanted && !t.s.update_refused)
      return t.update();
    if (t.s.dirty)
      return t.s.observed != 0 ? t.restore() : t.configure();
    if (!t.s.update_refused)
      t.s.why.reset();
    return t.watch();
  }
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return t.end_run(), keep_asking();
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), keep_asking();
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(), keep_asking();
    if (t.passed(timer::retry))
      return t.start_run(purpose::probe, t.s.observed);
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
    return t.arm(timer::work, x->silent_for + silence_margin);
  if (const auto* x = as<event::run_confirmed>(e); x && t.is_current(x->of))
    return t.end_run(), t.gone();
  if (const auto* x = as<event::run_failed>(e); x && t.is_current(x->of))
    return t.end_run(), try_later(&x->why);
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::configurator && t.s.running)
    return t.end_run(), try_later(nullptr);
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return t.stop_run(), try_later(nullptr);
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
    case phase::quarantined: return step::ready;
    case phase::destroying:
    case phase::withdrawing: return step::destroy;
    case phase::closing:
    case phase::destroyed:
    case phase::count_: break;
  }
  return step::absent;
}

void on_overall(turn t) {
  if (t.s.now == phase::queued)
    return t.give_up(failure{errc::queue_timeout,
                             step::queue,
                             "not started within " + std::to_string(t.p.queue_within.count()) + " ms",
                             0,
                             {}});
  std::string cause = "not Ready within " + std::to_string(t.p.ready_within.count()) + " ms";
  if (t.s.why)
    cause += "; last failure: " + to_string(*t.s.why);
  t.give_up(failure{errc::deadline_exceeded, step_of(t.s.now), std::move(cause), 0, {}});
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
  if (as<event::writing>(e) && s.open)
    s.touched = true; // even from a run that was given up: it wrote
  if (const auto* x = as<event::runtime_gone>(e)) {
    if (x->of != s.number || !s.open || s.create_out)
      return t.ignore();
    return t.lost(x->why);
  }
  if (as<event::tick>(e) && t.passed(timer::overall))
    on_overall(t);
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
  if (s.now == phase::ready && (s.observed == 0 || !s.was_ready || s.dirty))
    return "Ready without a confirmation";
  if (s.now == phase::destroyed && !s.doomed)
    return "destroyed without being doomed";
  return {};
}

std::string_view name_of(phase p) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(phase::count_)> names{
    "queued",     "authenticating", "intending",   "provisioning", "settling",    "configuring",
    "updating",   "restoring",      "confirming",  "ready",        "unreachable", "quarantined",
    "destroying", "withdrawing",    "backing_off", "closing",      "destroyed"};
  static_assert(!names.back().empty());
  return names.at(static_cast<std::size_t>(p));
}

std::string_view name_of(note n) {
  constexpr std::array<std::string_view, 5> names{"intent", "runtime", "confirmed", "absent", "closed"};
  return names.at(static_cast<std::size_t>(n));
}

} // namespace nestor::supervision
