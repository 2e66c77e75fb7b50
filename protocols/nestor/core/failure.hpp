// What went wrong, in a form that every reader can use: the supervision ladder (what helps), a client (code, remedy),
// a person (title, cause). One table, core/errc.def, answers all of them.
#pragma once

#include <nestor/core/step.hpp>
#include <nestor/core/time.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nestor {

enum class errc : std::uint8_t {
#define NESTOR_ERRC(code, status, helps, blame, title, remedy) code,
#include <nestor/core/errc.def>
#undef NESTOR_ERRC
  count_
};

/// What helps, from the cheapest rung of the supervision ladder to the last one.
enum class rung : std::uint8_t { retry_step, reconfigure, replace_runtime, give_up };

/// Whose fault it is.
enum class blame : std::uint8_t { caller, provider, runtime, node };

struct errc_row {
  errc code;
  std::string_view name;
  std::uint16_t http_status; ///< what our own API answers, 400–599
  rung helps;
  blame whose;
  std::string_view title;
  std::string_view remedy;
};

/// All rows, in the order of the enumeration.
std::span<const errc_row> errc_table();
const errc_row& row_of(errc code);
std::optional<errc> errc_named(std::string_view name);
std::string_view name_of(errc code);
std::string to_string(errc code);

/// A failure with its context. It never holds a body that a server sent: nested servers echo tokens in theirs.
struct failure {
  errc code = errc::internal;
  step at = step::queue;
  /// What exactly, in words of ours: may name a field, a git provider, a secret's *name*, a host, a status.
  std::string cause;
  /// HTTP status that caused it, 0 when there was none.
  std::uint16_t status = 0;
  /// Earliest useful next try, when the other side said so.
  std::optional<milliseconds> retry_after;

  friend bool operator==(const failure&, const failure&) = default;
};

/// A rung that cannot help is skipped: the table's "what helps" of this failure's code.
rung helps(const failure& f);
/// True when trying the same thing again may succeed.
bool retryable(const failure& f);
/// `code at step: cause`, for logs and exceptions.
std::string to_string(const failure& f);

} // namespace nestor
