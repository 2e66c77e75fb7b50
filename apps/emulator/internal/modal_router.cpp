// The workers: their router, which runs commands in a sandbox, and the tunnels to its ports.
#include <emulator/internal/modal_cloud.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

namespace nestor::emulator {
namespace {

constexpr std::chrono::seconds access_life{900};
// Bytes of a command's output that are kept: more than a person reads.
constexpr std::size_t output_max = 1U << 20U;
constexpr std::size_t arguments_max = 65'536;
constexpr milliseconds exec_held_at_most{60'000};

void fill_status(const modal_exec& e, message::ExecStatus& into) {
  constexpr int signals_from = 128;
  if (!e.exit_status)
    return;
  if (*e.exit_status > signals_from)
    into.set_signal(*e.exit_status - signals_from);
  else
    into.set_code(*e.exit_status);
}

std::string output_message(std::string_view bytes) {
  message::ExecOutput m;
  m.set_data(std::string{bytes});
  return m.SerializeAsString();
}

} // namespace

std::span<const modal_cloud::method> modal_cloud::router_methods() {
  using m = modal_cloud;
  static constexpr std::array table{
    method{"TaskExecStart", &m::exec_start},      method{"TaskExecStdioRead", &m::exec_read},
    method{"TaskExecStdinWrite", &m::exec_write}, method{"TaskExecPoll", &m::exec_poll},
    method{"TaskExecWait", &m::exec_wait},
  };
  return table;
}

/// "ta-…-3000.wo-….modal.localhost": what listens on that port, without more ado.
void modal_cloud::serve_tunnel(const call_ref& c) {
  auto label = c->host.substr(0, c->host.find('.'));
  auto dash = label.rfind('-');
  std::uint16_t port = 0;
  if (dash != std::string::npos)
    std::from_chars(label.data() + dash + 1, label.data() + label.size(), port);
  auto at = std::ranges::find_if(
    sandboxes_, [&](const auto& each) { return each.second.task == label.substr(0, dash) && !each.second.over(); });
  bool open = at != sandboxes_.end() && std::ranges::count(at->second.ports, port) > 0;
  if (!open)
    return c->answer(404, {{"detail", "modal-http: no such tunnel"}});
  if (!at->second.running)
    return c->answer(502, {{"detail", "modal-http: the sandbox is not up"}});
  world_.inside.forward(at->first, port, inner_request(*c, {}), [c](http_reply reply) {
    if (auto* answer = std::get_if<http::response>(&reply))
      return c->answer(std::move(*answer));
    c->answer(502, {{"detail", "modal-http: nothing answers on that port"}});
  });
}

message::RouterAccess modal_cloud::access_to(const modal_sandbox& s) {
  message::RouterAccess access;
  access.set_jwt(new_jwt(access_life));
  // Spelled so whatever is spoken there: the SDK refuses another scheme, and on loopback speaks without TLS anyway.
  access.set_url("https" + options_.base.substr(options_.base.find(':')));
  access.set_worker_ipv4_address("127.0.0.1");
  router_tokens_[access.jwt()] = s.task;
  return access;
}

void modal_cloud::router_access(const call_ref& c) {
  auto r = read<message::RouterRequest>(c);
  auto* s = r ? wanted(c, r->sandbox_id()) : nullptr;
  if (!s)
    return;
  if (s->over())
    return refuse(c, rpc::failed_precondition, "The sandbox has finished");
  answer(c, access_to(*s));
}

bool modal_cloud::routed(const call_ref& c, const std::string& task) {
  constexpr std::string_view scheme = "Bearer ";
  auto given = c->header("authorization");
  auto at = given.starts_with(scheme) ? router_tokens_.find(given.substr(scheme.size())) : router_tokens_.end();
  if (at == router_tokens_.end() || at->second != task)
    return refuse(c, rpc::unauthenticated, "Invalid token"), false;
  return true;
}

modal_sandbox* modal_cloud::of_task(const call_ref& c, const std::string& task) {
  if (!routed(c, task))
    return nullptr;
  auto at = std::ranges::find_if(sandboxes_, [&](const auto& each) { return each.second.task == task; });
  if (at == sandboxes_.end() || at->second.over())
    return refuse(c, rpc::not_found, "Task not found"), nullptr;
  return &at->second;
}

modal_exec* modal_cloud::known_exec(const std::string& sandbox, const std::string& exec) {
  auto* s = find(sandbox);
  auto at = s ? s->execs.find(exec) : std::map<std::string, modal_exec>::iterator{};
  return s && at != s->execs.end() ? &at->second : nullptr;
}

modal_exec* modal_cloud::of_exec(const call_ref& c, const std::string& task, const std::string& exec) {
  auto* s = of_task(c, task);
  auto* e = s ? known_exec(s->id, exec) : nullptr;
  if (s && !e)
    refuse(c, rpc::not_found, "Exec not found");
  return e;
}

/// The id is the client's own: a second start of it is the first one.
void modal_cloud::exec_start(const call_ref& c) {
  auto r = read<message::ExecRequest>(c);
  auto* s = r ? of_task(c, r->task_id()) : nullptr;
  if (!s)
    return;
  std::size_t size = 0;
  for (const auto& each : r->command_args())
    size += each.size();
  if (r->command_args().empty() || size > arguments_max || r->exec_id().empty())
    return refuse(c, rpc::invalid_argument, "Invalid command");
  if (!s->running)
    return refuse(c, rpc::unavailable, "The sandbox is not up yet");
  if (s->execs.contains(r->exec_id()))
    return answer(c, message::Empty{});
  s->execs[r->exec_id()];
  command_order order{
    .argv = {r->command_args().begin(), r->command_args().end()}, .directory = r->workdir(), .keeps_input = true};
  for (const auto& [name, value] : r->env())
    order.env.emplace_back(name, value);
  for (const auto& source : r->secret_sources())
    for (const auto& [name, value] : source.env().contents())
      order.env.emplace_back(name, value);
  auto heard = [this, id = s->id, exec = r->exec_id(), one = r->stderr_config() == 2](stream from,
                                                                                      std::string_view bytes) {
    auto* e = known_exec(id, exec);
    if (!e)
      return;
    auto which = one ? stream::out : from;
    auto& kept = which == stream::out ? e->out : e->err;
    kept += bytes.substr(0, output_max - std::min(kept.size(), output_max));
    for (auto& [listens_to, listening] : e->listeners)
      if (listens_to == which)
        listening->more(output_message(bytes));
  };
  auto over = [this, id = s->id, exec = r->exec_id()](int exit_code) {
    auto* e = known_exec(id, exec);
    if (!e || e->exit_status)
      return;
    e->exit_status = exit_code;
    for (auto& [which, listening] : std::exchange(e->listeners, {}))
      listening->end();
    for (auto& told : std::exchange(e->waiting, {}))
      told();
  };
  auto pid = world_.inside.run(s->id, std::move(order), {.output = heard, .ended = over});
  auto* e = known_exec(s->id, r->exec_id());
  if (pid)
    e->pid = *pid;
  else
    e->exit_status = 127;
  if (pid && r->timeout_secs() > 0)
    world_.time.after(std::chrono::seconds{r->timeout_secs()}, [this, id = s->id, exec = r->exec_id()] {
      if (auto* late = known_exec(id, exec); late && !late->exit_status)
        world_.inside.signal(id, late->pid, SIGKILL);
    });
  answer(c, message::Empty{});
}

void modal_cloud::exec_read(const call_ref& c) {
  auto r = read<message::ExecReadRequest>(c);
  auto* e = r ? of_exec(c, r->task_id(), r->exec_id()) : nullptr;
  if (!e)
    return;
  http::response head;
  head.status = 200;
  head.headers.emplace_back("grpc-status", "0");
  c->back->begin(head);
  auto which = r->file_descriptor() == 0 ? stream::out : stream::err;
  const auto& kept = which == stream::out ? e->out : e->err;
  if (r->offset() < kept.size())
    c->back->more(output_message(std::string_view{kept}.substr(r->offset())));
  if (e->exit_status)
    c->back->end();
  else
    e->listeners.emplace_back(which, c->back);
}

void modal_cloud::exec_write(const call_ref& c) {
  auto r = read<message::ExecWriteRequest>(c);
  auto* s = r ? of_task(c, r->task_id()) : nullptr;
  auto* e = s ? known_exec(s->id, r->exec_id()) : nullptr;
  if (!s)
    return;
  if (!e || e->exit_status || !world_.inside.feed(s->id, e->pid, r->data(), r->eof()))
    return refuse(c, e ? rpc::failed_precondition : rpc::not_found, "Exec cannot be written to");
  answer(c, message::Empty{});
}

void modal_cloud::exec_poll(const call_ref& c) {
  auto r = read<message::OfExec>(c);
  auto* e = r ? of_exec(c, r->task_id(), r->exec_id()) : nullptr;
  if (!e)
    return;
  message::ExecStatus reply;
  fill_status(*e, reply);
  answer(c, reply);
}

void modal_cloud::exec_wait(const call_ref& c) {
  auto r = read<message::OfExec>(c);
  auto* e = r ? of_exec(c, r->task_id(), r->exec_id()) : nullptr;
  if (!e)
    return;
  auto over = std::make_shared<bool>(false);
  auto at = std::ranges::find_if(sandboxes_, [&](const auto& each) { return each.second.task == r->task_id(); });
  auto reply = [this, c, id = at->first, exec = r->exec_id(), over] {
    auto* now = known_exec(id, exec);
    if (!now || std::exchange(*over, true))
      return;
    if (!now->exit_status)
      return refuse(c, rpc::deadline_exceeded, "The command runs still");
    message::ExecStatus status;
    fill_status(*now, status);
    answer(c, status);
  };
  if (e->exit_status)
    return reply();
  e->waiting.emplace_back(reply);
  world_.time.after(exec_held_at_most, reply);
}

} // namespace nestor::emulator
