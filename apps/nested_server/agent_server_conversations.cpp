// The newer nested server's conversations, as far as an orchestrator sees them: started once by id, listed in pages,
// told new secrets while they run. Each holds its own copy of its secrets. No agent answers here.
#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace nestor::nested_server {
namespace {

using enum field_kind;
constexpr std::array start_rules{
  field_rule{"workspace", object, false, true},
  field_rule{"agent", object},
  field_rule{"agent_settings", object},
  field_rule{"agent_profile_id", text},
  field_rule{"conversation_id", text},
  field_rule{"secrets", object},
  field_rule{"secrets_encrypted", truth, false},
  field_rule{"initial_message", object},
  field_rule{"confirmation_policy", object},
  field_rule{"max_iterations", integer, false, false, 1},
  field_rule{"plugins", objects},
  field_rule{"tags", object},
};
constexpr std::array telling_rules{field_rule{"secrets", object, false, true}};
constexpr std::array<std::string_view, 3> agents{"agent", "agent_settings", "agent_profile_id"};
constexpr std::size_t page_max = 100; // conversations, as there

bool is_uuid(std::string_view id) {
  auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  return id.size() == 36 && std::ranges::count(id, '-') == 4 &&
         std::ranges::all_of(id, [&](char c) { return hex(c) || c == '-'; });
}

std::string new_id(server_state& state) {
  std::array<char, 40> id{};
  std::snprintf(id.data(), id.size(), "00000000-0000-4000-8000-%012llx",
                static_cast<unsigned long long>(state.next_conversation++));
  return id.data();
}

void refuse_field(exchange& x, std::string_view type, std::string_view name, std::string_view message) {
  auto faults = x.no_faults();
  faults.add(type, within(whole_body, name), message, nullptr);
  x.refuse(faults);
}

/// A text, or a source; of a look-up the address is kept, for nobody looks here.
wiped_string value_of(const wiped_json& source) {
  if (source.is_string())
    return wiped_string{text_of(source)};
  auto value = text_member(source, "value");
  return wiped_string{value.empty() ? text_member(source, "url") : value};
}

void keep_secrets(conversation& talk, const wiped_json& given) {
  if (const auto* secrets = member(given, "secrets"); secrets && secrets->is_object())
    for (const auto& [name, source] : secrets->get_ref<const wiped_json::object_t&>())
      talk.secrets[std::string{std::string_view{name}}] = value_of(source);
}

std::string_view status_name(const conversation& talk) {
  switch (talk.status) {
    case conversation_status::starting: return "idle";
    case conversation_status::running: return "running";
    case conversation_status::stopped: return "paused";
  }
  return "error";
}

void append_conversation(wiped_string& out, std::string_view id, const conversation& talk) {
  out += '{';
  append_name(out, "id");
  append_text(out, id);
  append_name(out, "execution_status");
  append_text(out, status_name(talk));
  out += '}';
}

void show(exchange& x, std::uint16_t status, std::string_view id, const conversation& talk) {
  wiped_string out;
  append_conversation(out, id, talk);
  x.answer(status, std::move(out));
}

/// The conversation of the path; after 404 or 422 nothing.
conversation* conversation_of(exchange& x) {
  if (!is_uuid(x.parameter)) {
    refuse_field(x, "uuid_parsing", "conversation_id", "Input should be a valid UUID");
    return nullptr;
  }
  auto at = x.state.conversations.find(x.parameter);
  if (at != x.state.conversations.end())
    return &at->second;
  x.answer(404, R"({"detail":"Not Found"})");
  return nullptr;
}

void succeed(exchange& x) {
  x.answer(200, R"({"success":true})");
}

std::string_view query_text(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.starts_with(name) && part.size() > name.size() && part[name.size()] == '=')
      return part.substr(name.size() + 1);
  }
  return {};
}

} // namespace

void start_agent_conversation(exchange& x) {
  auto given = x.body(start_rules);
  if (!given)
    return;
  if (text_member((*given)["workspace"], "working_dir").empty())
    return refuse_field(x, "missing", "workspace", "Field required");
  auto named = std::ranges::count_if(agents, [&](auto name) {
    const auto* value = member(*given, name);
    return value && !value->is_null();
  });
  if (named != 1)
    return refuse_field(x, "value_error", "agent", "Exactly one of agent, agent_settings, agent_profile_id is needed");
  if (!text_member(*given, "agent_profile_id").empty())
    return x.say(404, "detail", "Agent profile not found");
  std::string id{text_member(*given, "conversation_id")};
  if (id.empty())
    id = new_id(x.state);
  else if (!is_uuid(id))
    return refuse_field(x, "uuid_parsing", "conversation_id", "Input should be a valid UUID");
  auto at = x.state.conversations.find(id);
  if (at != x.state.conversations.end())
    return show(x, 200, id, at->second);
  if (x.state.conversations.size() >= conversations_max)
    return x.fail();
  auto& talk = x.state.conversations[id];
  keep_secrets(talk, *given);
  if (const auto* first = member(*given, "initial_message"); first && first->is_object())
    talk.events.push_back(*first);
  show(x, 201, id, talk);
}

void search_agent_conversations(exchange& x) {
  std::size_t limit = page_max;
  if (auto text = query_text(x.query, "limit"); !text.empty()) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit == 0 || limit > page_max)
      return refuse_field(x, "less_than_equal", "limit", "Input should be from 1 to 100");
  }
  auto at = x.state.conversations.lower_bound(query_text(x.query, "page_id")); // as there, the first id of the page
  wiped_string out = "{\"items\":[";
  for (std::size_t i = 0; i < limit && at != x.state.conversations.end(); ++i, ++at) {
    out += i == 0 ? "" : ",";
    append_conversation(out, at->first, at->second);
  }
  out += "],\"next_page_id\":";
  append_text_or_null(out, at == x.state.conversations.end() ? std::nullopt : std::optional{at->first});
  out += '}';
  x.answer(200, std::move(out));
}

void show_agent_conversation(exchange& x) {
  if (const auto* talk = conversation_of(x))
    show(x, 200, x.parameter, *talk);
}

void delete_agent_conversation(exchange& x) {
  if (!conversation_of(x))
    return;
  x.state.conversations.erase(x.state.conversations.find(x.parameter));
  succeed(x);
}

void tell_agent_conversation(exchange& x) {
  auto given = x.body(telling_rules);
  if (!given)
    return;
  auto* talk = conversation_of(x);
  if (!talk)
    return;
  keep_secrets(*talk, *given);
  succeed(x);
}

void send_agent_event(exchange& x) {
  auto given = x.body();
  if (!given)
    return;
  auto* talk = conversation_of(x);
  if (!talk)
    return;
  if (!given->is_object() || talk->events.size() >= events_max)
    return x.fail();
  talk->events.push_back(std::move(*given));
  succeed(x);
}

void run_agent_conversation(exchange& x) {
  auto* talk = conversation_of(x);
  if (!talk)
    return;
  if (talk->status == conversation_status::running)
    return x.say(409, "detail", "Conversation already running. Wait for completion or pause first.");
  talk->status = conversation_status::running;
  succeed(x);
}

void pause_agent_conversation(exchange& x) {
  auto* talk = conversation_of(x);
  if (!talk)
    return;
  talk->status = conversation_status::stopped;
  succeed(x);
}

void pause_every_agent_conversation(exchange& x) {
  for (auto& [id, talk] : x.state.conversations)
    if (talk.status == conversation_status::running)
      talk.status = conversation_status::stopped;
  x.reply.response.status = 204;
}

} // namespace nestor::nested_server
