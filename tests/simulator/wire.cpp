#include "wire.hpp"

#include <nestor/actors/messages.hpp>

#include <algorithm>

namespace nestor::simulation {
namespace {

constexpr std::uint64_t usual_ms = 3;
// Now and then a packet is sent again.
constexpr std::uint64_t slow_ms = 400;
constexpr std::uint64_t slow_one_in = 40;

milliseconds timeout_of(const io_request& request) {
  if (const auto* call = std::get_if<http_call>(&request))
    return call->timeout;
  const auto* rpc = std::get_if<grpc_call>(&request);
  return rpc ? rpc->timeout : milliseconds{0};
}

bool changes(const io_request& request) {
  const auto* call = std::get_if<http_call>(&request);
  return !call || call->request.verb != http::method::get;
}

std::string_view body_of(const io_request& request) {
  if (const auto* call = std::get_if<http_call>(&request))
    return call->request.body;
  const auto* rpc = std::get_if<grpc_call>(&request);
  return rpc ? std::string_view{rpc->message} : std::string_view{};
}

std::string in_words(const io_reply& reply) {
  if (const auto* http = std::get_if<http_reply>(&reply)) {
    if (const auto* came = std::get_if<http::response>(http))
      return std::to_string(came->status);
    return std::string{http::name_of(std::get<http::transport_error>(*http))};
  }
  if (const auto* rpc = std::get_if<grpc_reply>(&reply))
    if (const auto* came = std::get_if<grpc_answer>(rpc))
      return "grpc " + std::to_string(came->status);
  return "no answer";
}

/// As if the network had said so.
io_reply timed_out(const io_request& request) {
  if (std::holds_alternative<grpc_call>(request))
    return grpc_reply{grpc_answer{4, {}, {}, {}}};
  return http_reply{http::transport_error::timed_out};
}

} // namespace

std::string line_of(const io_request& request) {
  if (const auto* call = std::get_if<http_call>(&request))
    return std::string{http::name_of(call->request.verb)} + " " + call->to.host + call->request.target;
  const auto* rpc = std::get_if<grpc_call>(&request);
  return rpc ? rpc->method : "a process";
}

std::string door_of(const io_request& request) {
  const auto* call = std::get_if<http_call>(&request);
  if (!call)
    return {};
  if (!call->to.host.starts_with("api."))
    return call->to.host;
  constexpr std::string_view within{"/runtimes/"};
  const std::string_view target{call->request.target};
  return target.starts_with(within) ? std::string{target.substr(0, target.find('/', within.size()))} : std::string{};
}

void wire::perform(io_request request, actors::reply_to to) {
  if (!open_)
    return;
  auto f = std::make_shared<flight>(flight{std::move(request), std::move(to), {}});
  f->door = door_of(f->request);
  if (!f->door.empty() && owed_[f->door]++ > 0)
    around_.on_crowd(line_of(f->request));
  auto draw = around_.draw();
  auto out = milliseconds{1 + (draw % slow_one_in == 0 ? draw / slow_one_in % slow_ms : draw / slow_one_in % usual_ms)};
  std::erase_if(on_their_way_, [](const auto& each) {
    auto known = each.lock();
    return !known || known->arrived;
  });
  on_their_way_.push_back(f);
  around_.time.after(out, [me = shared_from_this(), f] { me->arrive(f); });
  around_.time.after(timeout_of(f->request), [me = shared_from_this(), f] {
    if (!f->answered)
      me->answer(f, timed_out(f->request));
  });
}

void wire::arrive(const std::shared_ptr<flight>& f) {
  if (f->dropped || std::exchange(f->arrived, true))
    return;
  auto line = line_of(f->request);
  bool late = f->answered;
  if (changes(f->request)) {
    around_.on_change(line, body_of(f->request));
    if (late)
      around_.on_late_change();
  }
  around_.told.say("wire", "> " + line + (late ? " (late)" : ""));
  around_.clouds.ask(f->request, [me = shared_from_this(), f, line = std::move(line)](io_reply reply) {
    me->around_.told.say("wire", "< " + in_words(reply) + " of " + line);
    me->around_.time.after(milliseconds{1}, [me, f, r = std::move(reply)]() mutable { me->answer(f, std::move(r)); });
  });
}

void wire::answer(const std::shared_ptr<flight>& f, io_reply reply) {
  if (std::exchange(f->answered, true) || !open_)
    return;
  if (!f->door.empty())
    --owed_[f->door];
  if (auto whom = caf::actor_cast<caf::actor>(f->to.whom))
    actors::tell_from_outside(whom, actors::io_done{f->to.ticket, std::move(reply)});
}

void wire::crash(unsigned survives) {
  open_ = false;
  for (const auto& each : std::exchange(on_their_way_, {})) {
    auto f = each.lock();
    if (!f || f->arrived)
      continue;
    if (around_.draw() % 100 < survives) { // it had left the machine
      arrive(f);
      continue;
    }
    f->dropped = true;
    around_.told.say("wire", "lost " + line_of(f->request));
  }
}

} // namespace nestor::simulation
