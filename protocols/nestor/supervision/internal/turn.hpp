// One transition of the lifecycle machine being made: the machine, its policy, the clock's word, and the commands so
// far. lifecycle.cpp says which event leads where in each phase; turn.cpp says what it takes to get there.
#pragma once

#include <nestor/core/backoff.hpp>
#include <nestor/supervision/lifecycle.hpp>

#include <variant>
#include <vector>

namespace nestor::supervision {

// -- limits ---------------------------------------------------------------------------------------
// A proof of a credential is one cheap call; 15 s is its time-out with room for a queue.
inline constexpr milliseconds authenticate_within{15'000};
// The first word of a CONFIGURATOR comes with its first request; it has nothing to wait for.
inline constexpr milliseconds first_word_within{30'000};
// What a child may be late beyond what it announced: a scheduler hiccup, a stopped VM.
inline constexpr milliseconds silence_margin{5'000};
// A look-up for an unknown create is one or a few pages.
inline constexpr milliseconds look_up_within{30'000};
// Between look-ups for an unknown create: list lag at providers is seconds.
inline constexpr milliseconds look_up_every{1'000};
// A commit waits for the disk; longer than this it is written again under a new revision.
inline constexpr milliseconds record_within{10'000};
// Replacing a runtime: the first at once-ish, later ones leave a sick provider alone.
inline constexpr backoff_policy replace_backoff{200ms, 30'000ms};
// Restarting a configuration on the same runtime: its steps were retried already.
inline constexpr backoff_policy reconfigure_backoff{200ms, 5'000ms};
// Whatever is repeated without limit (destroy, withdraw, unreachable, journal): at most once a minute in the end.
inline constexpr backoff_policy endless_backoff{250ms, 60'000ms};
// So often in the length of a lease: three can be lost.
inline constexpr int renewals_in_a_lease = 4;
// Every tenth probe reads the configuration back.
inline constexpr std::uint32_t deep_probe_every = 10;

template <class Event>
const Event* as(const any_event& e) {
  return std::get_if<Event>(&e);
}

/// What a phase works on, as timelines and failures name it.
step step_of(phase p);

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
  void retry_after(const backoff_policy& policy, const failure* why = nullptr);

  // -- the journal
  void record(note what);
  void record_and_await(note what);
  bool is_awaited(std::uint64_t revision);
  [[nodiscard]] memo memo_of(note what) const;

  // -- children
  void start_run(nested::purpose why, generation target);
  void end_run();
  void stop_run(bool hung = false);
  void heard_from(const event::progressed& word);
  [[nodiscard]] bool is_current(run_number run) const;
  void ask_to_write();
  void need_auth();
  void release_auth();

  // -- towards Ready
  void authenticate();
  void intend();
  void provision();
  void settle(); ///< the create may or may not have done something: look, until that is known
  void look_up();
  void own(); ///< the runtime is there
  void configure();
  void update();
  void restore();
  void confirm();
  void become_ready();
  void watch();

  // -- rest
  void fall_asleep(); ///< from here on nothing is served
  void come_back();   ///< awake again, or never asleep: read back before it is served
  void wake_up();
  void switch_it();
  void renew();
  void keep_lease(); ///< it was granted now

  // -- its conversation
  void converse(); ///< if one is wanted, not asked for, and nothing stands in its way
  void spoken();   ///< it was started
  void unspoken(const failure& why);
  void converse_later();

  // -- the ladder
  void replace_or_give_up(const failure& why);
  void give_up(const failure& why);
  void quarantine(const failure& why);
  void climb(const failure& why); ///< a push failed
  void climb_with_work_inside(const failure& why);
  void lose_sight();
  static bool unanswered(const failure& why);

  // -- leaving: whatever we own, or may come to own, is gone before we say so
  void tear_down();
  void destroy();
  void withdraw();
  void gone(); ///< proven: nothing of this attempt is left
  void absence();
  void lost(const failure& why); ///< the provider proves that the runtime ended by itself
};

// -- what a Ready sandbox's conversation hears, in talk.cpp; false: it is not for it
bool conversing(turn t, const any_event& e);

// -- phases that are told in rest.cpp
void switching(turn t, const any_event& e);
void paused(turn t, const any_event& e);

} // namespace nestor::supervision
