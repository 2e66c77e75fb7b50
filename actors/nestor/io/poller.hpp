// Readiness of many descriptors behind one: an epoll set of our own that the io_context watches as a single descriptor.
// Knows nothing of what the descriptors are. Exists because Asio's operation per read and write (allocation, queueing,
// a buffer held for as long as the other side is silent) costs more than what we do with the bytes: here a batch of
// ready descriptors is one wake-up, and a silent connection holds no buffer.
#pragma once

#include <cstdint>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace nestor::io {

/// Hears of one descriptor. `events` are epoll's (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR).
class watcher {
public:
  virtual void ready(std::uint32_t events) = 0;

protected:
  ~watcher() = default;
};

/// Used from the io_context's one thread. As long as it exists, the io_context has work.
class poller {
public:
  /// Names one registration, so that an event of a closed descriptor never reaches the next owner of its number.
  using token = std::uint64_t;
  static constexpr token none = 0;

  explicit poller(boost::asio::io_context& context);
  ~poller();
  poller(const poller&) = delete;
  poller& operator=(const poller&) = delete;

  /// Watches `fd` edge-triggered for `events`. Returns `none` when the kernel has no room (treat like a missing
  /// descriptor). `who` must outlive the registration.
  token add(int fd, std::uint32_t events, watcher& who);
  /// Changes what is watched for.
  void change(token which, int fd, std::uint32_t events);
  /// Call before closing `fd`. No event of this registration is delivered afterwards, not even in the same batch.
  void remove(token which, int fd);

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace nestor::io
