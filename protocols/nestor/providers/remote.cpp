// `remote`: the runtime API (/start, /sessions, /runtime, /list, /pause, /resume, /stop). It has no labels, cannot list
// what carries one: a runtime is found again by the session id we gave it, which names sandbox and attempt, and the
// labels travel in its environment. One session id may have two runtimes, as far as is known, and a look-up shows one:
// before absence is said, newer services are asked for their list. The service itself makes the session key and tells
// it.
#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <array>

namespace nestor::providers {
namespace {

using internal::body_of;
using internal::json_of;
using internal::text_at;
using nlohmann::json;

// A start may be answered only when a node was found for the pod; clients of the service wait this long.
constexpr milliseconds start_call_within{180'000};
// Pulling an image and starting the pod.
constexpr milliseconds ready_within{180'000};
constexpr milliseconds call_within{15'000};
// One pass of `destroy`: the pod's grace, twice.
constexpr milliseconds end_within{60'000};
// The longest start, and a margin for the table that look-ups read.
constexpr milliseconds settles{190'000};
/// A session that nobody has: asking for it proves the key and costs the service one look.
constexpr std::string_view nobodys_session = "nestor-verify";

constexpr std::array fields{
  account_field{"api_key", field_holds::secret, "", "", true, "Key of the runtime API."},
  account_field{"api_url", field_holds::url, "", "", true, "The runtime API."},
};
constexpr std::array<std::string_view, 3> option_names{"resource_factor", "runtime_class", "working_dir"};

enum : place { at_start, at_created, at_waiting, at_stopping, at_checking, at_found, at_resumed, at_listed };

// -- calls ----------------------------------------------------------------------------------------

http_call control(const account& who, http::method verb, const std::string& target, wiped_string body = {}) {
  auto call = api_call(who, "api_url", verb, target, std::move(body));
  add_key(call, "X-API-Key", who.key("api_key"));
  call.timeout = call_within;
  return call;
}

http_call about(const account& who, std::string_view what, const std::string& id) {
  return control(who, http::method::post, "/" + std::string{what}, body_of({{"runtime_id", id}}));
}

http_call look_at(const account& who, const std::string& id) {
  return control(who, http::method::get, "/runtime/" + http::encode_segment(id));
}

http_call start(const account& who, const provision_order& order) {
  json body{{"image", order.spec->image},
            {"command", order.spec->command},
            {"session_id", name_of(order.stamp)},
            {"environment", json::object()}};
  auto& environment = body["environment"];
  for (const auto& [name, value] : order.spec->env)
    environment[name] = value;
  if (order.spec->port != 0 && !order.spec->port_env.empty())
    environment[order.spec->port_env] = std::to_string(order.spec->port);
  for (auto [name, value] : pairs_of(order.stamp)) {
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c == '-' ? '_' : static_cast<char>(c - 'a' + 'A'); });
    environment[name] = value; // NESTOR_INSTALLATION, …
  }
  auto options = json::parse(order.spec->options, nullptr, false);
  for (const auto& [name, value] : options.items())
    body[name] = value;
  if (!body.contains("working_dir"))
    body["working_dir"] = "/";
  auto call = control(who, http::method::post, "/start", body_of(body));
  call.timeout = start_call_within;
  return call;
}

// -- answers --------------------------------------------------------------------------------------

/// What /start and /sessions tell of a runtime; nothing when they do not.
std::optional<runtime> runtime_of(const account& who, const json& answer) {
  auto where = http::parse_url(text_at(answer, "url"));
  runtime result;
  result.ref = text_at(answer, "runtime_id");
  if (!where || result.ref.empty())
    return std::nullopt;
  result.where = endpoint{where->tls, where->host, where->port, {}};
  result.where.ca_file = who.ca_file;
  result.path_prefix = where->path;
  auto key = text_at(answer, "session_api_key");
  result.session_key = secret{std::move(key)};
  return result;
}

wiped_string pack(const runtime& r) {
  wiped_string text{r.ref};
  text.append("\n").append(http::to_string({r.where.tls, r.where.host, r.where.port, r.path_prefix})).append("\n");
  r.session_key.expose([&](std::string_view key) { text += key; });
  return text;
}

runtime unpack(const account& who, std::string_view text) {
  auto take = [&text] {
    auto end = std::min(text.find('\n'), text.size());
    std::string part{text.substr(0, end)};
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
  };
  auto id = take(), url = take(), key = take();
  auto r = runtime_of(who, {{"runtime_id", id}, {"url", url}, {"session_api_key", key}}).value_or(runtime{});
  wipe(key);
  return r;
}

enum class pod : std::uint8_t { ready, coming, broken, gone };

pod pod_of(const json& answer) {
  auto word = text_at(answer, "pod_status");
  if (word == "ready")
    return pod::ready;
  if (word == "failed" || word == "unknown" || word == "crashloopbackoff")
    return pod::broken;
  return word == "not found" ? pod::gone : pod::coming; // "not found" before it was ever there, too
}

constexpr std::uint16_t not_found = 404;

/// After a stop: nothing is left.
bool shows_absence(const http::response* response) {
  return has_status(response, not_found) || (succeeded(response) && pod_of(json_of(*response)) == pod::gone);
}

// -- conversations --------------------------------------------------------------------------------

progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  if (!so_far.reply)
    return ask{control(who, http::method::get, "/sessions/" + std::string{nobodys_session})};
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response) || has_status(response, not_found))
    return proof{};
  return failure_of(who, stage::proving, "proving the key", *so_far.reply);
}

/// Stops `id`, then looks until it is gone. `began`: when that was decided; what was carried goes along.
progress<absent> keep_ending(const account& who, const std::string& id, const heard& so_far, milliseconds began) {
  wiped_string carried{so_far.carried};
  const auto* response = response_of(*so_far.reply);
  bool stopping = so_far.at == at_stopping;
  if (!stopping && shows_absence(response))
    return absent{};
  if (so_far.elapsed - began >= end_within || refuses_us(response))
    return failure_of(who, stage::ending, "ending " + id, *so_far.reply);
  if (stopping && !succeeded(response) && !has_status(response, not_found))
    return ask{about(who, "stop", id), poll_after(so_far), at_stopping, std::move(carried)};
  return ask{look_at(who, id), stopping ? milliseconds{0} : poll_after(so_far), at_checking, std::move(carried)};
}

ask stop(const account& who, const runtime& r) {
  return ask{about(who, "stop", r.ref), milliseconds{0}, at_stopping, pack(r)};
}

progress<runtime> on_created(const account& who, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::creating, "starting a runtime", *so_far.reply);
  auto r = runtime_of(who, json_of(*response));
  if (!r)
    return not_understood(who, stage::created, "starting a runtime", "the answer lacks runtime_id or url");
  return ask{look_at(who, r->ref), milliseconds{0}, at_waiting, pack(*r)};
}

progress<runtime> on_waiting(const account& who, const heard& so_far) {
  auto r = unpack(who, so_far.carried);
  const auto* response = response_of(*so_far.reply);
  auto now = succeeded(response) ? pod_of(json_of(*response)) : pod::coming;
  if (now == pod::ready)
    return r;
  if (now == pod::broken || so_far.elapsed >= start_call_within + ready_within)
    return stop(who, r);
  return ask{look_at(who, r.ref), poll_after(so_far), at_waiting, wiped_string{so_far.carried}};
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  if (so_far.at == at_start)
    return ask{start(who, order), milliseconds{0}, at_created};
  if (so_far.at == at_created)
    return on_created(who, so_far);
  if (so_far.at == at_waiting)
    return on_waiting(who, so_far);
  auto r = unpack(who, so_far.carried);
  auto came = keep_ending(who, r.ref, so_far, start_call_within + ready_within);
  if (auto* question = std::get_if<ask>(&came))
    return std::move(*question);
  if (std::holds_alternative<absent>(came))
    return failure{
      errc::provision_failed, step::provision, who.name + ": the runtime's pod failed or never came", 0, {}};
  return failure{errc::create_unknown, step::provision, r.ref + " failed and could not be ended", 0, {}};
}

// -- looking: by its name first, and then in the list of everything --------------------------------

ask by_name(const account& who, const labels& stamp) {
  return ask{control(who, http::method::get, "/sessions/" + name_of(stamp)), milliseconds{0}, at_found};
}

ask everything(const account& who) {
  return ask{control(who, http::method::get, "/list"), milliseconds{0}, at_listed};
}

/// Older services have no list, and one that is too long for us tells nothing: then the look-up by name stands.
bool has_no_list(const io_reply& reply) {
  constexpr std::uint16_t not_allowed = 405, not_implemented = 501;
  const auto* exchange = std::get_if<http_reply>(&reply);
  const auto* broke = exchange ? std::get_if<http::transport_error>(exchange) : nullptr;
  const auto* response = response_of(reply);
  return (broke && *broke == http::transport_error::too_large) || has_status(response, not_found) ||
         has_status(response, not_allowed) || has_status(response, not_implemented);
}

bool stopped(const json& answer) { // for good
  return text_at(answer, "status") == "stopped";
}

/// What the answer at `at_found` or `at_listed` tells of that name: a runtime as the service describes it, or none.
progress<std::optional<json>> told_of(const account& who, const labels& stamp, const heard& so_far) {
  constexpr std::string_view doing = "looking for a runtime";
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_found && has_status(response, not_found))
    return everything(who);
  if (so_far.at == at_listed && has_no_list(*so_far.reply))
    return std::optional<json>{};
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto answer = json_of(*response);
  if (so_far.at == at_found) {
    if (stopped(answer))
      return everything(who);
    return std::optional{std::move(answer)};
  }
  const auto& all = internal::at(answer, "runtimes");
  if (!all.is_array())
    return not_understood(who, stage::looking, doing, "the list lacks its runtimes");
  for (const auto& each : all)
    if (text_at(each, "session_id") == name_of(stamp) && !stopped(each))
      return std::optional{each};
  return std::optional<json>{};
}

progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "looking for a runtime";
  if (!so_far.reply)
    return by_name(who, order.stamp);
  if (so_far.at == at_resumed) {
    if (succeeded(response_of(*so_far.reply)))
      return sighting{unpack(who, so_far.carried)};
    return failure_of(who, stage::looking, "resuming a runtime", *so_far.reply);
  }
  auto told = told_of(who, order.stamp, so_far);
  const auto* found = std::get_if<std::optional<json>>(&told);
  if (auto* question = std::get_if<ask>(&told))
    return std::move(*question);
  if (!found)
    return std::get<failure>(std::move(told));
  if (!found->has_value())
    return sighting{absent{}};
  auto r = runtime_of(who, **found);
  if (!r)
    return not_understood(who, stage::looking, doing, "the answer lacks runtime_id or url");
  if (text_at(**found, "status") == "paused")
    return ask{about(who, "resume", r->ref), milliseconds{0}, at_resumed, pack(*r)};
  return sighting{std::move(*r)};
}

progress<sighting> twin(const account& who, const labels& stamp, const heard& so_far) {
  if (!so_far.reply)
    return by_name(who, stamp);
  auto told = told_of(who, stamp, so_far);
  const auto* found = std::get_if<std::optional<json>>(&told);
  if (auto* question = std::get_if<ask>(&told))
    return std::move(*question);
  if (!found)
    return std::get<failure>(std::move(told));
  if (!found->has_value())
    return sighting{absent{}};
  runtime other;
  other.ref = text_at(**found, "runtime_id");
  if (other.ref.empty())
    return not_understood(who, stage::looking, "looking for another runtime of the same name",
                          "the answer lacks runtime_id");
  return sighting{std::move(other)};
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return ask{about(who, "stop", gone.ref), milliseconds{0}, at_stopping};
  return keep_ending(who, gone.ref, so_far, milliseconds{0});
}

