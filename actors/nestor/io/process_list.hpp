// What /proc says about processes: identity, parents, sessions. Only reads. Exists because a process number alone
// names nothing: it is given to another process as soon as the first is gone.
#pragma once

#include <nestor/seam/io_request.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nestor::io {

struct process_entry {
  std::int64_t pid = 0, parent = 0, process_session = 0;
  std::uint64_t start_time = 0; ///< clock ticks after boot
  char state = '?';             ///< 'Z' and 'X' are dead already
  std::string name;             ///< at most 15 characters

  [[nodiscard]] bool dead() const { return state == 'Z' || state == 'X'; }
};

/// Nothing when there is no such process.
std::optional<process_entry> process_at(std::int64_t pid);
/// Every process, in no order; some may have gone meanwhile.
std::vector<process_entry> all_processes();
/// Changes with every boot of the machine.
const std::string& boot_id();

/// True when that very process, and not a later one with its number, is alive.
bool alive(const process_ref& process);

/// `process` if alive, all its descendants, and whatever else is in the session it leads.
std::vector<process_entry> tree_of(const process_ref& process);

/// The arguments a process was started with; empty when it has gone or is not ours to look at.
std::vector<std::string> arguments_of(std::int64_t pid);

} // namespace nestor::io
