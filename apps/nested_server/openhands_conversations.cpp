// The V0 server's conversations, as far as an orchestrator sees them: they start when settings and an LLM key are
// there, they have a status, and what is said to them can be read back. No agent answers here.
#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace nestor::nested_server {
namespace {

using enum field_kind;
constexpr field_rule id_rule{"conversation_id", text, false};
constexpr std::array start_rules{
  field_rule{"initial_user_msg", text},
  field_rule{"image_urls", texts},
  field_rule{"replay_json", text},
  field_rule{"mcp_config", mcp},
  field_rule{"repository", text},
  field_rule{"selected_branch", text},
  field_rule{"git_provider", git_provider},
  field_rule{"conversation_instructions", text},
  field_rule{"suggested_task", object},
  field_rule{"create_microagent", object},
  id_rule, // last: left out where the id may not be chosen
};
constexpr std::array message_rules{field_rule{"message", text, false, true}};
constexpr std::array restart_rules{field_rule{"providers_set", texts}};

constexpr std::size_t id_max = 100; // characters, as there
constexpr std::int64_t events_page_default = 20;
constexpr std::int64_t events_page_max = 100;

std::string_view status_name(conversation_status status) {
  switch (status) {
    case conversation_status::starting: return "STARTING";
    case conversation_status::running: return "RUNNING";
    case conversation_status::stopped: return "STOPPED";
  }
  return "ERROR";
}

/// Models whose credentials come from elsewhere (contract §3).
bool needs_no_key(std::string_view model) {
  return model.starts_with("bedrock/") || model.starts_with("lemonade/");
}

void refuse_start(exchange& x, std::string_view message, std::string_view id) {
  wiped_string out = "{\"status\":\"error\"";
  append_name(out, "message");
  append_text(out, message);
  append_name(out, "msg_id");
  append_text(out, id);
  out += '}';
  x.answer(400, std::move(out));
}

/// What stands between the request and a conversation; true when it was answered.
bool refused(exchange& x, const wiped_json& given) {
  if (!x.state.settings) {
    refuse_start(x, "Settings not found", "CONFIGURATION$SETTINGS_NOT_FOUND");
    return true;
  }
  bool key = !blank(text_member(*x.state.settings, "llm_api_key"));
  if (!key && !needs_no_key(text_member(*x.state.settings, "llm_model"))) {
    refuse_start(x, "The LLM's API key is not set", "STATUS$ERROR_LLM_AUTHENTICATION");
    return true;
  }
  if (text_member(given, "repository").empty())
    return false;
  if (!x.state.secret_store) {
    x.fail();
    return true;
  }
  auto wanted = text_member(given, "git_provider");
  bool accessible = wanted.empty() ? !x.state.git_providers.empty() : x.state.git_providers.contains(wanted);
  if (!accessible)
    x.answer(401, R"("The repository is not accessible with the git providers that are set")");
  return !accessible;
}

std::string new_id(server_state& state) {
  std::array<char, 40> id{};
  std::snprintf(id.data(), id.size(), "%032llx", static_cast<unsigned long long>(state.next_conversation++));
  return id.data();
}

void answer_status(exchange& x, std::string_view id, conversation_status status) {
  wiped_string out = "{\"status\":\"ok\"";
  append_name(out, "conversation_id");
  append_text(out, id);
  out += ",\"message\":null";
  append_name(out, "conversation_status");
  append_text(out, status_name(status));
  out += '}';
  x.answer(200, std::move(out));
}

bool keep_event(conversation& talk, wiped_json event) {
  if (talk.events.size() >= events_max)
    return false;
  event["id"] = talk.events.size();
  talk.events.push_back(std::move(event));
  return true;
}

wiped_json message_event(std::string_view message) {
  return {{"source", "user"}, {"action", "message"}, {"args", {{"content", wiped_string{message}}}}};
}

/// The conversation of the path; after 400 or 404 nothing.
conversation* conversation_of(exchange& x) {
  auto id = x.parameter;
  bool control = std::ranges::any_of(id, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (id.size() > id_max || control || id.find("..") != std::string_view::npos ||
      id.find('\\') != std::string_view::npos) {
    x.answer(400, R"({"detail":"Invalid conversation ID"})");
    return nullptr;
  }
  auto at = x.state.conversations.find(id);
  if (at == x.state.conversations.end()) {
    x.answer(404, R"({"detail":"Conversation not found"})");
    return nullptr;
  }
  return &at->second;
}

/// One parameter of the query: absent gives `fallback`; what is no integer gives nothing.
std::optional<std::int64_t> query_number(std::string_view query, std::string_view name, std::int64_t fallback) {
  while (!query.empty()) {
    auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (!part.starts_with(name) || part.size() <= name.size() || part[name.size()] != '=')
      continue;
    auto text = part.substr(name.size() + 1);
    std::int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
  }
  return fallback;
}

bool query_flag(std::string_view query, std::string_view name) {
  std::string wanted{name};
  return ("&" + std::string{query} + "&").find("&" + wanted + "=true&") != std::string::npos;
}

void accept_event(exchange& x, conversation& talk, wiped_json event) {
  if (keep_event(talk, std::move(event)))
    x.answer(200, R"({"success":true})");
  else
    x.fail();
}

} // namespace

void create_conversation(exchange& x) {
  std::span<const field_rule> rules{start_rules};
  if (!x.options.choose_conversation_id)
    rules = rules.first(rules.size() - 1);
  auto given = x.body(rules, unknown_fields::refused);
  if (!given || refused(x, *given))
    return;
  std::string id{text_member(*given, "conversation_id")};
  if (id.empty())
    id = new_id(x.state);
  auto at = x.state.conversations.find(id);
  if (at == x.state.conversations.end()) {
    if (x.state.conversations.size() >= conversations_max)
      return x.fail();
    at = x.state.conversations.emplace(id, conversation{}).first;
    auto& talk = at->second;
    talk.repository = optional_text_member(*given, "repository");
    talk.branch = optional_text_member(*given, "selected_branch");
    talk.git_provider = optional_text_member(*given, "git_provider");
    auto first = text_member(*given, "initial_user_msg");
    if (!first.empty())
      keep_event(talk, message_event(first));
  }
  answer_status(x, id, at->second.status);
  if (at->second.status == conversation_status::starting)
    at->second.status = conversation_status::running; // whoever asks next finds it running
}

void show_conversation(exchange& x) {
  const auto* talk = conversation_of(x);
  if (!talk) {
    if (x.reply.response.status == 404)
      x.answer(200, "null");
    return;
  }
  bool running = talk->status == conversation_status::running;
  wiped_string out = "{";
  append_name(out, "conversation_id");
  append_text(out, x.parameter);
  append_name(out, "status");
  append_text(out, status_name(talk->status));
  append_name(out, "runtime_status");
  out += running ? "\"STATUS$READY\"" : "null";
  append_name(out, "selected_repository");
  append_text_or_null(out, talk->repository);
  append_name(out, "selected_branch");
  append_text_or_null(out, talk->branch);
  append_name(out, "git_provider");
  append_text_or_null(out, talk->git_provider);
  out += R"(,"title":"","trigger":null,"num_connections":0,"url":null,"session_api_key":null,)"
         R"("created_at":null,"last_updated_at":null,"pr_number":[]})";
  x.answer(200, std::move(out));
}

void delete_conversation(exchange& x) {
  bool known = conversation_of(x) != nullptr;
  if (x.reply.response.status == 400)
    return;
  if (known)
    x.state.conversations.erase(x.state.conversations.find(x.parameter));
  x.answer(200, known ? "true" : "false");
}

void show_events(exchange& x) {
  const auto* talk = conversation_of(x);
  if (!talk)
    return;
  auto start = query_number(x.query, "start_id", 0);
  auto end = query_number(x.query, "end_id", std::numeric_limits<std::int64_t>::max());
  auto limit = query_number(x.query, "limit", events_page_default);
  if (!start || !end || !limit) {
    auto faults = x.no_faults();
    constexpr place query{nullptr, "query", 0};
    faults.add("int_parsing",
               within(query, !start ? "start_id"
                             : !end ? "end_id"
                                    : "limit"),
               "Input should be a valid integer, unable to parse string as an integer", wiped_string{x.query});
    return x.refuse(faults);
  }
  if (*limit < 0 || *limit > events_page_max)
    return x.answer(400, R"({"detail":"Invalid limit"})");
  std::vector<const wiped_json*> picked;
  for (const auto& event : talk->events)
    if (auto id = event["id"].get<std::int64_t>(); id >= *start && id <= *end)
      picked.push_back(&event);
  if (query_flag(x.query, "reverse"))
    std::ranges::reverse(picked);
  auto shown = std::min(picked.size(), static_cast<std::size_t>(*limit));
  wiped_string out = "{\"events\":[";
  for (std::size_t i = 0; i < shown; ++i) {
    out += i == 0 ? "" : ",";
    append(out, *picked[i]);
  }
  out += shown < picked.size() ? "],\"has_more\":true}" : "],\"has_more\":false}";
  x.answer(200, std::move(out));
}

void add_event(exchange& x) {
  if (auto* talk = conversation_of(x))
    if (auto given = x.body()) {
      if (given->is_object())
        return accept_event(x, *talk, std::move(*given));
      auto faults = x.no_faults();
      faults.add("dict_type", whole_body, "Input should be a valid dictionary", *given);
      x.refuse(faults);
    }
}

void add_message(exchange& x) {
  if (auto* talk = conversation_of(x))
    if (auto given = x.body(message_rules))
      accept_event(x, *talk, message_event(text_member(*given, "message")));
}

void start_conversation(exchange& x) {
  auto* talk = conversation_of(x);
  if (!talk || !x.body(restart_rules))
    return;
  talk->status = conversation_status::running;
  answer_status(x, x.parameter, talk->status);
}

void stop_conversation(exchange& x) {
  auto* talk = conversation_of(x);
  if (x.reply.response.status == 400)
    return;
  if (talk)
    talk->status = conversation_status::stopped;
  answer_status(x, x.parameter, conversation_status::stopped); // also when nothing ran
}

void set_experiment(exchange& x) {
  if (x.body())
    x.answer(200, "false"); // `true` would mean that writing it failed
}

} // namespace nestor::nested_server
