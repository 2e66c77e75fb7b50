#include <nested_server/faulty_server.hpp>

namespace nestor::nested_server {
namespace {

using way = wire_reply::way;

void set_type(http::response& r, std::string_view type) {
  r.headers.emplace_back("Content-Type", type);
}

http::response busy_answer(std::int64_t seconds) {
  http::response r;
  r.status = 429;
  r.headers.emplace_back("Retry-After", std::to_string(seconds));
  r.body = R"({"message":"Too many requests"})";
  return r;
}

http::response page_answer(std::int64_t code) {
  http::response r;
  r.status = static_cast<std::uint16_t>(code);
  set_type(r, "text/html");
  r.body = "<html>\r\n<head><title>" + wiped_string{std::to_string(code)} +
           "</title></head>\r\n<body><center><h1>A proxy stands in between</h1></center></body>\r\n</html>\r\n";
  return r;
}

/// Empties what a request of this path writes to.
void spoil(server_state& state, std::string_view path) {
  if (path.starts_with("/api/secrets") || path.starts_with("/api/settings/secrets"))
    state.secrets.clear();
  else if (path.starts_with("/api/settings"))
    state.settings = wiped_json::object();
  else
    state.git_providers.clear();
}

bool good(const http::response& r) {
  return r.status >= 200 && r.status <= 299;
}

} // namespace

faulty_server::faulty_server(model_options options, fault_plan faults, instant started)
    : model_(std::move(options), started), faults_(std::move(faults)) {}

wire_reply faulty_server::handle(const http::request& request, instant now, std::string_view client) {
  if (!faults_.empty())
    if (const auto* fault = faults_.hit(request.verb, request.target))
      return hit(*fault, request, now, client);
  wire_reply reply;
  auto answered = model_.handle(request, now, client);
  reply.response = std::move(answered.response);
  reply.delay = answered.delay;
  return reply;
}

wire_reply faulty_server::hit(const fault_rule& fault, const http::request& request, instant now,
                              std::string_view client) {
  wire_reply reply;
  auto parts = parts_of(request.target);
  auto act = [&](const circumstances& around = {}) {
    auto answered = model_.handle(request, now, client, around);
    reply.response = std::move(answered.response);
    reply.delay = answered.delay;
  };
  auto act_then = [&](way how) {
    act();
    reply.how = how;
  };
  switch (fault.kind) {
    case fault_kind::reset:
    case fault_kind::refuse: reply.how = way::reset; break;
    case fault_kind::hang: reply.how = way::hang; break;
    case fault_kind::die: reply.how = way::die; break;
    case fault_kind::answer_lost: act_then(way::reset); break;
    case fault_kind::answer_hangs: act_then(way::hang); break;
    case fault_kind::die_after: act_then(way::die); break;
    case fault_kind::status: reply.response = model_.failure_answer(static_cast<std::uint16_t>(fault.argument)); break;
    case fault_kind::busy: reply.response = busy_answer(fault.argument); break;
    case fault_kind::page: reply.response = page_answer(fault.argument); break;
    case fault_kind::slow:
      act();
      reply.delay += milliseconds{fault.argument};
      break;
    case fault_kind::trickle:
      act();
      reply.per_byte = milliseconds{fault.argument};
      break;
    case fault_kind::truncated:
      act();
      reply.response.body.resize(reply.response.body.size() / 2);
      break;
    case fault_kind::cut:
      act();
      reply.body_sent = reply.response.body.size() / 2;
      break;
    case fault_kind::no_effect:
      if (auto* state = model_.state_of(parts.prefix)) {
        auto before = *state;
        act();
        before.requests = state->requests;
        before.limiter = state->limiter;
        *state = std::move(before);
      }
      break;
    case fault_kind::wrong_effect:
      act();
      if (auto* state = model_.state_of(parts.prefix); state && good(reply.response))
        spoil(*state, parts.path);
      break;
    case fault_kind::git_unreachable: act({.git_hosts_unreachable = true}); break;
    case fault_kind::restart:
      model_.reset(parts.prefix, now);
      act();
      break;
    case fault_kind::count_: break;
  }
  return reply;
}

} // namespace nestor::nested_server
