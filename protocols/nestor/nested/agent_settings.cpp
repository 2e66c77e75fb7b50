#include <nestor/nested/agent_settings.hpp>
#include <nestor/nested/json_text.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace nestor::nested {
namespace {

// A tree, unlike in the other dialects: to merge two documents is no walk over the leaves of one. Its texts are wiped.
using tree = nlohmann::basic_json<std::map, std::vector, wiped_string>;

struct group {
  std::string_view name;
  std::string_view diff; ///< its name in a PATCH
};
constexpr std::array groups{group{"agent_settings", "agent_settings_diff"},
                            group{"conversation_settings", "conversation_settings_diff"},
                            group{"misc_settings", "misc_settings_diff"}};
constexpr std::array<std::string_view, 2> pointers{"active_profile", "active_agent_profile_id"};

struct flat_name {
  std::string_view name;
  std::array<std::string_view, 3> place; ///< the last one may be empty
};
constexpr std::array flat_names{
  flat_name{"agent", {"agent_settings", "agent"}},
  flat_name{"condenser_max_size", {"agent_settings", "condenser", "max_size"}},
  flat_name{"confirmation_mode", {"conversation_settings", "confirmation_mode"}},
  flat_name{"email", {"misc_settings", "email"}},
  flat_name{"enable_default_condenser", {"agent_settings", "condenser", "enabled"}},
  flat_name{"enable_sound_notifications", {"misc_settings", "enable_sound_notifications"}},
  flat_name{"git_user_email", {"misc_settings", "git_user_email"}},
  flat_name{"git_user_name", {"misc_settings", "git_user_name"}},
  flat_name{"language", {"misc_settings", "language"}},
  flat_name{"llm_api_key", {"agent_settings", "llm", "api_key"}},
  flat_name{"llm_base_url", {"agent_settings", "llm", "base_url"}},
  flat_name{"llm_model", {"agent_settings", "llm", "model"}},
  flat_name{"max_iterations", {"conversation_settings", "max_iterations"}},
  flat_name{"security_analyzer", {"conversation_settings", "security_analyzer"}},
};

// Members that null does not reset: a version is the server's own affair, the kind of agent is chosen by name, and a
// null for a conversation's setting is refused.
constexpr std::string_view schema_version = "/agent_settings/schema_version";
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> spelled_defaults{{
  {"/agent_settings/agent_kind", R"("openhands")"},
  {"/conversation_settings/confirmation_mode", "false"},
  {"/conversation_settings/max_iterations", "500"},
  {"/conversation_settings/security_analyzer", R"("llm")"},
}};
constexpr std::string_view profile_llm = "/agent_settings/llm";
constexpr std::string_view mcp_servers = "/agent_settings/mcp_config";

// Places that hold nothing on a new server: whatever is there and not wanted was left by somebody. Secrets are all
// among them.
constexpr std::array<std::string_view, 8> empty_by_default{
  "/agent_settings/llm/api_key",
  "/agent_settings/llm/aws_access_key_id",
  "/agent_settings/llm/aws_secret_access_key",
  "/agent_settings/llm/aws_session_token",
  "/agent_settings/llm/base_url",
  mcp_servers,
  "/agent_settings/verification/critic_api_key",
  "/misc_settings",
};

/// Members of an MCP server that may hold secrets; the others a server fills in by itself.
bool may_hold_secrets(std::string_view name, const tree& wanted_server) {
  return name == "env" || name == "headers" || (name == "auth" && !wanted_server.contains(name));
}

std::optional<tree> parsed(std::string_view text) {
  if (!read_json(text, [](const json_leaf&) {})) // also keeps the depth within bounds
    return std::nullopt;
  auto value = tree::parse(text.begin(), text.end(), nullptr, false);
  return value.is_object() ? std::optional{std::move(value)} : std::nullopt;
}

const tree* member(const tree* object, std::string_view name) {
  if (!object || !object->is_object())
    return nullptr;
  auto at = object->find(name);
  return at == object->end() ? nullptr : &*at;
}

const tree* find(const tree& root, std::string_view pointer) {
  const tree* at = &root;
  while (at && !pointer.empty()) {
    auto next = pointer.find('/', 1);
    at = member(at, pointer.substr(1, next == std::string_view::npos ? next : next - 1));
    pointer = next == std::string_view::npos ? std::string_view{} : pointer.substr(next);
  }
  return at;
}

std::string below(std::string_view pointer, std::string_view name) {
  return std::string{pointer} + "/" + std::string{name};
}

/// Nothing, or nothing in it.
bool hollow(const tree& value) {
  if (value.is_string())
    return value.get_ref<const wiped_string&>().find_first_not_of(" \t\r\n") == wiped_string::npos;
  return value.is_null() || (value.is_structured() && value.empty());
}

/// RFC 7386 both ways: a null says "no such member".
void drop_nulls(tree& value) {
  if (!value.is_object())
    return;
  for (auto at = value.begin(); at != value.end();)
    if (at->is_null()) {
      at = value.erase(at);
    } else {
      drop_nulls(*at);
      ++at;
    }
}

std::string no_place(std::string_view name) {
  return "the agent-server has no place for the setting '" + std::string{name} +
         "': put what it means under agent_settings, conversation_settings or misc_settings";
}

std::string place_flat(tree& into, std::string_view name, tree value) {
  auto known = std::ranges::find(flat_names, name, &flat_name::name);
  if (known == flat_names.end())
    return no_place(name);
  auto* at = &into;
  for (auto step : known->place)
    if (!step.empty())
      at = &(*at)[wiped_string{step}];
  if (!at->is_null())
    return "the setting '" + std::string{name} + "' is given twice: by this name, and in its group";
  *at = std::move(value);
  return {};
}

/// What has to be sent so that `shown` becomes `wanted`: the wanted members, and the end of those that are not.
tree changes(const tree& wanted, const tree& shown, const std::string& pointer) {
  tree out = wanted;
  for (const auto& [name, value] : shown.get_ref<const tree::object_t&>()) {
    auto here = below(pointer, name);
    auto* kept = wanted.contains(name) ? &out[name] : nullptr;
    if (kept && kept->is_object() && value.is_object()) {
      *kept = changes(*kept, value, here);
      continue;
    }
    if (kept || hollow(value) || here == schema_version)
      continue;
    auto known = std::ranges::find(spelled_defaults, std::string_view{here}, [](const auto& d) { return d.first; });
    if (known != spelled_defaults.end())
      out[name] = tree::parse(known->second.begin(), known->second.end());
    else if (!here.starts_with("/conversation_settings/"))
      out[name] = nullptr;
  }
  return out;
}

/// The first place at or below `pointer` that holds something and is not wanted.
std::string surplus(const tree& shown, const tree* wanted, const std::string& pointer) {
  if (hollow(shown))
    return {};
  if (!shown.is_object())
    return wanted ? std::string{} : pointer;
  bool server = wanted && pointer.starts_with(mcp_servers) &&
                pointer.find('/', mcp_servers.size() + 1) == pointer.npos && pointer.size() > mcp_servers.size();
  for (const auto& [name, value] : shown.get_ref<const tree::object_t&>()) {
    if (server && !may_hold_secrets(name, *wanted))
      continue;
    if (auto found = surplus(value, member(wanted, name), below(pointer, name)); !found.empty())
      return found;
  }
  return {};
}

/// A profile brings its own LLM, and takes it back when a PATCH names the LLM too.
bool profile_gives_llm(const tree& placed) {
  return placed.contains(pointers[0]) && !find(placed, profile_llm);
}

} // namespace

