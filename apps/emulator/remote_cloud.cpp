// The runtime API that remote runtimes are rented from. The service itself is closed: this is what its clients read,
// and where they do not say, what is hardest on them: a second /start for one of its own names starts a second runtime,
// and a pause ends its processes. Addresses are paths below ours, so that no name has to be looked up.
#include <emulator/internal/call.hpp>

#include <algorithm>
#include <map>

namespace nestor::emulator {
namespace {

struct remote_runtime {
  std::string id, remote_session, session_key, image, status = "starting", pod_status = "pending";
  machine_order order;
  std::int64_t created_ms = 0, restarts = 0;
  affliction ill;
};

class remote_cloud final : public cloud {
public:
  remote_cloud(cloud_options options, cloud_world world)
      : options_(std::move(options)), world_(world), seed_(options_.seed), creates_(options_.creates_per_second, 1s) {}

  void serve(const http::request& request, const affliction& ill, caller back) override;
  [[nodiscard]] std::vector<rented> truth() const override;
  [[nodiscard]] http::response refusal(std::uint16_t status, const http::request& request) const override;
  [[nodiscard]] http::response throttled(std::int64_t seconds, const http::request& request) const override;

private:
  static const std::vector<cloud_route<remote_cloud>>& routes();
  void refuse(const call_ref& c, std::uint16_t status, std::string_view detail) const {
    c->answer(status, {{"detail", detail}});
  }
  remote_runtime* find(const std::string& id) {
    auto at = runtimes_.find(id);
    return at == runtimes_.end() ? nullptr : &at->second;
  }
  remote_runtime* named(const call_ref& c);
  [[nodiscard]] json view(const remote_runtime& r) const;
  void boot(remote_runtime& r);
  void start(const call_ref& c);
  void pause(const call_ref& c);
  void resume(const call_ref& c);
  void stop(const call_ref& c);
  void of_session(const call_ref& c);
  void of_sessions(const call_ref& c);
  void runtime(const call_ref& c);
  void list(const call_ref& c);
  void registry_prefix(const call_ref& c) { c->answer(200, {{"registry_prefix", "registry.emulated/runtimes"}}); }
  void image(const call_ref& c) {
    auto name = c->parameter("image").value_or("");
    c->answer(200, {{"exists", image_exists(name)}, {"image", {{"image_name", name}}}});
  }
  void inside(const call_ref& c);

