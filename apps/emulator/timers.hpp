// The clockwork of the binary: the steady clock, and timers on the socket thread.
#pragma once

#include <emulator/clockwork.hpp>

#include <nestor/io/clock.hpp>

namespace boost::asio {
class io_context;
}

namespace nestor::emulator {

class timers final : public clockwork {
public:
  explicit timers(boost::asio::io_context& io) : io_(io) {}
  [[nodiscard]] instant now() const override { return io::steady_now(); }
  void after(milliseconds delay, std::function<void()> what) override;

private:
  boost::asio::io_context& io_;
};

} // namespace nestor::emulator
