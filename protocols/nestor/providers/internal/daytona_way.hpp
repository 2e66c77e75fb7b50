// The way from "there is a sandbox" to "its nested server can be spoken to": waiting until it runs, starting the server
// through the toolbox, asking for the address of its port. Provisioning, looking for a lost create and resuming walk it
// alike; what an end on the way means is theirs to say.
#pragma once

#include <nestor/providers/internal/daytona_calls.hpp>

#include <string>
#include <variant>

namespace nestor::providers::internal::daytona {

/// Where a conversation with Daytona is. The way's own places are the ones marked.
enum : place {
  at_start,
  at_created,
  at_named,
  at_listed,
  at_seen,    ///< way: the sandbox
  at_shell,   ///< way: a shell was asked for
  at_run,     ///< way: the nested server was started in it
  at_shells,  ///< way: what runs in it
  at_reached, ///< way: the address of the port
  at_switched,
  at_deleted,
  at_vanishing,
  at_told
};

struct errand {
  std::uint16_t port = 0;
  std::string start;      ///< one line that starts the server; empty: the image does
  milliseconds within{0}; ///< since the conversation began
  stage now = stage::looking;
};

enum class ending : std::uint8_t {
  gone,
  resting,
  broken,
  late,
  useless,   ///< it runs, and the server cannot be started or reached
  unreadable ///< the API does not tell
};
/// The way ended before the server was reached.
struct halt {
  ending how = ending::gone;
  std::string id;
  failure why;
};
/// The runtime comes without session key.
using course = std::variant<runtime, ask, halt>;

/// The question that begins it.
ask look(const account& who, std::string_view id, milliseconds after = {});
/// The next turn, at one of the way's places.
course way(const account& who, const errand& e, const heard& so_far);

/// Which sandbox the conversation is about.
std::string id_of(const heard& so_far);
/// `errand::start` of the turn before, at one of the shell's places.
std::string start_of(const heard& so_far);

} // namespace nestor::providers::internal::daytona
