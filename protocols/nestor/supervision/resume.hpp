// A sandbox's machine again, after the SUPERVISOR that held it died without a last word: from what the journal kept.
//
// The records tell what was durable, not what was last done: since the latest of them anything may have begun that the
// machine begins without one. So nothing is believed that could have changed since: a create whose intent is the last
// word is looked for and not repeated, a runtime of ours may hold any mixture, and what was confirmed is served again
// only when it was read back. An end that was requested or decided stays decided.
//
// Every number starts above all that earlier lives can have used: late answers to them are answers to nobody.
#pragma once

#include <nestor/supervision/lifecycle.hpp>

namespace nestor::supervision {

/// What is known of a sandbox whose SUPERVISOR is gone.
struct left_behind {
  std::optional<memo> last;          ///< of the latest durable record; empty: nothing was ever recorded
  generation wanted = 1;             ///< the newest durable one
  bool unwanted = false;             ///< its end was requested, durably
  std::uint32_t lives = 1;           ///< SUPERVISORs it had: more than any earlier `resume` of it was told
  std::uint64_t seed = 1;            ///< of its jitter
  bool restarted = false;            ///< it ended with its process, and not by itself
  std::optional<milliseconds> age{}; ///< it has had a runtime for at least that long; empty: never
};

/// The machine to go on with; feed it a `tick` and it does. Nothing recorded and still wanted: a new one, queued.
state resume(const policy& p, const left_behind& r, instant now);

} // namespace nestor::supervision
