// A change of a running sandbox's configuration: a merge patch (RFC 7396) or a whole new one, against what is stored.
// Secrets that were stored are never shown, so a document says `{"$keep": true}` where one stays as it is. Also says,
// before anything is done, what a change would touch and when that takes effect. Pure.
#pragma once

#include <nestor/nested/configuration.hpp>
#include <nestor/sandbox/fault.hpp>
#include <nestor/sandbox/planned.hpp>
#include <nestor/sandbox/spec.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nestor {

enum class change_kind : std::uint8_t {
  merge,  ///< absent = keep, null = remove
  replace ///< what is not named is removed
};

struct configuration_change {
  change_kind how = change_kind::merge;
  wiped_string document; ///< JSON; secrets as `{"$literal": TEXT}` or `{"$keep": true}`
};

/// What is wanted after the change. A reference is a leaf: it replaces, and is replaced, whole. `$env` and `$file` are
/// faults: whoever sends a change looks them up, because they would name the node's own. So is a `$keep` where nothing
/// is stored, and a secret that equals a value of `runtime.env`.
checked<nested::configuration> apply(const configuration_change& change, const sandbox_spec& to);

/// In the order settings, git_providers, secrets, each by name. Empty: it changes nothing. Names only, never a value.
std::vector<planned> plan_of(const nested::configuration& before, const nested::configuration& after);

} // namespace nestor
