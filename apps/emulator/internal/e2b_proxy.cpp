// Who is behind a host `PORT-ID.domain`, or behind the pair of routing headers on an address of our own.
#include <emulator/internal/e2b_cloud.hpp>

#include <array>
#include <cctype>

namespace nestor::emulator {
namespace {

constexpr std::array<std::string_view, 3> own_headers{"E2b-Traffic-Access-Token", "E2b-Sandbox-Id", "E2b-Sandbox-Port"};

/// The headers count only where the host itself names nobody.
bool routed_by_headers(std::string_view host) {
  return host.starts_with("sandbox.") || host == "localhost" || host.empty() ||
         std::isdigit(static_cast<unsigned char>(host.back())) != 0;
}

} // namespace

/// False: it is for the control plane.
bool e2b_cloud::serve_inside(const call_ref& c) {
  auto where = port_host_of(c->host);
  if (!where && routed_by_headers(c->host)) {
    bool id = c->has_header("E2b-Sandbox-Id");
    bool port = c->has_header("E2b-Sandbox-Port");
    if (id != port)
      return c->answer(400, {{"code", 400}, {"message", "missing header: both routing headers are needed"}}), true;
    if (id)
      where = {static_cast<std::uint16_t>(std::atoi(c->header("E2b-Sandbox-Port").c_str())),
               c->header("E2b-Sandbox-Id")};
  }
  if (!where)
    return false;
  auto* s = find(where->name);
  if (!s || s->state != "running") {
    c->answer(502, {{"sandboxId", where->name}, {"message", "The sandbox was not found"}, {"code", 502}});
    return true;
  }
  if (s->changing) {
    c->answer(409, {{"sandboxId", s->id}, {"message", "The sandbox is changing its state"}, {"code", 409}});
    return true;
  }
  where->port == envd_port ? envd(c, *s) : serve_port(c, *s, where->port);
  return true;
}

void e2b_cloud::serve_port(const call_ref& c, e2b_sandbox& s, std::uint16_t port) {
  if (!s.open_traffic && c->header("E2b-Traffic-Access-Token") != s.traffic_token)
    return c->answer(403, {{"sandboxId", s.id}, {"message", "Missing or invalid traffic access token"}, {"code", 403}});
  world_.inside.forward(s.id, port, inner_request(*c, own_headers), [c, id = s.id, port](http_reply reply) {
    if (auto* r = std::get_if<http::response>(&reply))
      return c->answer(std::move(*r));
    c->answer(
      502,
      {{"sandboxId", id}, {"message", "The sandbox is running but port is not open"}, {"port", port}, {"code", 502}});
  });
}

} // namespace nestor::emulator
