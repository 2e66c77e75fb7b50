// `daytona`: sandboxes by REST; the nested server is started through their toolbox and reached by a preview address
// with a token. Names are unique, so what a lost answer created is found by its name. A create is answered with what
// was true before it: only a later look tells that a sandbox runs.
#include <nestor/providers/internal/carried.hpp>
#include <nestor/providers/internal/daytona_way.hpp>
#include <nestor/providers/internal/label_answer.hpp>
#include <nestor/providers/internal/option_rows.hpp>
#include <nestor/providers/key_rule.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace nestor::providers {
namespace {

using namespace internal;
using namespace internal::daytona;
using nlohmann::json;

// The SDK waits 60 s for a sandbox; twice that, after the 30 s that the create itself may be held.
constexpr milliseconds snapshot_starts_within{150'000};
// An image is built first.
constexpr milliseconds build_starts_within{600'000};
// Stop or start of what exists: the SDK waits as long.
constexpr milliseconds switches_within{60'000};
// A look for a lost create is over before whoever looks loses patience (30 s): what does not run by then is told as it
// is.
constexpr milliseconds observes_within{15'000};
// Nothing can be destroyed while it starts or stops: the longest such change, and the destroying itself.
constexpr milliseconds ends_within{60'000};
// The API puts the name into its database before it lets anything start, and names are read from there. A create that
// was sent and not answered gets there within the 30 s that it may be held; as much again for queues before it.
constexpr milliseconds settles{60'000};
// Pages of 200 with exactly our three labels: more than one is a mistake, more than this a broken cursor.
constexpr std::uint32_t pages_max = 50;

constexpr std::array fields{
  account_field{"api_key", field_holds::secret, "DAYTONA_API_KEY", "", true, "API key, dtn_…"},
  account_field{"api_url", field_holds::url, "DAYTONA_API_URL", "https://app.daytona.io/api", false, "The API."},
  account_field{"target", field_holds::text, "DAYTONA_TARGET", "", false,
                "Region of new sandboxes; empty: the organization's."},
};
/// Of the toolbox. Nothing below it: those are the sandboxes' own ports.
constexpr std::array<std::string_view, 1> toolbox_hosts{"proxy.app.daytona.io"};

constexpr std::array option_rows{
  option_row{"build", option_holds::flag},     // runtime.image is a container image, not a snapshot
  option_row{"disk_gib", option_holds::whole}, // with `build`
  option_row{"user", option_holds::word},
};
/// The toolbox, the terminal and the recorder of a sandbox.
constexpr std::array<std::uint16_t, 3> reserved_ports{2280, 22222, 33333};

constexpr std::uint16_t bad_request = 400, not_found = 404, conflict = 409;

failure failed(errc code, std::string cause, step when = step::provision) {
  return failure{code, when, std::move(cause), 0, {}};
}

milliseconds after_of(const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto told = response ? retry_after_of(*response) : std::nullopt;
  return std::max(poll_after(so_far), told.value_or(milliseconds{0}));
}

// -- the end --------------------------------------------------------------------------------------

/// `code` and `cause`: why, where there is somebody to tell.
ask end_it(const account& who, std::string_view id, std::string_view code = {}, std::string_view cause = {}) {
  auto call = api(who, http::method::del, "/sandbox/" + http::encode_segment(id));
  return ask{std::move(call), milliseconds{0}, at_deleted, carry({id, code, cause})};
}

/// Asked until it is not found. A 409 says that something else is under way with it, its own start most of the time:
/// the looks that follow tell when it can be asked again.
progress<absent> ended(const account& who, const heard& so_far, milliseconds within) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  if (has_status(response, not_found))
    return absent{};
  auto now = succeeded(response) && so_far.at == at_vanishing ? sandbox_of(json_of(*response)) : sandbox{};
  if (now.now == life::gone)
    return absent{};
  auto after = after_of(so_far);
  if (refuses_us(response) || has_status(response, bad_request) || so_far.elapsed + after > within)
    return succeeded(response) || has_status(response, conflict)
             ? failed(errc::destroy_failed, who.name + ": " + id + " is not gone yet: " + now.state, step::destroy)
             : failure_of(who, stage::ending, "ending " + id, *so_far.reply);
  auto code = carried_part(so_far.carried, 1), cause = carried_part(so_far.carried, 2);
  if (so_far.at == at_vanishing && succeeded(response) && now.now != life::changing && now.now != life::going)
    return end_it(who, id, code, cause);
  return ask{look_up(who, id), after, at_vanishing, carry({id, code, cause})};
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return end_it(who, gone.ref);
  return ended(who, so_far, ends_within);
}

// -- provision ------------------------------------------------------------------------------------

milliseconds starts_within(const runtime_spec& spec) {
  return json::parse(spec.options, nullptr, false).value("build", false) ? build_starts_within : snapshot_starts_within;
}

errand errand_of(const provision_order& order, stage now) {
  auto within = now == stage::looking ? observes_within : starts_within(*order.spec);
  return errand{order.spec->port, shell_line(order.spec->command), within, now};
}

/// The way, begun with a description that was already given.
course way_from(const account& who, const errand& e, const heard& so_far, const std::string& id) {
  auto carried = carry({id});
  return way(who, e, heard{at_seen, so_far.reply, carried, so_far.asked, so_far.elapsed});
}

/// What does not come up is ended before we say so.
progress<runtime> provisioned(const account& who, const provision_order& order, course came) {
  if (auto* next = std::get_if<ask>(&came))
    return std::move(*next);
  if (auto* found = std::get_if<runtime>(&came)) {
    found->session_key = order.session_key;
    return std::move(*found);
  }
  auto& stopped = std::get<halt>(came);
  if (stopped.how == ending::unreadable)
    return std::move(stopped.why);
  if (stopped.how == ending::gone)
    return failed(errc::provision_failed, stopped.why.cause + " before it could be used");
  bool astray = stopped.why.code == errc::address_refused;
  return end_it(who, stopped.id, name_of(astray ? errc::address_refused : errc::provision_failed), stopped.why.cause);
}

progress<runtime> ended_again(const account& who, const provision_order& order, const heard& so_far) {
  auto came = ended(who, so_far, starts_within(*order.spec) + ends_within);
  auto cause = carried_part(so_far.carried, 2);
  if (std::holds_alternative<absent>(came))
    return failed(errc_named(carried_part(so_far.carried, 1)).value_or(errc::provision_failed), cause);
  if (auto* next = std::get_if<ask>(&came))
    return std::move(*next);
  return failed(errc::create_unknown, cause + "; and then: " + std::get<failure>(came).cause);
}

progress<runtime> on_created(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response)) { // with what was true before it
    auto id = sandbox_of(json_of(*response)).id;
    if (id.empty())
      return not_understood(who, stage::created, "creating a sandbox", "the answer names no sandbox");
    return look(who, id);
  }
  auto why = failure_of(who, stage::creating, "creating a sandbox", *so_far.reply);
  // 409: there is one of that name. 400: a refusal, or one that was created, failed within the time that the answer was
  // held, and stays.
  if (has_status(response, conflict) || has_status(response, bad_request))
    return ask{look_up(who, name_of(order.stamp)), milliseconds{0}, at_named,
               carry({std::to_string(why.status), why.cause})};
  return why;
}

progress<runtime> on_named(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto cause = carried_part(so_far.carried, 1);
  bool taken = carried_part(so_far.carried, 0) == std::to_string(conflict);
  if (has_status(response, not_found))
    return taken ? failed(errc::provision_failed, cause + ", and then was not") // gone meanwhile: the next try has it
                 : failed(errc::provision_refused, cause);
  if (!succeeded(response))
    return failure_of(who, stage::created, "looking for what the create may have left", *so_far.reply);
  auto found = json_of(*response);
  if (sandbox_of(found).id.empty()) // whose it is was not said: nothing is proven
    return not_understood(who, stage::created, "looking for what the create may have left",
                          "the answer names no sandbox");
  if (bears(at(found, "labels"), order.stamp))
    return provisioned(who, order, way_from(who, errand_of(order, stage::created), so_far, sandbox_of(found).id));
  return failed(errc::provision_refused, taken ? cause + ", and is not this installation's" : cause);
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  switch (so_far.at) {
    case at_start: return ask{create(who, order), milliseconds{0}, at_created};
    case at_created: return on_created(who, order, so_far);
    case at_named: return on_named(who, order, so_far);
    case at_deleted:
    case at_vanishing: return ended_again(who, order, so_far);
    default: return provisioned(who, order, way(who, errand_of(order, stage::created), so_far));
  }
}

// -- observe --------------------------------------------------------------------------------------

/// What is there and cannot be configured is told as well, with its address if there is one: whoever asked decides.
progress<sighting> sighted(const account& who, const provision_order& order, course came) {
  if (auto* next = std::get_if<ask>(&came))
    return std::move(*next);
  if (auto* found = std::get_if<runtime>(&came)) {
    found->session_key = order.session_key;
    return sighting{std::move(*found)};
  }
  auto& stopped = std::get<halt>(came);
  if (stopped.how == ending::gone)
    return sighting{absent{}};
  if (stopped.how == ending::unreadable)
    return std::move(stopped.why);
  return ask{preview_url(who, stopped.id, order.spec->port), milliseconds{0}, at_told, carry({stopped.id})};
}

progress<sighting> told(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return sighting{absent{}};
  auto id = id_of(so_far);
  auto found = succeeded(response) ? reached(who, id, *response) : std::nullopt;
  if (!found) {
    found.emplace();
    found->ref = id;
  }
  found->session_key = order.session_key;
  return sighting{std::move(*found)};
}

/// Names are freed when the destroying begins, and lists lag: what neither knows is not there.
progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  auto e = errand_of(order, stage::looking);
  auto listed_from = [&](std::string_view cursor) {
    return ask{list(who, object_of(order.stamp), cursor), milliseconds{0}, at_listed};
  };
  if (!so_far.reply)
    return ask{look_up(who, name_of(order.stamp)), milliseconds{0}, at_named};
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_told)
    return told(who, order, so_far);
  if (so_far.at != at_named && so_far.at != at_listed)
    return sighted(who, order, way(who, e, so_far));
  if (so_far.at == at_named && has_status(response, not_found))
    return listed_from({});
  if (!succeeded(response))
    return failure_of(who, stage::looking, "looking for a sandbox", *so_far.reply);
  if (so_far.at == at_named) {
    auto found = json_of(*response);
    bool ours = bears(at(found, "labels"), order.stamp);
    return ours ? sighted(who, order, way_from(who, e, so_far, sandbox_of(found).id)) : listed_from({});
  }
  auto found = page_of(*response);
  if (!found)
    return not_understood(who, stage::looking, "looking for a sandbox", "the answer is no list");
  for (const auto& item : found->items)
    if (bears(at(item, "labels"), order.stamp))
      return look(who, sandbox_of(item).id);
  if (found->next.empty())
    return sighting{absent{}};
  if (so_far.asked >= pages_max)
    return not_understood(who, stage::looking, "looking for a sandbox", "the list does not end");
  return listed_from(found->next);
}

// -- the rest of a life ---------------------------------------------------------------------------

progress<listing> list_all(const account& who, const list_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{list(who, {{label_installation, order.installation.text}}, order.cursor)};
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "listing sandboxes", *so_far.reply);
  auto found = page_of(*response);
  if (!found)
    return not_understood(who, stage::looking, "listing sandboxes", "the answer is no list");
  listing page;
  page.next = found->next;
  for (const auto& item : found->items) {
    const auto& marks = at(item, "labels");
    if (bears(marks, order.installation))
      page.items.push_back({text_at(item, "id"), text_at(marks, label_sandbox), attempt_at(marks),
                            text_at(item, "createdAt"), text_at(item, "state")});
  }
  return page;
}

failure lost(const account& who, const runtime& what) {
  return failed(errc::runtime_lost, who.name + " knows no sandbox " + what.ref);
}

/// The answer to a change says little: the look that follows tells what came of it.
ask switched(const account& who, const runtime& what, std::string_view change_to) {
  return ask{change(who, what.ref, change_to), milliseconds{0}, at_switched};
}

/// A look at what is being changed. Nothing: what it says can be acted on; else what to say or to ask.
std::optional<std::variant<ask, failure>> hold(const account& who, const runtime& what, std::string_view doing,
                                               const heard& so_far) {
  if (!so_far.reply)
    return look(who, what.ref);
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return lost(who, what);
  auto after = after_of(so_far);
  constexpr std::uint16_t unprocessable = 422; // a kind of sandbox that cannot be changed so
  bool hopeless = refuses_us(response) || has_status(response, unprocessable);
  if (hopeless || so_far.elapsed + after > switches_within) {
    if (!succeeded(response))
      return failure_of(who, stage::looking, doing, *so_far.reply);
    return failed(errc::provider_unavailable, who.name + " did not end " + std::string{doing} + " in time");
  }
  if (so_far.at == at_switched || !succeeded(response))
    return look(who, what.ref, after);
  return std::nullopt;
}

/// A stop. What is stopped is deleted when it is ephemeral, so it is that no longer first.
progress<paused> pause(const account& who, const runtime& what, const heard& so_far) {
  if (auto held = hold(who, what, "stopping " + what.ref, so_far))
    return std::visit([](auto& is) { return progress<paused>{std::move(is)}; }, *held);
  auto s = sandbox_of(json_of(*response_of(*so_far.reply)));
  switch (s.now) {
    case life::resting: return paused{};
    case life::started: return switched(who, what, s.ephemeral ? "autodelete/-1" : "stop");
    case life::broken: return failed(errc::provider_unavailable, who.name + ": " + what.ref + " is " + s.state);
    case life::gone: return lost(who, what);
    case life::changing:
    case life::going: break;
  }
  return look(who, what.ref, after_of(so_far));
}

/// A start: new processes, a new token. What starts the server is in its environment; what had a lease has it again.
progress<runtime> resume(const account& who, const runtime& what, const heard& so_far) {
  auto carry_on = [&](course came) -> progress<runtime> {
    if (auto* next = std::get_if<ask>(&came))
      return std::move(*next);
    if (auto* stopped = std::get_if<halt>(&came))
      return stopped->why;
    auto& found = std::get<runtime>(came);
    found.session_key = what.session_key;
    return std::move(found);
  };
  errand e{port_of(what), start_of(so_far), switches_within, stage::looking};
  if (so_far.reply && so_far.at != at_seen && so_far.at != at_switched)
    return carry_on(way(who, e, so_far));
  if (auto held = hold(who, what, "starting " + what.ref, so_far))
    return std::visit([](auto& is) { return progress<runtime>{std::move(is)}; }, *held);
  auto s = sandbox_of(json_of(*response_of(*so_far.reply)));
  if (s.now == life::resting)
    return switched(who, what, "start");
  if (s.now == life::started && s.leased && !s.ephemeral)
    return switched(who, what, "autodelete/0");
  e.start = s.start;
  return carry_on(way_from(who, e, so_far, what.ref));
}

/// The address and its token, which every start makes anew.
progress<runtime> address(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply)
    return ask{preview_url(who, what.ref, port_of(what))};
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return lost(who, what);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "asking for the address of " + what.ref, *so_far.reply);
  auto found = reached(who, what.ref, *response);
  if (!found)
    return not_understood(who, stage::looking, "asking for an address", "the answer holds no URL and token");
  found->session_key = what.session_key;
  return std::move(*found);
}

