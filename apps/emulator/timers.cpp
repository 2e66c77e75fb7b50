#include <emulator/timers.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace nestor::emulator {

void timers::after(milliseconds delay, std::function<void()> what) {
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, delay);
  timer->async_wait([timer, what = std::move(what)](boost::system::error_code failed) {
    if (!failed)
      what();
  });
}

} // namespace nestor::emulator
