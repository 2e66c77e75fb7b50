// Time as the clouds see it: what moment it is, and what is to happen later. The binary's is a timer on its socket
// thread; the virtual one here moves when a test says so, so that whole lives with their long-polls, time-outs and
// leases take no time at all.
#pragma once

#include <nestor/core/time.hpp>

#include <functional>
#include <map>
#include <optional>

namespace nestor::emulator {

class clockwork {
public:
  virtual ~clockwork() = default;
  [[nodiscard]] virtual instant now() const = 0;
  /// Calls `what` once, never inside this call. Equal moments come in the order in which they were asked for.
  virtual void after(milliseconds delay, std::function<void()> what) = 0;
};

class virtual_clockwork final : public clockwork {
public:
  [[nodiscard]] instant now() const override { return now_; }
  void after(milliseconds delay, std::function<void()> what) override;

  /// Moves on, stopping at every moment at which something happens.
  void advance(milliseconds by);
  /// Goes to the next moment at which something happens; false when nothing is to come.
  bool step();
  /// When that is.
  [[nodiscard]] std::optional<instant> next() const;
  /// As `advance`; a moment that has passed already is as good as now.
  void advance_to(instant until);

private:
  instant now_;
  std::multimap<instant, std::function<void()>> to_come_;
};

} // namespace nestor::emulator
