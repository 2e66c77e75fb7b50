// The connections of an HTTP client: how many are open, which are unused and since when, which of those may be closed
// to make room. Knows neither calls nor queues: the client decides who gets a connection. Internal to io/http_client.
#pragma once

#include <nestor/io/internal/http_origins.hpp>

#include <cstdint>
#include <deque>
#include <vector>

namespace nestor::io {

class http_pool {
public:
  struct bounds {
    std::size_t open;      ///< connections at a time
    std::size_t idle;      ///< of them unused
    milliseconds idle_for; ///< how long an unused one is kept
  };

  http_pool(poller& readiness, const response_limits& limits, http_connection::owner& whose, const bounds& most)
      : poller_(readiness), limits_(limits), owner_(whose), most_(most) {}

  [[nodiscard]] std::size_t open() const { return open_; }
  [[nodiscard]] std::size_t idle() const { return idle_; }
  [[nodiscard]] bool full() const { return open_ >= most_.open; }

  /// A closed connection for `of` to open; counts as open from now on. Not when `full`.
  pooled_connection& take_closed(origin& of);
  /// Closes `connection`, which has nothing on it any more.
  void close(pooled_connection& connection);

  /// `connection` has become unused and stays open, the first choice of its origin.
  void keep(pooled_connection& connection, instant now);
  /// An unused connection whose other end is still there, as far as can be told.
  [[nodiscard]] static bool usable(pooled_connection& connection, instant now);
  /// Takes an unused connection into use again.
  void take_idle(pooled_connection& connection);

  /// The longest unused connection; null when there is none.
  [[nodiscard]] pooled_connection* oldest() { return by_age_.empty() ? nullptr : &by_age_.front(); }
  /// The same, when its origin has had its chance to use it again.
  [[nodiscard]] pooled_connection* spare();
  /// An unused connection that has been kept for long enough, or is one too many; null when there is none.
  [[nodiscard]] pooled_connection* outworn(instant now);

  /// The loop has gone round.
  void next_turn() { ++turn_; }

private:
  void leave_idle(pooled_connection& connection);

  poller& poller_;
  const response_limits& limits_;
  http_connection::owner& owner_;
  const bounds most_;
  shared_buffers buffers_;
  std::deque<pooled_connection> all_; ///< all there ever were at a time; closed ones are opened again
  std::vector<pooled_connection*> closed_;
  list_of<pooled_connection, by_age> by_age_; ///< the longest unused first
  std::size_t open_ = 0, idle_ = 0;
  std::uint64_t turn_ = 0;
};

/// While others wait, an origin keeps a connection for this many exchanges in a row. More would starve a new origin
/// when a few busy ones hold all connections; fewer would reconnect in the middle of a configuration.
inline constexpr std::uint32_t streak_max = 32;

} // namespace nestor::io
