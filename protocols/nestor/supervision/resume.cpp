#include <nestor/supervision/resume.hpp>

#include <nestor/supervision/internal/turn.hpp>

namespace nestor::supervision {
namespace {

// A life that began a run every second would take 136 years to come into the next one's numbers.
constexpr unsigned numbers_of_one_life = 32;

phase of_nothing_owned(const state& s) {
  return s.doomed ? phase::closing : phase::backing_off;
}

/// Where one goes on that was served, and that nobody watched for a while.
phase phase_out_of_sight(const memo& m) {
  if (m.rests)
    return m.what == note::paused ? phase::paused : phase::pausing;
  return m.what == note::resuming ? phase::resuming : phase::unreachable;
}

/// The runtime is there, or was when the record was written.
void take_over(const policy& p, state& s, const memo& m, instant now) {
  s.open = true;
  if (p.lease && !s.doomed)
    s.due[static_cast<std::size_t>(timer::lease)] = now; // how much is left of it is not known
  s.observed = m.observed;
  s.spoken = m.spoken == talk::asked ? talk::doubtful : m.spoken; // nobody knows how far it came
  s.unspoken = m.unspoken;
  s.was_ready = m.observed != 0;
  s.update_refused = m.refused && m.wanted == s.wanted;
  bool newer = s.observed != s.wanted && !s.update_refused;
  if (s.doomed && p.withdraws && !s.touched) {
    s.open = s.was_ready = false; // nothing of ours was ever written there
    s.observed = 0;
    s.now = phase::closing;
  } else if (s.doomed) {
    s.now = p.withdraws ? phase::withdrawing : phase::destroying;
  } else if (m.what == note::quarantined && m.wanted == s.wanted) {
    s.now = phase::quarantined;
    s.lapsed = s.was_ready;
    s.due[static_cast<std::size_t>(timer::retry)] = never;
  } else if (s.was_ready) {
    s.dirty = s.lapsed = newer; // a push of the newer one may have begun
    s.removing = newer;         // whether it takes something away is not on record
    s.doubted = !newer;         // or one of the same
    s.now = phase_out_of_sight(m);
    s.rests = m.rests;
    s.tries = m.rests ? 1 : 0; // its pause may have been tried
    if (s.now == phase::paused)
      s.due[static_cast<std::size_t>(timer::retry)] = never;
  } else {
    s.now = phase::configuring;
    s.dirty = true;
    s.due[static_cast<std::size_t>(timer::overall)] = now + p.ready_within;
  }
}

} // namespace

state resume(const policy& p, const left_behind& r, instant now) {
  auto due = [&](state& s, timer t) -> instant& { return s.due[static_cast<std::size_t>(t)]; };
  state s;
  s.run = s.fence = s.look = s.revision = std::uint64_t{r.lives} << numbers_of_one_life;
  s.seed = r.seed;
  s.wanted = r.wanted;
  s.requested = r.unwanted || (r.last && r.last->why && r.last->why->code == errc::lifetime_over);
  s.doomed = r.unwanted || (r.last && r.last->doomed);
  if (!r.last && !s.doomed) {
    due(s, timer::overall) = now + p.queue_within;
    return s;
  }
  const memo m = r.last.value_or(memo{});
  s.number = m.number;
  s.touched = m.touched;
  s.why = m.why ? std::optional{*m.why} : std::nullopt;
  for (int spent = 0; spent < m.replaced; ++spent)
    s.replacements.admit(p.replacements, now); // as if just spent: it outlives no clock when exactly
  due(s, timer::retry) = now;                  // the first tick goes on
  if (p.lives_at_most && r.age && !s.doomed)
    due(s, timer::life) = now + std::max(*p.lives_at_most - *r.age, 0ms);
  if (!m.open) {
    s.now = of_nothing_owned(s);
    if (!s.doomed)
      due(s, timer::overall) = now + p.ready_within;
  } else if (m.create_out) {
    s.now = phase::settling;
    s.open = s.create_out = true;
    due(s, timer::settle) = now + p.create_settles;
    if (!s.doomed)
      due(s, timer::overall) = now + p.ready_within;
  } else {
    take_over(p, s, m, now);
  }
  if (!s.why && !s.doomed)
    s.why = r.restarted
              ? failure{errc::recovering, step_of(s.now), "the node was started again", 0, {}}
              : failure{errc::supervisor_crashed, step_of(s.now), "its SUPERVISOR ended without a last word", 0, {}};
  return s;
}

} // namespace nestor::supervision
