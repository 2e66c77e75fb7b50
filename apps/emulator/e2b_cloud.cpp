// The control plane: who may ask, what is rented, for how long.
#include <emulator/internal/e2b_cloud.hpp>

#include <algorithm>
#include <cctype>

namespace nestor::emulator {
namespace {

constexpr std::int64_t first_ttl_v1 = 15;
constexpr std::int64_t first_ttl_v2 = 300;
constexpr std::int64_t ttl_max = 86'400;
constexpr std::int64_t refresh_max = 3'600;
constexpr std::int64_t per_page_max = 100;
constexpr milliseconds placement_max{70'000}; // the server's own deadline

bool hexadecimal(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char ch) { return std::isxdigit(ch) != 0; });
}

/// A good key of a team that is blocked: it may look and kill, but not create.
std::string blocked_key(const std::string& key) {
  return key.substr(0, key.size() - std::min<std::size_t>(8, key.size())) + "deadbeef";
}

/// Three levels of percent signs are on the wire: this value, the whole string in it, each name and value in that.
variables metadata_filter(const call& c) {
  variables pairs;
  auto text = percent_decoded(c.parameter("metadata").value_or(""));
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('&', at), text.size());
    auto pair = text.substr(at, end - at);
    auto equals = pair.find('=');
    if (equals != std::string::npos)
      pairs.emplace_back(percent_decoded(pair.substr(0, equals)), percent_decoded(pair.substr(equals + 1)));
    at = end + 1;
  }
  return pairs;
}

std::string_view usual_message(std::uint16_t status) {
  switch (status) {
    case 400: return "Bad request";
    case 403: return "team is blocked";
    case 404: return "Sandbox doesn't exist or you don't have access to it";
    case 409: return "Sandbox is changing its state";
    case 500: return "Error killing sandbox";
    case 503: return "Failed to place sandbox: not enough capacity, please retry";
    case 504: return "Failed to place sandbox: placement timed out, please retry";
    default: return "The request could not be carried out";
  }
}

} // namespace

e2b_cloud::e2b_cloud(cloud_options options, cloud_world world)
    : options_(std::move(options)), world_(world), seed_(options_.seed), creates_(options_.creates_per_second, 1s) {}

const std::vector<cloud_route<e2b_cloud>>& e2b_cloud::routes() {
  using http::method;
  using e = e2b_cloud;
  static const std::vector<cloud_route<e>> table{
    {method::post, "/sandboxes", &e::create_v1},
    {method::post, "/v2/sandboxes", &e::create_v2},
    {method::get, "/sandboxes", &e::list_v1},
    {method::get, "/v2/sandboxes", &e::list_v2},
    {method::get, "/sandboxes/{}", &e::get},
    {method::del, "/sandboxes/{}", &e::kill},
    {method::post, "/sandboxes/{}/timeout", &e::set_timeout},
    {method::post, "/sandboxes/{}/refreshes", &e::refresh},
    {method::post, "/sandboxes/{}/pause", &e::pause},
    {method::post, "/sandboxes/{}/connect", &e::connect_v1},
    {method::post, "/v2/sandboxes/{}/connect", &e::connect_v2},
    {method::post, "/sandboxes/{}/resume", &e::resume},
    {method::put, "/sandboxes/{}/network", &e::set_network},
  };
  return table;
}

void e2b_cloud::serve(const http::request& request, const affliction& ill, caller back) {
  auto c = take_call(request, ill, std::move(back));
  if (serve_inside(c))
    return;
  if (c->path == "/health")
    return c->answer(200);
  if (admitted(c) && !dispatch(*this, std::span{routes()}, c))
    refuse(c, 404, "validation error: no matching operation was found");
}

