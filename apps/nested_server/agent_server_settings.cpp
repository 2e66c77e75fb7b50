// The newer nested server's settings: three groups that are merged and never replaced, and the MCP servers among them.
// It knows the members that an orchestrator writes, with the original's defaults; others are dropped, as there. Of the
// kinds of agent it knows "openhands", and it has no profiles.
#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested_server {
namespace {

constexpr std::string_view mask = "**********";
constexpr std::array<std::string_view, 5> secret_members{"api_key", "aws_access_key_id", "aws_secret_access_key",
                                                         "aws_session_token", "critic_api_key"};
constexpr std::array<std::string_view, 3> secret_groups{"auth", "env", "headers"}; ///< every text below is a secret

const wiped_json& defaults() {
  static const wiped_json all = *parse_json(R"({
    "agent_settings": {
      "schema_version": 5, "agent_kind": "openhands", "agent": "CodeActAgent", "tools": null,
      "llm": {
        "model": "gpt-5.5", "api_key": null, "base_url": null, "api_version": null, "aws_access_key_id": null,
        "aws_secret_access_key": null, "aws_session_token": null, "aws_region_name": null, "temperature": null,
        "top_p": null, "max_input_tokens": null, "max_output_tokens": null, "num_retries": 5, "timeout": 300,
        "usage_id": "default"},
      "enable_sub_agents": false, "enable_switch_llm_tool": true, "tool_concurrency_limit": 1, "mcp_config": {},
      "agent_context": {"skills": [], "system_message_suffix": null, "user_message_suffix": null},
      "condenser": {
        "condenser_kind": "llm_summarizing", "enabled": true, "max_size": 240, "max_tokens": null, "keep_first": 2,
        "minimum_progress": 0.1},
      "verification": {
        "critic_enabled": false, "critic_mode": "finish_and_message", "enable_iterative_refinement": false,
        "critic_threshold": 0.6, "max_refinement_iterations": 3, "critic_server_url": null, "critic_model_name": null,
        "critic_api_key": null}},
    "conversation_settings": {
      "schema_version": 1, "max_iterations": 500, "confirmation_mode": false, "security_analyzer": "llm"},
    "misc_settings": {}, "active_profile": null, "active_agent_profile_id": null})");
  return all;
}

using enum field_kind;
constexpr std::array agent_rules{
  field_rule{"agent", text, false},
  field_rule{"enable_sub_agents", truth, false},
  field_rule{"enable_switch_llm_tool", truth, false},
  field_rule{"tool_concurrency_limit", integer, false, false, 1},
  field_rule{"tools", objects},
  field_rule{"agent_context", object, false},
};
constexpr std::array llm_rules{
  field_rule{"model", text, false},
  field_rule{"api_key", text},
  field_rule{"base_url", text},
  field_rule{"api_version", text},
  field_rule{"aws_access_key_id", text},
  field_rule{"aws_secret_access_key", text},
  field_rule{"aws_session_token", text},
  field_rule{"aws_region_name", text},
  field_rule{"temperature", decimal},
  field_rule{"top_p", decimal},
  field_rule{"max_input_tokens", integer, true, false, 1},
  field_rule{"max_output_tokens", integer, true, false, 1},
  field_rule{"num_retries", integer, false, false, 0},
  field_rule{"timeout", integer, true, false, 0},
  field_rule{"usage_id", text, false},
};
constexpr std::array condenser_rules{
  field_rule{"enabled", truth, false},
  field_rule{"max_size", integer, false, false, 20},
  field_rule{"max_tokens", integer},
  field_rule{"keep_first", integer, false, false, 0},
  field_rule{"minimum_progress", decimal, false},
};
constexpr std::array verification_rules{
  field_rule{"critic_enabled", truth, false},
  field_rule{"enable_iterative_refinement", truth, false},
  field_rule{"critic_threshold", decimal, false},
  field_rule{"max_refinement_iterations", integer, false, false, 1},
  field_rule{"critic_server_url", text},
  field_rule{"critic_model_name", text},
  field_rule{"critic_api_key", text},
};
constexpr std::array conversation_rules{
  field_rule{"max_iterations", integer, false, false, 1},
  field_rule{"confirmation_mode", truth, false},
  field_rule{"security_analyzer", text},
};
constexpr std::array mcp_rules{
  field_rule{"url", text},        field_rule{"transport", text}, field_rule{"command", text},
  field_rule{"args", texts},      field_rule{"env", text_map},   field_rule{"headers", text_map},
  field_rule{"cwd", text},        field_rule{"auth", object},    field_rule{"enabled", truth},
  field_rule{"timeout", decimal}, field_rule{"icon", text},      field_rule{"description", text},
};

