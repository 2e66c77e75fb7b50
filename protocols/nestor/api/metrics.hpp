// What the node counts, as Prometheus text. Base units, no ids as labels, one histogram per step. Pure.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/step.hpp>
#include <nestor/core/time.hpp>
#include <nestor/sandbox/view.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace nestor::api {

/// Upper bounds in seconds: a step takes milliseconds on loopback and minutes at a slow provider.
inline constexpr std::array<double, 12> duration_bounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300};

class histogram {
public:
  void add(milliseconds took);
  /// Lines of `name` with `labels` ("" or `step="alive"`).
  void write(std::string& out, std::string_view name, const std::string& labels) const;

private:
  std::array<std::uint64_t, duration_bounds.size() + 1> counts_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

/// What is so right now, asked when the text is made.
struct gauges {
  std::array<std::uint64_t, static_cast<std::size_t>(status::count_)> sandboxes{};
  std::uint64_t intents = 0;     ///< creates and destroys that are out at a provider
  milliseconds oldest_intent{0}; ///< for how long the oldest of them has been
  std::uint64_t unexplained = 0; ///< runtimes in the latest lists that nobody explains
  milliseconds leaked{0};        ///< of all unexplained runtimes, added up
  /// What sweeps did since the start.
  struct {
    std::uint64_t passes = 0, ended = 0, failed = 0, held_back = 0, lists_failed = 0;
  } sweeps;
  bool sweep_doubted = false; ///< the journal may be an older state of itself: nothing unexplained ends
  std::uint64_t connections = 0;
  std::uint64_t streams = 0;
  std::uint64_t events_kept = 0;
  bool takes_new = true;
  std::uint64_t lines_dropped = 0;
  std::uint64_t audit_failures = 0;
  struct {
    std::uint64_t sent = 0, dropped = 0, waiting = 0;
  } traces;
};

class metrics {
public:
  void step_done(step at, milliseconds took, bool failed);
  void ready(milliseconds after);
  void ended(bool failed, errc why);
  void answered(std::string_view route, std::uint16_t status, microseconds took);
  [[nodiscard]] std::string text(const gauges& now, std::string_view version) const;

private:
  std::array<histogram, static_cast<std::size_t>(step::count_)> steps_;
  std::array<std::uint64_t, static_cast<std::size_t>(step::count_)> step_failures_{};
  histogram to_ready_;
  std::uint64_t destroyed_ = 0;
  std::map<errc, std::uint64_t> failed_;
  std::map<std::pair<std::string, std::uint16_t>, std::uint64_t> answers_;
  histogram answer_time_;
};

} // namespace nestor::api