bool e2b_cloud::admitted(const call_ref& c) {
  auto key = c->header("X-API-Key");
  constexpr std::string_view intro =
    "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.\n";
  if (!c->has_header("X-API-Key"))
    return refuse(c, 401, "authorization header is missing"), false;
  if (!key.starts_with("e2b_"))
    return refuse(c, 401, "authorization header is malformed"), false;
  if (!hexadecimal(std::string_view{key}.substr(4)))
    return refuse(c, 401, std::string{intro} + "Invalid API key format"), false;
  bool blocked = key == blocked_key(options_.key);
  if (key != options_.key && !blocked)
    return refuse(c, 401, std::string{intro} + "Cannot get the team for the given API key"), false;
  if (blocked && c->request.verb == http::method::post)
    return refuse(c, 403, "team is blocked"), false;
  return true;
}

void e2b_cloud::refuse(const call_ref& c, std::uint16_t status, std::string_view message) const {
  c->answer(status, {{"code", status}, {"message", message}});
}

http::response e2b_cloud::refusal(std::uint16_t status, const http::request&) const {
  json body{{"code", status}, {"message", usual_message(status)}};
  if (status == 401)
    body["message"] = "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.\n"
                      "Cannot get the team for the given API key";
  if (status == 429) // the limit of sandboxes at a time: it says no time to wait
    body["message"] = "you have reached the maximum number of concurrent E2B sandboxes (20)";
  if (status >= 500)
    body["error_code"] = status == 503   ? "sandbox_capacity_unavailable"
                         : status == 504 ? "sandbox_placement_timeout"
                                         : "internal_server_error";
  return response_of(status, body);
}

http::response e2b_cloud::throttled(std::int64_t seconds, const http::request&) const {
  auto r = response_of(429, {{"code", 429}, {"message", "Rate limit exceeded"}});
  r.headers.emplace_back("RateLimit-Limit", "5");
  r.headers.emplace_back("RateLimit-Remaining", "0");
  r.headers.emplace_back("RateLimit-Reset", std::to_string(seconds));
  r.headers.emplace_back("Retry-After", std::to_string(seconds));
  return r;
}

std::int64_t e2b_cloud::wall_ms(instant at) const {
  return options_.epoch_ms + at.us / 1'000;
}
std::int64_t e2b_cloud::wall_ms() const {
  return wall_ms(world_.time.now());
}

json e2b_cloud::rented_view(const e2b_sandbox& s) const {
  auto text = [](const std::string& value) { return value.empty() ? json{} : json(value); };
  json o{{"templateID", s.image},
         {"sandboxID", s.id},
         {"clientID", s.client_id},
         {"alias", s.image},
         {"envdVersion", "0.6.13"}};
  if (!s.access_token.empty())
    o["envdAccessToken"] = s.access_token;
  o["trafficAccessToken"] = text(s.traffic_token);
  o["domain"] = text(options_.domain);
  return o;
}

json e2b_cloud::listed_view(const e2b_sandbox& s) const {
  return {{"templateID", s.image},
          {"alias", s.image},
          {"sandboxID", s.id},
          {"clientID", s.client_id},
          {"startedAt", iso_time(s.started_ms)},
          {"endAt", iso_time(wall_ms(s.ends))},
          {"cpuCount", 2},
          {"memoryMB", 512},
          {"diskSizeMB", 1024},
          {"metadata", object_of(s.metadata)},
          {"state", s.state},
          {"envdVersion", "0.6.13"},
          {"volumeMounts", json::array()}};
}

json e2b_cloud::detail_view(const e2b_sandbox& s) const {
  auto o = listed_view(s);
  if (!s.access_token.empty())
    o["envdAccessToken"] = s.access_token;
  o["domain"] = options_.domain.empty() ? json{} : json(options_.domain);
  o["allowInternetAccess"] = s.internet;
  if (!s.network.is_null())
    o["network"] = s.network;
  o["lifecycle"] = {{"autoResume", s.resumes}, {"onTimeout", s.paused_by_ttl ? "pause" : "kill"}};
  return o;
}

/// Also the older form `ID-CLIENTID`.
e2b_sandbox* e2b_cloud::find(const std::string& id) {
  auto at = sandboxes_.find(id.substr(0, id.find('-')));
  return at == sandboxes_.end() || at->second.state == "starting" ? nullptr : &at->second;
}

