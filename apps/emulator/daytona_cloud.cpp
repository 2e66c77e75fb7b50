// The API's books: who may ask, what is created, found and listed.
#include <emulator/internal/daytona_cloud.hpp>

#include <algorithm>
#include <array>

namespace nestor::emulator {
namespace {

constexpr std::int64_t per_page = 100;
constexpr std::int64_t per_page_max = 200;
constexpr std::string_view organization = "00000000-0000-4000-8000-000000000001";

std::string_view phrase(std::uint16_t status) {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 409: return "Conflict";
    case 422: return "Unprocessable Entity";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    default: return "Error";
  }
}

std::string_view usual_message(std::uint16_t status) {
  switch (status) {
    case 401: return "Invalid credentials";
    case 403: return "Access denied";
    case 404: return "Sandbox with ID or name unknown not found";
    case 409: return "Sandbox state change in progress";
    case 429: return "ThrottlerException: Too Many Requests";
    case 500: return "An unexpected error occurred.";
    case 503: return "Service is currently under maintenance. Please try again later.";
    default: return "The request could not be carried out";
  }
}

std::string_view throttler_of(const http::request& request) {
  auto path = std::string_view{request.target}.substr(0, request.target.find('?'));
  if (request.verb == http::method::post && path == "/api/sandbox")
    return "sandbox-create";
  bool lifecycle = request.verb == http::method::del;
  for (auto end : {"/start", "/stop", "/pause", "/archive", "/recover"})
    lifecycle = lifecycle || path.ends_with(end);
  return lifecycle && path.starts_with("/api/sandbox/") ? "sandbox-lifecycle" : "authenticated";
}

bool begins_like(const std::string& text, const std::string& beginning) {
  return text.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), text.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
         });
}

bool carries(const variables& labels, const variables& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& w) { return std::ranges::find(labels, w) != labels.end(); });
}

/// A key that is good, but may create nothing: the last eight digits are "deadbeef".
std::string weak_key(const std::string& key) {
  return key.substr(0, key.size() - std::min<std::size_t>(8, key.size())) + "deadbeef";
}

} // namespace

daytona_cloud::daytona_cloud(cloud_options options, cloud_world world)
    : options_(std::move(options)), world_(world), seed_(options_.seed), creates_(options_.creates_per_second, 1s) {
  if (options_.domain.empty())
    options_.domain = "proxy.localhost:" + options_.base.substr(options_.base.rfind(':') + 1);
}

const std::vector<cloud_route<daytona_cloud>>& daytona_cloud::routes() {
  using http::method;
  using d = daytona_cloud;
  static const std::vector<cloud_route<d>> table{
    {method::get, "/api/api-keys/current", &d::current_key},
    {method::post, "/api/sandbox", &d::create},
    {method::get, "/api/sandbox", &d::list},
    {method::get, "/api/sandbox/paginated", &d::list_pages},
    {method::get, "/api/sandbox/{}", &d::get},
    {method::del, "/api/sandbox/{}", &d::destroy},
    {method::post, "/api/sandbox/{}/start", &d::start},
    {method::post, "/api/sandbox/{}/stop", &d::stop},
    {method::post, "/api/sandbox/{}/pause", &d::pause},
    {method::post, "/api/sandbox/{}/archive", &d::archive},
    {method::post, "/api/sandbox/{}/recover", &d::recover},
    {method::post, "/api/sandbox/{}/last-activity", &d::last_activity},
    {method::put, "/api/sandbox/{}/labels", &d::set_labels},
    {method::post, "/api/sandbox/{}/public/{}", &d::set_public},
    {method::post, "/api/sandbox/{}/network-settings", &d::set_network},
    {method::get, "/api/sandbox/{}/build-logs-url", &d::build_logs},
    {method::get, "/api/sandbox/{}/toolbox-proxy-url", &d::toolbox_url},
    {method::get, "/api/sandbox/{}/ports/{}/preview-url", &d::preview_url},
    {method::get, "/api/sandbox/{}/ports/{}/signed-preview-url", &d::signed_preview_url},
    {method::post, "/api/sandbox/{}/ports/{}/signed-preview-url/{}/expire", &d::expire_signed},
    {method::post, "/api/sandbox/{}/{}/{}", &d::set_timer},
  };
  return table;
}

