// What a sweep makes of a provider's list: which runtimes under our label nobody here can explain, and which of those
// end now. Pure: the list and what is known are brought, what to do is taken away.
//
// The life of each sandbox looks for its own runtimes. A sweep exists for what no life will ever look for: a create
// that was given up on and came true later, a record that was lost, a bug. It may be wrong about such a runtime in one
// way that matters: it belongs to somebody after all. So it acts only on lists that are whole, only on what carries
// this installation's label and a sandbox's, only on what it saw unexplained in several lists in a row, and ends only
// a few at a time. What is wrong with it is seen before it has done much.
#pragma once

#include <nestor/core/ids.hpp>
#include <nestor/core/time.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::supervision {

struct sweep_limits {
  std::uint32_t looks = 2;  ///< lists in a row that show a runtime unexplained before it ends
  std::size_t at_least = 3; ///< ends this many a pass …
  double percent = 5;       ///< … or this share of what is listed, whichever is more
  bool dry_run = false;     ///< says what it would do, and does nothing
};

/// One runtime of a list, by what its labels say.
struct swept {
  std::string ref;     ///< the provider's name for it
  std::string sandbox; ///< empty: the list does not tell
  attempt number = 0;  ///< 0: the list does not tell
  /// In the provider's words, for people; empty where lists do not tell.
  std::string state{};
  std::string created_at{};
};

/// What is known of a sandbox that a label names.
struct explanation {
  enum class of_sandbox : std::uint8_t {
    unknown, ///< no record, also none of an ended one
    alive,
    silent, ///< it is known, but nobody can say at the moment what it owns
    ended
  } whose = of_sandbox::unknown;
  attempt latest = 0; ///< of one that is alive: its latest create
};

enum class sweep_verdict : std::uint8_t {
  explained, ///< it is in service, or somebody looks after it
  unlabelled,
  suspected, ///< unexplained, but not often enough yet
  held_back, ///< it would end, were it not for the cap or the dry run
  ends,
  foreign ///< another installation's: never judged, never touched
};
std::string_view name_of(sweep_verdict v);

struct sweep_finding {
  swept what;
  sweep_verdict verdict{};
  std::string_view reason;
  std::uint32_t looks = 0;          ///< lists in a row that showed it unexplained, this one included
  std::optional<wall_time> since{}; ///< of the first of them
};

/// What one account's sweeps remember of one another.
class sweep_memory {
public:
  /// A list that is whole: every page of it. Judges each of its runtimes, in its order. `now`: when it was asked for.
  /// On a copy: what a sweep that sees the same would do.
  std::vector<sweep_finding> judge(const std::vector<swept>& list, const sweep_limits& limits,
                                   const std::function<explanation(std::string_view sandbox)>& explain,
                                   wall_time now = {});
  /// A list that failed or is partial proves nothing, in either direction.
  static std::vector<sweep_finding> judge_nothing() { return {}; }
  [[nodiscard]] std::size_t suspects() const { return looks_.size(); }

private:
  struct suspect {
    std::uint32_t looks = 0;
    std::uint64_t since = 0; ///< the pass that saw it first, or last tried to end it: the oldest go first
    wall_time seen;          ///< when it was seen first
  };
  std::map<std::string, suspect, std::less<>> looks_; ///< by ref; only of what the latest list showed
  std::uint64_t pass_ = 0;
};

} // namespace nestor::supervision