e2b_sandbox* e2b_cloud::wanted(const call_ref& c) {
  const auto& id = c->args.front();
  bool legal =
    std::ranges::all_of(id, [](unsigned char ch) { return std::islower(ch) || std::isdigit(ch) || ch == '-'; });
  if (!legal)
    return refuse(c, 400, "Invalid sandbox ID"), nullptr;
  auto* s = find(id);
  if (!s)
    refuse(c, 404, "Sandbox \"" + id + "\" doesn't exist or you don't have access to it");
  return s;
}

std::vector<rented> e2b_cloud::truth() const {
  std::vector<rented> all;
  for (const auto& [id, s] : sandboxes_)
    all.push_back({s.id, "", s.state, s.metadata, s.started_ms});
  return all;
}

void e2b_cloud::create_v1(const call_ref& c) {
  create(c, false);
}
void e2b_cloud::create_v2(const call_ref& c) {
  create(c, true);
}

void e2b_cloud::create(const call_ref& c, bool second) {
  auto body = c->object();
  auto image = body ? text_at(*body, "templateID") : std::string{};
  auto ttl = body ? number_at(*body, "timeout", second ? first_ttl_v2 : first_ttl_v1) : 0;
  if (image.empty() || ttl < 0)
    return refuse(c, 400, "validation error: error in openapi3filter.RequestError: request body has an error");
  if (!creates_.take(world_.time.now()))
    return c->answer(throttled(creates_.seconds_left(world_.time.now()), c->request));
  if (options_.sandboxes_max > 0 && sandboxes_.size() >= options_.sandboxes_max)
    return refuse(c, 429,
                  "you have reached the maximum number of concurrent E2B sandboxes (" +
                    std::to_string(options_.sandboxes_max) + "), please contact support");
  if (!image_exists(image))
    return refuse(c, 404, "template '" + image + "' not found");
  if (ttl > ttl_max)
    return refuse(c, 400, "Timeout cannot be greater than 24 hours");
  e2b_sandbox s;
  s.network = body->contains("network") ? (*body)["network"] : json{};
  s.open_traffic = !s.network.is_object() || flag_at(s.network, "allowPublicTraffic", true);
  bool secure = second || flag_at(*body, "secure", false);
  if (!s.open_traffic && !secure)
    return refuse(c, 400, "You cannot create a sandbox without public access unless you enable secure envd access");
  s.id = "i" + word_id(seed_, 20);
  s.client_id = hex_id(seed_, 8);
  s.image = image;
  s.metadata = variables_at(*body, "metadata");
  s.env = variables_at(*body, "envVars");
  s.internet = flag_at(*body, "allow_internet_access", true);
  s.paused_by_ttl = flag_at(*body, "autoPause", false);
  s.resumes = body->contains("autoResume") && flag_at((*body)["autoResume"], "enabled", false);
  if (secure)
    s.access_token = "ea_" + hex_id(seed_, 32);
  if (!s.open_traffic)
    s.traffic_token = "ta_" + hex_id(seed_, 32);
  s.started_ms = wall_ms();
  s.listed_from = world_.time.now() + c->ill.unlisted;
  s.ends = world_.time.now() + std::chrono::seconds{ttl};
  s.ill = c->ill;
  auto id = s.id;
  sandboxes_[id] = std::move(s);
  // 201 means that it runs and envd answers; so it is held until then, or until the server's own deadline.
  if (c->ill.never_ready)
    return world_.time.after(placement_max, [this, c, id] {
      discard(id);
      c->answer(refusal(504, c->request));
    });
  world_.time.after(options_.boots_in + c->ill.boots_late, [this, c, id] {
    if (c->ill.fails)
      return placed(c, id, "boot");
    auto& starting = sandboxes_.at(id);
    world_.inside.boot({.id = id, .env = starting.env, .serves = false},
                       [this, c, id](const std::optional<std::string>& trouble) { placed(c, id, trouble); });
  });
}

