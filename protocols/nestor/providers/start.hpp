// Starting the nested server inside a rented runtime: what its environment holds, and its command as one line for a
// shell, for providers that only have one.
#pragma once

#include <nestor/providers/provider.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace nestor::providers {

struct environment_entry {
  std::string name;
  wiped_string value;
};

/// What the order lists, the port under `port_env` and the session key under `session_key_env`.
std::vector<environment_entry> environment_of(const provision_order& order);

/// One argument as a POSIX shell reads it back unchanged.
std::string shell_word(std::string_view argument);
/// A command as a POSIX shell runs it.
std::string shell_line(const std::vector<std::string>& argv);

/// The labels as name and value, in their order.
std::vector<std::pair<std::string, std::string>> pairs_of(const labels& stamp);

/// `name` as a provider's object may be called: unique per attempt, so that an old attempt's create never meets a new
/// one's. "nst-…-3".
std::string name_of(const labels& stamp);

} // namespace nestor::providers
