// What goes wrong between a client and a cloud, as data: one list for all clouds. Which request is hit is said by
// method, path and number, in the nested server's notation:
//
//   KIND[:ARGUMENT][@[METHOD ]PATH][#FIRST][xTIMES][%PERCENT]
//
// PATH is a prefix; `*` in it stands for one segment, a final `$` for its end. FIRST counts matching requests from 1,
// TIMES is how many of them are hit from there (default 1, x* all), PERCENT of those are, by a seeded draw. Examples:
//   answer-lost@POST /api/sandbox$     the sandbox is created, the answer never comes
//   throttled:5@POST /v2/sandboxes$ x3 three creates are refused with that provider's own 429
//   late-listing:3000@POST x*          what is created shows up in lists three seconds later
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::emulator {

enum class mishap_kind : std::uint8_t {
  reset,
  hang,
  status,
  page,
  throttled,
  slow,
  truncated,
  cut,
  answer_lost,
  answer_hangs,
  late_effect,
  duplicate,
  late_listing,
  late_boot,
  never_ready,
  wrong_state,
  count_
};

struct mishap_row {
  mishap_kind kind;
  std::string_view name;
  std::string_view argument; ///< what the argument is; empty: there is none
  std::int64_t fallback;
  std::int64_t least;
  std::int64_t most;
  std::string_view summary;
};
/// In the order of the enumeration.
std::span<const mishap_row> mishap_table();
std::string_view name_of(mishap_kind kind);

struct mishap {
  mishap_kind kind = mishap_kind::reset;
  std::int64_t argument = 0;
  std::optional<http::method> verb; ///< nothing: every method
  std::string path;                 ///< empty: every path
  std::uint32_t first = 1;
  std::uint32_t times = 1; ///< 0: all from `first` on
  std::uint32_t percent = 100;
};

/// Errors: spec_invalid; the cause says what and shows the form.
expected<mishap> parse_mishap(std::string_view spec);
/// The kinds with their arguments, one a line, for --help.
std::string mishap_help();

/// The mishaps with their counts. A value.
class mishap_plan {
public:
  explicit mishap_plan(std::vector<mishap> planned = {}, std::uint64_t seed = 1);
  /// The first that hits this request, or nullptr. Every one that matches counts it.
  const mishap* hit(http::method verb, std::string_view target);
  /// All that hit it, in their order: an answer may be lost of what no list shows for a while.
  std::vector<const mishap*> all_hits(http::method verb, std::string_view target);
  [[nodiscard]] std::uint32_t hits() const { return hits_; }

private:
  struct counted {
    mishap what;
    std::uint32_t seen = 0;
  };
  std::vector<counted> planned_;
  std::uint64_t seed_;
  std::uint32_t hits_ = 0;
};

} // namespace nestor::emulator
