// One trace for each start of a sandbox: a root span from its place in the queue to its first Ready or its end, and a
// span for each step. Kept until then, told as OTLP/HTTP in its JSON form (opentelemetry.io/docs/specs/otlp). Pure: the
// caller brings randomness and time.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/core/step.hpp>
#include <nestor/core/time.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nestor::api {

/// W3C Trace Context, version 00.
struct trace_context {
  std::array<std::uint8_t, 16> trace{};
  std::uint64_t span = 0;
  bool sampled = true;
};
/// Nothing when `text` is no `traceparent`, or has an all-zero id. Later versions are read as 00, as the standard says.
std::optional<trace_context> read_traceparent(std::string_view text);
std::string to_text(const trace_context& context);

/// What makes one trace's ids; its own spans are numbered from `span` on.
struct trace_seed {
  std::array<std::uint8_t, 16> trace{};
  std::uint64_t span = 0;
};

class trace_book {
public:
  static constexpr std::size_t open_max = 100'000; ///< starts at a time: as many as a node has sandboxes
  static constexpr std::size_t spans_max = 128;    ///< of one start; replacements repeat steps, the first ones stay

  /// Nothing when it has begun.
  void begin(const std::string& sandbox, const trace_seed& seed, wall_time now, std::string tenant);
  /// The start belongs to that trace, under that span. False: no such start is open.
  bool join(const std::string& sandbox, const trace_context& parent);
  void step_began(const std::string& sandbox, step at, wall_time now);
  /// `why`: it failed.
  void step_ended(const std::string& sandbox, step at, wall_time now, milliseconds took, std::uint16_t tries,
                  attempt number, const std::optional<failure>& why);
  /// The start is over: its spans as members of OTLP's list `spans`, with commas in between. Nothing when it is none of
  /// this book's, or its parent was not sampled. `why`: it ended in failure.
  std::optional<std::string> end(const std::string& sandbox, wall_time now, std::string_view status,
                                 std::optional<errc> why);

  /// What is asked of others meanwhile belongs to the step at work. Nothing: no such start is open.
  [[nodiscard]] std::optional<trace_context> context_of(const std::string& sandbox) const;
  [[nodiscard]] std::size_t open() const { return open_.size(); }

private:
  struct span {
    step at = step::queue;
    std::uint64_t id = 0;
    wall_time began, ended; ///< 0 while it goes on
    std::uint16_t tries = 1;
    attempt number = 0;
    std::optional<errc> why;
  };
  struct start {
    std::array<std::uint8_t, 16> trace{};
    std::uint64_t root = 0, parent = 0, next = 0;
    bool sampled = true;
    wall_time began;
    std::string tenant;
    std::vector<span> spans;
  };
  static std::string span_text(const start& of, const span& one, wall_time now);
  start* find(const std::string& sandbox);

  std::unordered_map<std::string, start> open_;
};

/// The body of a POST to a collector's /v1/traces. `spans`: what `end` gave, with commas in between.
std::string otlp_body(std::string_view spans, std::string_view version, std::string_view installation);

} // namespace nestor::api
