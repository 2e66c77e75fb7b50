// The queue in front of one account: who may start now, in the order of arrival, at the rate and number at a time that
// the account may be asked for. Pure: time is a parameter. Exists so that a thousand sandboxes wanted at once become an
// even stream of creates instead of a storm of refusals; a place in it costs no time-out but `queue_within`.
#pragma once

#include <nestor/core/ids.hpp>
#include <nestor/core/time.hpp>

#include <cstdint>
#include <deque>
#include <optional>

namespace nestor::supervision {

/// 0: without that limit.
struct admission_limits {
  double per_second = 0;
  std::uint32_t at_a_time = 0;
};

class admission {
public:
  explicit admission(admission_limits limits) : limits_(limits) {}

  void enqueue(sandbox_id who) { waiting_.push_back(std::move(who)); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  /// The first who still waits, if one may start now. Evenly spaced: a burst at the start of each second is what a
  /// provider's limiter counts twice.
  template <class StillWaits>
  std::optional<sandbox_id> admit(instant now, StillWaits&& still_waits) {
    while (!waiting_.empty() && !still_waits(waiting_.front()))
      waiting_.pop_front();
    if (waiting_.empty() || full() || now < next_)
      return std::nullopt;
    auto who = std::move(waiting_.front());
    waiting_.pop_front();
    ++starting_;
    if (limits_.per_second > 0) {
      constexpr double second_us = 1e6;
      next_ = now + microseconds{static_cast<std::int64_t>(second_us / limits_.per_second)};
    }
    return who;
  }
  /// One that was admitted is no longer starting.
  void finished() { --starting_; }

  /// When to ask again though nothing else happens; nothing when only `enqueue` or `finished` can help.
  [[nodiscard]] std::optional<instant> due() const {
    return waiting_.empty() || full() ? std::nullopt : std::optional{next_};
  }

private:
  [[nodiscard]] bool full() const { return limits_.at_a_time != 0 && starting_ >= limits_.at_a_time; }

  admission_limits limits_;
  std::deque<sandbox_id> waiting_;
  std::uint32_t starting_ = 0;
  instant next_{}; ///< nobody before
};

} // namespace nestor::supervision
