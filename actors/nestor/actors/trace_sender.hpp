// Sends finished traces to a collector, for the API DESK. A collector that is slow or down costs traces, which are
// counted, and nothing else: what waits is bounded, one request is out at a time, and after a refusal it is left alone
// for a while. What was in a request that failed is not sent again: a trace is not worth a second place in the queue.
#pragma once

#include <nestor/actors/messages.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace nestor::actors {

struct trace_target {
  endpoint to;
  std::string path; ///< "/v1/traces"
  std::vector<http::header> headers;
  std::string version; ///< of this binary, for the collector
};

class trace_sender {
public:
  static constexpr std::size_t waiting_max = 4'096; ///< traces, a few KiB each: seconds of a busy node
  static constexpr std::size_t batch_max = 64;      ///< traces in one request: about 256 KiB
  static constexpr milliseconds within{10'000};     ///< for one request
  static constexpr milliseconds rests{5'000};       ///< after a failure

  /// `self` hands every `io_done` to `hear`, and a `woken` with `alarm` to `go_on`.
  trace_sender(self_ptr<> self, trace_target target) : self_(self), target_(std::move(target)) {}
  static constexpr std::uint64_t alarm = 1;

  /// One trace: members of a list of spans.
  void add(const surroundings& around, std::string spans);
  void hear(const surroundings& around, const io_done& done);
  void go_on(const surroundings& around);

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

private:
  self_ptr<> self_;
  trace_target target_;
  std::deque<std::string> waiting_;
  std::size_t out_ = 0; ///< traces in the request that is out; 0: none is
  bool resting_ = false;
  std::uint64_t ticket_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
};

} // namespace nestor::actors
