// Waiting for what happens at a node: a sandbox's status with a line for each step, and events as they come. The node
// holds the answer until there is something to say; nothing here sleeps.
#pragma once

#include "client_show.hpp"

#include <string>

namespace nestor::cli {

/// Until it is `wanted` ("ready", "destroyed"), cannot become it any more, or `o.timeout_s` has passed. Lines for
/// people go to standard error, the object at last to standard output. The exit code.
int await_status(api_client& node, const client_verb& o, const std::string& id, const std::string& wanted);

/// The events of `target`; goes on until interrupted when `o.follow`.
int follow_events(api_client& node, const client_verb& o, const std::string& target);

/// Its story in words: what it is, what happened when, why it is not Ready.
std::string story_of(const ordered_json& sandbox);

} // namespace nestor::cli
