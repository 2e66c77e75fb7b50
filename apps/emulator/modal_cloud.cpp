// Sandboxes: created, waited for, found, ended.
#include <emulator/internal/modal_cloud.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <array>
#include <cctype>

namespace nestor::emulator {
namespace {

constexpr std::size_t per_page = 3; // short, so that whoever takes a page for the list is found out
constexpr std::uint32_t usual_timeout_s = 300;
constexpr std::uint32_t timeout_most_s = 86'400;
constexpr std::string_view worker = "wo-00000000000000000000000000"; // one for all, for whom there is a certificate
constexpr std::size_t name_letters_max = 64;
constexpr milliseconds held_at_most{55'000};

enum : int { success = 1, failed = 2, terminated = 3, timed_out = 4, not_begun = 5 };

rpc code_of(std::uint16_t status) {
  switch (status) {
    case 400: return rpc::invalid_argument;
    case 401: return rpc::unauthenticated;
    case 403: return rpc::permission_denied;
    case 404: return rpc::not_found;
    case 408:
    case 504: return rpc::deadline_exceeded;
    case 409: return rpc::already_exists;
    case 429: return rpc::resource_exhausted;
    case 501: return rpc::unimplemented;
    case 502:
    case 503: return rpc::unavailable;
    default: return status >= 500 ? rpc::internal : rpc::failed_precondition;
  }
}

/// In HTTP's terms, for recordings and judges; on the wire it is 200.
std::uint16_t status_of(rpc code) {
  constexpr std::array<std::uint16_t, 17> statuses{200, 499, 500, 400, 504, 404, 409, 403, 429,
                                                   400, 409, 400, 501, 500, 503, 500, 401};
  return statuses.at(static_cast<std::size_t>(code));
}

bool good_name(const std::string& name) {
  return name.size() <= name_letters_max && std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

template <class Tags>
std::vector<std::pair<std::string, std::string>> pairs_of(const Tags& tags) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& each : tags)
    pairs.emplace_back(each.name(), each.value());
  return pairs;
}

void fill_tags(const modal_sandbox& s, google::protobuf::RepeatedPtrField<message::Tag>& into) {
  for (const auto& [name, value] : s.tags) {
    auto& tag = *into.Add();
    tag.set_name(name);
    tag.set_value(value);
  }
}

milliseconds seconds_of(float seconds) {
  auto told = std::chrono::ceil<milliseconds>(std::chrono::duration<float>{std::max(seconds, 0.0F)});
  return std::min(told, held_at_most);
}

} // namespace

http::response rpc_error(rpc code, std::string_view words) {
  http::response r;
  r.status = status_of(code);
  r.headers.emplace_back("grpc-status", std::to_string(static_cast<int>(code)));
  r.headers.emplace_back("grpc-message", words);
  return r;
}

std::string ulid(std::uint64_t& seed) {
  std::string id;
  while (id.size() < 26)
    id += "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[next_random(seed) % 32];
  return id;
}

modal_cloud::modal_cloud(cloud_options options, cloud_world world)
    : options_(std::move(options)), world_(world), seed_(options_.seed), creates_(options_.creates_per_second, 1s) {}

std::span<const modal_cloud::method> modal_cloud::methods() {
  using m = modal_cloud;
  static constexpr std::array table{
    method{"AuthTokenGet", &m::auth_token},
    method{"ClientHello", &m::hello},
    method{"AppGetOrCreate", &m::app},
    method{"EnvironmentGetOrCreate", &m::environment},
    method{"ImageGetOrCreate", &m::image},
    method{"ImageJoinStreaming", &m::join_image},
    method{"SandboxCreateV2", &m::create, true},
    method{"SandboxGetTaskIdV2", &m::task_id, true},
    method{"SandboxGetTunnelsV2", &m::tunnels, true},
    method{"SandboxWaitV2", &m::wait, true},
    method{"SandboxTerminateV2", &m::terminate, true},
    method{"SandboxGetFromNameV2", &m::from_name, true},
    method{"SandboxListV2", &m::list, true},
    method{"SandboxTagsSetV2", &m::set_tags, true},
    method{"SandboxTagsGetV2", &m::get_tags, true},
    method{"SandboxGetCommandRouterAccess", &m::router_access, true},
    // The older kind's: nothing here is of it.
    method{"SandboxGetTaskId", &m::older},
    method{"SandboxGetTunnels", &m::older},
    method{"SandboxWait", &m::older},
    method{"SandboxTerminate", &m::older},
    method{"SandboxGetFromName", &m::older},
    method{"SandboxTagsSet", &m::older},
    method{"SandboxTagsGet", &m::older},
    method{"TaskGetCommandRouterAccess", &m::older},
  };
  return table;
}

void modal_cloud::serve(const http::request& request, const affliction& ill, caller back) {
  constexpr std::string_view control = "/modal.client.ModalClient/";
  constexpr std::string_view router = "/modal.task_command_router.TaskCommandRouter/";
  auto c = take_call(request, ill, std::move(back));
  if (!c->header("content-type").starts_with("application/grpc"))
    return serve_tunnel(c);
  bool at_control = c->path.starts_with(control);
  auto table = at_control ? methods() : router_methods();
  auto name = std::string_view{c->path}.substr(std::min(c->path.size(), (at_control ? control : router).size()));
  auto found = std::ranges::find(table, name, &method::name);
  if ((!at_control && !c->path.starts_with(router)) || found == table.end())
    return refuse(c, rpc::unimplemented, "Method not found!");
  if (!at_control || admitted(c, *found))
    (this->*found->handle)(c);
}

void modal_cloud::answer(const call_ref& c, const google::protobuf::MessageLite& m) {
  http::response r;
  r.status = 200;
  r.headers.emplace_back("grpc-status", "0");
  auto bytes = m.SerializeAsString();
  r.body.assign(bytes.data(), bytes.size());
  c->answer(std::move(r));
}

void modal_cloud::refuse(const call_ref& c, rpc code, std::string_view words) {
  c->answer(rpc_error(code, words));
}

http::response modal_cloud::refusal(std::uint16_t status, const http::request&) const {
  return rpc_error(code_of(status), "The request could not be carried out");
}

/// The only sign of a throttle is the policy in the details.
http::response modal_cloud::throttled(std::int64_t seconds, const http::request&) const {
  message::RetryPolicy policy;
  policy.set_retry_after_secs(static_cast<float>(seconds));
  message::StatusDetails details;
  details.set_code(static_cast<int>(rpc::resource_exhausted));
  details.set_message("slow down");
  auto& detail = *details.add_details();
  detail.set_type_url("type.modal.com/modal.client.RPCRetryPolicy");
  detail.set_value(policy.SerializeAsString());
  auto r = rpc_error(rpc::resource_exhausted, "slow down");
  r.headers.emplace_back("grpc-status-details-bin", details.SerializeAsString());
  return r;
}

std::int64_t modal_cloud::wall_ms() const {
  return options_.epoch_ms + world_.time.now().us / 1'000;
}

std::vector<rented> modal_cloud::truth() const {
  std::vector<rented> all;
  for (const auto& [id, s] : sandboxes_)
    if (!s.over())
      all.push_back({id, s.name, s.running ? "running" : "starting", s.tags, s.created_ms});
  return all;
}

// -- looking ----------------------------------------------------------------------------------------

modal_sandbox* modal_cloud::find(const std::string& id) {
  auto at = sandboxes_.find(id);
  return at == sandboxes_.end() ? nullptr : &at->second;
}

modal_sandbox* modal_cloud::wanted(const call_ref& c, const std::string& id) {
  auto* s = find(id);
  if (!s)
    refuse(c, rpc::not_found, "Sandbox " + id + " not found");
  return s;
}

modal_sandbox* modal_cloud::named(const std::string& app, const std::string& name) {
  for (auto& [id, s] : sandboxes_)
    if (s.app == app && s.name == name && !name.empty() && !s.over())
      return &s;
  return nullptr;
}

void modal_cloud::hold(const std::string& id, milliseconds most, bool (*ready)(const modal_sandbox&),
                       std::function<void()> then) {
  auto over = std::make_shared<bool>(false);
  auto look = [this, id, ready, then, over](auto& self) -> void {
    auto* s = find(id);
    if (*over || !s)
      return;
    if (!ready(*s))
      return s->waiting.push_back([self]() mutable { self(self); });
    *over = true;
    then();
  };
  look(look);
  if (!*over)
    world_.time.after(most, [over, then] {
      if (!std::exchange(*over, true))
        then();
    });
}

void modal_cloud::fill_tunnels(const modal_sandbox& s,
                               google::protobuf::RepeatedPtrField<message::Tunnel>& into) const {
  constexpr std::uint32_t usual = 443;
  auto domain = options_.domain.empty() ? std::string{"modal.localhost"} : options_.domain;
  auto colon = std::min(domain.find(':'), domain.size());
  for (auto port : s.ports) {
    auto& tunnel = *into.Add();
    tunnel.set_host(s.task + "-" + std::to_string(port) + "." + s.worker + "." + domain.substr(0, colon));
    auto reached_at = colon < domain.size() ? static_cast<std::uint32_t>(std::atoi(domain.c_str() + colon + 1)) : usual;
    tunnel.set_port(reached_at);
    tunnel.set_container_port(port);
  }
}

void modal_cloud::fill_info(const modal_sandbox& s, message::Info& into) const {
  constexpr double thousandths = 1'000;
  into.set_id(s.id);
  into.set_created_at(static_cast<double>(s.created_ms) / thousandths);
  into.mutable_task_info()->set_id(s.task);
  *into.mutable_task_info()->mutable_result() = s.result;
  into.set_app_id(s.app);
  fill_tags(s, *into.mutable_tags());
  into.set_name(s.name);
  into.set_image_id(s.image);
  into.set_timeout_secs(s.timeout_secs);
  fill_tunnels(s, *into.mutable_tunnels());
}

void modal_cloud::list(const call_ref& c) {
  auto r = read<message::ListRequest>(c);
  if (!r)
    return;
  auto before_ms = r->before_timestamp() * 1'000;
  auto wanted_tags = pairs_of(r->tags());
  std::vector<const modal_sandbox*> found;
  for (const auto& [id, s] : sandboxes_) {
    bool tagged =
      std::ranges::all_of(wanted_tags, [&](const auto& tag) { return std::ranges::count(s.tags, tag) > 0; });
    bool in_page = before_ms <= 0 || static_cast<double>(s.created_ms) < before_ms - 0.5;
    if (tagged && in_page && (r->app_id().empty() || r->app_id() == s.app) && (r->include_finished() || !s.over()) &&
        s.listed_from <= world_.time.now())
      found.push_back(&s);
  }
  std::ranges::sort(found, [](const auto* a, const auto* b) { return a->created_ms > b->created_ms; });
  message::Page page;
  for (std::size_t i = 0; i < std::min(per_page, found.size()); ++i)
    fill_info(*found[i], *page.add_sandboxes());
  answer(c, page);
}

void modal_cloud::from_name(const call_ref& c) {
  auto r = read<message::NameRequest>(c);
  if (!r)
    return;
  auto app = apps_.find(r->app_name());
  auto* s = app == apps_.end() ? nullptr : named(app->second, r->sandbox_name());
  if (!s)
    return refuse(c, rpc::not_found, "Sandbox with name " + r->sandbox_name() + " not found");
  message::Named reply;
  reply.set_sandbox_id(s->id);
  reply.mutable_metadata()->set_app_id(s->app);
  answer(c, reply);
}

void modal_cloud::older(const call_ref& c) {
  refuse(c, rpc::not_found, "Sandbox not found");
}

void modal_cloud::set_tags(const call_ref& c) {
  auto r = read<message::TagsRequest>(c);
  auto* s = r ? wanted(c, r->sandbox_id()) : nullptr;
  if (!s)
    return;
  s->tags = pairs_of(r->tags());
  answer(c, message::Empty{});
}

void modal_cloud::get_tags(const call_ref& c) {
  auto r = read<message::TagsOfRequest>(c);
  auto* s = r ? wanted(c, r->sandbox_id()) : nullptr;
  if (!s)
    return;
  message::Tags reply;
  fill_tags(*s, *reply.mutable_tags());
  answer(c, reply);
}

// -- a life -----------------------------------------------------------------------------------------

void modal_cloud::create(const call_ref& c) {
  auto r = read<message::CreateRequest>(c);
  if (!r)
    return;
  const auto& d = r->definition();
  if (!creates_.take(world_.time.now()))
    return c->answer(throttled(creates_.seconds_left(world_.time.now()), c->request));
  if (options_.sandboxes_max > 0 && truth().size() >= options_.sandboxes_max)
    return refuse(c, rpc::resource_exhausted, "The limit of sandboxes at a time is reached");
  auto* image = image_named(d.image_id());
  if (!std::ranges::any_of(apps_, [&](const auto& each) { return each.second == r->app_id(); }) || !image)
    return refuse(c, rpc::not_found, image ? "App not found" : "Image not found");
  if (!good_name(d.name()) || d.timeout_secs() > timeout_most_s)
    return refuse(c, rpc::invalid_argument, "Invalid name or timeout");
  if (named(r->app_id(), d.name()))
    return refuse(c, rpc::already_exists, "Sandbox with name " + d.name() + " already exists");
  modal_sandbox s;
  s.id = "sb-" + ulid(seed_);
  auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char letter) { return std::tolower(letter); });
    return text;
  };
  s.task = "ta-" + lower(ulid(seed_));
  s.worker = worker;
  s.app = r->app_id();
  s.name = d.name();
  s.image = d.image_id();
  for (const auto& [name, value] : r->ephemeral_secrets().contents())
    s.env.emplace_back(name, value);
  for (const auto& source : r->secret_sources())
    for (const auto& [name, value] : source.env().contents())
      s.env.emplace_back(name, value);
  s.command.assign(d.entrypoint_args().begin(), d.entrypoint_args().end());
  s.tags = pairs_of(r->tags());
  for (const auto& each : d.open_ports().ports())
    s.ports.push_back(static_cast<std::uint16_t>(each.port()));
  s.timeout_secs = d.timeout_secs() == 0 ? usual_timeout_s : d.timeout_secs();
  s.created_ms = last_created_ms_ = std::max(wall_ms(), last_created_ms_ + 1); // lists go by it, so no two are equal
  s.listed_from = world_.time.now() + c->ill.unlisted;
  s.ill = c->ill;
  auto& kept = sandboxes_[s.id] = std::move(s);
  boot(kept);
  message::Created reply;
  reply.set_sandbox_id(kept.id);
  fill_tunnels(kept, *reply.mutable_tunnels());
  reply.set_task_id(kept.task);
  reply.mutable_metadata()->set_app_id(kept.app);
  *reply.mutable_command_router_access() = access_to(kept);
  answer(c, reply);
}

