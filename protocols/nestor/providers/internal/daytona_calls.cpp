#include <nestor/providers/internal/daytona_calls.hpp>

#include <nestor/providers/internal/label_answer.hpp>
#include <nestor/providers/start.hpp>

#include <array>
#include <charconv>
#include <chrono>

namespace nestor::providers::internal::daytona {
namespace {

using nlohmann::json;

// From this version on the toolbox tells stdout from stderr; it goes by the header of the SDK that we speak as.
constexpr std::string_view spoken_version = "0.218.0";
constexpr std::size_t page_items_max = 200; // the API's own limit
// Beyond our own end of a sandbox's lifetime: the provider's clock is for what we lost sight of, not a race with us.
constexpr std::chrono::minutes lifetime_margin{10};

struct state_row {
  std::string_view word;
  life means;
};
constexpr std::array state_rows{
  state_row{"started", life::started},  state_row{"stopped", life::resting},  state_row{"paused", life::resting},
  state_row{"archived", life::resting}, state_row{"error", life::broken},     state_row{"build_failed", life::broken},
  state_row{"destroyed", life::gone},   state_row{"destroying", life::going},
};

life life_of(const json& description) {
  auto state = text_at(description, "state");
  auto row = std::ranges::find(state_rows, std::string_view{state}, &state_row::word);
  auto means = row == state_rows.end() ? life::changing : row->means;
  if (means != life::gone && text_at(description, "desiredState") == "destroyed")
    return life::going;
  return means;
}

std::string of(std::string_view id, std::string_view rest = {}) {
  return "/sandbox/" + http::encode_segment(id) + std::string{rest};
}

template <class Unit>
std::int64_t whole(milliseconds time) {
  return std::chrono::ceil<Unit>(time).count();
}

/// Only an image that is built can be given resources; a snapshot brings its own.
void add_image(json& body, const runtime_spec& spec) {
  auto options = json::parse(spec.options, nullptr, false);
  if (options.value("build", false)) {
    body["buildInfo"] = {{"dockerfileContent", "FROM " + spec.image + "\n"}};
    constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
    if (spec.cpu)
      body["cpu"] = static_cast<std::int64_t>(*spec.cpu);
    if (spec.memory_bytes)
      body["memory"] = *spec.memory_bytes / gib;
    if (options.contains("disk_gib"))
      body["disk"] = options["disk_gib"];
  } else if (!spec.image.empty()) {
    body["snapshot"] = spec.image;
  }
  if (options.contains("user"))
    body["user"] = options["user"];
}

} // namespace

sandbox sandbox_of(const json& description) {
  sandbox s;
  s.id = text_at(description, "id");
  s.state = text_at(description, "state");
  s.now = life_of(description);
  s.trouble = text_at(description, "errorReason");
  s.toolbox = text_at(description, "toolboxProxyUrl");
  s.start = text_at(at(description, "env"), start_variable);
  s.leased = integer_at(description, "autoStopInterval").value_or(0) > 0;
  s.ephemeral = integer_at(description, "autoDeleteInterval") == 0;
  s.labels = at(description, "labels");
  return s;
}

http_call api(const account& who, http::method verb, const std::string& target, wiped_string body) {
  auto call = api_call(who, "api_url", verb, target, std::move(body));
  add_key(call, "Authorization", who.key("api_key"), "Bearer ");
  call.timeout = call_within;
  return call;
}

http_call create(const account& who, const provision_order& order) {
  const auto& spec = *order.spec;
  json body{{"name", name_of(order.stamp)}, {"labels", object_of(order.stamp)}, {"public", false}};
  auto& env = body["env"] = json::object();
  for (const auto& each : environment_of(order))
    env[each.name] = std::string_view{each.value};
  if (!spec.command.empty())
    env[std::string{start_variable}] = shell_line(spec.command);
  if (auto target = who.text("target"); !target.empty())
    body["target"] = target;
  add_image(body, spec);
  // With a lease it is stopped when we no longer renew, and what is stopped is deleted. Without one it stays until we
  // end it: its own idle limit of 15 minutes would end it under somebody's hands.
  body["autoStopInterval"] = order.lease ? whole<std::chrono::minutes>(*order.lease) : 0;
  body["autoDeleteInterval"] = order.lease ? 0 : -1;
  if (order.max_lifetime) // where it is known; older servers ignore it
    body["ttlMinutes"] = whole<std::chrono::minutes>(*order.max_lifetime + lifetime_margin);
  auto call = api(who, http::method::post, "/sandbox", body_of(body));
  call.timeout = held_call_within;
  return call;
}

http_call look_up(const account& who, std::string_view id_or_name) {
  return api(who, http::method::get, of(id_or_name));
}

http_call change(const account& who, std::string_view id, std::string_view what) {
  auto call = api(who, http::method::post, of(id, "/") + std::string{what});
  call.timeout = held_call_within;
  return call;
}

http_call preview_url(const account& who, std::string_view id, std::uint16_t port) {
  return api(who, http::method::get, of(id, "/ports/") + std::to_string(port) + "/preview-url");
}

http_call list(const account& who, const json& labels, std::string_view cursor) {
  auto target = "/sandbox?labels=" + query_value(labels.dump()) + "&limit=" + std::to_string(page_items_max);
  return api(who, http::method::get, cursor.empty() ? target : target + "&cursor=" + query_value(cursor));
}

http_call tool(const account& who, const http::url& toolbox, http::method verb, std::string_view id,
               std::string_view path, wiped_string body) {
  auto call = given_call(who, toolbox, verb, "/" + http::encode_segment(id) + std::string{path}, std::move(body));
  auto ours = http::parse_url(who.text("api_url"));
  if (ours && ours->host == toolbox.host) // one server for both: it is where the configuration says
    call.from = address_source::node;
  add_key(call, "Authorization", who.key("api_key"), "Bearer ");
  call.request.headers.push_back({"X-Daytona-SDK-Version", wiped_string{spoken_version}});
  call.timeout = call_within;
  return call;
}

std::optional<runtime> reached(const account& who, std::string_view id, const http::response& answer) {
  auto document = json_of(answer);
  auto url = http::parse_url(text_at(document, "url"));
  auto token = text_at(document, "token");
  if (!url || token.empty())
    return std::nullopt;
  runtime result;
  result.ref = id;
  result.where = endpoint{url->tls, url->host, url->port, {}};
  result.where.ca_file = who.ca_file;
  result.path_prefix = url->path;
  result.headers.push_back({"x-daytona-preview-token", wiped_string{token}});
  return result;
}

std::uint16_t port_of(const runtime& what) { // PORT-ID.proxy.…
  std::uint16_t port = 0;
  const auto& host = what.where.host;
  auto [end, error] = std::from_chars(host.data(), host.data() + host.size(), port);
  return error == std::errc{} && std::string_view{end}.starts_with('-') ? port : std::uint16_t{0};
}

std::optional<page> page_of(const http::response& answer) {
  auto document = json_of(answer);
  const auto& items = document.is_array() ? document : at(document, "items"); // a bare array before v0.180
  if (!items.is_array())
    return std::nullopt;
  return page{{items.begin(), items.end()}, text_at(document, "nextCursor")};
}

} // namespace nestor::providers::internal::daytona
