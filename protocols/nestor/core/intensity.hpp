// OTP's restart intensity: at most `max` restarts within `within`, counted over a sliding window.
#pragma once

#include <nestor/core/time.hpp>

#include <array>
#include <cstdint>

namespace nestor {

struct intensity_limit {
  std::uint32_t max = 3;        ///< 0–8 restarts …
  milliseconds within{600'000}; ///< … in this time
  friend bool operator==(const intensity_limit&, const intensity_limit&) = default;
};

/// The times of the latest restarts. Fixed size: no allocation in an idle supervisor.
class intensity {
public:
  static constexpr std::uint32_t max_limit = 8; ///< largest `max` that can be asked for

  /// Counts one restart at `now`; false when that is one too many.
  constexpr bool admit(const intensity_limit& limit, instant now) {
    std::uint8_t kept = 0;
    for (std::uint8_t i = 0; i < count_; ++i)
      if (now - times_[i] < limit.within)
        times_[kept++] = times_[i];
    count_ = kept;
    if (count_ >= limit.max || count_ >= max_limit)
      return false;
    times_[count_++] = now;
    return true;
  }

  constexpr void reset() { count_ = 0; }
  [[nodiscard]] constexpr std::uint32_t count() const { return count_; }

private:
  std::array<instant, max_limit> times_{};
  std::uint8_t count_ = 0;
};

} // namespace nestor
