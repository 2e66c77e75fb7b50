// `runloop`: devboxes by REST, the nested server as their entrypoint, reached through an authenticated tunnel. Waiting
// is the API's own long poll. Lists have no filter for labels: what a lost answer created is looked for by its metadata
// among all devboxes there ever were.
#include <nestor/providers/internal/carried.hpp>
#include <nestor/providers/internal/label_answer.hpp>
#include <nestor/providers/internal/runloop_calls.hpp>

#include <algorithm>
#include <array>

namespace nestor::providers {
namespace {

using namespace internal;
using namespace internal::runloop;
using nlohmann::json;
using std::chrono::seconds;

// Boots take seconds, from a large blueprint a minute; the flexible tier queues before it.
constexpr milliseconds boots_within{300'000};
// A suspend writes the disk away, a resume reads it.
constexpr milliseconds switches_within{120'000};
// One pass of an end: a shutdown is answered when it is done, mostly.
constexpr milliseconds ends_within{60'000};
// The server holds a wait for 30 s at most; a command's for 25 s.
constexpr seconds held_for{25};
// A look for a lost create is over before whoever looks loses patience (30 s).
constexpr seconds observe_held_for{10};
// The SDK gives a create 30 s, so the server has it by then or never; as much again until every list shows it.
constexpr milliseconds settles{60'000};
// 200 devboxes a page: an account with more than this in its history is not read to its end, and we say so.
constexpr std::uint32_t pages_max = 500;

constexpr std::array fields{
  account_field{"api_key", field_holds::secret, "RUNLOOP_API_KEY", "", true, "API key, ak_… or rk_…"},
  account_field{"base_url", field_holds::url, "RUNLOOP_BASE_URL", "https://api.runloop.ai", false, "The API."},
  account_field{"tunnel_url", field_holds::text, "", "", false,
                "Shape of a tunnel's address with {port} and {key}; empty: https://{port}-{key}.tunnel.DOMAIN."},
};

constexpr std::array<std::string_view, 3> booted{"running", "failure", "shutdown"};
constexpr std::array<std::string_view, 7> living{"queued",     "provisioning", "initializing", "running",
                                                 "suspending", "suspended",    "resuming"};
constexpr std::array<std::string_view, 4> settled{"running", "suspended", "failure", "shutdown"};

constexpr std::uint16_t bad_request = 400, not_found = 404, not_yet = 408, conflict = 409;

enum : place {
  at_start,
  at_created,
  at_seen,     ///< its description, asked for
  at_waited,   ///< the same, when it is in a state that was waited for
  at_tunneled, ///< its tunnel
  at_listed,
  at_switched, ///< it was told to suspend or to resume
  at_begun,    ///< a command was begun in it
  at_command,  ///< the command's end
  at_killed,
  at_shut,
  at_vanishing
};

failure failed(errc code, std::string cause, step when = step::provision) {
  return failure{code, when, std::move(cause), 0, {}};
}

milliseconds after_of(const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto told = response ? retry_after_of(*response) : std::nullopt;
  return std::max(poll_after(so_far), told.value_or(milliseconds{0}));
}

std::string id_of(const heard& so_far) {
  return carried_part(so_far.carried, 0);
}

ask look(const account& who, std::string_view id, milliseconds after = {}) {
  return ask{look_up(who, id), after, at_seen, carry({id})};
}

ask wait(const account& who, std::string_view id, std::span<const std::string_view> statuses, milliseconds after = {},
         seconds held = held_for) {
  return ask{wait_for(who, id, statuses, held), after, at_waited, carry({id})};
}

ask open_tunnel(const account& who, std::string_view id, milliseconds after = {}) {
  return ask{act(who, id, "enable_tunnel", body_of({{"auth_mode", "authenticated"}})), after, at_tunneled, carry({id})};
}

// -- the end --------------------------------------------------------------------------------------

ask end_it(const account& who, std::string_view id, std::string_view cause = {}, milliseconds after = {},
           bool force = false) {
  return ask{act(who, id, force ? "shutdown?force=true" : "shutdown"), after, at_shut,
             carry({id, cause, force ? "forced" : ""})};
}

/// Asked until it is shut down or not known. Only a snapshot under way objects (409), and is not waited for.
progress<absent> ended(const account& who, const heard& so_far, milliseconds within) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  auto cause = carried_part(so_far.carried, 1);
  if (has_status(response, not_found))
    return absent{};
  auto now = succeeded(response) ? devbox_of(json_of(*response)) : devbox{};
  if (now.now == life::ended)
    return absent{};
  auto after = after_of(so_far);
  if (refuses_us(response) || so_far.elapsed + after > within)
    return succeeded(response)
             ? failed(errc::destroy_failed, who.name + ": " + id + " is not gone yet: " + now.status, step::destroy)
             : failure_of(who, stage::ending, "ending " + id, *so_far.reply);
  if (so_far.at == at_shut && has_status(response, conflict)) {
    bool forced = !carried_part(so_far.carried, 2).empty();
    return end_it(who, id, cause, forced ? after : milliseconds{0}, true);
  }
  if (so_far.at == at_vanishing && succeeded(response))
    return end_it(who, id, cause, after);
  return ask{look_up(who, id), after, at_vanishing, carry({id, cause})};
}

progress<absent> destroy(const account& who, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return end_it(who, gone.ref);
  return ended(who, so_far, ends_within);
}

// -- provision ------------------------------------------------------------------------------------

runtime with_key(runtime found, const secret& session_key) {
  found.session_key = session_key;
  return found;
}

/// What does not come up is ended before we say so.
ask give_up(const account& who, const std::string& id, const std::string& cause) {
  return end_it(who, id, who.name + ": " + id + " " + cause);
}

/// A description, however it was asked for.
progress<runtime> on_devbox(const account& who, const provision_order& order, const heard& so_far, const devbox& d) {
  auto id = d.id.empty() ? id_of(so_far) : d.id;
  auto after = so_far.at == at_waited || so_far.at == at_created ? milliseconds{0} : poll_after(so_far);
  if (d.now == life::ended)
    return failed(errc::provision_failed,
                  who.name + ": " + id + " ended in state " + d.status + (d.trouble.empty() ? "" : ": " + d.trouble));
  if (so_far.elapsed >= boots_within)
    return give_up(who, id, d.now == life::running ? "got no tunnel" : "is still in state " + d.status);
  if (d.now != life::running) // also when a wait was answered with another state than was asked for
    return wait(who, id, booted, so_far.at == at_waited ? poll_after(so_far) : milliseconds{0});
  if (auto found = reached(who, id, d.tunnel, order.spec->port))
    return with_key(std::move(*found), order.session_key);
  return open_tunnel(who, id, after);
}

progress<runtime> on_created(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response)) {
    auto d = devbox_of(json_of(*response));
    if (d.id.empty())
      return not_understood(who, stage::created, "creating a devbox", "the answer names no devbox");
    return on_devbox(who, order, so_far, d);
  }
  auto why = failure_of(who, stage::creating, "creating a devbox", *so_far.reply);
  if (has_status(response, conflict)) // names are not unique, so it is about the same create: where is what it made?
    return ask{list(who, {}), milliseconds{0}, at_listed, carry({why.cause})};
  return why;
}

/// All pages, for what the create may have made before.
progress<runtime> on_listed(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto found = succeeded(response) ? page_of(*response) : std::nullopt;
  auto cause = carried_part(so_far.carried, 0);
  if (found)
    for (const auto& item : found->items)
      if (auto d = devbox_of(item); d.now != life::ended && bears(d.metadata, order.stamp))
        return on_devbox(who, order, so_far, d);
  if (found && !found->next.empty() && so_far.asked < pages_max)
    return ask{list(who, found->next), milliseconds{0}, at_listed, carry({cause})};
  return failed(errc::create_unknown, cause);
}

/// It cannot be read how it is: asked again, for as long as it may take to boot.
progress<runtime> unread(const account& who, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  auto doing = "waiting for " + id;
  if (has_status(response, not_found))
    return failed(errc::provision_failed, who.name + ": " + id + " disappeared before it could be used");
  if (has_status(response, not_yet) && so_far.at == at_waited) {
    if (so_far.elapsed >= boots_within)
      return give_up(who, id, "did not run in time");
    return wait(who, id, booted);
  }
  auto after = after_of(so_far);
  if (refuses_us(response) || so_far.elapsed + after > boots_within)
    return failure_of(who, stage::created, doing, *so_far.reply);
  // Whoever has a tunnel already, or whose answer was lost, hears 400: its description has the tunnel.
  return look(who, id, has_status(response, bad_request) ? milliseconds{0} : after);
}

progress<runtime> on_ended(const account& who, const heard& so_far) {
  auto came = ended(who, so_far, boots_within + ends_within);
  auto cause = carried_part(so_far.carried, 1);
  if (std::holds_alternative<absent>(came))
    return failed(errc::provision_failed, cause);
  if (auto* next = std::get_if<ask>(&came))
    return std::move(*next);
  return failed(errc::create_unknown, cause + "; and then: " + std::get<failure>(came).cause);
}

progress<runtime> provision(const account& who, const provision_order& order, const heard& so_far) {
  if (!so_far.reply) {
    if (!order.lease && order.max_lifetime && *order.max_lifetime > lifetime_max)
      return failed(errc::capability_missing,
                    "policy.max_lifetime: runloop ends a devbox after 48h unless policy.lease is set");
    return ask{create(who, order), milliseconds{0}, at_created};
  }
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_created)
    return on_created(who, order, so_far);
  if (so_far.at == at_listed)
    return on_listed(who, order, so_far);
  if (so_far.at == at_shut || so_far.at == at_vanishing)
    return on_ended(who, so_far);
  if (!succeeded(response))
    return unread(who, so_far);
  if (so_far.at != at_tunneled)
    return on_devbox(who, order, so_far, devbox_of(json_of(*response)));
  auto id = id_of(so_far);
  if (auto found = reached(who, id, json_of(*response), order.spec->port))
    return with_key(std::move(*found), order.session_key);
  return give_up(who, id, "got a tunnel without a key");
}

// -- observe --------------------------------------------------------------------------------------

/// What is there and cannot be configured is told as well, with its address if it has one: whoever asked decides.
sighting told(const account& who, const provision_order& order, const std::string& id, const json& tunnel) {
  auto found = reached(who, id, tunnel, order.spec->port).value_or(runtime{});
  found.ref = id;
  return with_key(std::move(found), order.session_key);
}

progress<sighting> sought(const account& who, const provision_order& order, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  constexpr std::string_view doing = "looking for a devbox";
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto found = page_of(*response);
  if (!found)
    return not_understood(who, stage::looking, doing, "the answer is no list");
  for (const auto& item : found->items)
    if (auto d = devbox_of(item); d.now != life::ended && bears(d.metadata, order.stamp))
      return look(who, d.id);
  if (found->next.empty())
    return sighting{absent{}};
  if (so_far.asked >= pages_max)
    return not_understood(who, stage::looking, doing, "the list does not end");
  return ask{list(who, found->next), milliseconds{0}, at_listed};
}

progress<sighting> observe(const account& who, const provision_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{list(who, {}), milliseconds{0}, at_listed};
  if (so_far.at == at_listed)
    return sought(who, order, so_far);
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  if (has_status(response, not_found))
    return sighting{absent{}};
  if (so_far.at == at_tunneled)
    return succeeded(response) ? progress<sighting>{told(who, order, id, json_of(*response))}
                               : told(who, order, id, json{});
  if (so_far.at == at_waited && has_status(response, not_yet))
    return told(who, order, id, json{});
  if (!succeeded(response))
    return failure_of(who, stage::looking, "looking for a devbox", *so_far.reply);
  auto d = devbox_of(json_of(*response));
  if (d.now == life::ended)
    return sighting{absent{}};
  if (d.now == life::changing && so_far.at == at_seen)
    return wait(who, id, booted, milliseconds{0}, observe_held_for);
  if (d.now == life::running && !reached(who, id, d.tunnel, order.spec->port))
    return open_tunnel(who, id);
  return told(who, order, id, d.tunnel);
}

/// Among what lives, status by status in the order of a life: the lists of a year's history are not read for it.
progress<sighting> twin(const account& who, const labels& stamp, const heard& so_far) {
  auto page = [&](std::string_view status, std::string_view cursor) {
    return ask{list(who, cursor, status), milliseconds{0}, at_listed, carry({status})};
  };
  if (!so_far.reply)
    return page(living.front(), {});
  const auto* response = response_of(*so_far.reply);
  constexpr std::string_view doing = "looking for another devbox of the same labels";
  if (!succeeded(response))
    return failure_of(who, stage::looking, doing, *so_far.reply);
  auto found = page_of(*response);
  if (!found || so_far.asked >= pages_max)
    return not_understood(who, stage::looking, doing, found ? "the list does not end" : "the answer is no list");
  for (const auto& item : found->items)
    if (auto d = devbox_of(item); d.now != life::ended && bears(d.metadata, stamp)) {
      runtime other;
      other.ref = d.id;
      return sighting{std::move(other)};
    }
  auto status = carried_part(so_far.carried, 0);
  if (!found->next.empty())
    return page(status, found->next);
  auto next = std::ranges::find(living, std::string_view{status});
  if (next == living.end() || ++next == living.end())
    return sighting{absent{}};
  return page(*next, {});
}

// -- the rest of a life ---------------------------------------------------------------------------

progress<listing> list_all(const account& who, const list_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{list(who, order.cursor)};
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "listing devboxes", *so_far.reply);
  auto found = page_of(*response);
  if (!found)
    return not_understood(who, stage::looking, "listing devboxes", "the answer is no list");
  listing page;
  page.next = found->next;
  for (const auto& item : found->items) {
    auto d = devbox_of(item);
    if (d.now == life::ended || !bears(d.metadata, order.installation))
      continue;
    auto created = integer_at(item, "create_time_ms");
    page.items.push_back({d.id, text_at(d.metadata, label_sandbox), attempt_at(d.metadata),
                          created ? std::to_string(*created) : std::string{}, d.status});
  }
  return page;
}

failure lost(const account& who, const runtime& what, std::string_view how = "is not known") {
  return failed(errc::runtime_lost, who.name + ": " + what.ref + " " + std::string{how});
}

/// A turn of suspending or resuming. Nothing: its description is there and can be acted on; else what to say or ask.
std::optional<std::variant<ask, failure>> hold(const account& who, const runtime& what, std::string_view doing,
                                               const heard& so_far) {
  if (!so_far.reply)
    return look(who, what.ref);
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return lost(who, what);
  bool waits_on = so_far.at == at_waited && has_status(response, not_yet);
  auto after = waits_on ? milliseconds{0} : after_of(so_far);
  if (refuses_us(response) || so_far.elapsed + after > switches_within) {
    if (!succeeded(response))
      return failure_of(who, stage::looking, doing, *so_far.reply);
    return failed(errc::provider_unavailable, who.name + " did not end " + std::string{doing} + " in time");
  }
  if (waits_on || (so_far.at == at_switched && succeeded(response)))
    return wait(who, what.ref, settled);
  if (!succeeded(response)) // 400 most of the time: it is in another state than it was believed to be
    return look(who, what.ref, after);
  auto d = devbox_of(json_of(*response));
  if (d.now == life::ended)
    return lost(who, what, "ended in state " + d.status);
  if (d.now == life::changing)
    return wait(who, what.ref, settled, so_far.at == at_waited ? after : milliseconds{0});
  return std::nullopt;
}

progress<paused> pause(const account& who, const runtime& what, const heard& so_far) {
  if (auto held = hold(who, what, "suspending " + what.ref, so_far))
    return std::visit([](auto& is) { return progress<paused>{std::move(is)}; }, *held);
  auto d = devbox_of(json_of(*response_of(*so_far.reply)));
  if (d.now == life::suspended)
    return paused{};
  return ask{act(who, what.ref, "suspend"), so_far.at == at_waited ? poll_after(so_far) : milliseconds{0}, at_switched};
}

/// Starts the server once for each boot of the machine, however often it is sent: the first one makes the folder.
http_call start_again(const account& who, std::string_view id) {
  std::string line = "mkdir /tmp/.nestor-$(cat /proc/sys/kernel/random/boot_id) 2>/dev/null || exit 0; eval \"$";
  line.append(start_variable).append("\"");
  return act(who, id, "execute_async", body_of({{"command", line}}));
}

/// The address from a description or a tunnel; asks for a tunnel where there is none.
progress<runtime> address_in(const account& who, const runtime& what, const json& tunnel, const heard& so_far) {
  if (auto found = reached(who, what.ref, tunnel, port_of(who, what)))
    return with_key(std::move(*found), what.session_key);
  if (so_far.at != at_tunneled)
    return open_tunnel(who, what.ref);
  return not_understood(who, stage::looking, "asking for a tunnel", "the answer holds no key");
}

/// Asked of a running one.
progress<runtime> address(const account& who, const runtime& what, const heard& so_far) {
  if (!so_far.reply)
    return look(who, what.ref);
  const auto* response = response_of(*so_far.reply);
  if (has_status(response, not_found))
    return lost(who, what);
  constexpr std::uint32_t looks_max = 4; // 400 says that a tunnel came up meanwhile: one look shows it
  if (so_far.at == at_tunneled && has_status(response, bad_request) && so_far.asked < looks_max)
    return look(who, what.ref);
  if (!succeeded(response))
    return failure_of(who, stage::looking, "asking for the address of " + what.ref, *so_far.reply);
  auto answer = json_of(*response);
  return address_in(who, what, so_far.at == at_tunneled ? answer : at(answer, "tunnel"), so_far);
}

/// The disk was kept, the processes were not.
progress<runtime> resume(const account& who, const runtime& what, const heard& so_far) {
  const auto* response = so_far.reply ? response_of(*so_far.reply) : nullptr;
  if (so_far.at == at_begun) {
    if (succeeded(response))
      return ask{look_up(who, what.ref), milliseconds{0}, at_command};
    auto after = after_of(so_far);
    if (refuses_us(response) || so_far.elapsed + after > switches_within)
      return failure_of(who, stage::looking, "starting the nested server", *so_far.reply);
    return look(who, what.ref, after);
  }
  if (so_far.at == at_command || so_far.at == at_tunneled)
    return address(who, what, so_far);
  if (auto held = hold(who, what, "resuming " + what.ref, so_far))
    return std::visit([](auto& is) { return progress<runtime>{std::move(is)}; }, *held);
  if (devbox_of(json_of(*response)).now == life::suspended)
    return ask{act(who, what.ref, "resume"), so_far.at == at_waited ? poll_after(so_far) : milliseconds{0},
               at_switched};
  return ask{start_again(who, what.ref), milliseconds{0}, at_begun};
}

progress<renewed> renew(const account& who, const renew_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{act(who, order.what.ref, "keep_alive")};
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response))
    return renewed{};
  if (has_status(response, not_found))
    return lost(who, order.what);
  return failure_of(who, stage::looking, "renewing " + order.what.ref, *so_far.reply);
}

