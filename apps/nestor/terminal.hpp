// What people see: one line per step with the time it took, in colour only where that helps. Knows no sandbox.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace nestor::cli {

enum class tone : std::uint8_t { plain, good, warning, bad, faint, strong };

class terminal {
public:
  /// Colours when `out` is a terminal, NO_COLOR is not set (or is empty) and `colour_wanted`.
  terminal(std::FILE* out, bool colour_wanted, instant start);

  [[nodiscard]] bool colours() const { return colours_; }
  /// `text` in that tone, or as it is.
  [[nodiscard]] std::string in(tone t, std::string_view text) const;
  /// One line: "[ 0.41s] settings  ok". `step` is padded to the widest step's name.
  void line(instant now, std::string_view step, tone t, std::string_view outcome);
  /// One line without a time. Flushed, so that a pipe's reader sees it at once.
  void line(std::string_view text);

private:
  std::FILE* out_;
  bool colours_;
  instant start_;
};

/// "[ 0.41s]", "[12.03s]", "[125.4s]": seconds since the start, always 8 characters up to 99,999 s.
std::string elapsed(microseconds since_start);

/// Control characters of `text` as '?': nothing a server or a file says may steer the terminal.
std::string printable(std::string_view text);

} // namespace nestor::cli