void daytona_cloud::serve(const http::request& request, const affliction& ill, caller back) {
  auto c = take_call(request, ill, std::move(back));
  if (auto where = port_host_of(c->host))
    return serve_port(c, *where);
  if (serve_toolbox(c))
    return;
  // Events come over a socket we do not offer; the SDK then polls, as it does for a server without them.
  bool open = c->path.starts_with("/api/socket.io");
  if (!open && c->path.starts_with("/api/") && !admitted(c))
    return;
  if (open || !dispatch(*this, std::span{routes()}, c))
    refuse(c, 404, "Cannot " + std::string{http::name_of(request.verb)} + " " + c->path);
}

/// True when the key is good and allowed to; else it was answered.
bool daytona_cloud::admitted(const call_ref& c) {
  auto given = c->header("Authorization");
  bool weak = given == "Bearer " + weak_key(options_.key);
  if (!weak && given != "Bearer " + options_.key) {
    auto now = world_.time.now();
    bool counted = failed_auth_.take(now);
    auto r = refusal(counted ? 401 : 429, c->request);
    r.headers.emplace_back("X-RateLimit-Limit-failed-auth", "10");
    r.headers.emplace_back("X-RateLimit-Remaining-failed-auth", std::to_string(failed_auth_.left()));
    r.headers.emplace_back("X-RateLimit-Reset-failed-auth", std::to_string(failed_auth_.seconds_left(now)));
    if (!counted)
      r.headers.emplace_back("Retry-After", std::to_string(failed_auth_.seconds_left(now)));
    c->answer(std::move(r));
    return false;
  }
  if (weak && c->request.verb != http::method::get) {
    refuse(c, 403, usual_message(403));
    return false;
  }
  return true;
}

http::response daytona_cloud::refusal(std::uint16_t status, const http::request& request) const {
  auto path = request.target.substr(0, request.target.find('?'));
  if (path.starts_with("/toolbox/"))
    return response_of(status, {{"statusCode", status},
                                {"message", usual_message(status)},
                                {"code", daytona_error_code(status)},
                                {"timestamp", iso_time(wall_ms())},
                                {"path", path},
                                {"method", http::name_of(request.verb)}});
  return response_of(status, {{"path", request.target},
                              {"timestamp", iso_time(wall_ms())},
                              {"statusCode", status},
                              {"error", phrase(status)},
                              {"message", usual_message(status)}});
}

/// The header is named after the limit that was met; there is no plain Retry-After.
http::response daytona_cloud::throttled(std::int64_t seconds, const http::request& request) const {
  auto r = refusal(429, request);
  std::string which{throttler_of(request)};
  r.headers.emplace_back("X-RateLimit-Limit-" + which, "300");
  r.headers.emplace_back("X-RateLimit-Remaining-" + which, "0");
  r.headers.emplace_back("X-RateLimit-Reset-" + which, std::to_string(seconds));
  r.headers.emplace_back("Retry-After-" + which, std::to_string(seconds));
  return r;
}

void daytona_cloud::refuse(const call_ref& c, std::uint16_t status, std::string_view message) const {
  c->answer(status, {{"path", c->request.target},
                     {"timestamp", iso_time(wall_ms())},
                     {"statusCode", status},
                     {"error", phrase(status)},
                     {"message", message}});
}

std::int64_t daytona_cloud::wall_ms() const {
  return options_.epoch_ms + world_.time.now().us / 1'000;
}