/// Its clock is one of idleness, with the lease's length since the create: this is activity.
progress<renewed> renew(const account& who, const renew_order& order, const heard& so_far) {
  if (!so_far.reply) {
    auto call = change(who, order.what.ref, "last-activity");
    call.request.body = wiped_string{"{}"};
    return ask{std::move(call)};
  }
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response))
    return renewed{};
  if (has_status(response, not_found))
    return lost(who, order.what);
  return failure_of(who, stage::looking, "renewing " + order.what.ref, *so_far.reply);
}

progress<observation> exec(const account& who, const exec_order& order, const heard& so_far) {
  if (!so_far.reply)
    return look(who, order.where.ref);
  const auto* response = response_of(*so_far.reply);
  auto doing = "running a command in " + order.where.ref;
  if (so_far.at == at_seen && has_status(response, not_found))
    return lost(who, order.where);
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto answer = json_of(*response);
  if (so_far.at == at_seen) {
    auto toolbox = http::parse_url(sandbox_of(answer).toolbox);
    if (!toolbox || !key_may_go_to(who, toolbox->host))
      return failed(errc::address_refused, who.name + " while " + doing + ": its toolbox is where the key may not go");
    auto seconds = std::chrono::ceil<std::chrono::seconds>(order.within).count();
    auto call = tool(who, *toolbox, http::method::post, order.where.ref, "/process/execute",
                     body_of({{"command", order.command}, {"timeout", std::max<std::int64_t>(seconds, 1)}}));
    call.timeout = order.within + call_within;
    return ask{std::move(call), milliseconds{0}, at_run};
  }
  auto status = integer_at(answer, "exitCode");
  if (!status)
    return not_understood(who, stage::looking, doing, "the answer holds no exit code");
  return observation{static_cast<int>(*status), text_at(answer, "result"), {}};
}

