// `docker`: a container of the Docker engine on this machine, or of Podman's compatible service, through its unix
// socket. There is no credential: whoever may open the socket is root on the machine, so only a path of the node's own
// configuration is ever connected to. The nested server's port is published on loopback, by a port that the engine
// picks. Names are unique at an engine and ours hold sandbox and attempt: a create that was carried out twice meets
// itself. Images are what the engine has; nothing is pulled.
#include <nestor/core/redact.hpp>
#include <nestor/providers/internal/docker_engine.hpp>
#include <nestor/providers/start.hpp>

#include <array>
#include <charconv>
#include <cmath>

namespace nestor::providers {
namespace {

using namespace internal;
using http::method;
using nlohmann::json;

// From a container's start to "running": the engine's own work only, no image is fetched.
constexpr milliseconds up_within{25'000};
// Ending and removing one: KILL, its file system, its network.
constexpr milliseconds end_within{30'000};
// A create that was never answered: the engine goes on with it for as long as it would have. Its lists do not lag.
constexpr milliseconds settles{30'000};
// One page: a container with all its labels is a few KiB, and a body at most 1 MiB.
constexpr std::size_t page_max = 128;
// After a command's output has ended, its status is a moment away.
constexpr milliseconds status_within{5'000};

constexpr std::uint16_t already_so = 304;
constexpr std::uint16_t not_found = 404;
constexpr std::uint16_t conflict = 409;
constexpr std::uint16_t broken_from = 500;

// Lines: a screen or three, far below what one answer may hold.
constexpr std::string_view logs_query = "/logs?stdout=true&stderr=true&tail=200";

constexpr std::string_view loopback = "127.0.0.1";

constexpr std::array fields{
  account_field{"socket", field_holds::text, "DOCKER_HOST", "/var/run/docker.sock", false,
                "The engine's unix socket: a path, or a unix:// URL."},
};

enum : place {
  at_start,
  at_created,
  at_named,
  at_found,
  at_started,
  at_inspected,
  at_told,
  at_removed,
  at_gone,
  at_asked,
  at_seen,
  at_run,
  at_judged
};

// -- what is asked --------------------------------------------------------------------------------

/// The command takes the place of the image's CMD, as `docker run IMAGE COMMAND` has it: an entry point stays.
http_call create(const account& who, const provision_order& order) {
  const auto& spec = *order.spec;
  auto port = std::to_string(spec.port) + "/tcp";
  json body{{"Image", spec.image}, {"Env", json::array()}, {"Labels", json::object()}};
  if (!spec.command.empty())
    body["Cmd"] = spec.command;
  for (const auto& [name, value] : pairs_of(order.stamp))
    body["Labels"][name] = value;
  body["ExposedPorts"][port] = json::object();
  auto& host = body["HostConfig"];
  host["PortBindings"][port] = json::array({{{"HostIp", loopback}, {"HostPort", ""}}});
  constexpr double nano = 1e9;
  if (spec.cpu)
    host["NanoCpus"] = std::llround(*spec.cpu * nano);
  if (spec.memory_bytes)
    host["Memory"] = *spec.memory_bytes;
  for (const auto& [name, value] : environment_of(order))
    body["Env"].push_back(name + "=" + std::string{value});
  return engine_call(who, method::post, "/containers/create?name=" + query_value(name_of(order.stamp)), body);
}

ask start(const account& who, const std::string& id, milliseconds after = milliseconds{0}) {
  return ask{engine_call(who, method::post, container_path(id, "/start")), after, at_started, pack({id, {}, {}})};
}
ask inspect(const account& who, const std::string& id, place then, wiped_string carried,
            milliseconds after = milliseconds{0}) {
  return ask{engine_call(who, method::get, container_path(id, "/json")), after, then, std::move(carried)};
}
ask look_again(const account& who, const std::string& id, milliseconds after = milliseconds{0}) {
  return inspect(who, id, at_inspected, pack({id, {}, {}}), after);
}
ask remove(const account& who, const std::string& id, wiped_string carried, milliseconds after = milliseconds{0}) {
  return ask{engine_call(who, method::del, container_path(id, "?force=true&v=true")), after, at_removed,
             std::move(carried)};
}
ask take_away(const account& who, const ending& e) {
  return remove(who, e.id, pack(e));
}

// -- until it is gone -----------------------------------------------------------------------------

/// From the answer to a removal on. A removal that somebody else began (409) ends the same way.
progress<absent> keep_removing(const account& who, const std::string& id, const heard& so_far, milliseconds until) {
  const auto* response = response_of(*so_far.reply);
  wiped_string carried{so_far.carried};
  if (has_status(response, not_found))
    return absent{};
  if (so_far.at == at_removed) {
    if (succeeded(response))
      return inspect(who, id, at_gone, std::move(carried));
    if (has_status(response, conflict))
      return inspect(who, id, at_gone, std::move(carried), poll_after(so_far));
    return failure_of(who, stage::ending, "removing the container", *so_far.reply);
  }
  if (!succeeded(response))
    return failure_of(who, stage::ending, "looking whether the container is gone", *so_far.reply);
  auto seen = container_of(*response);
  if (so_far.elapsed >= until)
    return not_understood(who, stage::ending, "removing the container", id + " is still there");
  if (seen && seen->status == "removing")
    return inspect(who, id, at_gone, std::move(carried), poll_after(so_far));
  return remove(who, id, std::move(carried), poll_after(so_far));
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (so_far.at == at_start)
    return remove(who, gone.ref, {});
  return keep_removing(who, gone.ref, so_far, end_within);
}

// -- until it runs --------------------------------------------------------------------------------

/// It could not be brought up, and its absence was observed.
struct fallen {
  failure why;
};
using risen = std::variant<container, fallen>;

failure given_up(const account& who, errc code, const std::string& cause) {
  return failure{code, step::provision, who.name + ": " + cause, 0, {}};
}

/// What the engine said to a start. An answer that it did not give leaves the container's state to tell.
progress<risen> on_started(const account& who, const heard& so_far) {
  auto about = unpack(so_far.carried);
  const auto* response = response_of(*so_far.reply);
  if (!response || succeeded(response) || has_status(response, already_so))
    return look_again(who, about.id);
  auto why = failure_of(who, stage::creating, "starting the container", *so_far.reply);
  about.code = response->status >= broken_from ? errc::provision_failed : errc::provision_refused;
  about.cause = why.cause;
  return take_away(who, about);
}

/// An engine on a kernel without those controllers takes the limits, and drops them with a warning nobody reads.
bool drops_limits(const runtime_spec& spec, const container& c) {
  return (spec.cpu && !c.limits_cpu) || (spec.memory_bytes && !c.limits_memory);
}

progress<risen> on_inspected(const account& who, const provision_order& order, const heard& so_far) {
  auto about = unpack(so_far.carried);
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return risen{fallen{given_up(who, errc::provision_failed, "the container was removed while it started")}};
  if (!succeeded(response))
    return failure_of(who, stage::created, "looking at the container", *so_far.reply);
  auto seen = container_of(*response);
  if (!seen)
    return not_understood(who, stage::created, "looking at the container", "the answer lacks Id or State.Status");
  if (seen->up() && drops_limits(*order.spec, *seen))
    return take_away(who, {seen->id, errc::capability_missing,
                           who.name + ": the engine does not limit resources on this machine (runtime.resources)"});
  if (seen->up())
    return risen{std::move(*seen)};
  if (seen->over()) {
    auto cause = who.name + ": the container ended with status " + std::to_string(seen->exit_code);
    if (!seen->error.empty())
      cause += " (" + tail_of(seen->error) + ")";
    auto logs = engine_call(who, method::get, container_path(seen->id, "/logs?stdout=true&stderr=true&tail=20"));
    return ask{std::move(logs), milliseconds{0}, at_told, pack({seen->id, errc::runtime_exited, cause})};
  }
  if (so_far.elapsed >= up_within)
    return not_understood(who, stage::created, "starting the container",
                          "it is " + seen->status + " after " + std::to_string(up_within.count()) + " ms");
  if (seen->status == "created")
    return start(who, seen->id, poll_after(so_far));
  return look_again(who, seen->id, poll_after(so_far));
}

/// Its last words, whichever came, and away with it.
ask on_told(const account& who, const provision_order& order, const heard& so_far) {
  auto about = unpack(so_far.carried);
  const auto* response = response_of(*so_far.reply);
  auto words = succeeded(response) ? streams_of(response->body).both : std::string{};
  if (!words.empty())
    about.cause += "; last output: " + tail_of(redact(std::move(words), std::array{order.session_key}));
  return take_away(who, about);
}

progress<risen> bring_up(const account& who, const provision_order& order, const heard& so_far) {
  if (so_far.at == at_started)
    return on_started(who, so_far);
  if (so_far.at == at_inspected)
    return on_inspected(who, order, so_far);
  if (so_far.at == at_told)
    return on_told(who, order, so_far);
  auto about = unpack(so_far.carried);
  auto came = keep_removing(who, about.id, so_far, up_within + end_within);
  if (auto* question = std::get_if<ask>(&came))
    return std::move(*question);
  if (std::holds_alternative<absent>(came))
    return risen{fallen{failure{about.code, step::provision, about.cause, 0, {}}}};
  return failure{errc::create_unknown,
                 step::provision,
                 about.cause + "; and it could not be removed: " + std::get<failure>(came).cause,
                 0,
                 {}};
}

runtime rented(const provision_order& order, const container& c) {
  runtime result;
  result.ref = c.id;
  result.where.host = loopback;
  result.where.port = c.port;
  result.session_key = order.session_key;
  result.from = address_source::node; // its own loopback
  return result;
}

progress<runtime> on_created(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "creating the container";
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response))
    if (auto id = text_at(json_of(*response), "Id"); !id.empty())
      return start(who, id);
  auto why = failure_of(who, stage::creating, doing, *so_far.reply);
  if (has_status(response, not_found)) {
    why.code = errc::provision_refused;
    why.cause += "; the engine must have the image first (docker pull, docker load)";
    return why;
  }
  // The engine has answered, so it is done with it: what has the name now tells what came of it. Docker says 409 to a
  // name in use, Podman 500.
  if (succeeded(response) || has_status(response, conflict) || (response && response->status >= broken_from))
    return inspect(who, name_of(order.stamp), at_named, wiped_string{why.cause});
  return why;
}

progress<runtime> on_named(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return failure{errc::provision_failed, step::provision, std::string{so_far.carried}, 0, {}};
  auto seen = succeeded(response) ? container_of(*response) : std::nullopt;
  if (!seen)
    return failure_of(who, stage::created, "looking for what has the name", *so_far.reply);
  const auto& stamp = order.stamp;
  if (seen->installation == stamp.installation.text && seen->sandbox == stamp.sandbox.text &&
      seen->number == std::to_string(stamp.number))
    return look_again(who, seen->id);
  return given_up(who, errc::provision_refused, "the name " + name_of(stamp) + " is taken by a container of others");
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  if (so_far.at == at_start)
    return ask{create(who, order), milliseconds{0}, at_created};
  if (so_far.at == at_created)
    return on_created(who, order, so_far);
  if (so_far.at == at_named)
    return on_named(who, order, so_far);
  auto came = bring_up(who, order, so_far);
  if (auto* question = std::get_if<ask>(&came))
    return std::move(*question);
  if (auto* why = std::get_if<failure>(&came))
    return std::move(*why);
  auto& end = std::get<risen>(came);
  if (auto* down = std::get_if<fallen>(&end))
    return std::move(down->why);
  return rented(order, std::get<container>(end));
}

/// What exists is told, whatever state it is in: one that does not run is started, once, and never removed here, since
/// someone's work may be in it. What will not run is for the ladder to find out.
progress<sighting> on_found(const account& who, const provision_order& order, const heard& so_far) {
  constexpr std::string_view doing = "looking for the container";
  std::string id{so_far.carried};
  if (so_far.at == at_started) // whatever was said to that, its state tells
    return inspect(who, id, at_inspected, wiped_string{id});
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return sighting{absent{}};
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto seen = container_of(*response);
  if (!seen)
    return not_understood(who, stage::looking, doing, "the answer lacks Id or State.Status");
  bool stands = seen->over() || seen->status == "created";
  bool tried = so_far.at == at_inspected;
  if (seen->up() || (stands && tried) || so_far.elapsed >= up_within)
    return sighting{rented(order, *seen)};
  if (stands)
    return ask{engine_call(who, method::post, container_path(id, "/start")), milliseconds{0}, at_started,
               wiped_string{id}};
  return inspect(who, id, so_far.at, wiped_string{id}, poll_after(so_far));
}

progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  if (so_far.at == at_start) {
    auto target = "/containers/json?all=true&filters=" + query_value(label_filter(pairs_of(order.stamp)).dump());
    return ask{engine_call(who, method::get, target), milliseconds{0}, at_found};
  }
  if (so_far.at != at_found)
    return on_found(who, order, so_far);
  constexpr std::string_view doing = "looking for containers";
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto found = json_of(*response);
  if (found.is_array() && found.empty())
    return sighting{absent{}};
  auto id = found.is_array() ? text_at(found.front(), "Id") : std::string{};
  if (id.empty())
    return not_understood(who, stage::looking, doing, "the answer is no list of containers");
  return inspect(who, id, at_seen, wiped_string{id});
}

// -- the rest of its life -------------------------------------------------------------------------

/// Where it is now: a port that the engine picked changes when the container is started again.
progress<runtime> refreshed(const account& who, const runtime& what, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return given_up(who, errc::runtime_lost, "there is no container " + what.ref);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "looking at the container", *so_far.reply);
  auto seen = container_of(*response);
  if (!seen)
    return not_understood(who, stage::looking, "looking at the container", "the answer lacks Id or State.Status");
  if (!seen->up() || (so_far.at == at_seen && seen->status == "paused")) {
    std::string said = so_far.carried.empty() ? std::string{} : ": " + std::string{so_far.carried};
    return given_up(who, seen->over() ? errc::runtime_exited : errc::provider_unavailable,
                    "the container is " + seen->status + said);
  }
  auto now = what;
  now.where.port = seen->port;
  return now;
}

progress<runtime> address(const account& who, const runtime& what, const heard& so_far) {
  if (so_far.at == at_start)
    return inspect(who, what.ref, at_inspected, {});
  return refreshed(who, what, so_far);
}

/// The answer to a change of state, if it was a refusal: "already paused" is one, so the state itself decides.
wiped_string refusal(const account& who, std::string_view doing, const io_reply& reply) {
  return succeeded(response_of(reply)) ? wiped_string{}
                                       : wiped_string{failure_of(who, stage::looking, doing, reply).cause};
}

progress<runtime> resume(const account& who, const runtime& what, const heard& so_far) {
  if (so_far.at == at_start)
    return ask{engine_call(who, method::post, container_path(what.ref, "/unpause")), milliseconds{0}, at_asked};
  if (so_far.at == at_asked)
    return inspect(who, what.ref, at_seen, refusal(who, "resuming the container", *so_far.reply));
  return refreshed(who, what, so_far);
}

progress<paused> pause(const account& who, const runtime& what, const heard& so_far) {
  if (so_far.at == at_start)
    return ask{engine_call(who, method::post, container_path(what.ref, "/pause")), milliseconds{0}, at_asked};
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_asked && succeeded(response))
    return paused{};
  if (so_far.at == at_asked)
    return inspect(who, what.ref, at_inspected, refusal(who, "pausing the container", *so_far.reply));
  if (auto seen = succeeded(response) ? container_of(*response) : std::nullopt; seen && seen->status == "paused")
    return paused{};
  auto code = has_status(response, not_found) ? errc::runtime_lost : errc::provider_unavailable;
  return failure{code, step::provision, std::string{so_far.carried}, 0, {}};
}

/// The last lines of both streams, as they came.
progress<printed> output(const account& who, const runtime& of, const heard& so_far) {
  if (so_far.at == at_start)
    return ask{engine_call(who, method::get, container_path(of.ref, logs_query)), milliseconds{0}, at_told};
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return printed{false};
  if (!succeeded(response))
    return failure_of(who, stage::looking, "reading the container's output", *so_far.reply);
  printed said{true, streams_of(response->body).both};
  said.text.resize(said.text.rfind('\n') + 1); // half a secret would not be recognised
  return said;
}

/// A command runs once: what was not answered is not asked again.
progress<observation> exec(const account& who, const exec_order& order, const heard& so_far) {
  constexpr std::string_view doing = "running a command";
  if (so_far.at == at_start) {
    json body{{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", {"/bin/sh", "-c", order.command}}};
    auto target = container_path(order.where.ref, "/exec");
    return ask{engine_call(who, method::post, target, body), milliseconds{0}, at_asked};
  }
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_asked) { // nothing runs before it is started
    if (!succeeded(response))
      return failure_of(who, stage::looking, doing, *so_far.reply);
    auto id = text_at(json_of(*response), "Id");
    if (id.empty())
      return not_understood(who, stage::looking, doing, "the answer lacks Id");
    auto run = engine_call(who, method::post, "/exec/" + http::encode_segment(id) + "/start",
                           {{"Detach", false}, {"Tty", false}});
    run.timeout = order.within;
    return ask{std::move(run), milliseconds{0}, at_run, wiped_string{id}};
  }
  if (!succeeded(response) && so_far.at == at_run)
    return not_run(who, doing, *so_far.reply);
  if (!succeeded(response))
    return lost_answer(failure_of(who, stage::looking, doing, *so_far.reply).cause);
  auto judge = [&](std::string_view id, wiped_string carried, milliseconds after) {
    return ask{engine_call(who, method::get, "/exec/" + http::encode_segment(id) + "/json"), after, at_judged,
               std::move(carried)};
  };
  if (so_far.at == at_run)
    return judge(so_far.carried, wiped_string{so_far.carried} + "\n" + response->body, milliseconds{0});
  auto id = so_far.carried.substr(0, so_far.carried.find('\n'));
  auto answer = json_of(*response);
  if (at(answer, "Running") == json(true) && so_far.elapsed < order.within + status_within)
    return judge(id, wiped_string{so_far.carried}, poll_after(so_far));
  auto said = streams_of(so_far.carried.substr(id.size() + 1));
  auto status = integer_at(answer, "ExitCode");
  if (!status)
    return lost_answer(who.name + " while " + std::string{doing} + ": the answer lacks ExitCode");
  return ended_with(static_cast<int>(*status), std::move(said.out), std::move(said.err));
}

/// The engine lists the youngest first; a page begins behind the container that ended the one before.
progress<listing> list(const account& who, const list_order& order, const heard& so_far) {
  constexpr std::string_view doing = "listing containers";
  if (so_far.at == at_start) {
    auto filter = label_filter({{std::string{label_installation}, order.installation.text}});
    if (!order.cursor.empty())
      filter["before"] = json::array({order.cursor});
    auto target =
      "/containers/json?all=true&limit=" + std::to_string(page_max) + "&filters=" + query_value(filter.dump());
    return ask{engine_call(who, method::get, target), milliseconds{0}, at_found};
  }
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto found = json_of(*response);
  if (!found.is_array())
    return not_understood(who, stage::looking, doing, "the answer is no list of containers");
  listing page;
  for (const auto& each : found) {
    const auto& stamped = at(each, "Labels");
    listed item;
    item.ref = text_at(each, "Id");
    item.sandbox = text_at(stamped, label_sandbox);
    auto number = text_at(stamped, label_attempt);
    std::from_chars(number.data(), number.data() + number.size(), item.number);
    item.created_at = std::to_string(integer_at(each, "Created").value_or(0)); // seconds of the epoch
    item.state = text_at(each, "State");
    page.items.push_back(std::move(item));
  }
  if (page.items.size() >= page_max)
    page.next = page.items.back().ref;
  return page;
}

// -- before anything ------------------------------------------------------------------------------

/// No key to prove, but an engine to reach; it says which version of its API it speaks.
progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::authenticate, std::move(cause), 0, {}}; };
  auto socket = socket_of(who);
  if (socket.empty())
    return refuse(errc::spec_invalid, "providers." + who.name +
                                        ".socket: a path or a unix:// URL; engines are reached by their socket only");
  if (so_far.at == at_start)
    return ask{engine_call(who, method::get, "/_ping"), milliseconds{0}, at_asked};
  const auto* response = response_of(*so_far.reply);
  if (!response)
    return refuse(errc::provider_unavailable, who.name + ": no engine answers at " + socket +
                                                "; is it running, and may this user open its socket?");
  if (!succeeded(response))
    return failure_of(who, stage::proving, "greeting the engine", *so_far.reply);
  proof shown;
  const auto* version = response->find("Api-Version");
  if (version && !version->empty() && version->find_first_not_of("0123456789.") == std::string::npos)
    shown.tokens.emplace_back("version", secret{"/v" + *version});
  return shown;
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.image.empty())
    return refuse(errc::spec_invalid, "runtime.image: the docker provider needs an image that the engine has");
  if (spec.port == 0)
    return refuse(errc::spec_invalid,
                  "runtime.port: the docker provider needs the port that the server listens on in its container");
  if (!spec.url.empty())
    return refuse(errc::capability_missing, "runtime.url: only the static provider takes an address");
  if (!spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.session_key: only the static provider takes one");
  if (spec.options != "{}")
    return refuse(errc::spec_invalid, "runtime.options: the docker provider has none");
  return {};
}

} // namespace

const provider& docker_provider() {
  static const provider self{
    .kind = "docker",
    .summary = "a container of the Docker or Podman engine on this machine",
    .can = {.command = true, .image = true, .resources = true, .enumerates = true, .pauses = true},
    .on_this_machine = true,
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = settles + up_within + end_within,
    .destroy_within = end_within + end_within,
    .fields = fields,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .list = list,
    .pause = pause,
    .resume = resume,
    .address = address,
    .exec = exec,
    .output = output,
  };
  return self;
}

} // namespace nestor::providers
