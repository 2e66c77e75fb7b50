// The hosts of ports: PORT-ID.proxy.…, who may enter, and what comes back from inside.
#include <emulator/internal/daytona_cloud.hpp>

#include <array>

namespace nestor::emulator {
namespace {

constexpr std::int64_t signed_seconds_max = 86'400;
constexpr std::array<std::uint16_t, 3> never_public{2280, 22222, 33333}; // toolbox, terminal, dashboard
constexpr std::array<std::string_view, 3> own_headers{"X-Daytona-Preview-Token", "X-Daytona-Skip-Preview-Warning",
                                                      "X-Daytona-Skip-Last-Activity-Update"};

std::optional<std::uint16_t> port_of(const std::string& text) {
  auto number = std::atoll(text.c_str());
  return number > 0 && number <= 65'535 ? std::optional{static_cast<std::uint16_t>(number)} : std::nullopt;
}

} // namespace

void daytona_cloud::preview_url(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  auto port = port_of(c->args[1]);
  if (!port)
    return refuse(c, 400, "Invalid port");
  auto scheme = options_.base.substr(0, options_.base.find(':'));
  c->answer(200, {{"sandboxId", s->id},
                  {"url", scheme + "://" + std::to_string(*port) + "-" + s->id + "." + options_.domain},
                  {"token", s->preview_token}});
}

void daytona_cloud::signed_preview_url(const call_ref& c) {
  auto* s = wanted(c);
  if (!s)
    return;
  auto port = port_of(c->args[1]);
  auto seconds = std::atoll(c->parameter("expiresInSeconds").value_or("60").c_str());
  if (!port || seconds < 1 || seconds > signed_seconds_max)
    return refuse(c, 400, port ? "expiresInSeconds must be between 1 and 86400" : "Invalid port");
  auto token = word_id(seed_, 16);
  s->signed_tokens[token] = {*port, world_.time.now() + std::chrono::seconds{seconds}};
  auto scheme = options_.base.substr(0, options_.base.find(':'));
  c->answer(200, {{"sandboxId", s->id},
                  {"port", *port},
                  {"token", token},
                  {"url", scheme + "://" + std::to_string(*port) + "-" + token + "." + options_.domain}});
}

void daytona_cloud::expire_signed(const call_ref& c) {
  if (auto* s = wanted(c)) {
    s->signed_tokens.erase(c->args[2]);
    c->answer(201);
  }
}

bool daytona_cloud::may_enter(const call_ref& c, const daytona_sandbox& s, std::uint16_t port) {
  bool closed = std::ranges::find(never_public, port) != never_public.end();
  return (s.open && !closed) || c->header("Authorization") == "Bearer " + options_.key ||
         c->header("X-Daytona-Preview-Token") == s.preview_token ||
         c->parameter("DAYTONA_SANDBOX_AUTH_KEY") == s.preview_token;
}

void daytona_cloud::serve_port(const call_ref& c, const port_host& where) {
  auto* s = by_id(where.name);
  bool entered = s && may_enter(c, *s, where.port);
  for (auto& [id, other] : sandboxes_) {
    auto token = other.signed_tokens.find(where.name);
    if (token != other.signed_tokens.end() && token->second.first == where.port &&
        world_.time.now() < token->second.second) {
      s = &other;
      entered = true;
    }
  }
  if (!entered) { // also for what does not exist: whoever may not enter is not told
    http::response r;
    r.status = 307;
    r.headers.emplace_back("Location", options_.base + "/oidc/auth?client_id=proxy&response_type=code&scope=openid");
    return c->answer(std::move(r));
  }
  if (s->state != "started")
    return tool_refuse(c, 400, "bad request: no IP address found. Is the Sandbox started?");
  if (!c->has_header("X-Daytona-Skip-Last-Activity-Update"))
    touch(*s);
  auto inner = inner_request(*c, own_headers);
  if (c->header("Authorization") == "Bearer " + options_.key) // taken off only when it was ours
    std::erase_if(inner.headers, [](const auto& h) { return http::same_header_name(h.name, "Authorization"); });
  world_.inside.forward(s->id, where.port, std::move(inner), [c](http_reply reply) {
    if (auto* r = std::get_if<http::response>(&reply))
      return c->answer(std::move(*r));
    c->answer(502); // a closed port is an empty 502
  });
}

} // namespace nestor::emulator
