// The latest events of a node, numbered without gaps, for lists and streams; older ones are forgotten, and a reader who
// asks for those is told so. Pure. An event names statuses, steps, codes and times; it has no way to hold a secret.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::api {

struct event {
  std::uint64_t id = 0;
  wall_time at;
  std::string kind; ///< "status", "step"
  std::string sandbox;
  std::string tenant;
  std::string details; ///< members of a JSON object, without braces; may be empty
};

/// One line of JSON: {"id":…,"at":…,"kind":…,"sandbox":…,"tenant":…,details}.
std::string to_json(const event& e);
/// Of a stream (text/event-stream): id, event and data.
std::string to_stream(const event& e);
/// Says that events before `oldest` are gone, and from where it goes on.
std::string reset_for_stream(std::uint64_t oldest);
/// Keeps proxies from closing a silent stream.
inline constexpr std::string_view stream_comment = ":\n\n";

/// Whose events.
struct event_filter {
  std::string tenant;  ///< empty: everyone's
  std::string sandbox; ///< empty: all of them
  [[nodiscard]] bool fits(const event& e) const {
    return (tenant.empty() || e.tenant == tenant) && (sandbox.empty() || e.sandbox == sandbox);
  }
};

class event_ring {
public:
  explicit event_ring(std::size_t kept_max) : kept_max_(kept_max) {}

  /// Gives it its number.
  std::shared_ptr<const event> add(event e);
  struct slice {
    std::vector<std::shared_ptr<const event>> items;
    bool gap = false;            ///< events after `after` are forgotten, or `after` is none of this node's
    std::uint64_t last_seen = 0; ///< where to go on
  };
  /// At most `limit` of those after `after` that fit.
  [[nodiscard]] slice since(std::uint64_t after, const event_filter& filter, std::size_t limit) const;
  [[nodiscard]] std::uint64_t oldest() const { return kept_.empty() ? next_ : kept_.front()->id; }
  [[nodiscard]] std::uint64_t latest() const { return next_ - 1; }

private:
  std::size_t kept_max_;
  std::uint64_t next_ = 1;
  std::deque<std::shared_ptr<const event>> kept_;
};

} // namespace nestor::api
