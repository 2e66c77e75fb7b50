// `e2b`: sandboxes by REST, the nested server started inside through their agent (envd, Connect protocol). There is no
// name to choose and no key that makes a create repeatable: what was created is found by its metadata, and what nobody
// finds ends with its time to live.
#include <nestor/providers/internal/e2b_agent.hpp>
#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <array>

namespace nestor::providers {
namespace {

using internal::at;
using internal::body_of;
using internal::json_of;
using internal::text_at;
using nlohmann::json;

// The server works on a create for up to 70 s and writes its answer for 5 more.
constexpr milliseconds create_call_within{80'000};
constexpr milliseconds call_within{15'000};
// Starting the nested server is tried again this long: the agent was there at the create's answer.
constexpr milliseconds start_within{30'000};
// One pass of `destroy`: a kill takes a second or two.
constexpr milliseconds end_within{30'000};
// A look for a lost create is over before whoever looks loses patience (30 s).
constexpr milliseconds observe_within{10'000};
// Longest server-side create (75 s) and the lag of lists.
constexpr milliseconds settles{90'000};
// Without a lease or lifetime asked for: the longest that every plan allows.
constexpr std::chrono::seconds lifetime{3'600};
// Pages of 100 with exactly our three labels: more than one is a mistake, more than this a broken cursor.
constexpr std::uint32_t pages_max = 50;
constexpr std::string_view agent_port = "49983";
constexpr std::string_view default_template = "base"; // as the SDK has it

constexpr std::array fields{
  account_field{"api_key", field_holds::secret, "E2B_API_KEY", "", true, "Key of the team, e2b_…"},
  account_field{"domain", field_holds::text, "E2B_DOMAIN", "e2b.app", false, "Domain of the API and of sandboxes."},
  account_field{"api_url", field_holds::url, "E2B_API_URL", "https://api.{domain}", false, "The API."},
  account_field{"sandbox_url", field_holds::url, "E2B_SANDBOX_URL", "", false,
                "One address for all sandboxes, routed by headers, instead of a host name for each."},
};

/// What a question must carry: a sandbox as far as it is known, and why it is being ended.
struct rented {
  std::string id, agent_token, traffic_token, domain, cause;
};

wiped_string pack(const rented& r) {
  wiped_string text;
  for (const auto* part : {&r.id, &r.agent_token, &r.traffic_token, &r.domain, &r.cause})
    text.append(part->c_str()).append("\n");
  return text;
}

rented unpack(std::string_view text) {
  rented r;
  for (auto* part : {&r.id, &r.agent_token, &r.traffic_token, &r.domain, &r.cause}) {
    auto end = std::min(text.find('\n'), text.size());
    *part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return r;
}

enum : place { at_start, at_created, at_started, at_ended, at_listed, at_connected, at_run };

// -- calls ----------------------------------------------------------------------------------------

http_call control(const account& who, http::method verb, const std::string& target, wiped_string body = {}) {
  auto call = api_call(who, "api_url", verb, target, std::move(body));
  add_key(call, "X-API-Key", who.key("api_key"));
  call.timeout = call_within;
  return call;
}

std::string one(const std::string& id, std::string_view rest = {}) {
  return "/sandboxes/" + http::encode_segment(id) + std::string{rest};
}

http_call kill(const account& who, const std::string& id) {
  return control(who, http::method::del, one(id));
}

/// Where a port of a sandbox is reached: its own host name, or the account's one address and two headers.
runtime reached(const account& who, const rented& r, std::string_view port) {
  runtime result;
  result.ref = r.id;
  if (auto shared = http::parse_url(who.text("sandbox_url"))) {
    result.where = endpoint{shared->tls, shared->host, shared->port, {}};
    result.path_prefix = shared->path;
    result.from = address_source::node;
    result.headers.push_back({"E2b-Sandbox-Id", wiped_string{r.id}});
    result.headers.push_back({"E2b-Sandbox-Port", wiped_string{port}});
  } else {
    constexpr std::uint16_t https = 443;
    auto domain = r.domain.empty() ? std::string{who.text("domain")} : r.domain;
    result.where = endpoint{true, std::string{port} + "-" + r.id + "." + domain, https, {}};
  }
  result.where.ca_file = who.ca_file;
  if (!r.traffic_token.empty())
    result.headers.push_back({"e2b-traffic-access-token", wiped_string{r.traffic_token}});
  return result;
}

runtime runtime_of(const account& who, const provision_order& order, const rented& r) {
  auto result = reached(who, r, std::to_string(order.spec->port));
  result.session_key = order.session_key;
  return result;
}

std::int64_t seconds_of(const provision_order& order) {
  auto wanted = order.lease ? order.lease : order.max_lifetime;
  return wanted ? std::chrono::ceil<std::chrono::seconds>(*wanted).count() : lifetime.count();
}

http_call create(const account& who, const provision_order& order) {
  auto options = json::parse(order.spec->options, nullptr, false);
  json body{{"templateID", order.spec->image.empty() ? std::string{default_template} : order.spec->image},
            {"timeout", seconds_of(order)},
            {"allow_internet_access", options.value("allow_internet_access", true)},
            {"network", {{"allowPublicTraffic", false}}}};
  for (const auto& [name, value] : pairs_of(order.stamp))
    body["metadata"][name] = value;
  auto call = control(who, http::method::post, "/v2/sandboxes", body_of(body));
  call.timeout = create_call_within;
  return call;
}

/// A command that starts the server once, however often it is sent: the folder is made by the first one only. Its
/// output goes to a file, so that the agent's stream ends with this shell.
std::string start_script(const provision_order& order) {
  const auto& argv = order.spec->command;
  return "command -v " + shell_word(argv.front()) + " >/dev/null || exit 127; mkdir /tmp/." + name_of(order.stamp) +
         " 2>/dev/null || exit 0; setsid nohup " + shell_line(argv) + " >/tmp/nestor-server.log 2>&1 </dev/null &";
}

/// A shell of the agent's: not begun twice by whoever sends it once.
http_call shell(const account& who, const rented& r, const std::string& line, json envs, milliseconds within) {
  auto agent = reached(who, {r.id, {}, {}, r.domain, {}}, agent_port);
  json process{{"cmd", "/bin/bash"}, {"args", {"-l", "-c", line}}, {"envs", std::move(envs)}};
  http_call call;
  call.to = agent.where;
  call.from = agent.from;
  call.timeout = within;
  call.request.verb = http::method::post;
  call.request.target = agent.path_prefix + "/process.Process/Start";
  call.request.headers = std::move(agent.headers);
  call.request.headers.push_back({"Content-Type", "application/connect+json"});
  call.request.headers.push_back({"Connect-Protocol-Version", "1"});
  if (!r.agent_token.empty())
    call.request.headers.push_back({"X-Access-Token", wiped_string{r.agent_token}});
  call.request.body = internal::e2b::enveloped(body_of({{"process", std::move(process)}, {"stdin", false}}));
  return call;
}

ask start_server(const account& who, const provision_order& order, const rented& r, milliseconds after) {
  auto envs = json::object();
  for (const auto& each : environment_of(order))
    envs[each.name] = std::string_view{each.value};
  return ask{shell(who, r, start_script(order), std::move(envs), call_within), after, at_started, pack(r)};
}

// -- answers --------------------------------------------------------------------------------------

rented rented_of(const json& answer) {
  return {text_at(answer, "sandboxID"),
          text_at(answer, "envdAccessToken"),
          text_at(answer, "trafficAccessToken"),
          text_at(answer, "domain"),
          {}};
}

/// The API itself says that there is no such sandbox; an empty 404 may be anybody's.
bool says_gone(const http::response* response) {
  constexpr int not_found = 404;
  return has_status(response, not_found) && internal::integer_at(json_of(*response), "code") == not_found;
}

/// How the shell that starts the server ended: nothing when it did what it should; else why not.
std::optional<std::string> start_fault(std::string_view frames) {
  constexpr int no_command = 127;
  auto said = internal::e2b::read_stream(frames);
  if (!said.trouble.empty())
    return "the agent said " + said.trouble;
  if (!said.status)
    return "the stream ended before the command did";
  if (*said.status == 0)
    return std::nullopt;
  return *said.status == no_command ? "the template has no such command"
                                    : "the shell ended with " + std::to_string(*said.status);
}

// -- conversations --------------------------------------------------------------------------------

progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  if (!so_far.reply)
    return ask{control(who, http::method::get, "/v2/sandboxes?limit=1")};
  if (succeeded(response_of(*so_far.reply)))
    return proof{};
  return failure_of(who, stage::proving, "proving the key", *so_far.reply);
}

/// One pass of ending it: asked until the API says that there is none.
std::optional<progress<absent>> ended(const account& who, const std::string& id, const heard& so_far,
                                      milliseconds began) {
  if (says_gone(response_of(*so_far.reply)))
    return absent{};
  if (so_far.elapsed - began >= end_within || refuses_us(response_of(*so_far.reply)))
    return failure_of(who, stage::ending, "ending " + id, *so_far.reply);
  return std::nullopt;
}

/// Something was created and is no good: it is ended before we say so.
ask end_it(const account& who, rented r, std::string cause) {
  std::ranges::replace(cause, '\n', ' ');
  r.cause = std::move(cause);
  return ask{kill(who, r.id), milliseconds{0}, at_ended, pack(r)};
}

progress<runtime> on_created(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response)) {
    auto r = rented_of(json_of(*response));
    if (r.id.empty())
      return not_understood(who, stage::created, "creating a sandbox", "the answer names no sandbox");
    return start_server(who, order, r, milliseconds{0});
  }
  auto why = failure_of(who, stage::creating, "creating a sandbox", *so_far.reply);
  if (response) { // these two say that no place was found, so nothing was placed
    auto code = text_at(json_of(*response), "error_code");
    if (code == "sandbox_capacity_unavailable" || code == "sandbox_no_compatible_node")
      why.code = errc::provision_failed;
  }
  return why;
}

progress<runtime> on_started(const account& who, const provision_order& order, const heard& so_far) {
  auto r = unpack(so_far.carried);
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response)) {
    auto fault = start_fault(response->body);
    return fault ? progress<runtime>{end_it(who, r, *fault)} : runtime_of(who, order, r);
  }
  if (so_far.elapsed < create_call_within + start_within && !refuses_us(response))
    return start_server(who, order, r, poll_after(so_far));
  return end_it(who, r, failure_of(who, stage::created, "starting the server", *so_far.reply).cause);
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  switch (so_far.at) {
    case at_start: return ask{create(who, order), milliseconds{0}, at_created};
    case at_created: return on_created(who, order, so_far);
    case at_started: return on_started(who, order, so_far);
    default: break;
  }
  auto r = unpack(so_far.carried);
  auto over = ended(who, r.id, so_far, create_call_within + start_within);
  if (!over)
    return ask{kill(who, r.id), poll_after(so_far), at_ended, pack(r)};
  if (std::holds_alternative<absent>(*over))
    return failure{
      errc::provision_failed, step::provision, who.name + " could not start the server: " + r.cause, 0, {}};
  return failure{errc::create_unknown, step::provision, r.id + " failed and could not be ended: " + r.cause, 0, {}};
}

std::string list_target(const std::vector<std::pair<std::string, std::string>>& labels, std::string_view cursor) {
  std::string pairs;
  for (const auto& [name, value] : labels) // two levels for each, and one more for the whole as a query's value
    pairs += (pairs.empty() ? "" : "&") + query_value(query_value(name)) + "=" + query_value(query_value(value));
  auto target = "/v2/sandboxes?metadata=" + query_value(pairs) + "&state=running%2Cpaused&limit=100";
  return cursor.empty() ? target : target + "&nextToken=" + query_value(cursor);
}

bool carries(const json& item, const labels& stamp) {
  return std::ranges::all_of(
    pairs_of(stamp), [&](const auto& label) { return text_at(at(item, "metadata"), label.first) == label.second; });
}

ask look(const account& who, const provision_order& order, std::string_view cursor) {
  return ask{control(who, http::method::get, list_target(pairs_of(order.stamp), cursor)), milliseconds{0}, at_listed};
}

http_call connect(const account& who, const std::string& id, std::int64_t seconds) {
  auto call = control(who, http::method::post, "/v2" + one(id, "/connect"), body_of({{"timeout", seconds}}));
  call.timeout = create_call_within; // it may have to be resumed
  return call;
}

struct listed_page {
  json items;
  std::string next; ///< cursor; empty: that was the last
};

std::variant<listed_page, failure> page_of(const account& who, const heard& so_far) {
  constexpr std::string_view doing = "looking for a sandbox";
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  listed_page page{json_of(*response), {}};
  if (!page.items.is_array())
    return not_understood(who, stage::looking, doing, "the answer is no list");
  if (const auto* next = response->find("X-Next-Token"))
    page.next = *next;
  if (!page.next.empty() && so_far.asked >= pages_max)
    return not_understood(who, stage::looking, doing, "the list does not end");
  return page;
}

progress<sighting> on_listed(const account& who, const provision_order& order, const heard& so_far) {
  auto found = page_of(who, so_far);
  if (auto* why = std::get_if<failure>(&found))
    return std::move(*why);
  auto& [items, next] = std::get<listed_page>(found);
  for (const auto& item : items)
    if (carries(item, order.stamp)) // lists keep the tokens back, connecting gives them
      return ask{connect(who, text_at(item, "sandboxID"), seconds_of(order)), milliseconds{0}, at_connected};
  return next.empty() ? progress<sighting>{sighting{absent{}}} : look(who, order, next);
}

progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  if (so_far.at == at_start)
    return look(who, order, {});
  if (so_far.at == at_listed)
    return on_listed(who, order, so_far);
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_connected) {
    if (says_gone(response))
      return sighting{absent{}};
    if (!succeeded(response))
      return failure_of(who, stage::looking, "connecting to a sandbox", *so_far.reply);
    auto r = rented_of(json_of(*response));
    if (r.id.empty())
      return not_understood(who, stage::looking, "connecting to a sandbox", "the answer names no sandbox");
    return start_server(who, order, r, milliseconds{0}); // harmless when it runs
  }
  auto r = unpack(so_far.carried);
  if (!succeeded(response) && !refuses_us(response) && so_far.elapsed < observe_within)
    return start_server(who, order, r, poll_after(so_far));
  return sighting{runtime_of(who, order, r)}; // it is there, whether it can be configured or not
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return ask{kill(who, gone.ref)};
  if (auto over = ended(who, gone.ref, so_far, milliseconds{0}))
    return std::move(*over);
  return ask{kill(who, gone.ref), poll_after(so_far)};
}

progress<sighting> twin(const account& who, const labels& stamp, const heard& so_far) {
  auto page = [&](std::string_view cursor) {
    return ask{control(who, http::method::get, list_target(pairs_of(stamp), cursor))};
  };
  if (!so_far.reply)
    return page({});
  auto found = page_of(who, so_far);
  if (auto* why = std::get_if<failure>(&found))
    return std::move(*why);
  auto& [items, next] = std::get<listed_page>(found);
  for (const auto& item : items)
    if (carries(item, stamp)) {
      runtime other;
      other.ref = text_at(item, "sandboxID");
      return sighting{std::move(other)};
    }
  return next.empty() ? progress<sighting>{sighting{absent{}}} : page(next);
}

progress<listing> list(const account& who, const list_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{control(who, http::method::get,
                       list_target({{std::string{label_installation}, order.installation.text}}, order.cursor))};
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "listing sandboxes", *so_far.reply);
  auto items = json_of(*response);
  if (!items.is_array())
    return not_understood(who, stage::looking, "listing sandboxes", "the answer is no list");
  listing page;
  for (const auto& item : items) {
    const auto& marks = at(item, "metadata");
    if (text_at(marks, label_installation) != order.installation.text)
      continue;
    auto number = std::strtoul(text_at(marks, label_attempt).c_str(), nullptr, 10);
    page.items.push_back({text_at(item, "sandboxID"), text_at(marks, label_sandbox), static_cast<attempt>(number),
                          text_at(item, "startedAt"), text_at(item, "state")});
  }
  if (const auto* next = response->find("X-Next-Token"))
    page.next = *next;
  return page;
}

progress<paused> pause(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply) {
    auto call = control(who, http::method::post, one(what.ref, "/pause"), wiped_string{"{}"});
    call.timeout = create_call_within; // it writes the memory out
    return ask{std::move(call)};
  }
  constexpr int conflict = 409; // it is paused already
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response) || has_status(response, conflict))
    return paused{};
  return failure_of(who, stage::looking, "pausing " + what.ref, *so_far.reply);
}