placed_settings place_settings(std::string_view settings) {
  placed_settings out;
  auto given = parsed(settings);
  if (!given) {
    out.objection = "the settings are no JSON object";
    return out;
  }
  drop_nulls(*given);
  tree placed = tree::object();
  for (const auto& each : groups) {
    auto at = given->find(each.name);
    if (at == given->end())
      continue;
    if (!at->is_object())
      out.objection = "the setting '" + std::string{each.name} + "' has to be an object";
    placed[wiped_string{each.name}] = std::move(*at);
    given->erase(at);
  }
  for (auto& [key, value] : given->get_ref<tree::object_t&>()) {
    if (!out.objection.empty())
      return out;
    std::string_view name{key};
    if (std::ranges::find(pointers, name) != pointers.end())
      placed[key] = std::move(value);
    else
      out.objection = place_flat(placed, name, std::move(value));
  }
  out.text = placed.dump();
  return out;
}

wiped_string settings_patch(std::string_view placed, std::string_view shown) {
  auto wanted = parsed(placed).value_or(tree::object());
  auto there = parsed(shown).value_or(tree::object());
  const tree nothing = tree::object();
  tree body = tree::object();
  for (const auto& each : groups) {
    const auto* from = member(&there, each.name);
    const auto* to = member(&wanted, each.name);
    auto diff = changes(to ? *to : nothing, from && from->is_object() ? *from : nothing, "/" + std::string{each.name});
    if (each.name == "agent_settings" && profile_gives_llm(wanted))
      diff.erase("llm");
    if (!diff.empty())
      body[wiped_string{each.diff}] = std::move(diff);
  }
  for (auto name : pointers) {
    const auto* to = member(&wanted, name);
    const auto* from = member(&there, name);
    if (to || (from && !from->is_null()))
      body[wiped_string{name}] = to ? *to : tree{};
  }
  if (body.empty()) // an empty PATCH is refused
    body[wiped_string{groups.back().diff}] = tree::object();
  return body.dump();
}

shown_agent_settings read_agent_settings(std::string_view shown, std::string_view placed) {
  shown_agent_settings out;
  auto there = parsed(shown);
  auto wanted = parsed(placed);
  if (!there || !wanted || !member(&*there, "agent_settings"))
    return out;
  out.whole = true;
  for (auto name : pointers) {
    const auto* value = member(&*there, name);
    out.filled |= value && !hollow(*value);
    if (value && !hollow(*value) && !member(&*wanted, name))
      out.surplus = below({}, name);
  }
  for (auto pointer : empty_by_default) {
    const auto* value = find(*there, pointer);
    if (!value || (profile_gives_llm(*wanted) && pointer.starts_with(profile_llm)))
      continue;
    out.filled |= !surplus(*value, nullptr, std::string{pointer}).empty();
    if (out.surplus.empty())
      out.surplus = surplus(*value, find(*wanted, pointer), std::string{pointer});
  }
  return out;
}

} // namespace nestor::nested
