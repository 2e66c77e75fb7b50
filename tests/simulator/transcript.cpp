#include "transcript.hpp"

#include <cstdio>

namespace nestor::simulation {

void transcript::say(std::string_view who, std::string_view what) {
  char when[32];
  auto us = time_.now().us;
  std::snprintf(when, sizeof when, "%10.3f ", static_cast<double>(us) / 1e6);
  text_.append(when).append(who).append(": ").append(what).append("\n");
}

std::string transcript::alias(const sandbox_id& id) const {
  auto at = names_.find(id);
  return at == names_.end() ? id.text : "s" + std::to_string(at->second);
}

void transcript::name(const sandbox_id& id) {
  names_.try_emplace(id, names_.size() + 1);
}

} // namespace nestor::simulation
