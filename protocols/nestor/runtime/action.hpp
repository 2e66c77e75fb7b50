// One action in a runtime and what came of it: what a caller asks for, whatever carries it there (an action server in
// the runtime, or the provider itself). Pure values.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nestor {

enum class action_kind : std::uint8_t {
  run,         ///< a command, through a shell
  run_ipython, ///< Python code
  alive        ///< runs nothing: waits until actions can be run
};
/// "run", "run_ipython", "alive".
std::string_view name_of(action_kind k);

/// Bytes of a command or of code: the smallest that any carrier allows (Modal's arguments).
inline constexpr std::size_t action_text_max = std::size_t{64} << 10U;
/// Bytes of the folder's name: PATH_MAX.
inline constexpr std::size_t action_directory_max = 4'096;
/// Bytes that are kept of each of an observation's texts, from its start: the most that an action server keeps.
inline constexpr std::size_t action_output_max = std::size_t{256} << 10U;
/// As the original's `sandbox.timeout`.
inline constexpr milliseconds action_within{120'000};
/// Longer work is started in the background and looked after: a connection is held for an action.
inline constexpr milliseconds action_within_max{3'600'000};

struct action {
  action_kind what = action_kind::run;
  std::string text;      ///< at most `action_text_max` bytes of UTF-8 without NUL
  std::string directory; ///< to run it in; empty: the runtime's own
  milliseconds within{action_within};
};

/// The line of a shell that does it, for carriers that only run lines. Not of `alive`.
std::string shell_line_of(const action& a);

enum class verdict : std::uint8_t {
  ok,     ///< it was run, and says that it succeeded
  failed, ///< it was run, and did not succeed
  unknown ///< it may have been run, in whole, in part or not at all: the answer was lost. Nobody runs it again
};
/// "ok", "failed", "unknown".
std::string_view name_of(verdict v);

struct observation {
  verdict came = verdict::failed;
  std::optional<int> exit_status; ///< as a shell says it; nothing: it has none, or it is not known
  std::string output;
  std::string error_output; ///< empty where both are mixed
  std::string trouble;      ///< what went wrong besides, in words of ours; always with `unknown`
  bool cut = false;         ///< a text is longer, and only its beginning is here
};

/// It was run and ended with that status.
observation ended_with(int exit_status, std::string output, std::string error_output = {});
/// It was run, and was ended because its time was up.
observation out_of_time();
/// Nobody knows; `why` says what happened to the answer.
observation lost_answer(std::string why);

/// Without those secrets in any of its texts, and then no longer than it may be.
observation for_its_reader(observation seen, std::span<const secret> secrets);
/// As JSON, for the API; `fence`: the incarnation it was run in.
std::string to_json(action_kind what, const observation& seen, std::uint64_t fence);

} // namespace nestor
