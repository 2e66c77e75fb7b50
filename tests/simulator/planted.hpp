// Bugs on purpose, at the seams of a node: each stands between the real actors and what they stand on. A simulation
// that does not notice one of them proves nothing about the rest.
#pragma once

#include "disk.hpp"

#include <nestor/actors/sandbox_registry.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace nestor::simulation {

struct planted {
  std::string_view name;
  std::string_view summary;
  // Each may be empty.
  std::function<std::shared_ptr<actors::journal_port>(std::shared_ptr<actors::journal_port>, disk&)> journal{};
  std::function<std::shared_ptr<actors::io_port>(std::shared_ptr<actors::io_port>)> io{};
  void (*provider)(providers::provider&) = nullptr;
  void (*limits)(actors::registry_limits&) = nullptr;
  bool entropy_repeats = false; ///< after every start
};

std::span<const planted> all_planted();
/// nullptr when there is none of that name.
const planted* planted_named(std::string_view name);

} // namespace nestor::simulation
