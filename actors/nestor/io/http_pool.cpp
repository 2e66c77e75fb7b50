#include <nestor/io/internal/http_pool.hpp>

namespace nestor::io {
namespace {

/// An unused connection is not taken from its origin for another before this many turns of the loop: the next step of
/// the same sandbox comes within microseconds of the last answer, and would have to connect again.
constexpr std::uint64_t turns_kept = 3;
constexpr microseconds trusted_idle{5'000}; // beyond it the kernel is asked before a connection is used again

} // namespace

pooled_connection& http_pool::take_closed(origin& of) {
  if (closed_.empty())
    closed_.push_back(&all_.emplace_back(poller_, buffers_, limits_, owner_));
  auto& connection = *closed_.back();
  closed_.pop_back();
  connection.of = &of;
  connection.streak = 0;
  ++open_;
  return connection;
}

void http_pool::close(pooled_connection& connection) {
  if (connection.aged::is_linked())
    leave_idle(connection);
  connection.http.close();
  --open_;
  closed_.push_back(&connection);
}

void http_pool::keep(pooled_connection& connection, instant now) {
  connection.idle_since = now;
  connection.idle_turn = turn_;
  connection.of->idle.push_front(connection);
  by_age_.push_back(connection);
  ++idle_;
}

bool http_pool::usable(pooled_connection& connection, instant now) {
  return now - connection.idle_since <= trusted_idle || connection.http.fresh();
}

void http_pool::take_idle(pooled_connection& connection) {
  leave_idle(connection);
  ++connection.streak;
}

void http_pool::leave_idle(pooled_connection& connection) {
  connection.aged::unlink();
  connection.owned::unlink();
  --idle_;
}

pooled_connection* http_pool::spare() {
  auto* connection = oldest();
  bool had_its_chance =
    connection != nullptr && (turn_ - connection->idle_turn >= turns_kept || connection->streak >= streak_max);
  return had_its_chance ? connection : nullptr;
}

pooled_connection* http_pool::outworn(instant now) {
  auto* connection = oldest();
  bool too_old = connection != nullptr && now - connection->idle_since >= most_.idle_for;
  return too_old || idle_ > most_.idle ? connection : nullptr;
}

} // namespace nestor::io
