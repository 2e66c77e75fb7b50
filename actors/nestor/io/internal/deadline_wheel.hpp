// Deadlines of many things with one timer: a wheel of slots, each a tick wide. Adding and removing are O(1) and
// allocate nothing. Knows no clock: `now` is a parameter, so tests turn it by hand.
#pragma once

#include <nestor/core/time.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace nestor::io {

/// Base of what has a deadline. Leaves the wheel by itself when destroyed.
struct deadline_node : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  instant deadline;
};

/// `T` derives from `deadline_node`.
template <class T>
class deadline_wheel {
public:
  static constexpr microseconds tick{20'000}; ///< how late a deadline may be noticed; 50 wake-ups a second at most

  void add(T& node, instant deadline) {
    node.deadline = deadline;
    slots_[slot_of(deadline)].push_back(node);
  }

  static void remove(T& node) {
    if (node.deadline_node::is_linked())
      static_cast<deadline_node&>(node).unlink();
  }

  /// Removes and hands over every node whose deadline is not after `now`.
  template <class Expire>
  void turn(instant now, Expire&& expire) {
    auto first = tick_of(turned_to_);
    auto last = tick_of(now);
    auto count = std::min<std::int64_t>(last - first + 1, slots_.size());
    turned_to_ = now;
    list due;
    for (std::int64_t i = 0; i < count; ++i) {
      auto& slot = slots_[static_cast<std::size_t>(last - i) % slots_.size()];
      for (auto at = slot.begin(); at != slot.end();) {
        auto& node = *at++;
        if (node.deadline <= now) {
          node.unlink();
          due.push_back(node);
        }
      }
    }
    while (!due.empty()) { // handing over may remove other nodes, due ones too: take them one by one
      auto& node = due.front();
      node.unlink();
      expire(static_cast<T&>(node));
    }
  }

private:
  using list = boost::intrusive::list<deadline_node, boost::intrusive::constant_time_size<false>>;

  static std::int64_t tick_of(instant at) { return at.us / tick.count(); }
  std::size_t slot_of(instant at) const {
    return static_cast<std::size_t>(std::max(tick_of(at), tick_of(turned_to_))) % slots_.size();
  }

  std::array<list, 512> slots_; ///< 10 s a turn: the usual deadline is visited once or twice
  instant turned_to_;
};

} // namespace nestor::io
