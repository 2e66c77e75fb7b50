#include <nestor/providers/internal/modal_commands.hpp>

#include <nestor/providers/internal/carried.hpp>
#include <nestor/providers/internal/modal_calls.hpp>
#include <nestor/providers/internal/outcome.hpp>

#include <algorithm>
#include <csignal>

namespace nestor::providers::internal::modal {
namespace {

using std::chrono::seconds;

constexpr std::string_view router = "/modal.task_command_router.TaskCommandRouter/";
// As the SDK: a question for a command's end is asked anew after a minute.
constexpr milliseconds awaited_for{60'000};
// The worker ends a command at its time; then its end, and what it printed, are asked for at most so much longer.
constexpr milliseconds told_within{30'000};

enum : place {
  at_start,
  at_task,
  at_access,
  at_begun,
  at_readmitted, ///< another token for the router, the first is too old
  at_awaited,
  at_output,
  at_errors
};

/// What is remembered from one question to the next.
struct errand {
  std::string task, token, url, name; ///< `name`: ours for the command
  std::string address;                ///< of the worker; empty: its URL's name is looked up
  bool readmitted = false;            ///< the token is another one, and has not been good for anything yet
  std::string ended;                  ///< as a shell says it, or `cut_off`; empty: not yet
  std::string output;
};
constexpr std::size_t short_parts = 7; // and then the output, to the end
constexpr std::string_view cut_off = "its time was up";

wiped_string carried(const errand& e) {
  return carry({e.task, e.token, e.url, e.name, e.readmitted ? "yes" : "", e.ended, e.address}) +
         wiped_string{e.output};
}

errand errand_of(const heard& so_far) {
  auto part = [&](std::size_t index) { return carried_part(so_far.carried, index); };
  auto rest = so_far.carried;
  for (std::size_t i = 0; i < short_parts && !rest.empty(); ++i)
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
  return {part(0), part(1), part(2), part(3), part(6), !part(4).empty(), part(5), std::string{rest}};
}

// -- questions ----------------------------------------------------------------------------------------------------

ask ask_access(const account& who, const exec_order& order, const errand& e, place at) {
  message::RouterRequest request;
  bool older = is_older(order.where.ref);
  older ? request.set_task_id(e.task) : request.set_sandbox_id(order.where.ref);
  auto method = older ? "TaskGetCommandRouterAccess" : "SandboxGetCommandRouterAccess";
  return ask{call_of(who, method, request), milliseconds{0}, at, carried(e)};
}

/// A call of the worker's router: it is told its own token, and nothing that is the account's.
grpc_call routed(const account& who, const errand& e, std::string_view method,
                 const google::protobuf::MessageLite& request) {
  auto server = http::parse_url(who.text("server_url")).value_or(http::url{});
  auto url = http::parse_url(e.url).value_or(http::url{});
  grpc_call call;
  // Its URL always says https; where the account's own server is spoken to without TLS, so is the router.
  call.to = endpoint{server.tls, url.host, url.port, {}};
  call.to.ca_file = who.ca_file;
  call.via = e.address;
  call.method = std::string{router} + std::string{method};
  call.message = bytes_of(request);
  call.timeout = call_within;
  add_key(call, "authorization", secret{"Bearer " + e.token});
  return call;
}

template <class Request>
Request about(const errand& e) {
  Request request;
  request.set_task_id(e.task);
  request.set_exec_id(e.name);
  return request;
}

ask start(const account& who, const exec_order& order, const errand& e) {
  auto request = about<message::ExecRequest>(e);
  for (std::string_view each : {std::string_view{"/bin/sh"}, std::string_view{"-c"}, std::string_view{order.command}})
    request.add_command_args(std::string{each});
  request.set_stdout_config(1);
  request.set_stderr_config(1);
  request.set_timeout_secs(static_cast<std::uint32_t>(std::chrono::ceil<seconds>(order.within).count()));
  return ask{routed(who, e, "TaskExecStart", request), milliseconds{0}, at_begun, carried(e)};
}

ask await_end(const account& who, const exec_order& order, const errand& e, const heard& so_far,
              milliseconds after = {}) {
  auto call = routed(who, e, "TaskExecWait", about<message::OfExec>(e));
  auto left = order.within + told_within - so_far.elapsed - after;
  call.timeout = std::clamp(left, milliseconds{1'000}, awaited_for);
  return ask{std::move(call), after, at_awaited, carried(e)};
}

ask read_output(const account& who, const errand& e, place at, milliseconds after = {}) {
  auto request = about<message::ExecReadRequest>(e);
  request.set_file_descriptor(at == at_errors ? 1 : 0);
  return ask{routed(who, e, "TaskExecStdioRead", request), after, at, carried(e)};
}

// -- answers ------------------------------------------------------------------------------------------------------

std::string doing_in(const exec_order& order) {
  return "running a command in " + order.where.ref;
}

failure gone(const account& who, const exec_order& order, std::string_view how) {
  return failure{
    errc::runtime_lost, step::ready, who.name + ": the sandbox " + order.where.ref + " " + std::string{how}, 0, {}};
}

progress<observation> on_task(const account& who, const exec_order& order, const heard& so_far) {
  if (has_status(answer_of(*so_far.reply), rpc_code::not_found))
    return gone(who, order, "is not there");
  auto found = read<message::TaskId>(*so_far.reply);
  if (!found)
    return unread(who, stage::looking, doing_in(order), *so_far.reply);
  if (is_over(found->task_result()))
    return gone(who, order, words_of(found->task_result()));
  if (found->task_id().empty())
    return not_understood(who, stage::looking, doing_in(order), "the answer names no task");
  auto e = errand_of(so_far);
  e.task = found->task_id();
  return ask_access(who, order, e, at_access);
}

/// Takes the way to the router from an answer. False: there is none in it.
bool admit(errand& e, const heard& so_far) {
  auto given = read<message::RouterAccess>(*so_far.reply);
  auto url = given ? http::parse_url(given->url()) : std::nullopt;
  if (!url || !url->tls || given->jwt().empty())
    return false;
  e.token = given->jwt();
  e.url = given->url();
  e.address = given->worker_ipv4_address();
  return true;
}

progress<observation> on_access(const account& who, const exec_order& order, const heard& so_far) {
  auto e = errand_of(so_far);
  if (admit(e, so_far))
    return start(who, order, e);
  if (has_status(answer_of(*so_far.reply), rpc_code::not_found))
    return gone(who, order, "is not there");
  if (!succeeded(answer_of(*so_far.reply)))
    return failure_in(who, stage::looking, doing_in(order), *so_far.reply);
  return not_understood(who, stage::looking, doing_in(order), "the answer tells no way to its worker");
}

progress<observation> on_readmitted(const account& who, const exec_order& order, const heard& so_far) {
  auto e = errand_of(so_far);
  if (!admit(e, so_far))
    return lost_answer(unread(who, stage::looking, doing_in(order), *so_far.reply).cause);
  e.readmitted = true;
  return await_end(who, order, e, so_far);
}

/// Whatever the answer leaves open, the router knows the command by its name, or has never heard of it.
progress<observation> on_begun(const account& who, const exec_order& order, const heard& so_far) {
  auto refused = failure_in(who, stage::creating, doing_in(order), *so_far.reply);
  if (succeeded(answer_of(*so_far.reply)) || refused.code == errc::create_unknown)
    return await_end(who, order, errand_of(so_far), so_far);
  return failure_in(who, stage::looking, doing_in(order), *so_far.reply);
}

/// How it ended, for a reader of shells; nothing when the answer does not say.
std::string end_in(const message::ExecStatus& seen, bool time_was_up) {
  constexpr int signals_from = 128;
  if (seen.exit_status_case() == message::ExecStatus::EXIT_STATUS_NOT_SET)
    return {};
  auto status = seen.exit_status_case() == message::ExecStatus::kSignal ? signals_from + seen.signal() : seen.code();
  return time_was_up && status == signals_from + SIGKILL ? std::string{cut_off} : std::to_string(status);
}

/// Is the same question worth asking again?
bool may_be_told_later(const account& who, const io_reply& reply) {
  const auto* exchange = std::get_if<grpc_reply>(&reply);
  if (const auto* broke = exchange ? std::get_if<http::transport_error>(exchange) : nullptr)
    return *broke != http::transport_error::too_large;
  auto code = failure_in(who, stage::creating, {}, reply).code;
  return code == errc::create_unknown || code == errc::rate_limited;
}

/// Asking is repeated; only what says that it knows of no such command, or of us, ends that before its time.
progress<observation> on_awaited(const account& who, const exec_order& order, const heard& so_far) {
  auto e = errand_of(so_far);
  const auto* answer = answer_of(*so_far.reply);
  if (has_status(answer, rpc_code::unauthenticated) && !e.readmitted)
    return ask_access(who, order, e, at_readmitted);
  e.readmitted = e.readmitted && has_status(answer, rpc_code::unauthenticated);
  if (auto seen = read<message::ExecStatus>(*so_far.reply))
    if (e.ended = end_in(*seen, so_far.elapsed >= order.within); !e.ended.empty())
      return read_output(who, e, at_output);
  auto after = std::max(poll_after(so_far), throttle_of(*so_far.reply).value_or(milliseconds{0}));
  if (!may_be_told_later(who, *so_far.reply) || so_far.elapsed + after >= order.within + told_within)
    return lost_answer(unread(who, stage::looking, doing_in(order), *so_far.reply).cause);
  return await_end(who, order, e, so_far, after);
}

observation ended_as(const errand& e, std::string output, std::string error_output) {
  if (e.ended != cut_off)
    return ended_with(static_cast<int>(std::strtol(e.ended.c_str(), nullptr, 10)), std::move(output),
                      std::move(error_output));
  auto seen = out_of_time();
  seen.output = std::move(output);
  seen.error_output = std::move(error_output);
  return seen;
}

/// One stream after the other. What cannot be read does not change how it ended.
progress<observation> on_printed(const account& who, const exec_order& order, const heard& so_far) {
  auto e = errand_of(so_far);
  if (auto printed = read<message::ExecOutputs>(*so_far.reply)) {
    std::string all;
    for (const auto& each : printed->data())
      all += each;
    if (so_far.at == at_errors)
      return ended_as(e, std::move(e.output), std::move(all));
    e.output = std::move(all);
    return read_output(who, e, at_errors);
  }
  auto after = poll_after(so_far);
  if (may_be_told_later(who, *so_far.reply) && so_far.elapsed + after < order.within + 2 * told_within)
    return read_output(who, e, so_far.at, after);
  auto seen = ended_as(e, e.output, {});
  seen.trouble =
    "what it printed could not be read: " + unread(who, stage::looking, doing_in(order), *so_far.reply).cause;
  seen.cut = true;
  return seen;
}

} // namespace

progress<observation> run_command(const account& who, const exec_order& order, const heard& so_far) {
  if (!so_far.reply) {
    message::OfSandbox request;
    request.set_sandbox_id(order.where.ref);
    errand e;
    e.name = uuid_of(so_far.carried);
    return ask{call_about(who, order.where.ref, "SandboxGetTaskId", request), milliseconds{0}, at_task, carried(e)};
  }
  switch (so_far.at) {
    case at_task: return on_task(who, order, so_far);
    case at_access: return on_access(who, order, so_far);
    case at_begun: return on_begun(who, order, so_far);
    case at_readmitted: return on_readmitted(who, order, so_far);
    case at_awaited: return on_awaited(who, order, so_far);
    default: return on_printed(who, order, so_far);
  }
}

} // namespace nestor::providers::internal::modal
