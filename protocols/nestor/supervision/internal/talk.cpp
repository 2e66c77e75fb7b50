// The conversation that a specification wants: one run of its own on a Ready runtime, once as far as one can know. What
// it asks, and how a lost answer is looked for, is the dialect's (nested/conversation.hpp); here is when.
#include <nestor/supervision/internal/turn.hpp>

namespace nestor::supervision {

using nested::purpose;

void turn::converse() {
  bool over = s.spoken == talk::started || s.spoken == talk::failed || s.spoken == talk::unknown;
  if (!p.converses || over || s.running || s.awaited != 0 || s.observed != s.wanted)
    return;
  if (s.spoken == talk::none)
    return record_and_await(note::conversing);
  due(timer::probe) = never; // one request at a time: the run looks itself whether it is the same server
  start_run(purpose::converse, s.observed);
}

void turn::spoken() {
  s.spoken = talk::started;
  s.unspoken.reset();
  s.tries = 0;
  record(note::conversed);
}

/// What may still have come of it is looked for, without limit; a refusal is the last word.
void turn::unspoken(const failure& why) {
  s.unspoken = why.code;
  if (why.at == step::alive || unanswered(why) || helps(why) == rung::retry_step)
    return converse_later();
  s.spoken = why.code == errc::conversation_unknown ? talk::unknown : talk::failed;
  s.tries = 0;
  if (!s.update_refused)
    s.why = why;
  record(note::conversed);
}

void turn::converse_later() {
  arm(timer::retry, backoff(endless_backoff, ++s.tries, s.seed));
}

bool conversing(turn t, const any_event& e) {
  auto over = [&](auto&& comes_of_it) { return t.end_run(), comes_of_it(), t.watch(), true; };
  auto later = [&] { t.converse_later(); };
  bool asks = t.s.running == purpose::converse;
  if (const auto* x = as<event::recorded>(e); x && t.is_awaited(x->revision))
    return t.s.spoken = talk::asked, t.converse(), true;
  if (const auto* x = as<event::record_failed>(e); x && t.is_awaited(x->revision))
    return later(), true;
  if (const auto* x = as<event::run_confirmed>(e); x && asks && t.is_current(x->of) && !x->another_server)
    return over([&] { t.spoken(); });
  if (const auto* x = as<event::run_failed>(e); x && asks && t.is_current(x->of))
    return over([&] { t.unspoken(x->why); });
  if (const auto* x = as<event::child_lost>(e); x && asks && x->who == child::configurator)
    return over(later);
  if (!as<event::tick>(e))
    return false;
  if (asks && t.passed(timer::work))
    return t.stop_run(true), later(), t.watch(), true;
  if (!t.passed(timer::retry))
    return false;
  t.s.awaited = 0; // a record that is not heard of: written again
  return t.converse(), true;
}

} // namespace nestor::supervision