json daytona_cloud::list_item(const daytona_sandbox& s) const {
  json o{{"id", s.id},
         {"organizationId", organization},
         {"name", s.name},
         {"target", s.target},
         {"user", s.user},
         {"cpu", s.cpu},
         {"gpu", s.gpu},
         {"memory", s.memory},
         {"disk", s.disk},
         {"public", s.open},
         {"labels", object_of(s.labels)},
         {"state", s.state},
         {"desiredState", s.desired},
         {"autoStopInterval", s.auto_stop},
         {"autoArchiveInterval", s.auto_archive},
         {"autoDeleteInterval", s.auto_delete},
         {"backupState", "None"},
         {"recoverable", false},
         {"sandboxClass", "container"},
         {"createdAt", iso_time(s.created_ms)},
         {"updatedAt", iso_time(s.updated_ms)},
         {"lastActivityAt", iso_time(s.active_ms)},
         {"daemonVersion", "v0.190.0"},
         {"runnerId", "runner-0"},
         {"toolboxProxyUrl", options_.base + "/toolbox"}};
  if (!s.snapshot.empty())
    o["snapshot"] = s.snapshot;
  if (!s.error_reason.empty())
    o["errorReason"] = s.error_reason;
  return o;
}

json daytona_cloud::dto(const daytona_sandbox& s) const {
  auto o = list_item(s);
  o["env"] = object_of(s.env);
  o["volumes"] = s.volumes;
  o["networkBlockAll"] = s.network_blocked;
  if (!s.build_info.is_null())
    o["buildInfo"] = s.build_info;
  if (!s.network_allow.is_null())
    o["networkAllowList"] = s.network_allow;
  if (!s.domain_allow.is_null())
    o["domainAllowList"] = s.domain_allow;
  return o;
}

daytona_sandbox* daytona_cloud::by_id(const std::string& id) {
  auto at = sandboxes_.find(id);
  return at == sandboxes_.end() ? nullptr : &at->second;
}

daytona_sandbox* daytona_cloud::find(std::string_view id_or_name) {
  if (auto* s = by_id(std::string{id_or_name}))
    return s;
  for (auto& [id, s] : sandboxes_)
    if (s.name == id_or_name && !s.name_freed)
      return &s;
  return nullptr;
}

daytona_sandbox* daytona_cloud::wanted(const call_ref& c) {
  auto* s = find(c->args.front());
  if (!s)
    refuse(c, 404, "Sandbox with ID or name " + c->args.front() + " not found");
  return s;
}

std::vector<rented> daytona_cloud::truth() const {
  std::vector<rented> all;
  for (const auto& [id, s] : sandboxes_)
    all.push_back({s.id, s.name, s.state, s.labels, s.created_ms});
  return all;
}

void daytona_cloud::current_key(const call_ref& c) {
  bool weak = c->header("Authorization") != "Bearer " + options_.key;
  auto permissions = weak ? json::array({"read:volumes"})
                          : json::array({"write:sandboxes", "delete:sandboxes", "write:snapshots", "read:volumes"});
  c->answer(200, {{"name", weak ? "weak" : "main"},
                  {"value", "dtn_" + std::string(20, '*') + options_.key.substr(options_.key.size() - 3)},
                  {"createdAt", iso_time(options_.epoch_ms)},
                  {"permissions", permissions},
                  {"lastUsedAt", iso_time(wall_ms())},
                  {"expiresAt", nullptr},
                  {"userId", "user-1"}});
}

std::optional<std::string> daytona_cloud::objection(const json& body, const daytona_sandbox& s) const {
  bool sized = body.contains("cpu") || body.contains("memory") || body.contains("disk") || body.contains("gpu");
  if (s.build_info.is_null() && sized)
    return "Cannot specify Sandbox resources when using a snapshot";
  if (!s.build_info.is_null() && body.contains("snapshot"))
    return "Cannot use a snapshot when specifying build info entries";
  if (!image_exists(s.snapshot))
    return "Snapshot " + s.snapshot + " not found. Did you add it through the Daytona Dashboard?";
  if (options_.sandboxes_max > 0 && sandboxes_.size() >= options_.sandboxes_max)
    return "Total CPU limit exceeded. Maximum allowed: " + std::to_string(options_.sandboxes_max) + ".";
  return std::nullopt;
}

