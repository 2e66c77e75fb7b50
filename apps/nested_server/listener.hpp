// The sockets of the nested server: one thread, any number of ports, HTTP/1.1 with keep-alive. Boost does not show
// here. It knows nothing of dialects; a `site` answers.
#pragma once

#include <nested_server/site.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace nestor::nested_server {

/// Bytes of a request's head: an ordinary client's is below 1 KiB.
inline constexpr std::uint32_t head_max = 16U << 10U;
/// Bytes of a request's body: the largest settings are a few hundred KiB.
inline constexpr std::uint64_t body_max = std::uint64_t{4} << 20U;
/// Connections of the whole process; one more is closed at once. Below the usual limit of 20,000 descriptors.
inline constexpr std::size_t connections_max = 16'384;
/// A connection without a request for so long is closed: proxies and clients use about a minute.
inline constexpr int idle_seconds = 75;

/// Where time comes from and what ends the process. Empty members mean the real thing; tests bring their own.
struct listener_world {
  std::function<instant()> now;
  std::function<void(milliseconds, std::function<void()>)> later;
  std::function<void()> die; ///< for the `die` faults: the process ends at once, nothing is flushed
};

class listener {
public:
  explicit listener(listener_world world = {});
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  /// Answers on `address`:`port` with `who`; port 0 takes a free one. Returns the port. Throws std::system_error.
  std::uint16_t listen(const std::string& address, std::uint16_t port, std::shared_ptr<site> who);
  /// SIGTERM and SIGINT stop it.
  void stop_on_signals();
  /// Until `stop`.
  void run();
  /// From any thread.
  void stop();

  /// Connections that are open now. On the listener's thread.
  [[nodiscard]] std::size_t connections() const;
  boost::asio::io_context& io();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace nestor::nested_server
