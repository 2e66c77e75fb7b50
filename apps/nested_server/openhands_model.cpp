// The V0 server's configuration routes, oddities included (contract §3): a partial POST resets what it omits, the map
// of git providers is replaced and only its last verdict counts, secrets are created and never changed.
#include <nested_server/exchange.hpp>

#include <nestor/nested/json_text.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested_server {
namespace {

enum class on_null : std::uint8_t { reset, keep };

struct setting {
  field_rule rule;
  on_null null = on_null::reset;
  bool key = false;                   ///< never shown; "" or blanks clear it
  std::string_view fallback = "null"; ///< JSON text of what stands there when nothing was given
};

using enum field_kind;
constexpr std::array known_settings{
  setting{{"agent", text}},
  setting{{"condenser_max_size", integer, true, false, 20}},
  setting{{"confirmation_mode", truth}},
  setting{{"email", text}},
  setting{{"email_verified", truth}},
  setting{{"enable_default_condenser", truth, false}, on_null::reset, false, "true"},
  setting{{"enable_proactive_conversation_starters", truth, false}, on_null::reset, false, "true"},
  setting{{"enable_solvability_analysis", truth, false}, on_null::reset, false, "true"},
  setting{{"enable_sound_notifications", truth, false}, on_null::reset, false, "false"},
  setting{{"git_user_email", text}},
  setting{{"git_user_name", text}},
  setting{{"language", text}},
  setting{{"llm_api_key", text}, on_null::keep, true},
  setting{{"llm_base_url", text}, on_null::keep},
  setting{{"llm_model", text}, on_null::keep},
  setting{{"max_budget_per_task", decimal}},
  setting{{"max_iterations", integer}},
  setting{{"mcp_config", mcp}},
  setting{{"remote_runtime_resource_factor", integer}},
  setting{{"sandbox_api_key", text}, on_null::reset, true},
  setting{{"sandbox_base_container_image", text}},
  setting{{"sandbox_runtime_container_image", text}},
  setting{{"search_api_key", text}, on_null::keep, true},
  setting{{"security_analyzer", text}},
  setting{{"user_consents_to_analytics", truth}, on_null::keep},
  setting{{"v1_enabled", truth}},
};

constexpr auto setting_rules = [] {
  std::array<field_rule, known_settings.size()> rules{};
  std::ranges::transform(known_settings, rules.begin(), &setting::rule);
  return rules;
}();

bool key_set(const wiped_json& settings, std::string_view name) {
  return !blank(text_member(settings, name));
}

// -- settings --------------------------------------------------------------------------------------------------------

void store_settings(exchange& x) {
  auto given = x.body(setting_rules);
  if (!given)
    return;
  auto& members = given->get_ref<wiped_json::object_t&>();
  for (const auto& s : known_settings) {
    auto at = members.find(s.rule.name);
    bool absent = at == members.end() || at->second.is_null();
    if (!absent && s.key && blank(text_of(at->second)))
      members.erase(at);
    else if (absent && s.null == on_null::keep && x.state.settings)
      if (const auto* old = member(*x.state.settings, s.rule.name))
        (*given)[wiped_string{s.rule.name}] = *old;
  }
  x.state.settings = std::move(*given);
  x.say(200, "message", "Settings stored");
}

void show_settings(exchange& x) {
  if (!x.state.settings)
    return x.say(404, "error", "Settings not found");
  const auto& settings = *x.state.settings;
  wiped_string out;
  out.reserve(1024); // a typical answer in one allocation
  out = '{';
  for (const auto& s : known_settings) {
    append_name(out, s.rule.name);
    const auto* value = s.key ? nullptr : member(settings, s.rule.name);
    if (value)
      append(out, *value);
    else
      out += s.fallback;
  }
  out += R"(,"secrets_store":{"provider_tokens":{}},"provider_tokens_set":{)";
  for (const auto& [name, entry] : x.state.git_providers) {
    append_name(out, name);
    append_text_or_null(out, entry.host);
  }
  out += key_set(settings, "llm_api_key") ? "},\"llm_api_key_set\":true" : "},\"llm_api_key_set\":false";
  out += key_set(settings, "search_api_key") ? ",\"search_api_key_set\":true}" : ",\"search_api_key_set\":false}";
  x.answer(200, std::move(out));
}

void settings_reset_is_gone(exchange& x) {
  x.say(410, "error", "Resetting settings is no longer offered");
}

// -- git providers ---------------------------------------------------------------------------------------------------

constexpr std::array token_rules{
  field_rule{"token", text},
  field_rule{"user_id", text},
  field_rule{"host", text},
};
constexpr std::array git_provider_rules{
  field_rule{"provider_tokens", object, false},
  field_rule{"mcp_config", mcp},
};
/// Its tokens are accepted by no public host, so they are always refused (contract §3).
constexpr std::string_view never_valid = "enterprise_sso";

/// The git providers in the order of the document, which the tree does not keep: the last verdict decides.
std::vector<std::string> names_in_order(std::string_view body) {
  constexpr std::string_view map = "/provider_tokens/";
  std::vector<std::string> names;
  nested::read_json(body, [&](const nested::json_leaf& leaf) {
    if (!leaf.path.starts_with(map))
      return;
    auto name = leaf.path.substr(map.size());
    if (name.find('/') == std::string_view::npos && std::ranges::find(names, name) == names.end())
      names.push_back(nested::unescape_pointer(name));
  });
  return names;
}

bool valid_map(wiped_json& map, schema_faults& faults) {
  auto where = within(whole_body, "provider_tokens");
  for (auto& [name, entry] : map.get_ref<wiped_json::object_t&>()) {
    if (!known_git_provider(name))
      refuse_git_provider(name, where, faults);
    coerce_object(entry, token_rules, unknown_fields::dropped, within(where, name), faults);
  }
  return faults.none();
}

/// The name of the git provider whose refusal the answer reports; empty when the last verdict was good. As there, a
/// verdict overwrites the one before, and an empty token gives none.
std::string last_refusal(const exchange& x, const wiped_json& map, const std::vector<std::string>& order) {
  std::string refused;
  for (const auto& name : order) {
    const auto& entry = *member(map, name);
    auto token = text_member(entry, "token");
    auto bad = [&](std::string_view t) { return name == never_valid || token_refused(x, t); };
    if (!token.empty())
      refused = bad(token) ? name : std::string{};
    auto stored = x.state.git_providers.find(name);
    bool moved = stored != x.state.git_providers.end() && stored->second.host != optional_text_member(entry, "host");
    if (moved && bad(stored->second.token)) // the stored token is judged again at its new host
      refused = name;
  }
  return refused;
}

void store_git_providers(exchange& x) {
  auto given = x.body(git_provider_rules);
  if (!given)
    return;
  auto& map = (*given)["provider_tokens"];
  if (map.is_null())
    map = wiped_json::object();
  auto faults = x.no_faults();
  if (!valid_map(map, faults))
    return x.refuse(faults);
  auto order = names_in_order(x.request.body);
  auto refused = last_refusal(x, map, order);
  if (!refused.empty())
    return refuse_token(x, refused);
  decltype(x.state.git_providers) replaced;
  for (const auto& [key, entry] : map.get_ref<const wiped_json::object_t&>()) {
    std::string name{std::string_view{key}};
    auto token = text_member(entry, "token");
    auto stored = x.state.git_providers.find(name);
    auto host = optional_text_member(entry, "host");
    if (!token.empty())
      replaced[name] = {wiped_string{token}, optional_text_member(entry, "user_id"), std::move(host)};
    else if (stored != x.state.git_providers.end())
      replaced[name] = {stored->second.token, stored->second.user_id, std::move(host)};
  }
  x.state.git_providers = std::move(replaced);
  x.state.secret_store = true;
  x.say(200, "message", "Git providers stored");
}

void unset_git_providers(exchange& x) {
  x.state.git_providers.clear();
  x.say(200, "message", "Unset Git provider tokens");
}

// -- secrets ---------------------------------------------------------------------------------------------------------

constexpr std::array new_secret_rules{
  field_rule{"name", text, false, true},
  field_rule{"value", text, false, true},
  field_rule{"description", text},
};
constexpr std::array changed_secret_rules{
  field_rule{"name", text, false, true},
  field_rule{"description", text},
};

void clash(exchange& x, std::string_view name) {
  x.say(400, "message", "Secret " + std::string{name} + " already exists");
}

void unknown_secret(exchange& x) {
  x.say(404, "error", "Secret with ID " + std::string{x.parameter} + " not found");
}

void list_secrets(exchange& x) {
  wiped_string out = "{\"custom_secrets\":[";
  bool first = true;
  for (const auto& [name, entry] : x.state.secrets) {
    out += first ? "{" : ",{";
    first = false;
    append_name(out, "name");
    append_text(out, name);
    append_name(out, "description");
    append_text(out, entry.description);
    out += '}';
  }
  out += "]}";
  x.answer(200, std::move(out));
}

void create_secret(exchange& x) {
  auto given = x.body(new_secret_rules);
  if (!given)
    return;
  auto name = text_member(*given, "name");
  if (x.state.secrets.contains(name))
    return clash(x, name);
  x.state.secret_store = true;
  x.state.secrets[std::string{name}] = {wiped_string{text_member(*given, "value")},
                                        std::string{text_member(*given, "description")}};
  x.say(201, "message", "Secret created successfully");
}

void change_secret(exchange& x) {
  auto given = x.body(changed_secret_rules);
  if (!given)
    return;
  auto done = [&] { x.say(200, "message", "Secret updated successfully"); };
  if (!x.state.secret_store)
    return done(); // the false success of the original
  auto old = x.state.secrets.find(x.parameter);
  if (old == x.state.secrets.end())
    return unknown_secret(x);
  auto name = text_member(*given, "name");
  if (name != x.parameter && x.state.secrets.contains(name))
    return clash(x, name);
  auto entry = std::move(old->second);
  x.state.secrets.erase(old);
  entry.description = std::string{text_member(*given, "description")};
  x.state.secrets[std::string{name}] = std::move(entry);
  done();
}

void delete_secret(exchange& x) {
  if (x.state.secret_store) {
    auto at = x.state.secrets.find(x.parameter);
    if (at == x.state.secrets.end())
      return unknown_secret(x);
    x.state.secrets.erase(at);
  }
  x.say(200, "message", "Secret deleted successfully");
}

void answer_health(exchange& x) {
  x.answer(200, R"("OK")");
}

void answer_measured_server_info(exchange& x) {
  answer_server_info(x);
  x.reply.delay = std::max(x.reply.delay, x.options.server_info_delay);
}

using enum http::method;
constexpr std::array routes{
  route{post, "POST /api/settings", store_settings},
  route{post, "POST /api/add-git-providers", store_git_providers},
  route{post, "POST /api/secrets", create_secret},
  route{get, "GET /api/settings", show_settings},
  route{get, "GET /api/secrets", list_secrets},
  route{get, "GET /alive", answer_alive},
  route{get, "GET /server_info", answer_measured_server_info},
  route{get, "GET /health", answer_health},
  route{put, "PUT /api/secrets/{name}", change_secret},
  route{del, "DELETE /api/secrets/{name}", delete_secret},
  route{post, "POST /api/unset-provider-tokens", unset_git_providers},
  route{post, "POST /api/reset-settings", settings_reset_is_gone},
  route{post, "POST /api/conversations", create_conversation},
  route{get, "GET /api/conversations/{id}", show_conversation},
  route{del, "DELETE /api/conversations/{id}", delete_conversation},
  route{get, "GET /api/conversations/{id}/events", show_events},
  route{post, "POST /api/conversations/{id}/events", add_event},
  route{post, "POST /api/conversations/{id}/message", add_message},
  route{post, "POST /api/conversations/{id}/start", start_conversation},
  route{post, "POST /api/conversations/{id}/stop", stop_conversation},
  route{post, "POST /api/conversations/{id}/exp-config", set_experiment},
};

} // namespace

const dialect_model& openhands_model() {
  static constexpr dialect_model self{
    .name = "openhands", .routes = routes, .rate_limited = true, .admit = admit_with_key};
  return self;
}

} // namespace nestor::nested_server
