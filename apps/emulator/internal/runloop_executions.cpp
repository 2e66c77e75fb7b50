// Commands in a devbox: started, waited for, read, fed, ended. A named shell keeps directory and variables.
#include <emulator/internal/runloop_cloud.hpp>

#include <algorithm>
#include <csignal>

namespace nestor::emulator {
namespace {

constexpr milliseconds held_at_most{25'000};
constexpr std::size_t output_max = 4U << 20U; // bytes kept of one stream; more is dropped

std::string last_lines(const std::string& text, std::int64_t count) {
  auto at = text.size();
  if (text.ends_with('\n'))
    --at;
  for (; count > 0 && at != std::string::npos && at > 0; --count)
    at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

std::string event(const std::string& output, std::size_t offset) {
  return "data: " + json{{"output", output}, {"offset", offset}}.dump(-1, ' ', false, json::error_handler_t::replace) +
         "\n\n";
}

} // namespace

runloop_execution* runloop_cloud::execution(const std::string& devbox, const std::string& id) {
  auto* d = find(devbox);
  auto at = d ? d->executions.find(id) : std::map<std::string, runloop_execution>::iterator{};
  return d && at != d->executions.end() ? &at->second : nullptr;
}

runloop_execution* runloop_cloud::wanted_execution(const call_ref& c) {
  auto* e = wanted(c) ? execution(c->args[0], c->args[1]) : nullptr;
  if (find(c->args[0]) && !e)
    refuse(c, 404, "Execution " + c->args[1] + " not found");
  return e;
}

json runloop_cloud::execution_view(const runloop_devbox& d, const runloop_execution& e, const call_ref& c) const {
  auto lines = std::atoll(c->parameter("last_n").value_or("100").c_str());
  json o{{"devbox_id", d.id},
         {"execution_id", e.id},
         {"status", e.exit_status ? "completed" : "running"},
         {"stdout", last_lines(e.out, lines)},
         {"stderr", last_lines(e.err, lines)},
         {"stdout_truncated", last_lines(e.out, lines).size() < e.out.size()},
         {"stderr_truncated", last_lines(e.err, lines).size() < e.err.size()}};
  if (e.exit_status)
    o["exit_status"] = *e.exit_status;
  if (!e.shell.empty())
    o["shell_name"] = e.shell;
  return o;
}

/// After a refusal nullptr.
runloop_execution* runloop_cloud::run(const call_ref& c, runloop_devbox& d) {
  auto body = c->object();
  if (!body || text_at(*body, "command").empty())
    return refuse(c, 400, "command is required"), nullptr;
  if (d.status != "running")
    return refuse(c, 400, "The devbox is not running"), nullptr;
  d.active = world_.time.now();
  auto id = text_at(*body, "command_id");
  if (id.empty())
    id = "exe_" + word_id(seed_, 22);
  if (auto* same = execution(d.id, id)) // the client's own id: the same command, once
    return same;
  auto& e = d.executions[id];
  e.id = id;
  e.command = text_at(*body, "command");
  e.shell = text_at(*body, "shell_name");
  e.began_ms = wall_ms();
  auto heard = [this, devbox = d.id, id](stream from, std::string_view bytes) {
    auto* now = execution(devbox, id);
    if (!now)
      return;
    auto& kept = from == stream::out ? now->out : now->err;
    auto offset = kept.size();
    kept += bytes.substr(0, output_max - std::min(kept.size(), output_max));
    for (auto& [which, listening] : now->listeners)
      if (which == from)
        listening->more(event(std::string{bytes}, offset));
  };
  auto over = [this, devbox = d.id, id](int exit_code) {
    auto* now = execution(devbox, id);
    if (!now || now->exit_status)
      return;
    now->exit_status = exit_code;
    for (auto& [which, listening] : std::exchange(now->listeners, {}))
      listening->end();
    for (auto& told : std::exchange(now->waiting, {}))
      told();
  };
  command_order order{.line = e.command, .keeps_input = flag_at(*body, "attach_stdin", false), .carried = e.shell};
  auto pid = world_.inside.run(d.id, std::move(order), {.output = heard, .ended = over});
  if (pid)
    e.pid = *pid;
  else
    e.exit_status = 127;
  return &e;
}

void runloop_cloud::execute_async(const call_ref& c) {
  auto* d = wanted(c);
  if (auto* e = d ? run(c, *d) : nullptr)
    c->answer(200, execution_view(*d, *e, c));
}

/// Completed if it is so in time, else as it is then.
void runloop_cloud::execute(const call_ref& c) {
  auto* d = wanted(c);
  auto* e = d ? run(c, *d) : nullptr;
  if (!e)
    return;
  auto seconds = number_at(*c->object(), "optimistic_timeout", held_at_most.count() / 1'000);
  hold_execution(c, d->id, e->id, std::min(milliseconds{1'000 * seconds}, held_at_most), true);
}

void runloop_cloud::execute_sync(const call_ref& c) {
  auto* d = wanted(c);
  auto* e = d ? run(c, *d) : nullptr;
  if (!e)
    return;
  auto reply = [this, c, devbox = d->id, id = e->id] {
    if (auto* now = execution(devbox, id))
      c->answer(200, {{"devbox_id", devbox},
                      {"exit_status", now->exit_status.value_or(-1)},
                      {"stdout", now->out},
                      {"stderr", now->err},
                      {"shell_name", now->shell}});
  };
  if (e->exit_status)
    reply();
  else
    e->waiting.emplace_back(reply);
}

void runloop_cloud::show_execution(const call_ref& c) {
  if (auto* e = wanted_execution(c))
    c->answer(200, execution_view(*find(c->args[0]), *e, c));
}

void runloop_cloud::hold_execution(const call_ref& c, const std::string& devbox, const std::string& id,
                                   milliseconds most, bool timeout_is_answer) {
  auto over = std::make_shared<bool>(false);
  auto reply = [this, c, devbox, id, over] {
    auto* e = execution(devbox, id);
    if (e && !std::exchange(*over, true))
      c->answer(200, execution_view(*find(devbox), *e, c));
  };
  auto* e = execution(devbox, id);
  if (e->exit_status)
    return reply();
  e->waiting.emplace_back(reply);
  world_.time.after(most, [this, c, over, reply, timeout_is_answer] {
    if (timeout_is_answer)
      return reply();
    if (!std::exchange(*over, true))
      refuse(c, 408, "The execution is not completed yet");
  });
}

void runloop_cloud::wait_for_execution(const call_ref& c) {
  auto* e = wanted_execution(c);
  auto body = c->object();
  if (!e)
    return;
  if (!body || !body->contains("statuses"))
    return refuse(c, 400, "Invalid statuses");
  auto asked = milliseconds{1'000 * number_at(*body, "timeout_seconds", held_at_most.count() / 1'000)};
  hold_execution(c, c->args[0], c->args[1], std::min(asked, held_at_most), false);
}

void runloop_cloud::kill_execution(const call_ref& c) {
  if (auto* e = wanted_execution(c)) {
    world_.inside.signal(c->args[0], e->pid, SIGKILL);
    c->answer(200, execution_view(*find(c->args[0]), *e, c));
  }
}

void runloop_cloud::send_input(const call_ref& c) {
  auto* e = wanted_execution(c);
  auto body = c->object();
  if (!e || !body)
    return;
  auto word = text_at(*body, "signal");
  bool good = word == "INTERRUPT" ? world_.inside.signal(c->args[0], e->pid, SIGINT)
                                  : world_.inside.feed(c->args[0], e->pid, text_at(*body, "text"), word == "EOF");
  c->answer(200, {{"devbox_id", c->args[0]}, {"execution_id", e->id}, {"success", good}});
}

void runloop_cloud::stream_out(const call_ref& c) {
  stream_output(c, stream::out);
}
void runloop_cloud::stream_err(const call_ref& c) {
  stream_output(c, stream::err);
}

void runloop_cloud::stream_output(const call_ref& c, stream which) {
  auto* e = wanted_execution(c);
  if (!e)
    return;
  http::response head;
  head.status = 200;
  head.headers.emplace_back("Content-Type", "text/event-stream");
  c->back->begin(head);
  const auto& kept = which == stream::out ? e->out : e->err;
  auto offset = std::clamp<std::int64_t>(std::atoll(c->parameter("offset").value_or("0").c_str()), 0, std::ssize(kept));
  auto from = static_cast<std::size_t>(offset);
  if (from < kept.size())
    c->back->more(event(kept.substr(from), from));
  if (e->exit_status)
    c->back->end();
  else
    e->listeners.emplace_back(which, c->back);
}

} // namespace nestor::emulator
