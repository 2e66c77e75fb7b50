// Time as a value. Nothing in protocols/ reads a clock: `now` is always a parameter.
#pragma once

#include <chrono>
#include <cstdint>

namespace nestor {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// A moment of the node's steady clock, in microseconds since an arbitrary start. Orders events; survives no restart.
struct instant {
  std::int64_t us = 0;

  friend constexpr auto operator<=>(instant, instant) = default;
  friend constexpr instant operator+(instant at, microseconds after) { return {at.us + after.count()}; }
  friend constexpr instant operator-(instant at, microseconds before) { return {at.us - before.count()}; }
  friend constexpr microseconds operator-(instant later, instant earlier) {
    return microseconds{later.us - earlier.us};
  }
};

/// Wall time in milliseconds since 1970-01-01T00:00:00Z: what people and journals read. It may step; nothing waits on
/// it.
struct wall_time {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(wall_time, wall_time) = default;
};

} // namespace nestor