void e2b_cloud::placed(const call_ref& c, const std::string& id, const std::optional<std::string>& trouble) {
  auto at = sandboxes_.find(id);
  if (trouble || at == sandboxes_.end()) {
    discard(id);
    return c->answer(500,
                     {{"code", 500}, {"message", "Failed to place sandbox"}, {"error_code", "sandbox_create_failed"}});
  }
  at->second.state = "running";
  lease_until(at->second, at->second.ends);
  c->answer(201, rented_view(at->second));
}

void e2b_cloud::discard(const std::string& id) {
  auto at = sandboxes_.find(id);
  if (at == sandboxes_.end())
    return;
  auto gone = std::move(at->second);
  sandboxes_.erase(at);
  world_.inside.discard(id);
  for (auto& [pid, p] : gone.processes) // whoever listened hears no more
    for (const auto& stream : p.streams)
      stream->end();
}

void e2b_cloud::lease_until(e2b_sandbox& s, instant until) {
  s.ends = until;
  auto left = std::max(until - world_.time.now(), microseconds{0});
  world_.time.after(std::chrono::duration_cast<milliseconds>(left), [this, id = s.id, lease = ++s.lease] {
    auto at = sandboxes_.find(id);
    if (at == sandboxes_.end() || at->second.lease != lease || at->second.state != "running")
      return;
    if (!at->second.paused_by_ttl)
      return discard(id);
    world_.inside.freeze(id);
    at->second.state = "paused";
  });
}

std::vector<const e2b_sandbox*> e2b_cloud::listed(const call_ref& c, const std::set<std::string>& states) const {
  auto wanted_pairs = metadata_filter(*c);
  auto image = c->parameter("template").value_or("");
  std::vector<const e2b_sandbox*> found;
  for (const auto& [id, s] : sandboxes_) {
    bool fits_all = std::ranges::all_of(
      wanted_pairs, [&](const auto& p) { return std::ranges::find(s.metadata, p) != s.metadata.end(); });
    if (fits_all && states.contains(s.state) && s.listed_from <= world_.time.now() &&
        (image.empty() || image == s.image))
      found.push_back(&s);
  }
  bool ascending = c->parameter("order").value_or("desc") == "asc";
  std::ranges::stable_sort(found, [&](const auto* a, const auto* b) {
    return ascending ? std::tie(a->started_ms, a->id) < std::tie(b->started_ms, b->id)
                     : std::tie(b->started_ms, b->id) < std::tie(a->started_ms, a->id);
  });
  return found;
}

void e2b_cloud::list_v1(const call_ref& c) {
  auto all = json::array();
  for (const auto* s : listed(c, {"running"}))
    all.push_back(listed_view(*s));
  c->answer(200, all);
}

void e2b_cloud::list_v2(const call_ref& c) {
  auto state = c->parameter("state").value_or("running,paused");
  std::set<std::string> states;
  for (std::string one : {"running", "paused"})
    if (state.find(one) != std::string::npos)
      states.insert(one);
  auto limit = std::atoll(c->parameter("limit").value_or("100").c_str());
  if (limit < 1 || limit > per_page_max)
    return refuse(c, 400, "validation error: parameter \"limit\" in query has an error: number must be at most 100");
  auto all = listed(c, states);
  auto at = all.begin();
  if (auto token = c->parameter("nextToken")) {
    auto last = base64_decoded(*token).value_or("");
    at = std::ranges::find_if(all, [&](const auto* s) { return s->id == last; });
    if (at == all.end())
      return refuse(c, 400, "Invalid next token");
    ++at;
  }
  auto page = json::array();
  for (; at != all.end() && std::ssize(page) < limit; ++at)
    page.push_back(listed_view(**at));
  auto r = response_of(200, page);
  auto running = std::ranges::count_if(all, [](const auto* s) { return s->state == "running"; });
  r.headers.emplace_back("X-Total-Running", std::to_string(running));
  if (at != all.end())
    r.headers.emplace_back("X-Next-Token", base64((*std::prev(at))->id));
  c->answer(std::move(r));
}