// -- before anything is created -------------------------------------------------------------------

progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  constexpr std::string_view doing = "proving the key";
  if (!so_far.reply) {
    // What looks like one of its web tokens is never looked up as a key.
    if (who.key("api_key").expose([](std::string_view k) { return k.starts_with("eyJ") && k.find('.') != k.npos; }))
      return failed(errc::auth_refused, "providers." + who.name + ".api_key is a web token, not an API key",
                    step::authenticate);
    return ask{api(who, http::method::get, "/api-keys/current")};
  }
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_start && has_status(response, not_found)) // a server that does not tell about keys
    return ask{api(who, http::method::get, "/sandbox?limit=1"), milliseconds{0}, at_listed};
  if (!succeeded(response))
    return failure_of(who, stage::proving, doing, *so_far.reply);
  if (so_far.at == at_listed)
    return proof{};
  auto key = json_of(*response);
  const auto& granted = at(key, "permissions");
  if (!granted.is_array())
    return not_understood(who, stage::proving, doing, "the answer describes no key");
  for (std::string_view needed : {"write:sandboxes", "delete:sandboxes"})
    if (std::ranges::find(granted, json(needed)) == granted.end())
      return failed(errc::permission_missing, who.name + ": the key lacks " + std::string{needed}, step::authenticate);
  return proof{parse_time(text_at(key, "expiresAt")), {}};
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failed(code, std::move(cause)); };
  if (spec.port == 0)
    return refuse(errc::spec_invalid, "runtime.port: daytona needs the port that the nested server listens on");
  if (std::ranges::find(reserved_ports, spec.port) != reserved_ports.end())
    return refuse(errc::spec_invalid, "runtime.port: daytona uses this one itself");
  if (!spec.command.empty() && spec.command.front().empty())
    return refuse(errc::spec_invalid, "runtime.command: its first word is empty");
  if (!spec.url.empty())
    return refuse(errc::capability_missing, "runtime.url: only the static provider takes an address");
  if (!spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.session_key: only the static provider takes one");
  if (auto fine = check_options("daytona", option_rows, spec.options); !fine)
    return fine;
  auto options = json::parse(spec.options, nullptr, false);
  bool builds = options.value("build", false);
  if (builds && (spec.image.empty() || spec.image.find_first_of(" \t\r\n") != std::string::npos))
    return refuse(errc::spec_invalid, "runtime.image: `build` needs the image to build from");
  if (!builds && (spec.cpu || spec.memory_bytes))
    return refuse(errc::capability_missing,
                  "runtime.resources: a snapshot fixes them; choose another, or set `build` in runtime.options");
  if (!builds && options.contains("disk_gib"))
    return refuse(errc::capability_missing, "runtime.options: `disk_gib` goes with `build`");
  if (spec.cpu && *spec.cpu != std::floor(*spec.cpu))
    return refuse(errc::capability_missing, "runtime.resources.cpu: daytona rents whole cores");
  constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
  if (spec.memory_bytes && (*spec.memory_bytes == 0 || *spec.memory_bytes % gib != 0))
    return refuse(errc::capability_missing, "runtime.resources.memory: daytona rents whole GiB");
  return {};
}

} // namespace

const provider& daytona_provider() {
  static const provider self{
    .kind = "daytona",
    .summary = "Daytona sandboxes; runtime.image is a snapshot, or an image to build",
    .can = {.command = true, .image = true, .resources = true, .enumerates = true, .pauses = true, .leases = true},
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = build_starts_within + ends_within + held_call_within,
    .destroy_within = ends_within + call_within,
    .fields = fields,
    .key_hosts = toolbox_hosts,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .list = list_all,
    .pause = pause,
    .resume = resume,
    .address = address,
    .renew = renew,
    .exec = exec,
  };
  return self;
}

} // namespace nestor::providers
