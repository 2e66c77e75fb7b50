// A configuration's git tokens and secrets as an agent-server keeps them: one list, git providers first, because it has
// no place for a git provider. A token is the secret GITHUB_TOKEN; its host and user stand in the description, where
// the agent reads them.
#pragma once

#include <nestor/nested/dialect.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace nestor::nested {

struct agent_secret {
  bool git = false;        ///< a git provider's token
  std::size_t item = 0;    ///< of the configuration's git providers, or of its secrets
  std::string name;        ///< on the server
  std::string description; ///< on the server
  const std::string* said; ///< as the configuration calls it
  const secret* value;
};

/// `item` of the configuration's git providers, or of its secrets.
agent_secret agent_secret_of(const configuration& c, bool git, std::size_t item);

/// How many secrets the order wants on the server; none when it withdraws.
std::size_t agent_secrets_wanted(const walk& w);
agent_secret agent_secret_at(const walk& w, std::size_t i);
bool is_wanted_agent_secret(const walk& w, std::string_view name);
/// Was the secret of that name, or may it have been, written by us before this run?
bool agent_secret_was_ours(const walk& w, std::string_view name);
/// The git provider whose token stood under that name before this run; nullptr: none of ours.
const std::string* git_provider_before(const walk& w, std::string_view name);

/// Why the order's secrets have no place on the server; empty when they have.
std::string agent_secrets_misfit(const walk& w);

} // namespace nestor::nested
