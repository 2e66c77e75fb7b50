// Tunnels to a devbox's ports, its files and its logs.
#include <emulator/internal/multipart.hpp>
#include <emulator/internal/runloop_cloud.hpp>

#include <array>

namespace nestor::emulator {
namespace {

constexpr std::array<std::string_view, 1> own_headers{"X-Runloop-Tunnel-Authorization"};

http::response bytes_of(std::string_view content, std::string_view type) {
  http::response r;
  r.status = 200;
  r.headers.emplace_back("Content-Type", type);
  r.body.assign(content.data(), content.size());
  return r;
}

} // namespace

json runloop_cloud::new_tunnel(const json& wish) {
  auto mode = text_at(wish, "auth_mode").empty() ? std::string{"open"} : text_at(wish, "auth_mode");
  json t{{"tunnel_key", word_id(seed_, 20)},
         {"auth_mode", mode},
         {"http_keep_alive", flag_at(wish, "http_keep_alive", true)},
         {"wake_on_http", flag_at(wish, "wake_on_http", false)},
         {"create_time_ms", wall_ms()}};
  if (mode == "authenticated")
    t["auth_token"] = hex_id(seed_, 32);
  return t;
}

void runloop_cloud::enable_tunnel(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  if (d->status != "running" || !d->tunnel.is_null())
    return refuse(c, 400, d->tunnel.is_null() ? "The devbox is not running" : "The devbox already has a tunnel");
  d->tunnel = new_tunnel(c->object().value_or(json::object()));
  c->answer(200, d->tunnel);
}

void runloop_cloud::remove_tunnel(const call_ref& c) {
  if (auto* d = wanted(c)) {
    d->tunnel = nullptr;
    c->answer(200, json::object());
  }
}

void runloop_cloud::serve_tunnel(const call_ref& c, const port_host& where) {
  runloop_devbox* found = nullptr;
  for (auto& [id, d] : devboxes_)
    if (d.tunnel.is_object() && text_at(d.tunnel, "tunnel_key") == where.name)
      found = &d;
  if (!found)
    return refuse(c, 404, "No such tunnel");
  auto token = text_at(found->tunnel, "auth_token");
  if (!token.empty() && c->header("X-Runloop-Tunnel-Authorization") != "Bearer " + token)
    return refuse(c, 401, "Unauthorized");
  if (found->status != "running")
    return refuse(c, 502, "The devbox is not running");
  if (flag_at(found->tunnel, "http_keep_alive", true))
    found->active = world_.time.now();
  world_.inside.forward(found->id, where.port, inner_request(*c, own_headers), [this, c](http_reply reply) {
    if (auto* r = std::get_if<http::response>(&reply))
      return c->answer(std::move(*r));
    refuse(c, 502, "Nothing listens on this port");
  });
}

void runloop_cloud::upload_file(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  auto parts = form_parts(c->header("Content-Type"), c->request.body);
  const auto* path = parts ? part_named(*parts, "path") : nullptr;
  const auto* file = parts ? part_named(*parts, "file") : nullptr;
  if (!path || !file || !world_.inside.write(d->id, std::string{path->content}, file->content))
    return refuse(c, 400, "path and file are required");
  c->answer(200, json::object());
}

void runloop_cloud::write_text(const call_ref& c) {
  auto* d = wanted(c);
  auto body = c->object();
  if (!d)
    return;
  if (!body || !world_.inside.write(d->id, text_at(*body, "file_path"), text_at(*body, "contents")))
    return refuse(c, 400, "file_path and contents are required");
  c->answer(200, {{"devbox_id", d->id}, {"exit_status", 0}, {"stdout", ""}, {"stderr", ""}});
}

void runloop_cloud::read_text(const call_ref& c) {
  auto* d = wanted(c);
  auto body = c->object();
  if (!d)
    return;
  auto bytes = world_.inside.read(d->id, body ? text_at(*body, "file_path") : std::string{});
  bytes ? c->answer(bytes_of(*bytes, "text/plain")) : refuse(c, 404, "File not found");
}

void runloop_cloud::download_file(const call_ref& c) {
  auto* d = wanted(c);
  auto body = c->object();
  if (!d)
    return;
  auto bytes = world_.inside.read(d->id, body ? text_at(*body, "path") : std::string{});
  bytes ? c->answer(bytes_of(*bytes, "application/octet-stream")) : refuse(c, 404, "File not found");
}

void runloop_cloud::logs(const call_ref& c) {
  auto* d = wanted(c);
  if (!d)
    return;
  auto wanted_id = c->parameter("execution_id").value_or("");
  auto all = json::array();
  for (const auto& [id, e] : d->executions)
    if (wanted_id.empty() || id == wanted_id)
      all.push_back({{"level", "INFO"},
                     {"source", "entrypoint"},
                     {"timestamp_ms", e.began_ms},
                     {"cmd", e.command},
                     {"cmd_id", id},
                     {"exit_code", e.exit_status ? json(*e.exit_status) : json{}},
                     {"message", e.out},
                     {"shell_name", e.shell}});
  c->answer(200, {{"logs", all}});
}

} // namespace nestor::emulator
