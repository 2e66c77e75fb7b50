#include <nestor/io/clock.hpp>

namespace nestor::io {

instant steady_now() {
  auto since_start = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<microseconds>(since_start).count()};
}

wall_time wall_now() {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<milliseconds>(since_epoch).count()};
}

} // namespace nestor::io
