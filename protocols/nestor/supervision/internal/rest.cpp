// Pausing, resuming, and the lease. What a person asked for is durable first, then repeated until the provider did it;
// providers take both twice. A runtime that comes back is one that was out of sight.
#include <nestor/supervision/internal/turn.hpp>

#include <algorithm>
#include <array>

namespace nestor::supervision {

void turn::fall_asleep() {
  stop_run();
  s.rests = true;
  s.tries = 0;
  due(timer::probe) = due(timer::retry) = never;
  go(phase::pausing);
  record_and_await(note::pausing);
}

void turn::wake_up() {
  s.rests = false;
  s.tries = 0;
  go(phase::resuming);
  record_and_await(note::resuming);
}

/// Has the provider pause or resume it, as the phase says.
void turn::switch_it() {
  due(timer::retry) = never;
  if (s.auth != state::auth_state::held)
    return need_auth();
  s.provider_asked = true;
  arm(timer::work, p.provision_within);
  if (s.now == phase::pausing)
    out.push_back(command::pause{s.number});
  else
    out.push_back(command::wake{s.number});
}

void turn::come_back() {
  release_auth();
  s.obstacle.reset();
  s.tries = 0;
  lose_sight();
  arm(timer::retry, 0ms); // nothing says that it does not answer
}

void turn::keep_lease() {
  if (!p.lease)
    return;
  s.leased = true;
  arm(timer::lease, *p.lease / renewals_in_a_lease);
}

void turn::renew() {
  bool awake = s.open && !s.create_out && !s.doomed && s.now != phase::pausing && s.now != phase::paused &&
               s.now != phase::resuming && s.now != phase::destroying;
  if (!awake)
    return;
  arm(timer::lease, *p.lease / renewals_in_a_lease);
  out.push_back(command::renew{s.number});
}

/// pausing, resuming: first the record, then the provider, as often as it takes.
void switching(turn t, const any_event& e) {
  bool falls = t.s.now == phase::pausing;
  auto try_later = [&](const failure* why) { t.release_auth(), t.retry_after(endless_backoff, why); };
  if (const auto* x = as<event::recorded>(e); x && t.is_awaited(x->revision))
    return t.switch_it();
  if (const auto* x = as<event::record_failed>(e); x && t.s.awaited != 0 && x->revision == t.s.awaited)
    return t.retry_after(endless_backoff);
  if (as<event::authenticated>(e) && t.s.auth == state::auth_state::asked)
    return t.s.auth = state::auth_state::held, t.switch_it();
  if (const auto* x = as<event::auth_failed>(e); x && t.s.auth == state::auth_state::asked)
    return try_later(&x->why);
  if (const auto* x = as<event::rested>(e); x && falls && x->of == t.s.number && t.s.provider_asked) {
    t.release_auth();
    t.s.obstacle.reset();
    t.go(phase::paused);
    return t.record(note::paused);
  }
  if (const auto* x = as<event::woke>(e); x && !falls && x->of == t.s.number && t.s.provider_asked) {
    if (t.p.lease)
      t.arm(timer::lease, 0ms);
    return t.come_back();
  }
  if (const auto* x = as<event::switch_failed>(e); x && x->of == t.s.number && t.s.provider_asked) {
    if (x->why.code == errc::runtime_lost)
      return t.lost(x->why);
    if (!falls || helps(x->why) != rung::give_up)
      return try_later(&x->why);
    t.s.why = x->why; // it will not be paused …
    if (t.s.tries > 0)
      return t.wake_up(); // … unless an earlier try, of which nothing was heard, did it
    t.s.rests = false;
    return t.come_back();
  }
  if (const auto* x = as<event::child_lost>(e); x && x->who == child::provider_auth)
    return try_later(nullptr);
  if (as<event::tick>(e)) {
    if (t.passed(timer::work))
      return try_later(nullptr);
    if (t.passed(timer::retry))
      return t.s.awaited != 0 ? t.record_and_await(falls ? note::pausing : note::resuming) : t.switch_it();
    return;
  }
  if (as<event::pause_requested>(e) && !falls)
    return t.release_auth(), t.fall_asleep();
  if (as<event::resume_requested>(e) && falls)
    return t.release_auth(), t.wake_up();
  if (!as<event::configuration_changed>(e)) // pushed when it is awake
    t.ignore();
}

void paused(turn t, const any_event& e) {
  if (as<event::resume_requested>(e))
    return t.wake_up();
  if (!as<event::configuration_changed>(e) && !as<event::tick>(e))
    t.ignore();
}

std::string_view objection_to_rest(const policy& p, const state& s) {
  if (!p.pauses)
    return "its provider cannot pause it";
  if (s.doomed)
    return "it is being destroyed";
  if (s.now == phase::resuming && s.provider_asked)
    return "it is just being resumed";
  if (s.now == phase::updating || s.now == phase::restoring || (s.now == phase::confirming && s.was_ready))
    return "its configuration is being pushed";
  constexpr std::array allowed{phase::ready, phase::unreachable, phase::pausing, phase::paused, phase::resuming};
  return std::ranges::find(allowed, s.now) != allowed.end() ? std::string_view{} : "it is not Ready";
}

std::string_view objection_to_wake(const policy& p, const state& s) {
  if (!p.pauses)
    return "its provider cannot pause it";
  if (s.doomed)
    return "it is being destroyed";
  if (s.now == phase::pausing && s.provider_asked)
    return "it is just being paused";
  constexpr std::array allowed{phase::ready,    phase::unreachable, phase::updating, phase::restoring,
                               phase::resuming, phase::pausing,     phase::paused};
  return std::ranges::find(allowed, s.now) != allowed.end() ? std::string_view{} : "it is not paused";
}

} // namespace nestor::supervision
