// A configuration whose secrets are still references: what a document gives, before anyone looked up a variable or a
// file. Resolving asks a function for each; this knows neither environment nor files.
#pragma once

#include <nestor/nested/configuration.hpp>
#include <nestor/sandbox/fault.hpp>
#include <nestor/sandbox/secret_reference.hpp>

#include <optional>
#include <string>
#include <vector>

namespace nestor {

/// JSON text, and behind it perhaps the JSON string of a secret.
struct settings_piece {
  wiped_string text;
  std::optional<std::size_t> reference; ///< of `settings_secrets`
};

struct settings_secret {
  secret_reference from;
  std::string pointer; ///< RFC 6901, within the settings
};

struct git_credential_source {
  std::string git_provider;
  secret_reference token;
  std::optional<std::string> host;
  std::optional<std::string> user_id;
};

struct custom_secret_source {
  std::string name;
  secret_reference value;
  std::string description;
};

/// Lists are sorted by name, names are unique.
struct configuration_source {
  std::vector<settings_piece> settings;          ///< put together: canonical JSON; empty: "{}"
  std::vector<settings_secret> settings_secrets; ///< sorted by pointer
  std::vector<git_credential_source> git_providers;
  std::vector<custom_secret_source> secrets;
};

/// The secrets of a source in its own order: settings, git providers, secrets.
struct resolved_secrets {
  std::vector<secret> settings;
  std::vector<secret> git_providers;
  std::vector<secret> secrets;
};

/// How a resolved secret is used decides what it may look like.
enum class secret_use : std::uint8_t { setting, header, git_token, custom };

/// One secret, looked up and checked. On a fault: adds it and gives an empty secret.
secret resolve_secret(const secret_reference& from, secret_use use, const secret_lookup& lookup,
                      std::vector<fault>& faults);

/// All secrets of a configuration; every one that fails adds a fault.
resolved_secrets resolve_secrets(const configuration_source& source, const secret_lookup& lookup,
                                 std::vector<fault>& faults);

/// The configuration with those secrets in place.
nested::configuration assemble(const configuration_source& source, const resolved_secrets& secrets);

} // namespace nestor
