// The newer nested server (contract §4): its door (keys read per request, dormancy until an init), its open routes and
// its secrets, which are upserted and can be read back. Git tokens are secrets like any other here.
#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested_server {
namespace {

constexpr std::size_t secret_name_max = 64; // characters, as there
constexpr std::string_view init_path = "/api/init";

// -- the door --------------------------------------------------------------------------------------------------------

bool knows_key(const exchange& x) {
  auto given = x.header("X-Session-API-Key");
  if (const auto& keys = x.state.session_keys)
    return keys->empty() || std::ranges::any_of(*keys, [&](const auto& key) { return same_key(key, given); });
  return x.options.session_key.empty() ||
         x.options.session_key.expose([&](std::string_view key) { return same_key(key, given); });
}

bool admit(exchange& x, std::string_view path) {
  if (path == init_path) // has a key of its own
    return true;
  if (!knows_key(x)) {
    x.answer(401, R"({"detail":"Unauthorized"})");
    return false;
  }
  if (x.state.dormant)
    x.say(503, "detail", "server is in deferred-init state 'dormant'; call POST /api/init first");
  return !x.state.dormant;
}

// -- late binding ----------------------------------------------------------------------------------------------------

using enum field_kind;
constexpr std::array init_rules{
  field_rule{"session_api_keys", texts},
  field_rule{"secret_key", text},
  field_rule{"conversations_path", text},
  field_rule{"bash_events_dir", text},
  field_rule{"conversation_worktree_root", text},
  field_rule{"webhooks", objects},
  field_rule{"web_url", text},
  field_rule{"allow_cors_origins", texts},
  field_rule{"max_concurrent_runs", integer, true, false, 1},
  field_rule{"env", text_map},
  field_rule{"telemetry", object},
};

/// Deferred or not: else it was answered.
bool deferred(exchange& x) {
  if (!x.options.deferred_init)
    x.say(404, "detail", "server is not running with deferred_init=True; the /api/init endpoint is not available");
  return x.options.deferred_init;
}

void show_init(exchange& x) {
  if (deferred(x))
    x.answer(200, x.state.dormant ? R"({"state":"dormant","error":null})" : R"({"state":"ready","error":null})");
}

bool knows_init_key(const exchange& x) {
  const auto& wanted = x.options.init_key.empty() ? x.options.session_key : x.options.init_key;
  auto given = x.header("X-Init-API-Key");
  return wanted.empty() || wanted.expose([&](std::string_view key) { return same_key(key, given); });
}

void initialize(exchange& x) {
  if (!knows_init_key(x))
    return x.answer(401, R"({"detail":"Unauthorized"})");
  auto given = x.body(init_rules, unknown_fields::refused);
  if (!given || !deferred(x))
    return;
  if (!x.state.dormant)
    return x.say(400, "detail", "server already in state: ready");
  if (const auto* keys = member(*given, "session_api_keys"); keys && keys->is_array()) {
    auto& known = x.state.session_keys.emplace();
    for (const auto& key : *keys)
      known.emplace_back(text_of(key));
  }
  x.state.dormant = false;
  show_init(x);
}

// -- secrets ---------------------------------------------------------------------------------------------------------

constexpr std::array secret_rules{
  field_rule{"name", text, false, true},
  field_rule{"value", text, false, true},
  field_rule{"description", text},
};

bool valid_name(exchange& x, std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  auto in_name = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  bool valid = !name.empty() && name.size() <= secret_name_max && letter(name[0]) && std::ranges::all_of(name, in_name);
  if (!valid)
    x.say(422, "detail",
          "Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, "
          "and be 1-64 characters long.");
  return valid;
}

void append_secret(wiped_string& out, std::string_view name, const secret_entry& entry) {
  out += '{';
  append_name(out, "name");
  append_text(out, name);
  append_name(out, "description");
  append_text_or_null(out, entry.description.empty() ? std::nullopt : std::optional{entry.description});
  out += '}';
}

void list_secrets(exchange& x) {
  wiped_string out = "{\"secrets\":[";
  for (const auto& [name, entry] : x.state.secrets) {
    out += out.back() == '[' ? "" : ",";
    append_secret(out, name, entry);
  }
  out += "]}";
  x.answer(200, std::move(out));
}

void put_secret(exchange& x) {
  auto given = x.body(secret_rules);
  if (!given)
    return;
  std::string name{text_member(*given, "name")};
  if (!valid_name(x, name))
    return;
  auto& entry = x.state.secrets[name];
  entry = {wiped_string{text_member(*given, "value")}, std::string{text_member(*given, "description")}};
  wiped_string out;
  append_secret(out, name, entry);
  x.answer(200, std::move(out));
}

/// The secret of the path; after 404 or 422 the end.
auto find_secret(exchange& x) {
  auto at = x.state.secrets.end();
  if (!valid_name(x, x.parameter))
    return at;
  at = x.state.secrets.find(x.parameter);
  if (at == x.state.secrets.end())
    x.answer(404, R"({"detail":"Secret not found"})");
  return at;
}

void show_secret(exchange& x) {
  auto at = find_secret(x);
  if (at == x.state.secrets.end())
    return;
  x.reply.response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  x.answer(200, at->second.value);
}

void delete_secret(exchange& x) {
  auto at = find_secret(x);
  if (at == x.state.secrets.end())
    return;
  x.state.secrets.erase(at);
  x.answer(200, R"({"deleted":true})");
}

// -- open routes -----------------------------------------------------------------------------------------------------

void answer_ready(exchange& x) {
  x.answer(200, R"({"status":"ready"})"); // a dormant one says so too
}

void answer_details(exchange& x) {
  auto seconds = [](microseconds time) { return std::to_string(std::max<std::int64_t>(time.count(), 0) / 1'000'000); };
  wiped_string out = "{\"uptime\":";
  out += seconds(x.now - x.state.started);
  out += ",\"idle_time\":";
  out += seconds(x.now - x.state.active);
  // The shape is what clients read; its versions say that this is none of the original's.
  out += R"(,"title":"OpenHands Agent Server","version":"unknown","sdk_version":"unknown","tools_version":"unknown",)"
         R"("workspace_version":"unknown","build_git_sha":"unknown","build_git_ref":"unknown",)"
         R"("python_version":"unknown","usable_tools":[],"runtime_idle_timeout_seconds":null,"capabilities":[],)"
         R"("max_foreground_terminal_timeout_seconds":null,"docs":"/docs","redoc":"/redoc"})";
  x.answer(200, std::move(out));
}

using enum http::method;
constexpr std::array routes{
  route{patch, "PATCH /api/settings", change_agent_settings},
  route{get, "GET /api/settings", show_agent_settings},
  route{put, "PUT /api/settings/secrets", put_secret},
  route{get, "GET /api/settings/secrets", list_secrets},
  route{get, "GET /api/settings/secrets/{name}", show_secret},
  route{del, "DELETE /api/settings/secrets/{name}", delete_secret},
  route{get, "GET /alive", answer_alive},
  route{get, "GET /health", answer_alive},
  route{get, "GET /ready", answer_ready},
  route{get, "GET /server_info", answer_details},
  route{get, "GET /", answer_details},
  route{get, "GET /api/init", show_init},
  route{post, "POST /api/init", initialize},
  route{post, "POST /api/settings/mcp/{key}", add_mcp_server},
  route{patch, "PATCH /api/settings/mcp/{key}", change_mcp_server},
  route{del, "DELETE /api/settings/mcp/{key}", delete_mcp_server},
  route{post, "POST /api/conversations", start_agent_conversation},
  route{get, "GET /api/conversations/search", search_agent_conversations},
  route{post, "POST /api/conversations/prepare-for-sandbox-pause", pause_every_agent_conversation},
  route{get, "GET /api/conversations/{id}", show_agent_conversation},
  route{del, "DELETE /api/conversations/{id}", delete_agent_conversation},
  route{post, "POST /api/conversations/{id}/secrets", tell_agent_conversation},
  route{post, "POST /api/conversations/{id}/events", send_agent_event},
  route{post, "POST /api/conversations/{id}/run", run_agent_conversation},
  route{post, "POST /api/conversations/{id}/pause", pause_agent_conversation},
  route{post, "POST /api/conversations/{id}/interrupt", pause_agent_conversation},
};

} // namespace

const dialect_model& agent_server_model() {
  static constexpr dialect_model self{
    .name = "agent-server",
    .routes = routes,
    .admit = admit,
    .failure_type = "application/json",
    .failure_body = R"({"detail":"Internal Server Error","exception":"RuntimeError"})",
    .unauthorized = R"({"detail":"Unauthorized"})",
    .faults_redacted = true,
  };
  return self;
}

} // namespace nestor::nested_server
