// The accounts of a node, by name: what a specification's `provider` may say. Secrets stay references here; whoever
// proves a credential looks them up then, so that what is rotated outside is picked up by the next proof.
#pragma once

#include <nestor/providers/account.hpp>
#include <nestor/sandbox/secret_reference.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers {

struct account_source {
  account plain;                                                 ///< without its secrets
  std::vector<std::pair<std::string, secret_reference>> secrets; ///< by field
  std::vector<std::pair<std::string, std::string>> origins;      ///< by field: where it was set, for people
  /// How long a create of unknown outcome is looked for before it counts as absent; nothing: as the kind has it.
  /// Shorter only where the API's operator says so: a create that comes true later is a leak until a sweep finds it.
  std::optional<milliseconds> create_settles{};
};

/// Ordered by name.
using account_book = std::map<std::string, std::shared_ptr<const account_source>, std::less<>>;

/// The kinds that need no account: `process` and `static`, under their own names.
const std::shared_ptr<const account_book>& built_in_accounts();

/// nullptr when there is none of that name.
const account_source* account_named(const account_book& book, std::string_view name);

/// With its secrets looked up. Errors: `credential_missing`, naming the field and where it was looked for.
expected<account> resolve(const account_source& source, const secret_lookup& lookup);

} // namespace nestor::providers
