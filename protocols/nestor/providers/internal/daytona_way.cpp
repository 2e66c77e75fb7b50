#include <nestor/providers/internal/daytona_way.hpp>

#include <nestor/providers/internal/carried.hpp>
#include <nestor/providers/key_rule.hpp>

#include <algorithm>

namespace nestor::providers::internal::daytona {
namespace {

/// The shell that runs the nested server. Shells end with the sandbox's processes, so the name is free after a start.
constexpr std::string_view shell_name = "nestor";
constexpr std::uint16_t not_found = 404, conflict = 409;

halt ended(const account& who, ending how, const std::string& id, errc code, const std::string& cause) {
  return halt{how, id, failure{code, step::provision, who.name + ": " + id + " " + cause, 0, {}}};
}

/// `next`, later; `otherwise` when there is no time left for it, or for what a Retry-After asks.
course unless_late(const errand& e, const heard& so_far, ask next, halt otherwise) {
  next.after = std::max(poll_after(so_far), otherwise.why.retry_after.value_or(milliseconds{0}));
  if (so_far.elapsed + next.after > e.within)
    return otherwise;
  return next;
}

ask reach(const account& who, const errand& e, const std::string& id) {
  return ask{preview_url(who, id, e.port), milliseconds{0}, at_reached, carry({id})};
}

course open_shell(const account& who, const errand& e, const sandbox& s) {
  auto toolbox = http::parse_url(s.toolbox);
  if (!toolbox)
    return ended(who, ending::useless, s.id, errc::provision_failed, "has no toolbox");
  if (!key_may_go_to(who, toolbox->host))
    return ended(who, ending::useless, s.id, errc::address_refused,
                 "has its toolbox at " + toolbox->host + ", which is not among the hosts that the key may go to");
  auto call = tool(who, *toolbox, http::method::post, s.id, "/process/session", body_of({{"sessionId", shell_name}}));
  return ask{std::move(call), milliseconds{0}, at_shell, carry({s.id, s.toolbox, e.start})};
}

course on_seen(const account& who, const errand& e, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  if (has_status(response, not_found))
    return ended(who, ending::gone, id, errc::runtime_lost, "is gone");
  if (!succeeded(response)) {
    halt unreadable{ending::unreadable, id, failure_of(who, e.now, "waiting for " + id, *so_far.reply)};
    return refuses_us(response) ? course{unreadable} : unless_late(e, so_far, look(who, id), unreadable);
  }
  auto s = sandbox_of(json_of(*response));
  s.id = id;
  switch (s.now) {
    case life::started: return e.start.empty() ? course{reach(who, e, id)} : open_shell(who, e, s);
    case life::resting: return ended(who, ending::resting, id, errc::provision_failed, "is " + s.state);
    case life::broken:
      return ended(who, ending::broken, id, errc::provision_failed,
                   "is in state " + s.state + (s.trouble.empty() ? "" : ": " + s.trouble));
    case life::gone: return ended(who, ending::gone, id, errc::runtime_lost, "is destroyed");
    case life::changing:
    case life::going: break;
  }
  return unless_late(e, so_far, look(who, id),
                     ended(who, ending::late, id, errc::provision_failed, "is still in state " + s.state));
}

/// A step in the toolbox failed: what became of the sandbox meanwhile is looked at, and the step is taken again.
course back(const account& who, const errand& e, const heard& so_far, std::string_view doing) {
  auto id = id_of(so_far);
  halt useless{ending::useless, id, failure_of(who, stage::looking, doing, *so_far.reply)};
  if (refuses_us(response_of(*so_far.reply)))
    return useless;
  return unless_late(e, so_far, look(who, id), useless);
}

/// A question about the shell, which may be asked only where `open_shell` was.
ask in_shell(const account& who, const errand& e, const heard& so_far, place next, http::method verb,
             std::string_view what, wiped_string body = {}) {
  auto id = id_of(so_far);
  auto url = carried_part(so_far.carried, 1);
  auto toolbox = http::parse_url(url).value_or(http::url{});
  auto path = "/process/session/" + std::string{shell_name} + std::string{what};
  return ask{tool(who, toolbox, verb, id, path, std::move(body)), milliseconds{0}, next, carry({id, url, e.start})};
}

ask look_into_shell(const account& who, const errand& e, const heard& so_far) {
  return in_shell(who, e, so_far, at_shells, http::method::get, "");
}

ask run(const account& who, const errand& e, const heard& so_far) {
  auto body = body_of({{"command", e.start}, {"runAsync", true}});
  return in_shell(who, e, so_far, at_run, http::method::post, "/exec", std::move(body));
}

course on_shell(const account& who, const errand& e, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response))
    return run(who, e, so_far);
  if (has_status(response, conflict)) // it was opened before: was something started in it?
    return look_into_shell(who, e, so_far);
  return back(who, e, so_far, "opening a shell");
}

course on_run(const account& who, const errand& e, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  if (succeeded(response))
    return reach(who, e, id);
  halt useless{ending::useless, id, failure_of(who, stage::looking, "starting the nested server", *so_far.reply)};
  if (refuses_us(response))
    return useless;
  return unless_late(e, so_far, look_into_shell(who, e, so_far), useless); // it may run all the same: never twice
}

course on_shells(const account& who, const errand& e, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  if (!succeeded(response))
    return back(who, e, so_far, "looking into its shell");
  auto shown = json_of(*response);
  const auto& commands = at(shown, "commands");
  if (commands.is_array() && !commands.empty())
    return reach(who, e, id_of(so_far));
  return run(who, e, so_far);
}

course on_reached(const account& who, const errand& e, const heard& so_far) {
  const auto* response = response_of(*so_far.reply);
  auto id = id_of(so_far);
  if (!succeeded(response))
    return back(who, e, so_far, "asking for the address of " + id);
  if (auto found = reached(who, id, *response))
    return *found;
  return ended(who, ending::useless, id, errc::provision_failed, "was given no URL and token for its port");
}

} // namespace

ask look(const account& who, std::string_view id, milliseconds after) {
  return ask{look_up(who, id), after, at_seen, carry({id})};
}

std::string id_of(const heard& so_far) {
  return carried_part(so_far.carried, 0);
}

std::string start_of(const heard& so_far) {
  return carried_part(so_far.carried, 2);
}

course way(const account& who, const errand& e, const heard& so_far) {
  switch (so_far.at) {
    case at_shell: return on_shell(who, e, so_far);
    case at_run: return on_run(who, e, so_far);
    case at_shells: return on_shells(who, e, so_far);
    case at_reached: return on_reached(who, e, so_far);
    default: return on_seen(who, e, so_far);
  }
}

} // namespace nestor::providers::internal::daytona
