#include <nestor/providers/internal/runloop_calls.hpp>

#include <nestor/providers/internal/label_answer.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace nestor::providers::internal::runloop {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// A devbox's description is one or two KiB, and an answer of the API at most 1 MiB for us.
constexpr int page_items = 200;
// Lines of a command's output that are kept by the API for us.
constexpr int output_lines = 1'000;
// Beyond our own end of a sandbox's lifetime: the provider's clock is for what we lost sight of, not a race with us.
constexpr seconds lifetime_margin{600};
// The server lets go of a wait after 30 s; we hear it in time.
constexpr milliseconds wait_margin{10'000};
constexpr std::string_view port_word = "{port}", key_word = "{key}";

life life_of(std::string_view status) {
  if (status == "running")
    return life::running;
  if (status == "suspended")
    return life::suspended;
  return status == "shutdown" || status == "failure" ? life::ended : life::changing;
}

std::string of(std::string_view id, std::string_view rest = {}) {
  return "/v1/devboxes/" + http::encode_segment(id) + std::string{rest};
}

json launch_parameters(const provision_order& order) {
  auto options = json::parse(order.spec->options, nullptr, false);
  json launch = json::object();
  if (order.lease) { // its clock is one of idleness; who renews makes it start again
    auto idle = std::chrono::ceil<seconds>(*order.lease).count();
    launch["lifecycle"]["after_idle"] = {{"idle_time_seconds", idle}, {"on_idle", "shutdown"}};
  } else {
    auto wanted = order.max_lifetime ? std::chrono::ceil<seconds>(*order.max_lifetime) + lifetime_margin : lifetime_max;
    launch["keep_alive_time_seconds"] = std::min(wanted, lifetime_max).count();
  }
  if (options.contains("size"))
    launch["resource_size_request"] = options["size"];
  if (order.spec->cpu && order.spec->memory_bytes) {
    constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
    launch["resource_size_request"] = "CUSTOM_SIZE";
    launch["custom_cpu_cores"] = static_cast<std::int64_t>(*order.spec->cpu);
    launch["custom_gb_memory"] = *order.spec->memory_bytes / gib;
    if (options.contains("disk_gib"))
      launch["custom_disk_size"] = options["disk_gib"];
  }
  if (options.contains("architecture"))
    launch["architecture"] = options["architecture"];
  return launch;
}

std::string replaced(std::string text, std::string_view word, std::string_view by) {
  if (auto at = text.find(word); at != std::string::npos)
    text.replace(at, word.size(), by);
  return text;
}

http_call waiting(const account& who, const std::string& target, const json& statuses, seconds held) {
  auto call =
    api(who, http::method::post, target, body_of({{"statuses", statuses}, {"timeout_seconds", held.count()}}));
  call.timeout = held + wait_margin;
  return call;
}

} // namespace

devbox devbox_of(const json& description) {
  devbox d;
  d.id = text_at(description, "id");
  d.status = text_at(description, "status");
  d.now = life_of(d.status);
  d.trouble = text_at(description, "failure_reason");
  if (d.trouble.empty())
    d.trouble = text_at(description, "shutdown_reason");
  d.metadata = at(description, "metadata");
  d.tunnel = at(description, "tunnel");
  return d;
}

http_call api(const account& who, http::method verb, const std::string& target, wiped_string body) {
  auto call = api_call(who, "base_url", verb, target, std::move(body));
  add_key(call, "Authorization", who.key("api_key"), "Bearer ");
  call.timeout = call_within;
  return call;
}

http_call create(const account& who, const provision_order& order) {
  const auto& spec = *order.spec;
  json body{{"name", name_of(order.stamp)},
            {"metadata", object_of(order.stamp)},
            {"launch_parameters", launch_parameters(order)},
            {"tunnel", {{"auth_mode", "authenticated"}}}};
  auto& environment = body["environment_variables"] = json::object();
  for (const auto& each : environment_of(order))
    environment[each.name] = std::string_view{each.value};
  if (!spec.command.empty())
    body["entrypoint"] = environment[std::string{start_variable}] = shell_line(spec.command);
  if (!spec.image.empty())
    body[json::parse(spec.options, nullptr, false).value("source", "blueprint_name")] = spec.image;
  auto call = api(who, http::method::post, "/v1/devboxes", body_of(body));
  // One value for one create, whoever sends it again on the way.
  call.request.headers.push_back({"x-request-id", wiped_string{"nestor-" + name_of(order.stamp)}});
  return call;
}

