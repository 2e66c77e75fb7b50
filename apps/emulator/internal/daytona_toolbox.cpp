// The agent inside a sandbox: commands, and shells that keep what was done in them. Each command is a process of its
// own that starts in the directory and with the variables which the one before it left.
#include <emulator/internal/daytona_cloud.hpp>

#include <algorithm>
#include <csignal>

namespace nestor::emulator {
namespace {

constexpr std::size_t output_max = 4U << 20U; // bytes kept of one command; more is dropped

/// Since this version the agent tells stdout from stderr; it goes by the SDK's header.
bool splits_streams(const std::string& version) {
  int major = 0;
  int minor = 0;
  return std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major > 0 || minor >= 167);
}

void keep(std::string& kept, std::string_view bytes) {
  kept += bytes.substr(0, output_max - std::min(kept.size(), output_max));
}

json running(const daytona_command& k) {
  return {{"cmdId", k.id}, {"output", nullptr}, {"stdout", nullptr}, {"stderr", nullptr}, {"exitCode", nullptr}};
}

json shown(const daytona_command& k) {
  json o{{"id", k.id}, {"command", k.line}};
  if (k.exit_code)
    o["exitCode"] = *k.exit_code;
  return o;
}

} // namespace

std::string_view daytona_error_code(std::uint16_t status) {
  switch (status) {
    case 400: return "BAD_REQUEST";
    case 401: return "UNAUTHORIZED";
    case 403: return "FORBIDDEN";
    case 404: return "NOT_FOUND";
    case 408: return "REQUEST_TIMEOUT";
    case 409: return "CONFLICT";
    case 410: return "GONE";
    case 422: return "UNPROCESSABLE_ENTITY";
    default: return "INTERNAL_SERVER_ERROR";
  }
}

void daytona_cloud::tool_refuse(const call_ref& c, std::uint16_t status, std::string_view message) const {
  c->answer(status, {{"statusCode", status},
                     {"message", message},
                     {"code", daytona_error_code(status)},
                     {"timestamp", iso_time(wall_ms())},
                     {"path", c->path},
                     {"method", http::name_of(c->request.verb)}});
}

bool daytona_cloud::serve_toolbox(const call_ref& c) {
  std::vector<std::string> args;
  bool old = fits("/api/toolbox/{}/toolbox/{*}", c->path, args);
  if (!old && !fits("/toolbox/{}/{*}", c->path, args))
    return false;
  auto* s = find(args[0]);
  bool key = c->header("Authorization") == "Bearer " + options_.key;
  if (!key && !(s && c->header("X-Daytona-Preview-Token") == s->preview_token)) {
    tool_refuse(c, 401, "unauthorized: authentication failed");
    return true;
  }
  if (!s)
    tool_refuse(c, 400, "bad request: failed to get runner info: 404 Not Found");
  else if (s->state != "started")
    tool_refuse(c, 400, "bad request: no IP address found. Is the Sandbox started?");
  else
    toolbox(c, *s, args[1]);
  return true;
}

void daytona_cloud::toolbox(const call_ref& c, daytona_sandbox& s, std::string_view path) {
  using http::method;
  touch(s);
  auto verb = c->request.verb;
  std::vector<std::string> a;
  auto is = [&](method m, std::string_view pattern) {
    a.clear();
    return verb == m && fits(pattern, "/" + std::string{path}, a);
  };
  if (is(method::get, "/version"))
    return c->answer(200, {{"version", "v0.190.0"}});
  if (is(method::get, "/user-home-dir") || is(method::get, "/work-dir") || is(method::get, "/project-dir"))
    return c->answer(200, {{"dir", world_.inside.home(s.id)}});
  if (is(method::post, "/process/execute"))
    return execute(c, s);
  if (is(method::post, "/process/session"))
    return open_session(c, s);
  if (is(method::get, "/process/session")) {
    auto all = json::array();
    for (const auto& [name, commands] : s.sessions) {
      auto listed = json::array();
      for (const auto& k : commands)
        listed.push_back(shown(k));
      all.push_back({{"sessionId", name}, {"commands", listed}});
    }
    return c->answer(200, all);
  }
  if (is(method::post, "/process/session/{}/exec"))
    return run_in_session(c, s, a[0]);
  if (is(method::get, "/process/session/{}/command/{}"))
    return show_command(c, s, a[0], a[1]);
  if (is(method::get, "/process/session/{}/command/{}/logs"))
    return command_logs(c, s, a[0], a[1]);
  if (is(method::post, "/process/session/{}/command/{}/input")) {
    auto* k = command(s.id, a[0], a[1]);
    auto body = c->object();
    if (!k || !body || !world_.inside.feed(s.id, k->pid, text_at(*body, "data"), false))
      return tool_refuse(c, 404, "not found: command not found");
    return c->answer(204);
  }
  if (is(method::get, "/process/session/{}") && s.sessions.contains(a[0])) {
    auto listed = json::array();
    for (const auto& k : s.sessions[a[0]])
      listed.push_back(shown(k));
    return c->answer(200, {{"sessionId", a[0]}, {"commands", listed}});
  }
  if (is(method::del, "/process/session/{}"))
    return close_session(c, s, a[0]);
  if (!serve_files(c, s, path))
    tool_refuse(c, 404, "not found: no such route or object");
}