progress<paused> pause(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply)
    return ask{about(who, "pause", what.ref)};
  if (succeeded(response_of(*so_far.reply)))
    return paused{};
  return failure_of(who, stage::looking, "pausing " + what.ref, *so_far.reply);
}

progress<runtime> resume(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply)
    return ask{about(who, "resume", what.ref)};
  if (succeeded(response_of(*so_far.reply)))
    return what;
  return failure_of(who, stage::looking, "resuming " + what.ref, *so_far.reply);
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.image.empty())
    return refuse(errc::spec_invalid, "runtime.image: the remote provider needs an image");
  if (spec.command.empty() || spec.command.front().empty())
    return refuse(errc::spec_invalid, "runtime.command: the remote provider needs a command (argv)");
  if (spec.cpu || spec.memory_bytes)
    return refuse(errc::capability_missing,
                  "runtime.resources: the runtime API sizes by runtime.options.resource_factor (1, 2, 4 or 8)");
  if (!spec.url.empty() || !spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.url, runtime.session_key: only the static provider takes them");
  auto options = json::parse(spec.options, nullptr, false);
  if (!options.is_object())
    return refuse(errc::spec_invalid, "runtime.options: the remote provider expects an object");
  for (const auto& [name, value] : options.items()) {
    bool known = std::ranges::find(option_names, name) != option_names.end();
    if (!known || (name == "resource_factor" ? !value.is_number_integer() : !value.is_string()))
      return refuse(errc::spec_invalid, "runtime.options: the remote provider has resource_factor (1, 2, 4 or 8), "
                                        "runtime_class and working_dir (texts)");
  }
  return {};
}

} // namespace

const provider& remote_provider() {
  static const provider self{
    .kind = "remote",
    .summary = "a runtime API (/start, /sessions, /stop); cannot list, so audits cover known ids only",
    .can = {.command = true, .image = true, .pauses = true},
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = start_call_within + ready_within + end_within + 2 * call_within,
    .destroy_within = end_within + 2 * call_within,
    .fields = fields,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .twin = twin,
    .pause = pause,
    .resume = resume,
  };
  return self;
}

} // namespace nestor::providers