// -- merging ---------------------------------------------------------------------------------------------------------

enum class top_null : std::uint8_t { removes, stays };

/// RFC 7386; with `stays` a null in `diff` itself is a value like any other.
wiped_json merged(wiped_json base, const wiped_json& diff, top_null null) {
  for (const auto& [name, value] : diff.get_ref<const wiped_json::object_t&>()) {
    auto at = base.find(name);
    if (value.is_null() && null == top_null::removes)
      base.erase(name);
    else if (at != base.end() && at->is_object() && value.is_object())
      *at = merged(*at, value, top_null::removes);
    else
      base[name] = value;
  }
  return base;
}

/// The members that `defaults` has, coerced; defaults for those that are absent; false when one cannot be.
bool model(wiped_json& value, const wiped_json& defaults, std::span<const field_rule> rules, schema_faults& faults) {
  if (!value.is_object())
    return false;
  wiped_json out = defaults;
  for (auto& [name, member] : out.get_ref<wiped_json::object_t&>())
    if (auto at = value.find(name); at != value.end())
      member = std::move(*at);
  for (const auto& rule : rules)
    if (auto at = out.find(rule.name); at != out.end())
      coerce(*at, rule, whole_body, faults);
  value = std::move(out);
  return faults.none();
}

bool model_mcp(wiped_json& server, schema_faults& faults) {
  coerce_object(server, mcp_rules, unknown_fields::refused, whole_body, faults);
  if (!faults.none() || (text_member(server, "url").empty() && text_member(server, "command").empty()))
    return false;
  if (!member(server, "enabled") || server["enabled"].is_null())
    server["enabled"] = true; // what it fills in by itself
  return true;
}

bool model_agent(wiped_json& agent) {
  const auto& known = defaults()["agent_settings"];
  schema_faults faults;
  if (!model(agent, known, agent_rules, faults) || text_member(agent, "agent_kind") != "openhands" ||
      !model(agent["llm"], known["llm"], llm_rules, faults) ||
      !model(agent["condenser"], known["condenser"], condenser_rules, faults) ||
      !model(agent["verification"], known["verification"], verification_rules, faults) ||
      !agent["mcp_config"].is_object())
    return false;
  return std::ranges::all_of(agent["mcp_config"].get_ref<wiped_json::object_t&>(),
                             [&](auto& each) { return model_mcp(each.second, faults); });
}

wiped_json current(const exchange& x) {
  auto all = defaults();
  if (x.state.settings)
    for (const auto& [name, value] : x.state.settings->get_ref<const wiped_json::object_t&>())
      all[name] = value;
  return all;
}

// -- showing ---------------------------------------------------------------------------------------------------------

void hide_secrets(wiped_json& value, bool hide) {
  if (hide && value.is_string()) {
    if (text_of(value).empty())
      value = nullptr;
    else
      value = wiped_string{mask};
  } else if (value.is_object()) {
    for (auto& [name, each] : value.get_ref<wiped_json::object_t&>()) {
      std::string_view is{name};
      hide_secrets(each, hide || std::ranges::find(secret_members, is) != secret_members.end() ||
                           std::ranges::find(secret_groups, is) != secret_groups.end());
    }
  } else if (value.is_array()) {
    for (auto& each : value)
      hide_secrets(each, hide);
  }
}

void answer_settings(exchange& x, std::uint16_t status, wiped_json all, bool plain) {
  bool has_key = !blank(text_member(all["agent_settings"]["llm"], "api_key"));
  if (!plain)
    hide_secrets(all["agent_settings"], false);
  all["llm_api_key_is_set"] = has_key;
  x.answer(status, all.dump());
}

void store(exchange& x, std::uint16_t status, wiped_json all) {
  x.state.settings = all;
  answer_settings(x, status, std::move(all), false); // a change is never answered with secrets
}

// -- changing --------------------------------------------------------------------------------------------------------

