// What changes a sandbox's state. One change at a time: while one is under way everything else is 409.
#include <emulator/internal/daytona_cloud.hpp>

namespace nestor::emulator {
namespace {

constexpr milliseconds held_at_most{30'000}; // the server lets go of a create or start then
// What never comes up is in the error state after that, and can be deleted again: while it starts it cannot.
constexpr milliseconds given_up_after{600'000};
constexpr std::string_view busy = "Sandbox state change in progress";

} // namespace

void daytona_cloud::touch(daytona_sandbox& s) {
  s.active = world_.time.now();
  s.active_ms = wall_ms();
}

void daytona_cloud::settle(daytona_sandbox& s, std::string state) {
  s.state = std::move(state);
  s.updated_ms = wall_ms();
  for (auto& told : std::exchange(s.settled, {}))
    told();
}

void daytona_cloud::boot(daytona_sandbox& s) {
  auto stuck = s.ill.never_ready;
  world_.time.after(stuck ? given_up_after : options_.boots_in + s.ill.boots_late, [this, id = s.id, stuck] {
    auto* now = by_id(id);
    if (!now || !now->in_transition())
      return;
    if (stuck)
      return booted(id, "the sandbox did not start in time");
    if (std::exchange(now->ill.fails, false))
      return booted(id, "the runner could not start the container");
    machine_order order{id, now->env, {}, {}, image_serves(now->snapshot)};
    world_.inside.boot(std::move(order), [this, id](std::optional<std::string> trouble) { booted(id, trouble); });
  });
}

void daytona_cloud::booted(const std::string& id, const std::optional<std::string>& trouble) {
  auto* s = by_id(id);
  if (!s || s->desired != "started")
    return;
  if (trouble)
    s->error_reason = *trouble;
  touch(*s);
  settle(*s, trouble ? "error" : "started");
  watch_idleness(id);
}

/// Answers once the change is over, with `stale` or with what is true then; at the limit with what is true then.
void daytona_cloud::answer_when_settled(const call_ref& c, daytona_sandbox& s, std::optional<json> stale) {
  auto once = std::make_shared<bool>(false);
  auto reply = [this, c, id = s.id, stale, once] {
    if (std::exchange(*once, true))
      return;
    auto* now = by_id(id);
    if (!now)
      return refuse(c, 404, "Sandbox with ID or name " + id + " not found");
    if (now->state == "error")
      return refuse(c, 400, "Sandbox failed to start: " + now->error_reason);
    c->answer(200, stale ? *stale : dto(*now));
  };
  s.settled.emplace_back(reply);
  world_.time.after(held_at_most, reply);
}

void daytona_cloud::start(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  if (s->in_transition())
    return refuse(c, 409, busy);
  if (s->state == "started")
    return c->answer(200, dto(*s));
  if (s->state != "stopped" && s->state != "archived")
    return refuse(c, 400, "Sandbox is not in valid state");
  s->desired = "started";
  s->state = "starting";
  s->preview_token = hex_id(seed_, 32);
  s->ill = c->ill;
  boot(*s);
  answer_when_settled(c, *s, std::nullopt);
}

void daytona_cloud::stop(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  if (s->in_transition())
    return refuse(c, 409, busy);
  if (s->state != "started")
    return refuse(c, 400, "Sandbox is not in a stoppable state");
  s->desired = "stopped";
  s->state = "stopping";
  c->answer(200, dto(*s));
  world_.time.after(options_.stops_in, [this, id = s->id] {
    auto* now = by_id(id);
    if (!now || now->state != "stopping")
      return;
    world_.inside.stop(id);
    now->sessions.clear();
    settle(*now, "stopped");
    if (now->auto_delete == 0) // ephemeral
      take_down(*now);
  });
}

void daytona_cloud::pause(const call_ref& c) {
  if (wanted(c))
    refuse(c, 422, "Pausing is not supported for this sandbox");
}

void daytona_cloud::archive(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  if (s->in_transition())
    return refuse(c, 409, busy);
  if (s->state != "stopped" || s->auto_delete == 0)
    return refuse(c, 400, "Sandbox is not stopped");
  s->desired = "archived";
  s->state = "archiving";
  c->answer(200, dto(*s));
  world_.time.after(options_.stops_in, [this, id = s->id] {
    if (auto* now = by_id(id); now && now->state == "archiving")
      settle(*now, "archived");
  });
}

void daytona_cloud::recover(const call_ref& c) {
  if (auto* s = wanted(c))
    refuse(c, 400, s->state == "error" ? "Sandbox is not recoverable" : "Sandbox must be in error state to recover");
}

void daytona_cloud::destroy(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  if (s->in_transition())
    return refuse(c, 409, busy);
  take_down(*s);
  c->answer(200, dto(*s));
}

/// The name is free at once; the id answers `destroying` for a moment, then nothing.
void daytona_cloud::take_down(daytona_sandbox& s) {
  s.desired = "destroyed";
  s.name_freed = true;
  s.state = "destroying";
  s.updated_ms = wall_ms();
  world_.time.after(options_.stops_in, [this, id = s.id] {
    if (auto* now = by_id(id))
      remove(*now);
  });
}

void daytona_cloud::remove(daytona_sandbox& s) {
  auto settled = std::move(s.settled);
  world_.inside.discard(s.id);
  sandboxes_.erase(sandboxes_.find(s.id));
  for (auto& told : settled)
    told();
}

/// autoStopInterval counts idle minutes. Each call looks once, when the time may be up, and again later if it was not.
void daytona_cloud::watch_idleness(const std::string& id) {
  auto* s = by_id(id);
  if (!s || s->auto_stop <= 0)
    return;
  auto idle_for = std::chrono::minutes{s->auto_stop};
  auto due = s->active + idle_for - world_.time.now();
  world_.time.after(std::chrono::duration_cast<milliseconds>(due) + milliseconds{1}, [this, id, idle_for] {
    auto* now = by_id(id);
    if (!now || now->auto_stop != idle_for.count())
      return;
    if (world_.time.now() - now->active < idle_for)
      return watch_idleness(id);
    if (now->state != "started")
      return;
    now->desired = "stopped";
    world_.inside.stop(id);
    now->sessions.clear();
    settle(*now, "stopped");
    if (now->auto_delete == 0)
      take_down(*now);
  });
}

} // namespace nestor::emulator
