// One thing that a change of a configuration touches: names only, never a value.
#pragma once

#include <string>
#include <string_view>

namespace nestor {

struct planned {
  std::string path;        ///< "settings.llm_model", "git_providers.github", "secrets.API_TOKEN"
  std::string_view what;   ///< added, changed, removed
  std::string_view effect; ///< live, next_conversation
};

} // namespace nestor
