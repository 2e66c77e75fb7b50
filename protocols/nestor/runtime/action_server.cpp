#include <nestor/runtime/action_server.hpp>

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>

#include <algorithm>

namespace nestor {
namespace {

using namespace providers;
using nlohmann::json;

// Beyond the action's own time, which the server keeps: what its client grants, too.
constexpr milliseconds answer_within{5'000};
constexpr milliseconds alive_within{5'000};
constexpr std::uint16_t request_timeout = 408; // a proxy's: the request may have been passed on

failure not_run_because(errc code, std::string cause, std::uint16_t status = 0) {
  return failure{code, step::ready, "the action server " + std::move(cause) + "; nothing was run", status, {}};
}

http_call call_to(const action_order& order, http::method verb, std::string_view path, milliseconds within) {
  http_call call;
  call.to = order.where.where;
  call.from = order.where.from;
  call.timeout = within;
  call.request.verb = verb;
  call.request.target = path;
  call.request.headers = order.where.headers;
  return call;
}

http_call execute(const action_order& order) {
  const auto& a = order.what;
  bool command = a.what == action_kind::run;
  json args{{command ? "command" : "code", a.text}, {"hidden", false}};
  if (command)
    args.update({{"is_input", false}, {"blocking", true}, {"is_static", false}});
  if (!a.directory.empty())
    args["cwd"] = a.directory;
  constexpr double thousand = 1'000;
  json body{{"action",
             {{"action", name_of(a.what)},
              {"args", std::move(args)},
              {"timeout", static_cast<double>(a.within.count()) / thousand}}}};
  auto call = call_to(order, http::method::post, "/execute_action", a.within + answer_within);
  call.request.headers.push_back({"Content-Type", "application/json"});
  if (!order.where.session_key.empty())
    add_key(call, "X-Session-API-Key", order.where.session_key);
  call.request.body = internal::body_of(body);
  return call;
}

/// Of code there is no status, and of a command that was still at work when its time was up it is −1.
progress<observation> told(const json& answer) {
  const auto& extras = internal::at(answer, "extras");
  auto kind = internal::text_at(answer, "observation");
  auto text = internal::text_at(answer, "content");
  if (kind == "error")
    return ended_with(1, {}, std::move(text));
  auto status = internal::integer_at(internal::at(extras, "metadata"), "exit_code");
  if (status && *status >= 0)
    return ended_with(static_cast<int>(*status), std::move(text));
  observation seen;
  if (status) {
    seen = out_of_time();
  } else if (const auto& success = internal::at(answer, "success"); success.is_boolean()) {
    seen.came = success.get<bool>() ? verdict::ok : verdict::failed;
  } else {
    seen = lost_answer("the action server tells neither a status nor whether it succeeded");
  }
  seen.output = std::move(text);
  return seen;
}

progress<observation> refused(std::uint16_t status) {
  constexpr std::uint16_t unauthorized = 401, forbidden = 403, busy = 429;
  auto said = "answered " + std::to_string(status);
  if (status == unauthorized || status == forbidden)
    return not_run_because(errc::session_key_refused, said, status);
  return not_run_because(status == busy ? errc::nested_busy : errc::nested_protocol, said, status);
}

failure unreached(http::transport_error why) {
  auto code = why == http::transport_error::address_refused   ? errc::address_refused
              : why == http::transport_error::tls_refused     ? errc::tls_refused
              : why == http::transport_error::name_unresolved ? errc::name_unresolved
              : why == http::transport_error::overloaded      ? errc::overloaded
                                                              : errc::nested_unreachable;
  return not_run_because(code, "cannot be reached: " + std::string{http::name_of(why)});
}

const http::transport_error* broken(const io_reply& reply) {
  const auto* exchange = std::get_if<http_reply>(&reply);
  return exchange ? std::get_if<http::transport_error>(exchange) : nullptr;
}

} // namespace

runtime action_server_of(const runtime& nested, std::uint16_t port) {
  auto server = nested;
  server.path_prefix.clear();
  server.where.port = port != 0 ? port : static_cast<std::uint16_t>(nested.where.port + 1);
  return server;
}

progress<observation> run_at_action_server(const account&, const action_order& order, const heard& so_far) {
  constexpr std::uint16_t refusals = 300, server_errors = 500; // a redirect is one: it is not followed
  if (!so_far.reply)
    return ask{execute(order)};
  if (const auto* why = broken(*so_far.reply)) {
    if (http::never_sent(*why))
      return unreached(*why);
    return lost_answer("the action server's answer was lost: " + std::string{http::name_of(*why)});
  }
  const auto* response = response_of(*so_far.reply);
  if (succeeded(response)) {
    auto answer = internal::json_of(*response);
    if (!internal::text_at(answer, "observation").empty())
      return told(answer);
    return lost_answer("what was answered is no observation");
  }
  if (response && response->status >= refusals && response->status < server_errors &&
      response->status != request_timeout)
    return refused(response->status);
  return lost_answer("the action server answered " + std::to_string(response ? response->status : 0));
}

progress<observation> await_action_server(const account&, const action_order& order, const heard& so_far) {
  if (so_far.reply) {
    const auto* response = response_of(*so_far.reply);
    if (succeeded(response) && internal::text_at(internal::json_of(*response), "status") == "ok")
      return ended_with(0, {});
    auto next = so_far.elapsed + poll_after(so_far);
    if (next >= order.what.within) {
      if (const auto* why = broken(*so_far.reply))
        return unreached(*why);
      return not_run_because(errc::alive_timeout, "does not say that it is ready",
                             response ? response->status : std::uint16_t{0});
    }
  }
  auto within = std::clamp(order.what.within - so_far.elapsed, milliseconds{1}, alive_within);
  return ask{call_to(order, http::method::get, "/alive", within), so_far.reply ? poll_after(so_far) : milliseconds{0}};
}

} // namespace nestor
