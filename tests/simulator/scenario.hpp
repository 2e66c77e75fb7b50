// What happens to one node in one run, drawn from a seed: clients' wishes, crashes, and everything the world does
// wrong. It is data, so that a failing run can be made shorter by leaving parts of it out.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::simulation {

/// What clients ask for, and what happens to runtimes and clocks behind everybody's back.
enum class act : std::uint8_t {
  create,
  configure,
  pause,
  resume,
  destroy,
  access,
  sweep,
  empties, ///< the nested server restarts, empty
  dies,    ///< the nested server ends by itself
  steps,   ///< the wall clock steps, by up to an hour
  count_
};
std::string_view name_of(act a);

struct deed {
  milliseconds at{0}; ///< after the start of the run
  act what{};
  unsigned who = 0;     ///< which sandbox, counted by the creates of the scenario
  unsigned variant = 0; ///< of the configuration; what else there is to choose
};

enum class blow : std::uint8_t {
  at_message,   ///< the node is gone after that many messages
  after_deed,   ///< … that many messages after that deed: while it is under way
  before_sync,  ///< … when that many groups were about to be written: this one is not
  after_sync,   ///< … when it is written, and nobody was told
  disk_refuses, ///< the node lives on: that group is refused by the disk
  disk_lies     ///< … or is said to be refused, and is there
};
std::string_view name_of(blow b);

struct strike {
  blow how{};
  unsigned count = 0;    ///< messages, deeds, or groups of writes, since the start of the run
  milliseconds down{0};  ///< how long there is no node
  unsigned survives = 0; ///< of 100 writes that were not synced yet, and of requests on their way
  unsigned later = 0;    ///< after a deed: messages
};

struct trouble {
  std::string kind; ///< of the provider
  std::string spec; ///< in the words of emulator/mishap.hpp
};

struct scenario {
  std::uint64_t seed = 1; ///< of every draw that is not written down here
  std::vector<std::string> kinds;
  std::size_t sandboxes_max = 100;
  bool neighbour = false;          ///< another installation has a sandbox at the first account
  milliseconds calm_after{20'000}; ///< the last deed nothing goes wrong any more
  std::vector<deed> deeds;
  std::vector<strike> strikes;
  std::vector<trouble> troubles;
};

scenario scenario_of(std::uint64_t seed);

/// Deeds, strikes and troubles.
std::size_t parts_of(const scenario& s);
/// Without those `[first, first + count)` of its parts.
scenario without(scenario s, std::size_t first, std::size_t count);
/// A line each.
std::string to_text(const scenario& s);

} // namespace nestor::simulation
