// The V0 server's rate limit: per client address, more than `delayed_after` requests within a second are delayed, more
// than twice as many are refused, and refused ones count too (contract §3). Time is a parameter.
#pragma once

#include <nestor/core/time.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested_server {

inline constexpr std::size_t delayed_after = 10; ///< requests within `rate_window` that pass at once
inline constexpr std::size_t refused_after = 20; ///< … beyond which they are refused
inline constexpr microseconds rate_window{1'000'000};
inline constexpr milliseconds rate_delay{1'000};
inline constexpr std::size_t rate_clients_max = 64; ///< addresses remembered; the longest silent one is forgotten

enum class rate_verdict : std::uint8_t { pass, delay, refuse };

class rate_limiter {
public:
  rate_verdict admit(std::string_view client, instant now);

private:
  /// The latest `refused_after` times are all that the verdict needs, however long a flood lasts.
  struct client_times {
    std::string client;
    std::array<instant, refused_after> times{};
    std::size_t kept = 0;
    std::size_t oldest = 0;
    instant latest;
  };
  client_times& times_of(std::string_view client);

  std::vector<client_times> clients_;
};

} // namespace nestor::nested_server