void daytona_cloud::create(const call_ref& c) {
  auto body = c->object();
  if (!body)
    return c->answer(400, {{"message", "Unexpected token in JSON"}, {"error", "Bad Request"}, {"statusCode", 400}});
  if (!creates_.take(world_.time.now()))
    return c->answer(throttled(creates_.seconds_left(world_.time.now()), c->request));
  daytona_sandbox s;
  s.id = uuid(seed_);
  s.name = text_at(*body, "name").empty() ? s.id : text_at(*body, "name");
  if (body->contains("buildInfo"))
    s.build_info = (*body)["buildInfo"];
  else
    s.snapshot = text_at(*body, "snapshot").empty() ? "daytona-small" : text_at(*body, "snapshot");
  if (auto why = objection(*body, s))
    return refuse(c, 400, *why);
  if (auto* other = find(s.name); other && !other->name_freed)
    return refuse(c, 409, "Sandbox with name " + s.name + " already exists");
  s.target = text_at(*body, "target").empty() ? "us" : text_at(*body, "target");
  s.user = text_at(*body, "user").empty() ? "daytona" : text_at(*body, "user");
  s.env = variables_at(*body, "env");
  s.labels = variables_at(*body, "labels");
  s.open = flag_at(*body, "public", false);
  s.network_blocked = flag_at(*body, "networkBlockAll", false);
  s.cpu = number_at(*body, "cpu", 1);
  s.memory = number_at(*body, "memory", 1);
  s.disk = number_at(*body, "disk", 3);
  s.auto_stop = number_at(*body, "autoStopInterval", 15);
  s.auto_archive = number_at(*body, "autoArchiveInterval", 10'080);
  s.auto_delete = number_at(*body, "autoDeleteInterval", -1);
  s.created_ms = s.updated_ms = s.active_ms = wall_ms();
  s.active = world_.time.now();
  s.listed_from = s.active + c->ill.unlisted;
  s.preview_token = hex_id(seed_, 32);
  s.ill = c->ill;
  auto& kept = sandboxes_[s.id] = std::move(s);
  if (auto ttl = number_at(*body, "ttlMinutes", 0); ttl > 0)
    world_.time.after(std::chrono::minutes{ttl}, [this, id = kept.id] {
      if (auto* expired = by_id(id))
        take_down(*expired);
    });
  boot(kept);
  // A snapshot's create is held until it started, and then answered with what was true before the wait.
  if (kept.build_info.is_null())
    answer_when_settled(c, kept, dto(kept));
  else
    c->answer(200, dto(kept));
}

std::optional<std::vector<const daytona_sandbox*>> daytona_cloud::listed(const call_ref& c) const {
  variables labels;
  if (auto text = c->parameter("labels")) {
    auto parsed = json::parse(*text, nullptr, false);
    if (!parsed.is_object())
      return std::nullopt;
    labels = variables_at(json{{"labels", parsed}}, "labels");
  }
  auto states = c->parameters("states");
  auto id = c->parameter("id").value_or("");
  auto name = c->parameter("name").value_or("");
  std::vector<const daytona_sandbox*> found;
  for (const auto& [key, s] : sandboxes_)
    if (s.listed_from <= world_.time.now() && carries(s.labels, labels) && begins_like(s.id, id) &&
        begins_like(s.name, name) && (states.empty() || std::ranges::find(states, s.state) != states.end()))
      found.push_back(&s);
  bool ascending = c->parameter("order").value_or("desc") == "asc";
  std::ranges::stable_sort(found, [&](const auto* a, const auto* b) {
    return ascending ? std::tie(a->created_ms, a->id) < std::tie(b->created_ms, b->id)
                     : std::tie(b->created_ms, b->id) < std::tie(a->created_ms, a->id);
  });
  return found;
}

void daytona_cloud::list(const call_ref& c) {
  auto all = listed(c);
  if (!all)
    return refuse(c, 400, "Invalid labels JSON format");
  auto limit = std::atoll(c->parameter("limit").value_or(std::to_string(per_page)).c_str());
  if (limit < 1 || limit > per_page_max)
    return refuse(c, 400, "limit must not be greater than 200");
  // The cursor names the last one shown, so that a page is right although others came or went meanwhile.
  auto from = all->begin();
  if (auto cursor = c->parameter("cursor")) {
    auto last = base64_decoded(*cursor).value_or("");
    from = std::ranges::find_if(*all, [&](const auto* s) { return s->id == last; });
    if (from == all->end())
      return refuse(c, 400, "Invalid cursor");
    ++from;
  }
  auto items = json::array();
  auto at = from;
  for (; at != all->end() && std::ssize(items) < limit; ++at)
    items.push_back(list_item(**at));
  json next = at == all->end() ? json{} : json(base64((*std::prev(at))->id));
  c->answer(200, {{"items", items}, {"nextCursor", next}});
}

void daytona_cloud::list_pages(const call_ref& c) {
  auto all = listed(c);
  if (!all)
    return refuse(c, 400, "Invalid labels JSON format");
  auto page = std::max<std::int64_t>(1, std::atoll(c->parameter("page").value_or("1").c_str()));
  auto limit = std::clamp<std::int64_t>(std::atoll(c->parameter("limit").value_or("100").c_str()), 1, per_page_max);
  auto items = json::array();
  for (auto i = (page - 1) * limit; i < std::min<std::int64_t>(page * limit, std::ssize(*all)); ++i)
    items.push_back(dto(*(*all)[static_cast<std::size_t>(i)]));
  c->answer(
    200,
    {{"items", items}, {"total", all->size()}, {"page", page}, {"totalPages", (std::ssize(*all) + limit - 1) / limit}});
}

void daytona_cloud::get(const call_ref& c) {
  if (auto* s = wanted(c))
    c->answer(200, dto(*s));
}

void daytona_cloud::set_labels(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s)
    return;
  if (!body || !body->contains("labels"))
    return refuse(c, 400, "labels must be an object");
  s->labels = variables_at(*body, "labels");
  c->answer(200, dto(*s));
}

