// Which refused logins are told in the audit log: whoever guesses tokens must not fill it, nor hide in it. A burst is
// told one by one, then a few a minute, each with the number of those before it that were not told.
#pragma once

#include <nestor/core/time.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace nestor::api {

class refused_logins {
public:
  static constexpr std::uint32_t burst = 10;           ///< a person who pasted the wrong token needs no more
  static constexpr microseconds each_after{6'000'000}; ///< one more may be told: 14,400 a day, some 3 MB

  /// One was refused. How many before it were not told; nothing when this one is not told either.
  std::optional<std::uint64_t> tell(instant now) {
    constexpr microseconds full = each_after * burst;
    saved_ = std::min(full, saved_ + (now - last_));
    last_ = now;
    if (saved_ < each_after)
      return ++untold_, std::nullopt;
    saved_ -= each_after;
    auto before = untold_;
    untold_ = 0;
    return before;
  }

private:
  instant last_{};
  microseconds saved_ = each_after * burst;
  std::uint64_t untold_ = 0;
};

} // namespace nestor::api