void daytona_cloud::execute(const call_ref& c, daytona_sandbox& s) {
  auto body = c->object();
  if (!body || text_at(*body, "command").empty())
    return tool_refuse(c, 400, "bad request: command is required");
  struct running_command {
    std::string output;
    bool over = false;
  };
  auto r = std::make_shared<running_command>();
  command_order order{
    .line = text_at(*body, "command"), .env = variables_at(*body, "envs"), .directory = text_at(*body, "cwd")};
  auto pid = world_.inside.run(s.id, std::move(order),
                               {.output = [r](stream, std::string_view bytes) { keep(r->output, bytes); },
                                .ended =
                                  [c, r](int exit_code) {
                                    if (!std::exchange(r->over, true))
                                      c->answer(200, {{"exitCode", exit_code}, {"result", r->output}});
                                  }});
  if (!pid)
    return tool_refuse(c, 500, "the shell could not be started");
  auto seconds = number_at(*body, "timeout", 0);
  if (seconds > 0)
    world_.time.after(std::chrono::seconds{seconds}, [this, c, r, id = s.id, pid] {
      if (std::exchange(r->over, true))
        return;
      world_.inside.signal(id, *pid, SIGKILL);
      tool_refuse(c, 408, "request timeout: command execution timeout");
    });
}

void daytona_cloud::open_session(const call_ref& c, daytona_sandbox& s) {
  auto body = c->object();
  auto name = body ? text_at(*body, "sessionId") : std::string{};
  if (name.empty() || name == "entrypoint")
    return tool_refuse(c, 400,
                       name.empty() ? "bad request: sessionId is required" : "bad request: reserved session id");
  if (!s.sessions.try_emplace(name).second)
    return tool_refuse(c, 409, "conflict: session already exists");
  c->answer(201);
}

daytona_command* daytona_cloud::command(const std::string& sandbox, const std::string& name, const std::string& id) {
  auto* s = by_id(sandbox);
  auto found = s ? s->sessions.find(name) : std::map<std::string, command_list>::iterator{};
  if (!s || found == s->sessions.end())
    return nullptr;
  auto at = std::ranges::find(found->second, id, &daytona_command::id);
  return at == found->second.end() ? nullptr : &*at;
}

void daytona_cloud::run_in_session(const call_ref& c, daytona_sandbox& s, const std::string& name) {
  auto body = c->object();
  auto at = s.sessions.find(name);
  if (at == s.sessions.end())
    return tool_refuse(c, 404, "not found: session not found");
  if (!body || text_at(*body, "command").empty())
    return tool_refuse(c, 400, "bad request: command is required");
  bool asynchronous = flag_at(*body, "runAsync", flag_at(*body, "async", false));
  auto& k = at->second.emplace_back();
  k.id = uuid(seed_);
  k.line = text_at(*body, "command");
  if (!asynchronous)
    k.waiting.push_back(c);
  auto heard = [this, sandbox = s.id, name, id = k.id](stream from, std::string_view bytes) {
    auto* now = command(sandbox, name, id);
    if (!now)
      return;
    keep(from == stream::out ? now->out : now->err, bytes);
    std::string marked(3, from == stream::out ? '\x01' : '\x02');
    marked += bytes;
    keep(now->marked, marked);
    for (const auto& f : now->followers)
      f->more(marked);
  };
  auto pid = world_.inside.run(s.id, {.line = k.line, .keeps_input = true, .carried = name},
                               {.output = heard, .ended = [this, sandbox = s.id, name, id = k.id](int code) {
                                  command_ended(sandbox, name, id, code);
                                }});
  if (asynchronous)
    c->answer(202, running(k));
  if (pid)
    k.pid = *pid;
  else
    command_ended(s.id, name, std::string{k.id}, 127);
}

void daytona_cloud::command_ended(const std::string& sandbox, const std::string& name, const std::string& id,
                                  int exit_code) {
  auto* k = command(sandbox, name, id);
  if (!k)
    return;
  k->exit_code = exit_code;
  for (const auto& c : std::exchange(k->waiting, {}))
    c->answer(
      200, {{"cmdId", k->id}, {"output", k->marked}, {"stdout", k->out}, {"stderr", k->err}, {"exitCode", exit_code}});
  for (const auto& f : std::exchange(k->followers, {}))
    f->end();
}

void daytona_cloud::show_command(const call_ref& c, daytona_sandbox& s, const std::string& name,
                                 const std::string& id) {
  if (auto* k = command(s.id, name, id))
    return c->answer(200, shown(*k));
  tool_refuse(c, 404, "not found: command not found");
}

void daytona_cloud::command_logs(const call_ref& c, daytona_sandbox& s, const std::string& name,
                                 const std::string& id) {
  auto* k = command(s.id, name, id);
  if (!k)
    return tool_refuse(c, 404, "not found: command not found");
  http::response text;
  text.status = 200;
  text.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  if (c->parameter("follow").value_or("") == "true") {
    c->back->begin(text);
    c->back->more(k->marked);
    if (k->exit_code)
      c->back->end();
    else
      k->followers.push_back(c->back);
    return;
  }
  if (splits_streams(c->header("X-Daytona-SDK-Version")))
    return c->answer(200, {{"output", k->marked}, {"stdout", k->out}, {"stderr", k->err}});
  auto both = k->out + k->err;
  text.body.assign(both.data(), both.size());
  c->answer(std::move(text));
}

void daytona_cloud::close_session(const call_ref& c, daytona_sandbox& s, const std::string& name) {
  auto at = s.sessions.find(name);
  if (at == s.sessions.end())
    return tool_refuse(c, 404, "not found: session not found");
  auto commands = std::move(at->second);
  s.sessions.erase(at);
  for (auto& k : commands) {
    if (!k.exit_code && k.pid >= 0)
      world_.inside.signal(s.id, k.pid, SIGKILL);
    for (const auto& waiting : k.waiting)
      tool_refuse(waiting, 410, "gone: session ended");
    for (const auto& f : k.followers)
      f->end();
  }
  c->answer(204);
}

} // namespace nestor::emulator
