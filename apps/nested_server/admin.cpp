#include <nested_server/admin.hpp>
#include <nested_server/json.hpp>

#include <algorithm>

namespace nestor::nested_server {
namespace {

constexpr std::string_view root = "/_admin/";

void append_number(wiped_string& out, std::string_view name, std::uint64_t value) {
  append_name(out, name);
  out += std::to_string(value);
}

wiped_string state_body(server_model& model, std::string_view prefix) {
  const auto& state = *model.find(prefix);
  wiped_string out = "{";
  append_name(out, "prefix");
  append_text(out, prefix);
  append_name(out, "settings");
  append(out, state.settings ? *state.settings : wiped_json{});
  append_name(out, "git_providers");
  out += '{';
  for (const auto& [name, entry] : state.git_providers) {
    append_name(out, name);
    out += '{';
    append_name(out, "token");
    append_text(out, entry.token);
    append_name(out, "user_id");
    append_text_or_null(out, entry.user_id);
    append_name(out, "host");
    append_text_or_null(out, entry.host);
    out += '}';
  }
  out += "},\"secrets\":{";
  for (const auto& [name, entry] : state.secrets) {
    append_name(out, name);
    append_text(out, entry.value);
  }
  out += "},\"requests\":{";
  for (const auto& [label, count] : model.requests(prefix))
    append_number(out, label, count);
  out += '}';
  append_number(out, "in_flight", model.traffic_of(prefix)->in_flight);
  append_number(out, "in_flight_max", model.traffic_of(prefix)->in_flight_max);
  append_number(out, "conversations", state.conversations.size());
  append_name(out, "dormant");
  out += state.dormant ? "true" : "false";
  out += '}';
  return out;
}

wiped_string states_body(faulty_server& server) {
  auto& model = server.model();
  std::uint64_t settings = 0;
  std::uint64_t git_providers = 0;
  std::uint64_t secrets = 0;
  std::uint64_t in_flight_max = 0;
  auto prefixes = model.prefixes();
  for (const auto& prefix : prefixes) {
    const auto& state = *model.find(prefix);
    settings += state.settings ? 1 : 0;
    git_providers += state.git_providers.empty() ? 0 : 1;
    secrets += state.secrets.empty() ? 0 : 1;
    in_flight_max = std::max<std::uint64_t>(in_flight_max, model.traffic_of(prefix)->in_flight_max);
  }
  wiped_string out = "{";
  append_number(out, "states", prefixes.size());
  append_number(out, "with_settings", settings);
  append_number(out, "with_git_providers", git_providers);
  append_number(out, "with_secrets", secrets);
  append_number(out, "in_flight_max", in_flight_max);
  append_number(out, "faults_hit", server.faults().hits());
  out += '}';
  return out;
}

http::response answer(std::uint16_t status, wiped_string body) {
  http::response r;
  r.status = status;
  r.body = std::move(body);
  return r;
}

http::response set_faults(faulty_server& server, std::string_view body) {
  auto given = parse_json(body);
  const auto* list = given ? member(*given, "faults") : nullptr;
  if (!list || !list->is_array())
    return answer(400, R"({"detail":"The body is {\"faults\":[SPEC, …]}"})");
  std::vector<fault_rule> rules;
  for (const auto& spec : *list) {
    auto rule = parse_fault(text_of(spec));
    if (!rule) {
      wiped_string out = "{";
      append_name(out, "detail");
      append_text(out, rule.error().cause);
      return answer(400, out + "}");
    }
    rules.push_back(std::move(*rule));
  }
  server.set_faults(fault_plan{std::move(rules)});
  return answer(200, "{}");
}

} // namespace

bool is_admin(std::string_view target) {
  return target.starts_with(root);
}

http::response admin_answer(faulty_server& server, const http::request& request, instant now) {
  auto& model = server.model();
  if (!model.authorized(request))
    return answer(401, R"({"detail":"Unauthorized"})");
  auto parts = parts_of(request.target);
  auto what = parts.path.substr(root.size());
  if (request.verb == http::method::get && what == "states")
    return answer(200, states_body(server));
  if (request.verb == http::method::get && what == "state") {
    constexpr std::string_view key = "prefix=";
    auto prefix = parts.query.starts_with(key) ? parts.query.substr(key.size()) : std::string_view{};
    return model.find(prefix) ? answer(200, state_body(model, prefix)) : answer(404, R"({"detail":"No such state"})");
  }
  if (request.verb == http::method::post && what == "reset") {
    model.reset(now);
    return answer(200, "{}");
  }
  if (request.verb == http::method::post && what == "faults")
    return set_faults(server, request.body);
  return answer(404, R"({"detail":"Not Found"})");
}

} // namespace nestor::nested_server
