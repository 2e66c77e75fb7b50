// Faults as data: which request is hit, and how. Parsed from `--fault SPEC`, matched by counting; it knows neither the
// model nor a socket, so tests and simulations use the same rules as the server.
//
//   KIND[:ARGUMENT][@[METHOD ]PATH][#FIRST][xTIMES][%PERCENT]
//
// PATH is a prefix of the request's path without its state prefix, or with it when it begins with /s/. FIRST counts
// matching requests from 1 (default 1). TIMES is how many of them are hit from there (default 1, x* all); it follows
// '#FIRST' or a space, because a path may end in x and digits. PERCENT of those are hit, by a seeded draw; with it
// TIMES is '*' unless given. Examples:
//   status:503@POST /api/settings        the first POST of the settings is answered with 503
//   answer-lost@POST /api/secrets#2      the second secret is stored and its answer lost
//   reset@/api x*                        nothing under /api is ever answered
//   status:500@/api %5                   one in twenty fails, by chance
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested_server {

enum class fault_kind : std::uint8_t {
  refuse,
  reset,
  hang,
  slow,
  status,
  busy,
  truncated,
  cut,
  page,
  no_effect,
  wrong_effect,
  answer_lost,
  answer_hangs,
  trickle,
  git_unreachable,
  restart,
  die,
  die_after,
  count_
};

struct fault_row {
  fault_kind kind;
  std::string_view name;
  std::string_view argument; ///< what the argument is; empty: there is none
  std::int64_t fallback;     ///< the argument when none is given
  std::int64_t least;
  std::int64_t most;
  std::string_view path; ///< the default one
  std::string_view summary;
};
/// In the order of the enumeration.
std::span<const fault_row> fault_table();
std::string_view name_of(fault_kind kind);

struct fault_rule {
  fault_kind kind = fault_kind::reset;
  std::int64_t argument = 0;
  std::optional<http::method> verb; ///< nothing: every method
  std::string path;                 ///< prefix; empty: every path
  std::uint32_t first = 1;
  std::uint32_t times = 1; ///< 0: all from `first` on
  std::uint32_t percent = 100;
};

/// Errors: spec_invalid; the cause says what and shows the form.
expected<fault_rule> parse_fault(std::string_view spec);
/// The kinds with their arguments, one a line, for --help.
std::string fault_help();

/// The rules with their counts. A value.
class fault_plan {
public:
  explicit fault_plan(std::vector<fault_rule> rules = {}, std::uint64_t seed = 1);

  /// A connection was made, for `refuse`: true when it has to be closed at once.
  bool refuses_connection();
  /// A request came: the first rule that hits it, or nullptr. Every rule that matches counts it.
  const fault_rule* hit(http::method verb, std::string_view target);
  [[nodiscard]] std::uint32_t hits() const { return hits_; }
  [[nodiscard]] bool empty() const { return counted_.empty(); }

private:
  struct counted_rule {
    fault_rule rule;
    std::uint32_t seen = 0;
  };
  bool fires(counted_rule& c);

  std::vector<counted_rule> counted_;
  std::uint64_t seed_;
  std::uint32_t hits_ = 0;
};

} // namespace nestor::nested_server