/// Begun once. Asking how it goes is repeated; an answer to that, however bad, says nothing about the command.
progress<observation> exec(const account& who, const exec_order& order, const heard& so_far) {
  const auto& id = order.where.ref;
  auto doing = "running a command in " + id;
  if (!so_far.reply)
    return ask{act(who, id, "execute_async", body_of({{"command", order.command}})), milliseconds{0}, at_begun};
  const auto* response = response_of(*so_far.reply);
  if (so_far.at == at_killed)
    return succeeded(response) ? out_of_time()
                               : lost_answer(failure_of(who, stage::looking, "ending a command", *so_far.reply).cause);
  if (so_far.at == at_begun && has_status(response, not_found))
    return lost(who, order.where);
  auto answer = succeeded(response) ? json_of(*response) : json{};
  auto execution = so_far.at == at_begun ? text_at(answer, "execution_id") : id_of(so_far);
  if (execution.empty())
    return not_run(who, doing, *so_far.reply);
  if (text_at(answer, "status") == "completed") {
    auto status = integer_at(answer, "exit_status");
    if (!status)
      return lost_answer(who.name + " while " + doing + ": the answer holds no exit status");
    return ended_with(static_cast<int>(*status), text_at(answer, "stdout"), text_at(answer, "stderr"));
  }
  if (so_far.at == at_command && (refuses_us(response) || has_status(response, not_found)))
    return lost_answer(failure_of(who, stage::looking, doing, *so_far.reply).cause);
  bool waits_on = so_far.at == at_command && has_status(response, not_yet);
  auto left = std::chrono::ceil<seconds>(order.within - so_far.elapsed);
  if (left <= seconds{0}) {
    auto kill = "executions/" + http::encode_segment(execution) + "/kill";
    return ask{act(who, id, kill, body_of({{"kill_process_group", true}})), milliseconds{0}, at_killed};
  }
  auto after = so_far.at == at_command && !waits_on ? after_of(so_far) : milliseconds{0};
  return ask{wait_for_command(who, id, execution, std::min(left, held_for)), after, at_command, carry({execution})};
}

