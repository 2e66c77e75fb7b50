// Free TCP ports on loopback for children to listen on. Exists because two children that start together must not be
// told the same port: the kernel only knows a port to be taken once its owner listens.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace nestor::io {

class loopback_ports {
public:
  /// A port that nobody uses now and that was not handed out in the last minute. Nothing when there is none. Another
  /// program may still take it before the child does; the child then fails to listen, and the next one gets another.
  /// `with_next`: the same holds for the port after it.
  std::optional<std::uint16_t> take(instant now, bool with_next = false);

private:
  [[nodiscard]] bool handed_out(std::uint16_t port) const;
  std::deque<std::pair<std::uint16_t, instant>> handed_out_;
};

} // namespace nestor::io
