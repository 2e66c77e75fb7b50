// What a nested server is to hold: settings, git providers, secrets, with every reference already resolved. Kept as
// text ready to be sent, because building a JSON document per sandbox costs more than all its networking.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/core/secret.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::nested {

/// A git provider's credential. `git_provider` is an open set: github, gitlab, bitbucket, azure_devops, …
struct git_credential {
  std::string git_provider;
  secret token;
  std::optional<std::string> host;
  std::optional<std::string> user_id;
};

/// One named secret. Names match ^[A-Za-z_][A-Za-z0-9_]{0,63}$ (checked when the specification is read).
struct custom_secret {
  std::string name;
  secret value;
  std::string description;
};

/// The resolved configuration of one generation. Lists are sorted by name, names are unique.
struct configuration {
  /// A JSON object, canonical (keys sorted, no white space, UTF-8), secrets in place: the body of the settings push.
  wiped_string settings = "{}";
  /// JSON pointers (RFC 6901) of the members of `settings` that are secrets: never compared aloud, read back as "set".
  std::vector<std::string> secret_settings;
  std::vector<git_credential> git_providers;
  std::vector<custom_secret> secrets;
};

/// Everything that counts, in one canonical text: equal configurations give equal texts, and no two others do.
wiped_string canonical(const configuration& c);

/// Every secret value in it, those inside `settings` too: what has to be taken out of text that others wrote.
std::vector<secret> secrets_of(const configuration& c);

/// Key of the digests, from the key ring. A plain hash of a secret is an oracle for guesses; a keyed one is not.
struct digest_key {
  std::uint32_t id = 0;
  secret bytes; ///< 32 bytes
};

/// Keyed BLAKE2b-256, with the id of its key. Never leaves the node.
struct digest {
  std::uint32_t key_id = 0;
  std::array<std::uint8_t, 32> bytes{};
  friend bool operator==(const digest&, const digest&) = default;
};

digest digest_of(std::string_view text, const digest_key& key);
digest digest_of(const configuration& c, const digest_key& key);

/// What a runtime is known to hold, as digests: what lets an update skip the unchanged and remove what went.
/// Also names everything that may have been written, so that it can be withdrawn.
struct delivery {
  std::optional<digest> settings;
  std::vector<std::pair<std::string, digest>> git_providers; ///< sorted by name
  std::vector<std::pair<std::string, digest>> secrets;       ///< sorted by name
  std::vector<std::string> settings_members; ///< top-level settings that have a value, sorted; names only
  friend bool operator==(const delivery&, const delivery&) = default;
};

delivery delivery_of(const configuration& c, const digest_key& key);

/// Does going from `before` to `wanted` take something away (a git provider, a secret, a setting's value)? Access is
/// closed while that happens.
bool removes(const delivery& before, const configuration& wanted);

} // namespace nestor::nested
