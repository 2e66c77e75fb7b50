// What a nested server holds, in the words of a specification whatever its dialect: what judges compare with what was
// wanted. Written against the contract page, not against the dialects' code.
#pragma once

#include <nestor/nested/configuration.hpp>

#include <nested_server/model.hpp>

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <string_view>

namespace nestor::tests {

/// A server by what it speaks: a dialect's name, or "dormant agent-server" for one that waits for its init.
inline nested_server::model_options options_of(std::string_view speaks) {
  constexpr std::string_view dormant = "dormant ";
  nested_server::model_options options;
  options.deferred_init = speaks.starts_with(dormant);
  options.dialect = speaks.substr(options.deferred_init ? dormant.size() : 0);
  return options;
}

struct held_token {
  std::string token;
  std::string host; ///< empty: none
};

struct held {
  bool configured = false; ///< settings were written
  nlohmann::json settings = nlohmann::json::object();
  std::map<std::string, held_token> git_providers;
  std::map<std::string, std::string> secrets;
};

namespace detail {

/// Where the newer server keeps what the V0 server calls by a flat name.
inline const std::map<std::string, std::string>& agent_server_places() {
  static const std::map<std::string, std::string> places{
    {"agent", "/agent_settings/agent"},
    {"language", "/misc_settings/language"},
    {"llm_api_key", "/agent_settings/llm/api_key"},
    {"llm_base_url", "/agent_settings/llm/base_url"},
    {"llm_model", "/agent_settings/llm/model"},
    {"max_iterations", "/conversation_settings/max_iterations"},
  };
  return places;
}

inline void read_agent_server(held& into, const nlohmann::json& settings, const nested_server::server_state& state) {
  for (const auto& [name, place] : agent_server_places()) {
    nlohmann::json::json_pointer at{place};
    if (settings.contains(at) && !settings[at].is_null())
      into.settings[name] = settings[at];
  }
  constexpr std::string_view token_of = "Token of the git provider ";
  constexpr std::string_view host_mark = ", host ";
  for (const auto& [name, entry] : state.secrets) {
    std::string value{std::string_view{entry.value}};
    if (!entry.description.starts_with(token_of)) {
      into.secrets[name] = value;
      continue;
    }
    auto words = entry.description.substr(token_of.size());
    auto& token = into.git_providers[words.substr(0, words.find(','))];
    token.token = value;
    if (auto mark = words.find(host_mark); mark != std::string::npos)
      token.host = words.substr(mark + host_mark.size(), words.find(',', mark + 1) - mark - host_mark.size());
  }
}

} // namespace detail

inline held held_by(const nested_server::server_model& model) {
  held all;
  const auto* state = model.find();
  if (!state)
    return all;
  all.configured = state->settings.has_value();
  auto text = model.settings_text();
  auto settings = text.empty() ? nlohmann::json::object() : nlohmann::json::parse(text);
  if (model.options().dialect == "agent-server") {
    detail::read_agent_server(all, settings, *state);
    return all;
  }
  all.settings = std::move(settings);
  for (const auto& [name, entry] : state->git_providers)
    all.git_providers[name] = {std::string{std::string_view{entry.token}}, entry.host.value_or("")};
  for (const auto& [name, entry] : state->secrets)
    all.secrets[name] = std::string{std::string_view{entry.value}};
  return all;
}

/// What is not as wanted: names, with `values` the values too, and with `nothing_else` what else there is.
inline std::string difference(const nested_server::server_model& model, const nested::configuration& wanted,
                              bool values = true, bool nothing_else = true) {
  auto all = held_by(model);
  if (!all.configured)
    return "there are no settings";
  auto same = [](const secret& a, const std::string& b) {
    return a.expose([&](std::string_view text) { return text == b; });
  };
  auto asked = nlohmann::json::parse(wanted.settings.begin(), wanted.settings.end());
  for (const auto& [name, value] : asked.items())
    if (!all.settings.contains(name) || (values && all.settings[name] != value))
      return "setting " + name;
  if (nothing_else &&
      (all.git_providers.size() != wanted.git_providers.size() || all.secrets.size() != wanted.secrets.size()))
    return "more or fewer names";
  for (const auto& c : wanted.git_providers) {
    auto at = all.git_providers.find(c.git_provider);
    if (at == all.git_providers.end() || at->second.host != c.host.value_or("") ||
        (values && !same(c.token, at->second.token)))
      return "git provider " + c.git_provider;
  }
  for (const auto& s : wanted.secrets) {
    auto at = all.secrets.find(s.name);
    if (at == all.secrets.end() || (values && !same(s.value, at->second)))
      return "secret " + s.name;
  }
  return {};
}

} // namespace nestor::tests
