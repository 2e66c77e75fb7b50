#include <emulator/timers.hpp>

#include <nestor/io/clock.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace nestor::emulator {

instant timers::now() const {
  return io::steady_now();
}

void timers::after(milliseconds delay, std::function<void()> what) {
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, delay);
  timer->async_wait([timer, what = std::move(what)](boost::system::error_code failed) {
    if (!failed)
      what();
  });
}

} // namespace nestor::emulator
