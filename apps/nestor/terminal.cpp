#include "terminal.hpp"

#include <nestor/core/step.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace nestor::cli {
namespace {

constexpr std::array<std::string_view, 6> codes{"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[1m"};

bool wants_colours(std::FILE* out) {
  const char* none = std::getenv("NO_COLOR"); // https://no-color.org: any value but an empty one
  return (none == nullptr || *none == '\0') && ::isatty(::fileno(out)) == 1;
}

constexpr std::size_t widest_step = std::ranges::max(step_names, {}, &std::string_view::size).size();

} // namespace

terminal::terminal(std::FILE* out, bool colour_wanted, instant start)
    : out_(out), colours_(colour_wanted && wants_colours(out)), start_(start) {}

std::string terminal::in(tone t, std::string_view text) const {
  auto code = codes.at(static_cast<std::size_t>(t));
  if (!colours_ || code.empty())
    return std::string{text};
  return std::string{code}.append(text).append("\x1b[0m");
}

void terminal::line(instant now, std::string_view step, tone t, std::string_view outcome) {
  std::string padded{step};
  padded.resize(std::max(widest_step, padded.size()), ' ');
  line(in(tone::faint, elapsed(now - start_)) + " " + padded + "  " + in(t, printable(outcome)));
}

void terminal::line(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fputc('\n', out_);
  std::fflush(out_);
}

std::string elapsed(microseconds since_start) {
  auto seconds = static_cast<double>(std::max<std::int64_t>(since_start.count(), 0)) / 1e6;
  int digits = seconds < 99.995 ? 2 : seconds < 999.95 ? 1 : 0;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "[%5.*fs]", digits, std::min(seconds, 99'999.0));
  return text.data();
}

std::string printable(std::string_view text) {
  std::string result{text};
  std::ranges::replace_if(
    result, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return result;
}

} // namespace nestor::cli
