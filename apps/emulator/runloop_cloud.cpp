// Devboxes: created, waited for, suspended, ended; and what lists show of them.
#include <emulator/internal/runloop_cloud.hpp>

#include <algorithm>

namespace nestor::emulator {
namespace {

constexpr std::int64_t per_page = 20;
constexpr std::int64_t per_page_max = 5'000;
constexpr std::int64_t alive_seconds = 3'600;
constexpr milliseconds held_at_most{30'000};
constexpr milliseconds snapshot_takes{1'000};
const std::set<std::string> known_statuses{"queued",    "provisioning", "initializing", "running", "suspending",
                                           "suspended", "resuming",     "failure",      "shutdown"};

std::string restricted_key(const std::string& key) {
  return key.substr(0, key.size() - std::min<std::size_t>(8, key.size())) + "deadbeef";
}

std::string_view usual_message(std::uint16_t status) {
  switch (status) {
    case 401: return "Unauthorized";
    case 403: return "This API key may not use devboxes";
    case 404: return "Devbox not found";
    case 409: return "A snapshot of the devbox is in progress";
    case 429: return "Too many requests";
    case 503: return "Service unavailable";
    default: return "The request could not be carried out";
  }
}

} // namespace

runloop_cloud::runloop_cloud(cloud_options options, cloud_world world)
    : options_(std::move(options)), world_(world), seed_(options_.seed), creates_(options_.creates_per_second, 1s) {}

const std::vector<cloud_route<runloop_cloud>>& runloop_cloud::routes() {
  using http::method;
  using r = runloop_cloud;
  static const std::vector<cloud_route<r>> table{
    {method::get, "/v1/accounts/me", &r::account},
    {method::post, "/v1/devboxes", &r::create},
    {method::post, "/v1/devboxes/create_and_await_running", &r::create},
    {method::get, "/v1/devboxes", &r::list},
    {method::get, "/v1/blueprints", &r::blueprints},
    {method::get, "/v1/devboxes/disk_snapshots/{}/status", &r::snapshot_status},
    {method::get, "/v1/devboxes/{}", &r::get},
    {method::post, "/v1/devboxes/{}", &r::update},
    {method::post, "/v1/devboxes/{}/wait_for_status", &r::wait_for_status},
    {method::post, "/v1/devboxes/{}/shutdown", &r::shutdown},
    {method::post, "/v1/devboxes/{}/suspend", &r::suspend},
    {method::post, "/v1/devboxes/{}/resume", &r::resume},
    {method::post, "/v1/devboxes/{}/keep_alive", &r::keep_alive},
    {method::post, "/v1/devboxes/{}/snapshot_disk_async", &r::snapshot_disk},
    {method::post, "/v1/devboxes/{}/enable_tunnel", &r::enable_tunnel},
    {method::post, "/v1/devboxes/{}/remove_tunnel", &r::remove_tunnel},
    {method::post, "/v1/devboxes/{}/execute_async", &r::execute_async},
    {method::post, "/v1/devboxes/{}/execute", &r::execute},
    {method::post, "/v1/devboxes/{}/execute_sync", &r::execute_sync},
    {method::get, "/v1/devboxes/{}/executions/{}", &r::show_execution},
    {method::post, "/v1/devboxes/{}/executions/{}/wait_for_status", &r::wait_for_execution},
    {method::post, "/v1/devboxes/{}/executions/{}/kill", &r::kill_execution},
    {method::post, "/v1/devboxes/{}/executions/{}/send_std_in", &r::send_input},
    {method::get, "/v1/devboxes/{}/executions/{}/stream_stdout_updates", &r::stream_out},
    {method::get, "/v1/devboxes/{}/executions/{}/stream_stderr_updates", &r::stream_err},
    {method::post, "/v1/devboxes/{}/upload_file", &r::upload_file},
    {method::post, "/v1/devboxes/{}/write_file_contents", &r::write_text},
    {method::post, "/v1/devboxes/{}/read_file_contents", &r::read_text},
    {method::post, "/v1/devboxes/{}/download_file", &r::download_file},
    {method::get, "/v1/devboxes/{}/logs", &r::logs},
  };
  return table;
}

void runloop_cloud::serve(const http::request& request, const affliction& ill, caller back) {
  auto c = take_call(request, ill, std::move(back));
  if (auto where = port_host_of(c->host))
    return serve_tunnel(c, *where);
  if (admitted(c) && !dispatch(*this, std::span{routes()}, c))
    refuse(c, 404, "Not found");
}

bool runloop_cloud::admitted(const call_ref& c) {
  auto given = c->header("Authorization");
  bool restricted = given == "Bearer " + restricted_key(options_.key);
  if (given != "Bearer " + options_.key && !restricted)
    return refuse(c, 401, usual_message(401)), false;
  if (restricted && c->path.starts_with("/v1/devboxes"))
    return refuse(c, 403, usual_message(403)), false;
  return true;
}

void runloop_cloud::refuse(const call_ref& c, std::uint16_t status, std::string_view message) const {
  c->answer(status, {{"code", status}, {"message", message}});
}

http::response runloop_cloud::refusal(std::uint16_t status, const http::request&) const {
  return response_of(status, {{"code", status}, {"message", usual_message(status)}});
}

http::response runloop_cloud::throttled(std::int64_t seconds, const http::request& request) const {
  auto r = refusal(429, request);
  r.headers.emplace_back("retry-after", std::to_string(seconds));
  return r;
}

std::int64_t runloop_cloud::wall_ms() const {
  return options_.epoch_ms + world_.time.now().us / 1'000;
}

runloop_devbox* runloop_cloud::find(const std::string& id) {
  auto at = devboxes_.find(id);
  return at == devboxes_.end() ? nullptr : &at->second;
}

runloop_devbox* runloop_cloud::wanted(const call_ref& c) {
  auto* d = find(c->args.front());
  if (!d)
    refuse(c, 404, "Devbox " + c->args.front() + " not found");
  return d;
}

json runloop_cloud::view(const runloop_devbox& d) const {
  auto text = [](const std::string& value) { return value.empty() ? json{} : json(value); };
  return {{"id", d.id},
          {"name", text(d.name)},
          {"status", d.status},
          {"create_time_ms", d.created_ms},
          {"end_time_ms", d.ended_ms == 0 ? json{} : json(d.ended_ms)},
          {"blueprint_id", text(d.blueprint)},
          {"snapshot_id", text(d.snapshot)},
          {"metadata", object_of(d.metadata)},
          {"launch_parameters", d.launch},
          {"state_transitions", d.transitions},
          {"failure_reason", text(d.failure_reason)},
          {"shutdown_reason", text(d.shutdown_reason)},
          {"tunnel", d.tunnel},
          {"capabilities", json::array()},
          {"initiator_type", "api"}};
}

std::vector<rented> runloop_cloud::truth() const {
  std::vector<rented> all;
  for (const auto& [id, d] : devboxes_)
    if (!d.over()) // what has ended costs nothing, and is remembered
      all.push_back({d.id, d.name, d.status, d.metadata, d.created_ms});
  return all;
}

void runloop_cloud::turn(runloop_devbox& d, std::string status) {
  d.status = std::move(status);
  d.transitions.push_back({{"status", d.status}, {"transition_time_ms", wall_ms()}});
  for (auto& told : std::exchange(d.waiting, {}))
    told();
}

void runloop_cloud::end(runloop_devbox& d, std::string status, std::string reason) {
  world_.inside.discard(d.id);
  (status == "failure" ? d.failure_reason : d.shutdown_reason) = std::move(reason);
  d.ended_ms = wall_ms();
  d.tunnel = nullptr;
  ++d.lease;
  for (auto& [id, e] : d.executions) {
    for (auto& [which, listening] : std::exchange(e.listeners, {}))
      listening->end();
    e.exit_status = e.exit_status.value_or(137);
    for (auto& told : std::exchange(e.waiting, {}))
      told();
  }
  turn(d, std::move(status));
}

void runloop_cloud::boot(runloop_devbox& d) {
  world_.time.after(options_.boots_in + d.ill.boots_late, [this, id = d.id] {
    auto* now = find(id);
    if (!now || now->over() || now->ill.never_ready)
      return;
    if (std::exchange(now->ill.fails, false))
      return booted(id, "health_check_failed");
    if (now->status == "provisioning")
      turn(*now, "initializing");
    machine_order order{.id = id, .env = now->env, .serves = false};
    if (now->status != "resuming") { // a resume brings the disk back, and starts nothing that ran
      order.command = now->entrypoint;
      order.serves = image_serves(now->blueprint);
    }
    world_.inside.boot(std::move(order), [this, id](const std::optional<std::string>& trouble) {
      booted(id, trouble ? std::optional<std::string>{"execution_failed"} : std::nullopt);
    });
    world_.inside.watch(id, [this, id](int) {
      auto* then = find(id);
      if (then && !then->over() && !then->entrypoint.empty())
        end(*then, "shutdown", "entrypoint_exit");
    });
  });
}

void runloop_cloud::booted(const std::string& id, const std::optional<std::string>& trouble) {
  auto* d = find(id);
  if (!d || d->over())
    return;
  if (trouble)
    return end(*d, "failure", *trouble);
  d->active = world_.time.now();
  turn(*d, "running");
  keep_lease(*d);
  watch_idleness(id);
}

/// keep_alive_time_seconds is a hard lifetime, unless a policy for idleness takes its place.
void runloop_cloud::keep_lease(runloop_devbox& d) {
  bool idle_policy = d.launch.contains("lifecycle") && d.launch["lifecycle"].contains("after_idle");
  auto seconds = number_at(d.launch, "keep_alive_time_seconds", alive_seconds);
  if (idle_policy)
    return;
  world_.time.after(std::chrono::seconds{seconds}, [this, id = d.id, lease = ++d.lease] {
    auto* now = find(id);
    if (now && now->lease == lease && !now->over())
      end(*now, "shutdown", "keep_alive_timeout");
  });
}

void runloop_cloud::watch_idleness(const std::string& id) {
  auto* d = find(id);
  if (!d || !d->launch.contains("lifecycle") || !d->launch["lifecycle"].contains("after_idle"))
    return;
  const auto& policy = d->launch["lifecycle"]["after_idle"];
  auto limit = std::chrono::seconds{number_at(policy, "idle_time_seconds", alive_seconds)};
  auto left = std::chrono::duration_cast<milliseconds>(d->active + limit - world_.time.now());
  world_.time.after(left + milliseconds{1}, [this, id, limit, suspends = text_at(policy, "on_idle") == "suspend"] {
    auto* now = find(id);
    if (!now || now->status != "running")
      return;
    if (world_.time.now() - now->active < limit)
      return watch_idleness(id);
    if (!suspends)
      return end(*now, "shutdown", "idle");
    world_.inside.stop(id);
    turn(*now, "suspended");
  });
}

void runloop_cloud::account(const call_ref& c) {
  c->answer(200, {{"id", "acc_1"},
                  {"name", "emulated"},
                  {"account_status", "ACCOUNT_STATUS_ENABLED"},
                  {"tier", "free"},
                  {"create_time_ms", options_.epoch_ms},
                  {"created_at", iso_time(options_.epoch_ms)},
                  {"billing", {{"account_billing_type", "none"}}}});
}

void runloop_cloud::create(const call_ref& c) {
  auto body = c->object();
  if (!body)
    return refuse(c, 400, "The body is not valid JSON");
  if (!creates_.take(world_.time.now()))
    return c->answer(throttled(creates_.seconds_left(world_.time.now()), c->request));
  if (options_.sandboxes_max > 0 && truth().size() >= options_.sandboxes_max)
    return refuse(c, 429, "The limit of devboxes at a time is reached");
  runloop_devbox d;
  d.blueprint = text_at(*body, "blueprint_id") + text_at(*body, "blueprint_name");
  d.snapshot = text_at(*body, "snapshot_id");
  auto sources = body->contains("blueprint_id") + body->contains("blueprint_name") + body->contains("snapshot_id");
  if (sources > 1)
    return refuse(c, 400, "Only one of blueprint_id, blueprint_name and snapshot_id may be given");
  if (!image_exists(d.blueprint) || !image_exists(d.snapshot))
    return refuse(c, 400, "Blueprint " + d.blueprint + d.snapshot + " not found");
  d.id = "dbx_" + word_id(seed_, 22);
  d.name = text_at(*body, "name");
  d.env = variables_at(*body, "environment_variables");
  d.metadata = variables_at(*body, "metadata");
  d.entrypoint = text_at(*body, "entrypoint");
  if (body->contains("launch_parameters") && (*body)["launch_parameters"].is_object())
    d.launch = (*body)["launch_parameters"];
  d.launch["keep_alive_time_seconds"] = number_at(d.launch, "keep_alive_time_seconds", alive_seconds);
  if (body->contains("tunnel") && (*body)["tunnel"].is_object())
    d.tunnel = new_tunnel((*body)["tunnel"]);
  d.created_ms = wall_ms();
  d.order = ++next_order_;
  d.listed_from = world_.time.now() + c->ill.unlisted;
  d.ill = c->ill;
  auto& kept = devboxes_[d.id] = std::move(d);
  turn(kept, "provisioning");
  boot(kept);
  c->answer(200, view(kept));
}

void runloop_cloud::list(const call_ref& c) {
  auto status = c->parameter("status").value_or("");
  auto limit = std::atoll(c->parameter("limit").value_or(std::to_string(per_page)).c_str());
  if ((!status.empty() && !known_statuses.contains(status)) || limit < 1 || limit > per_page_max)
    return refuse(c, 400, "Invalid query");
  std::vector<const runloop_devbox*> found;
  for (const auto& [id, d] : devboxes_)
    if (d.listed_from <= world_.time.now() && (status.empty() || d.status == status))
      found.push_back(&d);
  std::ranges::sort(found, [](const auto* a, const auto* b) { return a->order > b->order; });
  auto at = found.begin();
  if (auto after = c->parameter("starting_after"))
    if (auto* last = find(*after)) // by its place, although it may have left the filter meanwhile
      at = std::ranges::find_if(found, [&](const auto* d) { return d->order < last->order; });
  auto page = json::array();
  for (; at != found.end() && std::ssize(page) < limit; ++at)
    page.push_back(view(**at));
  json answer{{"devboxes", page}, {"has_more", at != found.end()}};
  if (c->parameter("include_total_count").value_or("true") != "false")
    answer["total_count"] = found.size();
  c->answer(200, answer);
}

void runloop_cloud::get(const call_ref& c) {
  if (auto* d = wanted(c))
    c->answer(200, view(*d));
}

void runloop_cloud::update(const call_ref& c) {
  auto* d = wanted(c);
  auto body = c->object();
  if (!d || !body)
    return;
  if (body->contains("name"))
    d->name = text_at(*body, "name");
  if (body->contains("metadata"))
    d->metadata = variables_at(*body, "metadata");
  c->answer(200, view(*d));
}

void runloop_cloud::wait_for_status(const call_ref& c) {
  auto* d = wanted(c);
  auto body = c->object();
  if (!d)
    return;
  std::set<std::string> statuses;
  if (body && body->contains("statuses") && (*body)["statuses"].is_array())
    for (const auto& s : (*body)["statuses"])
      statuses.insert(s.is_string() ? s.get<std::string>() : "");
  bool all_known = std::ranges::all_of(statuses, [](const auto& s) { return known_statuses.contains(s); });
  if (statuses.empty() || !all_known)
    return refuse(c, 400, "Invalid statuses");
  auto asked = milliseconds{1'000 * number_at(*body, "timeout_seconds", held_at_most.count() / 1'000)};
  hold(c, d->id, statuses, std::min(asked, held_at_most));
}

/// A long poll: answered as soon as it is in one of `statuses`, with 408 when it is not by then.
void runloop_cloud::hold(const call_ref& c, const std::string& id, const std::set<std::string>& statuses,
                         milliseconds most) {
  auto over = std::make_shared<bool>(false);
  look(c, id, statuses, over);
  world_.time.after(most, [this, c, over] {
    if (!std::exchange(*over, true))
      refuse(c, 408, "The devbox is in none of these statuses yet");
  });
}

void runloop_cloud::look(const call_ref& c, const std::string& id, const std::set<std::string>& statuses,
                         const std::shared_ptr<bool>& over) {
  auto* d = find(id);
  if (*over || !d)
    return;
  if (!statuses.contains(d->status))
    return d->waiting.push_back([this, c, id, statuses, over] { look(c, id, statuses, over); });
  *over = true;
  c->answer(200, view(*d));
}

void runloop_cloud::shutdown(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  if (d->snapshotting && c->parameter("force").value_or("") != "true")
    return refuse(c, 409, usual_message(409));
  if (!d->over())
    end(*d, "shutdown", "api_shutdown");
  c->answer(200, view(*d));
}

void runloop_cloud::suspend(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  if (d->status != "running")
    return refuse(c, 400, "The devbox is not running");
  turn(*d, "suspending");
  c->answer(200, view(*d));
  world_.time.after(options_.stops_in, [this, id = d->id] {
    auto* now = find(id);
    if (!now || now->status != "suspending")
      return;
    world_.inside.stop(id); // the disk is kept, processes are not
    turn(*now, "suspended");
  });
}

void runloop_cloud::resume(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  if (d->status != "suspended")
    return refuse(c, 400, "The devbox is not suspended");
  turn(*d, "resuming");
  d->ill = c->ill;
  boot(*d);
  c->answer(200, view(*d));
}

void runloop_cloud::keep_alive(const call_ref& c) {
  if (auto* d = wanted(c)) {
    d->active = world_.time.now();
    if (!d->over())
      keep_lease(*d);
    c->answer(200, json::object());
  }
}

void runloop_cloud::snapshot_disk(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  auto snapshot = "snp_" + word_id(seed_, 22);
  d->snapshotting = true;
  snapshots_[snapshot] = false;
  world_.time.after(snapshot_takes, [this, id = d->id, snapshot] {
    snapshots_[snapshot] = true;
    if (auto* now = find(id))
      now->snapshotting = false;
  });
  c->answer(
    200, {{"id", snapshot}, {"source_devbox_id", d->id}, {"create_time_ms", wall_ms()}, {"metadata", json::object()}});
}

void runloop_cloud::snapshot_status(const call_ref& c) {
  auto at = snapshots_.find(c->args.front());
  if (at == snapshots_.end())
    return refuse(c, 404, "Snapshot not found");
  c->answer(200, {{"status", at->second ? "complete" : "in_progress"}});
}

void runloop_cloud::blueprints(const call_ref& c) {
  auto name = c->parameter("name").value_or("");
  auto found = json::array();
  if (!name.empty() && image_exists(name))
    found.push_back({{"id", "bpt_" + name},
                     {"name", name},
                     {"status", "build_complete"},
                     {"state", "created"},
                     {"create_time_ms", options_.epoch_ms},
                     {"parameters", {{"name", name}}}});
  c->answer(200, {{"blueprints", found}, {"has_more", false}, {"total_count", found.size()}});
}

std::unique_ptr<cloud> make_runloop_cloud(cloud_options options, cloud_world world) {
  return std::make_unique<runloop_cloud>(std::move(options), world);
}

} // namespace nestor::emulator
