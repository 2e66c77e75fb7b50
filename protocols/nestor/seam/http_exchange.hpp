// One request that came in, and the door for its answer. What the HTTP server hands to whoever answers; neither knows
// the other. Used on one thread.
#pragma once

#include <nestor/http/message.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace nestor {

class http_exchange {
public:
  virtual ~http_exchange() = default;

  /// Complete, within the server's limits.
  [[nodiscard]] virtual const http::request& request() const = 0;
  /// The whole answer. Once; ignored when the client is gone.
  virtual void answer(http::response answer) = 0;

  /// An answer in parts, instead: its head, then parts, until the client leaves or `end`. `drained` is called whenever
  /// all that was given has been sent.
  virtual void begin(http::response head, std::function<void()> drained) = 0;
  /// False: it was not taken, and the connection is being closed, because the client does not read or is gone.
  virtual bool more(std::string_view bytes) = 0;
  virtual void end() = 0;
  /// Bytes of parts that are not sent yet.
  [[nodiscard]] virtual std::size_t waiting() const = 0;
  /// Nobody hears an answer any more.
  [[nodiscard]] virtual bool gone() const = 0;
};

} // namespace nestor