  cloud_options options_;
  cloud_world world_;
  std::uint64_t seed_;
  rate_window creates_;
  std::map<std::string, remote_runtime> runtimes_;
  std::map<std::string, std::string> latest_; ///< by its client's name: the runtime that was started last
};

const std::vector<cloud_route<remote_cloud>>& remote_cloud::routes() {
  using http::method;
  using r = remote_cloud;
  static const std::vector<cloud_route<r>> table{
    {method::post, "/start", &r::start},
    {method::post, "/pause", &r::pause},
    {method::post, "/resume", &r::resume},
    {method::post, "/stop", &r::stop},
    {method::get, "/sessions/batch", &r::of_sessions},
    {method::get, "/sessions/{}", &r::of_session},
    {method::get, "/runtime/{}", &r::runtime},
    {method::get, "/list", &r::list},
    {method::get, "/registry_prefix", &r::registry_prefix},
    {method::get, "/image_exists", &r::image},
  };
  return table;
}

void remote_cloud::serve(const http::request& request, const affliction& ill, caller back) {
  auto c = take_call(request, ill, std::move(back));
  if (fits("/runtimes/{}/{}/{*}", c->path, c->args))
    return inside(c);
  if (c->header("X-API-Key") != options_.key)
    return refuse(c, c->has_header("X-API-Key") ? 403 : 401,
                  c->has_header("X-API-Key") ? "Invalid API key" : "Not authenticated");
  if (!dispatch(*this, std::span{routes()}, c))
    refuse(c, 404, "Not Found");
}

http::response remote_cloud::refusal(std::uint16_t status, const http::request&) const {
  return response_of(status,
                     {{"detail", status == 404 ? "Runtime not found" : "The request could not be carried out"}});
}

http::response remote_cloud::throttled(std::int64_t seconds, const http::request&) const {
  auto r = response_of(429, {{"detail", "Too Many Requests"}});
  r.headers.emplace_back("Retry-After", std::to_string(seconds));
  return r;
}

std::vector<rented> remote_cloud::truth() const {
  std::vector<rented> all;
  for (const auto& [id, r] : runtimes_)
    all.push_back({r.id, r.remote_session, r.status, {}, r.created_ms});
  return all;
}

json remote_cloud::view(const remote_runtime& r) const {
  auto at = [&](int port) { return options_.base + "/runtimes/" + r.id + "/" + std::to_string(port); };
  return {{"runtime_id", r.id},
          {"status", r.status},
          {"pod_status", r.pod_status},
          {"url", at(usual_port)},
          {"session_api_key", r.session_key},
          {"work_hosts", {{at(12'000), 12'000}, {at(12'001), 12'001}}},
          {"restart_count", r.restarts},
          {"restart_reasons", json::array()}};
}

remote_runtime* remote_cloud::named(const call_ref& c) {
  auto body = c->object();
  auto* r = body ? find(text_at(*body, "runtime_id")) : nullptr;
  if (!r)
    refuse(c, 404, "Runtime not found");
  return r;
}

void remote_cloud::boot(remote_runtime& r) {
  world_.time.after(options_.boots_in + r.ill.boots_late, [this, id = r.id] {
    auto* now = find(id);
    if (!now || now->status != "starting" || now->ill.never_ready)
      return;
    auto came_up = [this, id](const std::optional<std::string>& trouble) {
      auto* then = find(id);
      if (!then || then->status != "starting")
        return;
      then->status = trouble ? "error" : "running";
      then->pod_status = trouble ? "failed" : "ready";
    };
    if (std::exchange(now->ill.fails, false))
      return came_up("it crashed");
    world_.inside.boot(now->order, came_up);
    world_.inside.watch(id, [this, id](int) {
      if (auto* then = find(id); then && then->status == "running")
        then->status = "error", then->pod_status = "crashloopbackoff";
    });
  });
}

void remote_cloud::start(const call_ref& c) {
  auto body = c->object();
  if (!body || text_at(*body, "image").empty() || text_at(*body, "session_id").empty())
    return c->answer(422, {{"detail", {{{"type", "missing"}, {"loc", {"body", "image"}}, {"msg", "Field required"}}}}});
  if (!creates_.take(world_.time.now()))
    return c->answer(throttled(creates_.seconds_left(world_.time.now()), c->request));
  if (options_.sandboxes_max > 0 && runtimes_.size() >= options_.sandboxes_max)
    return refuse(c, 429, "The limit of runtimes at a time is reached");
  if (!image_exists(text_at(*body, "image")))
    return refuse(c, 400, "Image not found");
  remote_runtime r;
  r.id = word_id(seed_, 16);
  r.remote_session = text_at(*body, "session_id");
  r.session_key = hex_id(seed_, 32);
  r.image = text_at(*body, "image");
  r.order.id = r.id;
  r.order.env = variables_at(*body, "environment");
  std::erase_if(r.order.env, [](const auto& e) { return e.first == "SESSION_API_KEY"; });
  r.order.env.emplace_back("SESSION_API_KEY", r.session_key); // the service's own; the client's is not asked
  r.order.serves = image_serves(r.image);
  if (body->contains("command") && (*body)["command"].is_array())
    for (const auto& word : (*body)["command"])
      r.order.argv.push_back(word.is_string() ? word.get<std::string>() : word.dump());
  else
    r.order.command = text_at(*body, "command");
  r.created_ms = options_.epoch_ms + world_.time.now().us / 1'000;
  r.ill = c->ill;
  latest_[r.remote_session] = r.id;
  auto& kept = runtimes_[r.id] = std::move(r);
  boot(kept);
  auto answer = view(kept);
  answer.erase("pod_status"); // it is in every answer but this one
  c->answer(200, answer);
}

void remote_cloud::pause(const call_ref& c) {
  auto* r = named(c);
  if (!r)
    return;
  world_.inside.stop(r->id);
  r->status = "paused";
  r->pod_status = "not found";
  c->answer(200, view(*r));
}

void remote_cloud::resume(const call_ref& c) {
  auto* r = named(c);
  if (!r)
    return;
  if (r->status == "paused") {
    r->status = "starting";
    r->pod_status = "pending";
    r->ill = c->ill;
    boot(*r);
  }
  c->answer(200, view(*r));
}

void remote_cloud::stop(const call_ref& c) {
  auto* r = named(c);
  if (!r)
    return;
  world_.inside.discard(r->id);
  std::erase_if(latest_, [&](const auto& e) { return e.second == r->id; });
  auto last = view(*r);
  runtimes_.erase(runtimes_.find(r->id));
  last["status"] = "stopped";
  c->answer(200, last);
}

void remote_cloud::of_session(const call_ref& c) {
  auto at = latest_.find(c->args.front());
  if (at == latest_.end())
    return refuse(c, 404, "Session not found");
  c->answer(200, view(runtimes_.at(at->second)));
}

void remote_cloud::of_sessions(const call_ref& c) {
  auto all = json::array();
  for (const auto& id : c->parameters("ids"))
    if (auto at = latest_.find(id); at != latest_.end()) {
      auto one = view(runtimes_.at(at->second));
      one["session_id"] = id;
      all.push_back(one);
    }
  c->answer(200, all);
}

void remote_cloud::runtime(const call_ref& c) {
  auto* r = find(c->args.front());
  r ? c->answer(200, view(*r)) : refuse(c, 404, "Runtime not found");
}

/// It may say running while the pod still starts.
void remote_cloud::list(const call_ref& c) {
  auto all = json::array();
  for (const auto& [id, r] : runtimes_) {
    auto one = view(r);
    one["session_id"] = r.remote_session;
    if (r.status == "starting")
      one["status"] = "running";
    all.push_back(one);
  }
  c->answer(200, {{"runtimes", all}, {"total", all.size()}});
}

void remote_cloud::inside(const call_ref& c) {
  auto* r = find(c->args[0]);
  if (!r || r->status == "paused")
    return refuse(c, r ? 503 : 404, r ? "Runtime is paused" : "Runtime not found");
  auto inner = inner_request(*c, {});
  inner.target = "/" + c->args[2] + (c->query.empty() ? "" : "?" + c->query);
  auto port = static_cast<std::uint16_t>(std::atoi(c->args[1].c_str()));
  world_.inside.forward(r->id, port, std::move(inner), [this, c](http_reply reply) {
    if (auto* answer = std::get_if<http::response>(&reply))
      return c->answer(std::move(*answer));
    refuse(c, 502, "Bad Gateway");
  });
}

} // namespace

std::unique_ptr<cloud> make_remote_cloud(cloud_options options, cloud_world world) {
  return std::make_unique<remote_cloud>(std::move(options), world);
}

} // namespace nestor::emulator
