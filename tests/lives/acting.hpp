// Actions in a sandbox that lives at an emulated cloud.
#pragma once

#include "life.hpp"

#include <optional>
#include <string>

namespace nestor::tests {

/// For `renting_node::create`: what acts in there is the provider.
inline void acts_through_provider(sandbox_spec& spec) {
  auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
  runtime->actions = actions_via::provider_exec;
  spec.runtime = std::move(runtime);
}

/// Runs that line for 20 s at most; nothing when the node says nothing for ten minutes.
inline std::optional<actors::action_seen> act(renting_node& here, const sandbox_id& id, std::string line) {
  actors::run_action order{
    id, std::make_shared<const action>(action{action_kind::run, std::move(line), {}, milliseconds{20'000}}),
    std::nullopt};
  auto got = std::make_shared<std::optional<actors::action_seen>>();
  actors::spawn<asker<actors::action_seen, actors::run_action>>(here.node->system.system(), nullptr, here.node->front(),
                                                                std::move(order), got);
  here.node->run_until([&] { return got->has_value(); }, std::chrono::minutes{10});
  return *got;
}

} // namespace nestor::tests
