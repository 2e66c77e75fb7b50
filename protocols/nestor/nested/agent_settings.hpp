// Where the settings of a specification stand on an agent-server, what has to be sent so that they and nothing else are
// set, and what is left over afterwards. That server keeps them in three groups and only merges, so what goes has to be
// named. It refuses to know requests: texts in, texts out.
#pragma once

#include <nestor/core/secret.hpp>

#include <string>
#include <string_view>

namespace nestor::nested {

/// `settings` in the agent-server's own shape: `agent_settings`, `conversation_settings`, `misc_settings` and the two
/// pointers `active_profile` and `active_agent_profile_id` as they are, and the V0 server's flat names
/// (`llm_api_key`, …) at the places that mean the same. Canonical, without nulls: null means "its default".
struct placed_settings {
  wiped_string text = "{}";
  std::string objection; ///< not empty: one of them has no place there, and why
};
placed_settings place_settings(std::string_view settings);

/// The body of the PATCH after which the server that shows `shown` holds what is placed, and its defaults otherwise.
wiped_string settings_patch(std::string_view placed, std::string_view shown);

struct shown_agent_settings {
  bool whole = false;  ///< one JSON object with `agent_settings`
  bool filled = false; ///< something is set that no new server has
  /// The first place that is empty by default, is not wanted and holds something; empty: there is none.
  std::string surplus;
};
shown_agent_settings read_agent_settings(std::string_view shown, std::string_view placed);

} // namespace nestor::nested
