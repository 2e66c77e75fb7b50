// Exponential back-off with jitter, as a pure function: the same seed gives the same delays.
#pragma once

#include <nestor/core/time.hpp>

#include <algorithm>
#include <cstdint>

namespace nestor {

struct backoff_policy {
  milliseconds first; ///< upper bound of the first delay
  milliseconds most;  ///< no delay is longer
};

/// One step of splitmix64 (Steele, Lea, Flood 2014): advances `state`, returns 64 well-mixed bits.
constexpr std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The delay before try `tries` + 1 (`tries` counts failures so far, from 1): between half and all of
/// `first` × 2^(tries−1), at most `most`, at least `lower_bound` (a server's Retry-After).
constexpr milliseconds backoff(const backoff_policy& policy, std::uint32_t tries, std::uint64_t& seed,
                               milliseconds lower_bound = milliseconds{0}) {
  auto doublings = std::min<std::uint32_t>(tries == 0 ? 0 : tries - 1, 30);
  auto full = std::min<std::int64_t>(policy.most.count(), policy.first.count() << doublings);
  if (full < policy.first.count() && policy.first <= policy.most)
    full = policy.most.count(); // the shift overflowed
  auto half = full / 2;
  auto jitter =
    half == 0 ? 0 : static_cast<std::int64_t>(next_random(seed) % static_cast<std::uint64_t>(full - half + 1));
  return std::max(milliseconds{half + jitter}, lower_bound);
}

} // namespace nestor
