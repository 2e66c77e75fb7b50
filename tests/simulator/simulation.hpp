// One run: a node, its clients, its clouds and its crashes in one thread on virtual time. The scheduler's choice of the
// next actor, every delay and every loss is drawn from the scenario's seed.
#pragma once

#include "planted.hpp"
#include "scenario.hpp"

#include <nestor/core/time.hpp>

#include <cstdint>
#include <string>

namespace nestor::simulation {

struct outcome {
  std::string fault; ///< empty: every promise was kept
  std::string transcript;
  std::uint64_t hash = 0; ///< of the transcript
  std::size_t messages = 0;
  std::size_t crashes = 0;
  std::size_t became_ready = 0;
  milliseconds took{0}; ///< of virtual time
};

/// `broken`: what is wrong with the node on purpose.
outcome run(const scenario& s, const planted* broken = nullptr);

/// The same fault, or another one, with as few parts as leaving them out one after the other gives.
scenario shrunk(scenario s, const planted* broken = nullptr);

} // namespace nestor::simulation
