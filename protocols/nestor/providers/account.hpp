// A configured provider instance: which kind, where its API is, the credential, and the limits it asks us to keep. Two
// accounts of one kind are two names. What a kind can be told is its own table of fields, so that the configuration's
// reader, `provider list`, `doctor` and the translators read one list.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::providers {

struct provider;

enum class field_holds : std::uint8_t { text, url, secret };

/// One member of `providers.NAME` in the node's configuration.
struct account_field {
  std::string_view name;
  field_holds what = field_holds::text;
  std::string_view env;      ///< variable that the provider's own tools read; empty: none
  std::string_view fallback; ///< when it is set nowhere; never of a secret
  bool required = false;
  std::string_view description;
};

/// What an account may be asked for at a time. 0: as much as we like.
struct account_limits {
  double creates_per_second = 0;
  std::uint32_t starting_max = 0; ///< creates not yet Ready or failed
};

/// What a proof of the credential gave: until when it is good, and what was derived from it (Modal's tokens).
struct proof {
  std::optional<wall_time> until; ///< as the API says; nothing: the node's own limit
  std::vector<std::pair<std::string, secret>> tokens;
};

struct account {
  std::string name;
  const provider* speaks = nullptr;
  std::vector<std::pair<std::string, std::string>> settings; ///< by field; fallbacks filled in, empty ones left out
  std::vector<std::pair<std::string, secret>> secrets;       ///< by field; resolved
  std::string ca_file;                                       ///< PEM to trust for its hosts besides the system's
  std::vector<std::string> key_hosts; ///< more hosts that the key may go to; ".x.y": all below x.y
  std::vector<std::string> tenants;   ///< whose sandboxes may use it; empty: everyone's
  account_limits limits;
  proof proven; ///< by `authenticate`; empty before

  /// Empty when it is not set.
  [[nodiscard]] std::string_view text(std::string_view field) const;
  [[nodiscard]] const secret& key(std::string_view field) const;
  [[nodiscard]] const secret& token(std::string_view of) const; ///< of the proof
};

} // namespace nestor::providers