/// Connecting, which is also how the access is asked for anew. Memory was kept: the server still runs.
progress<runtime> resume(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply)
    return ask{connect(who, what.ref, lifetime.count())};
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "resuming " + what.ref, *so_far.reply);
  auto token = text_at(json_of(*response), "trafficAccessToken");
  auto result = what;
  for (auto& header : result.headers)
    if (header.name == "e2b-traffic-access-token" && !token.empty())
      header.value = wiped_string{token};
  return result;
}

progress<renewed> renew(const account& who, const renew_order& order, const heard& so_far) {
  auto seconds = std::chrono::ceil<std::chrono::seconds>(order.lease).count();
  if (!so_far.reply)
    return ask{control(who, http::method::post, one(order.what.ref, "/timeout"), body_of({{"timeout", seconds}}))};
  if (succeeded(response_of(*so_far.reply)))
    return renewed{};
  return failure_of(who, stage::looking, "renewing " + order.what.ref, *so_far.reply);
}

/// Its description has the agent's token; the agent runs the command, and ends it when its time is over.
progress<observation> exec(const account& who, const exec_order& order, const heard& so_far) {
  auto doing = "running a command in " + order.where.ref;
  if (!so_far.reply)
    return ask{control(who, http::method::get, one(order.where.ref))};
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_start) {
    if (says_gone(response))
      return failure{errc::runtime_lost, step::ready, who.name + " knows no sandbox " + order.where.ref, 0, {}};
    if (!succeeded(response))
      return failure_of(who, stage::looking, doing, *so_far.reply);
    auto r = rented_of(json_of(*response));
    if (r.id.empty())
      return not_understood(who, stage::looking, doing, "the answer names no sandbox");
    auto call = shell(who, r, order.command, json::object(), order.within + call_within);
    call.request.headers.push_back({"Connect-Timeout-Ms", wiped_string{std::to_string(order.within.count())}});
    return ask{std::move(call), milliseconds{0}, at_run};
  }
  if (!succeeded(response))
    return not_run(who, doing, *so_far.reply);
  auto said = internal::e2b::read_stream(response->body);
  if (said.trouble == "deadline_exceeded")
    return out_of_time();
  if (said.status)
    return ended_with(*said.status, std::move(said.out), std::move(said.err));
  return lost_answer(who.name + " while " + doing + ": " +
                     (said.trouble.empty() ? "the stream ended before the command did" : "it said " + said.trouble));
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.command.empty() || spec.command.front().empty())
    return refuse(errc::spec_invalid,
                  "runtime.command: e2b needs the command that starts the nested server; a template's own was started "
                  "when it was built and knows no session key");
  if (spec.port == 0)
    return refuse(errc::spec_invalid, "runtime.port: e2b needs the port that the nested server listens on");
  if (spec.cpu || spec.memory_bytes)
    return refuse(errc::capability_missing, "runtime.resources: an e2b template fixes them; choose another template");
  if (!spec.url.empty() || !spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.url, runtime.session_key: only the static provider takes them");
  auto options = json::parse(spec.options, nullptr, false);
  if (!options.is_object())
    return refuse(errc::spec_invalid, "runtime.options: e2b expects an object");
  for (const auto& [name, value] : options.items())
    if (name != "allow_internet_access" || !value.is_boolean())
      return refuse(errc::spec_invalid, "runtime.options: e2b has only allow_internet_access (true or false)");
  return {};
}

} // namespace

const provider& e2b_provider() {
  static const provider self{
    .kind = "e2b",
    .summary = "E2B sandboxes; runtime.image is a template",
    .can = {.command = true, .image = true, .enumerates = true, .pauses = true, .leases = true},
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = create_call_within + start_within + end_within + 2 * call_within,
    .destroy_within = end_within + 2 * call_within,
    .fields = fields,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .twin = twin,
    .list = list,
    .pause = pause,
    .resume = resume,
    .address = resume,
    .renew = renew,
    .exec = exec,
  };
  return self;
}

} // namespace nestor::providers