http_call look_up(const account& who, std::string_view id) {
  return api(who, http::method::get, of(id));
}

http_call act(const account& who, std::string_view id, std::string_view what, wiped_string body) {
  return api(who, http::method::post, of(id, "/") + std::string{what}, std::move(body));
}

http_call wait_for(const account& who, std::string_view id, std::span<const std::string_view> statuses, seconds held) {
  return waiting(who, of(id, "/wait_for_status"), json(std::vector<std::string>{statuses.begin(), statuses.end()}),
                 held);
}

http_call wait_for_command(const account& who, std::string_view id, std::string_view execution, seconds held) {
  auto target = of(id, "/executions/") + http::encode_segment(execution) +
                "/wait_for_status?last_n=" + std::to_string(output_lines);
  return waiting(who, target, json::array({"completed"}), held);
}

http_call list(const account& who, std::string_view after_id, std::string_view status) {
  auto target = "/v1/devboxes?limit=" + std::to_string(page_items);
  if (!status.empty())
    target += "&status=" + std::string{status};
  return api(who, http::method::get, after_id.empty() ? target : target + "&starting_after=" + query_value(after_id));
}

std::string tunnel_shape(const account& who) {
  if (auto told = who.text("tunnel_url"); !told.empty())
    return std::string{told};
  constexpr std::string_view of_api = "api.";
  auto host = http::parse_url(who.text("base_url")).value_or(http::url{}).host;
  if (host.starts_with(of_api))
    host.erase(0, of_api.size());
  return "https://{port}-{key}.tunnel." + host;
}

std::optional<std::string> fault_of_shape(const std::string& shape) {
  for (auto word : {port_word, key_word})
    if (shape.find(word) == std::string::npos)
      return "it holds no " + std::string{word};
  if (!http::parse_url(replaced(replaced(shape, port_word, "1"), key_word, "k")))
    return "it is not an http or https URL";
  return std::nullopt;
}

std::optional<runtime> reached(const account& who, std::string_view id, const json& tunnel, std::uint16_t port) {
  auto key = text_at(tunnel, "tunnel_key");
  auto filled = replaced(tunnel_shape(who), port_word, std::to_string(port));
  auto url = key.empty() ? std::nullopt : http::parse_url(replaced(filled, key_word, key));
  if (!url)
    return std::nullopt;
  runtime result;
  result.ref = id;
  result.where = endpoint{url->tls, url->host, url->port, {}};
  result.where.ca_file = who.ca_file;
  result.path_prefix = url->path;
  if (!who.text("tunnel_url").empty()) // the configuration says where
    result.from = address_source::node;
  // A header of its own: `Authorization` is left to the nested server.
  if (auto token = text_at(tunnel, "auth_token"); !token.empty())
    result.headers.push_back({"X-Runloop-Tunnel-Authorization", wiped_string{"Bearer " + token}});
  return result;
}

std::uint16_t port_of(const account& who, const runtime& what) {
  auto url = to_string(http::url{what.where.tls, what.where.host, what.where.port, what.path_prefix});
  auto before = tunnel_shape(who).find(port_word);
  std::uint16_t port = 0;
  if (before < url.size())
    std::from_chars(url.data() + before, url.data() + url.size(), port);
  return port;
}

std::optional<page> page_of(const http::response& answer) {
  auto document = json_of(answer);
  const auto& items = at(document, "devboxes");
  if (!items.is_array())
    return std::nullopt;
  page found{{items.begin(), items.end()}, {}};
  if (at(document, "has_more") == true) {
    found.next = found.items.empty() ? std::string{} : text_at(found.items.back(), "id");
    if (found.next.empty())
      return std::nullopt;
  }
  return found;
}

} // namespace nestor::providers::internal::runloop