// -- before anything is created -------------------------------------------------------------------

/// The list is the permission that we need most, and works for restricted keys too.
progress<proof> authenticate(const account& who, const no_order&, const heard& so_far) {
  if (!so_far.reply) {
    if (auto fault = fault_of_shape(tunnel_shape(who)))
      return failed(errc::spec_invalid, "providers." + who.name + ".tunnel_url: " + *fault, step::authenticate);
    return ask{api(who, http::method::get, "/v1/devboxes?limit=1&include_total_count=false")};
  }
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response)) {
    auto why = failure_of(who, stage::proving, "proving the key", *so_far.reply);
    if (why.code == errc::permission_missing)
      why.cause += " (a restricted key, rk_…, needs the scope of devboxes)";
    return why;
  }
  if (!page_of(*response))
    return not_understood(who, stage::proving, "proving the key", "the answer is no list of devboxes");
  return proof{};
}

} // namespace

const provider& runloop_provider() {
  static const provider self{
    .kind = "runloop",
    .summary = "Runloop devboxes; runtime.image is a blueprint or a snapshot",
    .can = {.command = true, .image = true, .resources = true, .enumerates = true, .pauses = true, .leases = true},
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = boots_within + ends_within + static_cast<int>(2 + living.size()) * call_within,
    .destroy_within = ends_within + static_cast<int>(living.size()) * call_within,
    .fields = fields,
    .validate = validate,
    .authenticate = authenticate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .twin = twin,
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
