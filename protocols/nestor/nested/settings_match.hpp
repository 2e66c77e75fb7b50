// Whether the settings a server shows are the wanted ones. Servers coerce types, fill in defaults and hide secrets, so
// this is not equality of texts; it is one pass over what was shown, leaf by leaf. It never says a value.
#pragma once

#include <nestor/nested/configuration.hpp>
#include <nestor/nested/dialect.hpp>
#include <nestor/nested/evidence.hpp>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested {

/// Settings for which null and absence mean "keep the old value" on the V0 server, and that "" empties.
inline constexpr std::array<std::string_view, 4> kept_by_null{"llm_api_key", "llm_base_url", "llm_model",
                                                              "search_api_key"};

/// What a `GET /api/settings` shows, besides the values.
struct shown_settings {
  bool whole = false;                            ///< the body was one JSON object
  bool tells_git_providers = false;              ///< it has `provider_tokens_set`: the V0 server
  std::vector<std::string> filled;               ///< those of `kept_by_null` that have a value
  std::vector<shown_git_provider> git_providers; ///< sorted by name
};

struct settings_match {
  bool equal = false;
  bool any_shown = false;              ///< at least one wanted member is shown at all
  std::string difference;              ///< the first setting that differs, by JSON pointer; empty when equal
  evidence strength = evidence::value; ///< the weakest over the wanted members
};

/// What a server promises about the settings it shows.
enum class showing : std::uint8_t {
  some,   ///< nothing
  places, ///< every member it knows, secrets by a flag (V0): a secret that is set and not wanted differs, and so does a
          ///< wanted secret that has no place
  values  ///< every member it knows, secrets in clear because they were asked for
};

/// One reading of the body; `wanted`, when given, is compared in the same pass.
shown_settings read_settings(std::string_view body);
settings_match match_settings(const configuration& wanted, std::string_view body, shown_settings& shown, showing how);

/// Has the top-level setting of that name a value?
bool has_value(std::string_view settings, std::string_view name);

/// `settings` with "" for each of `names`, whatever they were.
wiped_string emptied(std::string_view settings, std::span<const std::string> names);
/// `wanted.settings` with "" for each member of `clear` that it does not give a value. The body of a whole-object POST.
wiped_string settings_body(std::string_view settings, std::span<const std::string> clear);

} // namespace nestor::nested