void modal_cloud::boot(const modal_sandbox& fresh) {
  world_.time.after(std::chrono::seconds{fresh.timeout_secs}, [this, id = fresh.id] {
    if (auto* now = find(id); now && !now->over())
      end(*now, timed_out);
  });
  world_.time.after(options_.boots_in + fresh.ill.boots_late, [this, id = fresh.id] {
    auto* s = find(id);
    if (!s || s->over() || s->ill.never_ready)
      return;
    if (s->ill.fails)
      return end(*s, not_begun, "Sandbox failed to start");
    auto* image = image_named(s->image);
    machine_order order{.id = id, .env = s->env, .argv = s->command, .serves = image && image_serves(image->reference)};
    world_.inside.boot(std::move(order), [this, id](const std::optional<std::string>& trouble) {
      auto* now = find(id);
      if (!now || now->over())
        return;
      if (trouble)
        return end(*now, failed, *trouble);
      now->running = true;
      for (auto& told : std::exchange(now->waiting, {}))
        told();
    });
    world_.inside.watch(id, [this, id](int exit_code) {
      auto* now = find(id);
      if (now && !now->over() && !now->command.empty())
        end(*now, exit_code == 0 ? success : failed, {}, exit_code);
    });
  });
}

void modal_cloud::end(modal_sandbox& s, int status, std::string_view exception, int exitcode) {
  world_.inside.discard(s.id);
  s.running = false;
  s.result.set_status(status);
  s.result.set_exception(std::string{exception});
  s.result.set_exitcode(exitcode);
  for (auto& [id, e] : s.execs) {
    for (auto& [which, listening] : std::exchange(e.listeners, {}))
      listening->end();
    e.exit_status = e.exit_status.value_or(137);
    for (auto& told : std::exchange(e.waiting, {}))
      told();
  }
  for (auto& told : std::exchange(s.waiting, {}))
    told();
}

