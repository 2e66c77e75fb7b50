// What the node and its guardian processes say to each other over a socket of fixed-size messages. Both come from the
// same build. A guardian that outlived the node that started it is only ever told something by a signal.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace nestor::io::guardian {

/// Name of the program and, being 15 characters, all of it fits into /proc/PID/comm.
inline constexpr std::string_view program = "nestor-guardian";

/// The guardian's end of the socket.
inline constexpr int control_fd = 3;
/// The reading end of the child's output, given only to a guardian that stays when the node goes: somebody must read
/// it then, or the child dies of SIGPIPE.
inline constexpr int output_fd = 4;

/// Grace between TERM and KILL when nobody said: when the child ended by itself and left others behind.
inline constexpr std::int32_t usual_grace_ms = 2'000;

enum class word : std::int32_t {
  started = 1, ///< the child runs: `number` its pid, `start_time`
  refused,     ///< it could not be executed: `number` is errno. The guardian ends
  gone,        ///< none of the tree is left: `number` is the child's status as in a shell. The guardian ends
  end          ///< to the guardian: TERM, then KILL after `number` ms
};

struct message {
  word what;
  std::int32_t number;
  std::uint64_t start_time; ///< clock ticks after boot
};
static_assert(std::is_trivially_copyable_v<message> && sizeof(message) == 16);

// Its arguments: program, "stay" or "leave" (what to do when the node is gone), marker, port, "--", the child's argv.
inline constexpr int argument_stay = 1, argument_marker = 2, argument_port = 3, argument_command = 5;

} // namespace nestor::io::guardian