void e2b_cloud::get(const call_ref& c) {
  if (auto* s = wanted(c))
    c->answer(200, detail_view(*s));
}

void e2b_cloud::kill(const call_ref& c) {
  if (auto* s = wanted(c)) {
    discard(std::string{s->id});
    c->answer(204);
  }
}

void e2b_cloud::set_timeout(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s)
    return;
  auto seconds = body ? number_at(*body, "timeout", -1) : -1;
  if (seconds < 0)
    return refuse(c, 400, "validation error: error in openapi3filter.RequestError: request body has an error");
  if (s->state != "running")
    return refuse(c, 404, "Sandbox \"" + s->id + "\" doesn't exist or you don't have access to it");
  if (seconds > ttl_max)
    return refuse(c, 400, "Max instance length exceeded");
  lease_until(*s, world_.time.now() + std::chrono::seconds{seconds});
  c->answer(204);
}

void e2b_cloud::refresh(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s || !body)
    return;
  auto seconds = std::clamp<std::int64_t>(number_at(*body, "duration", 0), 0, refresh_max);
  lease_until(*s, std::max(s->ends, world_.time.now() + std::chrono::seconds{seconds}));
  c->answer(204);
}

void e2b_cloud::pause(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  if (s->state == "paused")
    return refuse(c, 409, "Error pausing sandbox - sandbox '" + s->id + "' is already paused");
  if (std::exchange(s->changing, true))
    return refuse(c, 409, "Sandbox is changing its state");
  world_.time.after(options_.stops_in, [this, c, id = s->id] {
    auto* now = find(id);
    if (!now)
      return refuse(c, 404, "Sandbox \"" + id + "\" doesn't exist or you don't have access to it");
    world_.inside.freeze(id);
    now->changing = false;
    now->state = "paused";
    ++now->lease; // a paused one lives on until it is killed
    c->answer(204);
  });
}

void e2b_cloud::connect_v1(const call_ref& c) {
  connect(c, false);
}
void e2b_cloud::connect_v2(const call_ref& c) {
  connect(c, true);
}

void e2b_cloud::connect(const call_ref& c, bool second) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s)
    return;
  auto seconds = body ? number_at(*body, "timeout", second ? first_ttl_v2 : -1) : -1;
  if (seconds < 0)
    return refuse(c, 400, "validation error: error in openapi3filter.RequestError: request body has an error");
  if (s->state == "paused")
    return wake(c, *s, seconds);
  lease_until(*s, std::max(s->ends, world_.time.now() + std::chrono::seconds{seconds}));
  c->answer(200, rented_view(*s));
}

void e2b_cloud::resume(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s)
    return;
  if (s->state != "paused")
    return refuse(c, 409, "Sandbox " + s->id + " is already running");
  wake(c, *s, body ? number_at(*body, "timeout", first_ttl_v1) : first_ttl_v1);
}

void e2b_cloud::wake(const call_ref& c, e2b_sandbox& s, std::int64_t seconds) {
  if (std::exchange(s.changing, true))
    return refuse(c, 409, "Sandbox is changing its state");
  world_.time.after(options_.stops_in, [this, c, id = s.id, seconds] {
    auto* now = find(id);
    if (!now)
      return refuse(c, 404, "Sandbox \"" + id + "\" doesn't exist or you don't have access to it");
    world_.inside.thaw(id);
    now->changing = false;
    now->state = "running";
    lease_until(*now, world_.time.now() + std::chrono::seconds{seconds});
    c->answer(201, rented_view(*now));
  });
}

void e2b_cloud::set_network(const call_ref& c) {
  auto* s = wanted(c);
  auto body = c->object();
  if (!s || !body)
    return;
  s->network = *body;
  c->answer(204);
}

std::unique_ptr<cloud> make_e2b_cloud(cloud_options options, cloud_world world) {
  return std::make_unique<e2b_cloud>(std::move(options), world);
}

} // namespace nestor::emulator
