// From a document to a specification: every fault listed, each with its place, before anything is done. Reads JSON
// text (YAML is turned into it at the edge) and knows neither files nor the environment: secrets stay references until
// `resolve` is given a way to look them up.
//
// Choices made here: a sandbox's name is a DNS label (1–63 of a-z, 0-9 and '-'), so that it can become a host name
// or a tag anywhere; a label's key and value are up to 63 characters of letters, digits and "-_./"; durations and sizes
// are one whole number with a unit; null is accepted where the default is null and for whole objects. A reference is an
// object with exactly one of $env, $file, $literal, and stands in `configuration` and `runtime.session_key` only.
#pragma once

#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/configuration_source.hpp>
#include <nestor/sandbox/fault.hpp>
#include <nestor/sandbox/spec.hpp>

#include <functional>
#include <optional>
#include <string_view>

namespace nestor {

/// A specification as written: everything but what references stand for. `plain.runtime` is set (without its session
/// key), `plain.configuration` is not.
struct spec_source {
  sandbox_spec plain;
  std::optional<secret_reference> session_key;
  configuration_source configuration;
};

struct reading {
  /// Texts may hold `{index}` and its kin, and are checked for the first and the last index there can be. Otherwise a
  /// placeholder is a fault, except in `conversation`, whose text is prose.
  bool bench = false;
  /// What a provider's name stands for; nullptr: none of that name. By default the kinds of this build.
  std::function<const providers::provider*(std::string_view name)> provider_named = providers::of_kind;
};

/// Reads at most 1 MiB of JSON text, 32 levels deep.
checked<spec_source> read_spec(std::string_view json, const reading& how = {});

/// The `configuration` part alone, as a document of its own; paths begin with "configuration".
checked<configuration_source> read_configuration(std::string_view json);

/// Looks every reference up. Faults: unresolved references, secrets that cannot be sent, an environment value that
/// equals a secret. Precondition: `source` was not read for a bench (spec_template.hpp is for those).
checked<sandbox_spec> resolve(const spec_source& source, const secret_lookup& lookup);

/// Faults of `runtime.env`: a value that equals one of the secrets. Part of `resolve`, shared with spec_template.
void refuse_secrets_in_env(const runtime_spec& runtime, const configuration_source& source,
                           const resolved_secrets& secrets, std::vector<fault>& faults);

/// Calls `use` with every text of it that may hold a placeholder, in a fixed order.
template <class Spec, class Use>
void texts_of_sandbox(Spec& spec, Use&& use) {
  use(spec.name);
  for (auto& [key, value] : spec.labels)
    use(value);
  use(spec.conversation);
}
template <class Runtime, class Use>
void texts_of_runtime(Runtime& runtime, Use&& use) {
  use(runtime.image);
  for (auto& argument : runtime.command)
    use(argument);
  use(runtime.port_env);
  use(runtime.session_key_env);
  for (auto& [name, value] : runtime.env)
    use(value);
  use(runtime.url);
  use(runtime.alive_path);
  use(runtime.options);
}

} // namespace nestor