constexpr std::array patch_rules{
  field_rule{"agent_settings_diff", object},   field_rule{"conversation_settings_diff", object},
  field_rule{"misc_settings_diff", object},    field_rule{"active_profile", text},
  field_rule{"active_agent_profile_id", text},
};
constexpr std::array<std::string_view, 2> pointers{"active_profile", "active_agent_profile_id"};

const wiped_json* diff_of(const wiped_json& given, std::string_view name) {
  const auto* diff = member(given, name);
  return diff && diff->is_object() ? diff : nullptr;
}

void invalid(exchange& x) {
  x.answer(422, R"({"detail":"Settings validation failed"})");
}

/// A profile is loaded for its LLM unless one is given; here there are none.
bool lacks_profile(const wiped_json& given) {
  const auto* agent = diff_of(given, "agent_settings_diff");
  return !text_member(given, "active_profile").empty() && !(agent && agent->contains("llm"));
}

std::optional<std::string> mcp_path(exchange& x, wiped_json& all, bool known) {
  auto& servers = all["agent_settings"]["mcp_config"];
  if (servers.contains(x.parameter) == known)
    return std::string{x.parameter};
  x.say(known ? 404 : 409, "detail", known ? "MCP server not found" : "MCP server already exists");
  return std::nullopt;
}

} // namespace

void show_agent_settings(exchange& x) {
  auto expose = x.header("X-Expose-Secrets");
  if (expose == "encrypted" || expose == "true") // there is no cipher here
    return x.say(503, "detail", "Encryption not available: OH_SECRET_KEY is not configured.");
  if (!expose.empty() && expose != "plaintext")
    return x.say(400, "detail", "Invalid X-Expose-Secrets header value. Valid values are: 'encrypted', 'plaintext'.");
  answer_settings(x, 200, current(x), expose == "plaintext");
}

void change_agent_settings(exchange& x) {
  auto given = x.body(patch_rules);
  if (!given)
    return;
  auto all = current(x);
  const auto* agent = diff_of(*given, "agent_settings_diff");
  const auto* conversation = diff_of(*given, "conversation_settings_diff");
  const auto* misc = diff_of(*given, "misc_settings_diff");
  bool pointed = std::ranges::any_of(pointers, [&](auto name) { return given->contains(name); });
  if (!agent && !conversation && !misc && !pointed)
    return x.say(400, "detail", "At least one of the diffs or an active profile must be provided");
  if (lacks_profile(*given))
    return x.say(404, "detail", "Profile '" + std::string{text_member(*given, "active_profile")} + "' not found");
  if (agent) {
    auto& held = all["agent_settings"];
    held = merged(std::move(held), *agent, top_null::removes);
    if (!model_agent(held))
      return invalid(x);
  }
  if (conversation) {
    auto& held = all["conversation_settings"];
    held = merged(std::move(held), *conversation, top_null::stays);
    schema_faults faults;
    if (!model(held, defaults()["conversation_settings"], conversation_rules, faults))
      return invalid(x);
  }
  if (misc)
    all["misc_settings"] = merged(std::move(all["misc_settings"]), *misc, top_null::stays);
  for (auto name : pointers)
    if (const auto* value = member(*given, name))
      all[wiped_string{name}] = *value;
  store(x, 200, std::move(all));
}

void add_mcp_server(exchange& x) {
  auto given = x.body();
  if (!given)
    return;
  auto all = current(x);
  auto name = mcp_path(x, all, false);
  schema_faults faults;
  if (name && !model_mcp(*given, faults))
    return invalid(x);
  if (!name)
    return;
  all["agent_settings"]["mcp_config"][wiped_string{*name}] = std::move(*given);
  store(x, 201, std::move(all));
}

void change_mcp_server(exchange& x) {
  auto given = x.body();
  if (!given)
    return;
  auto all = current(x);
  auto name = mcp_path(x, all, true);
  if (!name)
    return;
  auto& server = all["agent_settings"]["mcp_config"][wiped_string{*name}];
  schema_faults faults;
  if (!given->is_object())
    return invalid(x);
  server = merged(std::move(server), *given, top_null::removes);
  if (!model_mcp(server, faults))
    return invalid(x);
  store(x, 200, std::move(all));
}

void delete_mcp_server(exchange& x) {
  auto all = current(x);
  auto name = mcp_path(x, all, true);
  if (!name)
    return;
  all["agent_settings"]["mcp_config"].erase(wiped_string{*name});
  store(x, 200, std::move(all));
}

} // namespace nestor::nested_server
