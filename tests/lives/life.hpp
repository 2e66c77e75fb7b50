// One node whose accounts are at the emulated clouds, and whole lives on it.
#pragma once

#include "rented_world.hpp"

#include <support/test_node.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace nestor::tests {

class renting_node {
public:
  std::shared_ptr<rented_world> clouds;
  std::unique_ptr<test_node> node;

  explicit renting_node(std::uint64_t seed = 1);
  /// A neighbour, on the same accounts; it must not live longer than the node that has the clouds.
  renting_node(std::uint64_t seed, std::shared_ptr<rented_world> shared);
  ~renting_node();
  renting_node(const renting_node&) = delete;
  renting_node& operator=(const renting_node&) = delete;

  sandbox_id create(std::string_view kind, const std::function<void(sandbox_spec&)>& change = {});
  void destroy(const sandbox_id& id) { (void)node->ask<actors::accepted>(actors::destroy_sandbox{id}); }
  status word(const sandbox_id& id) { return node->see(id)->word; }
  /// Until it is Ready, Quarantined or ended. What keeps it Unknown must settle within that time.
  status to_rest(const sandbox_id& id);
  bool to_end(const sandbox_id& id);
  /// What the runtime of a Ready sandbox does not hold of its configuration; empty when it is as wanted.
  std::string difference_in(std::string_view kind, const sandbox_id& id);

private:
  void start(std::uint64_t seed);
  bool shares_ = false;
};

/// What is wrong with a life at `kind` that began under these mishaps and then was ended; empty when nothing is. Leaves
/// the node with nothing rented.
std::string fault_of_life(renting_node& here, std::string_view kind, const std::vector<std::string>& mishaps,
                          std::uint64_t seed = 1);

/// The longest any provider may keep us in doubt, the ladder's rungs included.
inline constexpr microseconds rests_within = std::chrono::hours{2};

} // namespace nestor::tests