void modal_cloud::task_id(const call_ref& c) {
  auto r = read<message::OfSandbox>(c);
  auto* s = r ? wanted(c, r->sandbox_id()) : nullptr;
  if (!s)
    return;
  message::TaskId reply;
  reply.set_task_id(s->task);
  if (s->over())
    *reply.mutable_task_result() = s->result;
  answer(c, reply);
}

void modal_cloud::tunnels(const call_ref& c) {
  auto r = read<message::OfSandbox>(c);
  if (!r || !wanted(c, r->sandbox_id()))
    return;
  auto ready = [](const modal_sandbox& s) { return s.running || s.over(); };
  hold(r->sandbox_id(), seconds_of(r->timeout()), ready, [this, c, id = r->sandbox_id()] {
    const auto& s = *find(id);
    message::Tunnels reply;
    if (s.running)
      fill_tunnels(s, *reply.mutable_tunnels());
    else
      reply.mutable_result()->set_status(s.over() ? s.result.status() : timed_out);
    answer(c, reply);
  });
}

void modal_cloud::wait(const call_ref& c) {
  auto r = read<message::OfSandbox>(c);
  if (!r || !wanted(c, r->sandbox_id()))
    return;
  auto ready = [](const modal_sandbox& s) { return s.over(); };
  hold(r->sandbox_id(), seconds_of(r->timeout()), ready, [this, c, id = r->sandbox_id()] {
    const auto& s = *find(id);
    message::Waited reply;
    if (s.over())
      *reply.mutable_result() = s.result;
    reply.mutable_metadata()->set_app_id(s.app);
    answer(c, reply);
  });
}

void modal_cloud::terminate(const call_ref& c) {
  auto r = read<message::OfSandbox>(c);
  auto* s = r ? wanted(c, r->sandbox_id()) : nullptr;
  if (!s)
    return;
  message::Terminated reply;
  if (s->over())
    *reply.mutable_existing_result() = s->result;
  answer(c, reply);
  world_.time.after(options_.stops_in, [this, id = s->id] { // answered before it is done
    if (auto* now = find(id); now && !now->over())
      end(*now, terminated, {}, 137);
  });
}

std::unique_ptr<cloud> make_modal_cloud(cloud_options options, cloud_world world) {
  return std::make_unique<modal_cloud>(std::move(options), world);
}

} // namespace nestor::emulator