void daytona_cloud::set_timer(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  const auto& which = c->args[1];
  auto minutes = std::atoll(c->args[2].c_str());
  if (which == "autostop")
    s->auto_stop = minutes;
  else if (which == "autoarchive")
    s->auto_archive = minutes;
  else if (which == "autodelete")
    s->auto_delete = minutes;
  else
    return refuse(c, 404, "Cannot POST " + c->path);
  watch_idleness(s->id);
  c->answer(201, dto(*s));
}

void daytona_cloud::set_public(const call_ref& c) {
  if (auto* s = wanted(c)) {
    s->open = c->args[1] == "true";
    c->answer(201, dto(*s));
  }
}

void daytona_cloud::set_network(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s || !body)
    return;
  s->network_blocked = flag_at(*body, "networkBlockAll", s->network_blocked);
  s->network_allow = body->value("networkAllowList", s->network_allow);
  s->domain_allow = body->value("domainAllowList", s->domain_allow);
  c->answer(200, dto(*s));
}

void daytona_cloud::build_logs(const call_ref& c) {
  if (auto* s = wanted(c))
    c->answer(200, {{"url", options_.base + "/build-logs/" + s->id}});
}

void daytona_cloud::toolbox_url(const call_ref& c) {
  if (wanted(c))
    c->answer(200, {{"url", options_.base + "/toolbox"}});
}

void daytona_cloud::last_activity(const call_ref& c) {
  if (auto* s = wanted(c)) {
    touch(*s);
    c->answer(201);
  }
}

std::unique_ptr<cloud> make_daytona_cloud(cloud_options options, cloud_world world) {
  return std::make_unique<daytona_cloud>(std::move(options), world);
}

} // namespace nestor::emulator
