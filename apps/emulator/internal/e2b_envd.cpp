// envd, the agent inside: processes over the Connect protocol with its JSON codec, files over HTTP.
#include <emulator/internal/e2b_cloud.hpp>
#include <emulator/internal/multipart.hpp>

#include <algorithm>
#include <csignal>

namespace nestor::emulator {
namespace {

constexpr char end_of_stream = 0x02;

/// One flag byte, four of length, the message.
std::string envelope(const json& message, char flag = 0) {
  auto text = message.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string out{flag};
  for (unsigned shift : {24U, 16U, 8U, 0U})
    out += static_cast<char>(text.size() >> shift & 0xFFU);
  return out + text;
}

std::optional<json> enveloped(std::string_view body) {
  if (body.size() < 5)
    return std::nullopt;
  auto parsed = json::parse(body.substr(5), nullptr, false);
  return parsed.is_object() ? std::optional{std::move(parsed)} : std::nullopt;
}

http::response stream_head() {
  http::response head;
  head.status = 200;
  head.headers.emplace_back("Content-Type", "application/connect+json");
  return head;
}

json started(std::int64_t pid) {
  return {{"event", {{"start", {{"pid", pid}}}}}};
}

/// As protojson writes it: what is zero is left out.
json ended(int exit_code) {
  if (exit_code == 0)
    return {{"event", {{"end", {{"exited", true}, {"status", "exit status 0"}}}}}};
  bool by_signal = exit_code > 128;
  auto status = by_signal
                  ? exit_code == 128 + SIGKILL ? std::string{"signal: killed"} : std::string{"signal: terminated"}
                  : "exit status " + std::to_string(exit_code);
  json end{{"exitCode", by_signal ? -1 : exit_code}};
  if (!by_signal)
    end["exited"] = true;
  end["status"] = status;
  end["error"] = status;
  return {{"event", {{"end", end}}}};
}

} // namespace

void e2b_cloud::envd_refuse(const call_ref& c, std::uint16_t status, std::string_view message) const {
  c->answer(status, {{"code", status}, {"message", message}});
}

void e2b_cloud::rpc_refuse(const call_ref& c, std::uint16_t status, std::string_view code,
                           std::string_view message) const {
  json error{{"code", code}, {"message", message}};
  if (!c->header("Content-Type").starts_with("application/connect+json"))
    return c->answer(status, error);
  c->back->begin(stream_head()); // errors of a stream come inside it, under status 200
  c->back->more(envelope({{"error", error}}, end_of_stream));
  c->back->end();
}

void e2b_cloud::envd(const call_ref& c, e2b_sandbox& s) {
  if (c->path == "/health")
    return c->answer(204);
  if (!s.access_token.empty() && c->header("X-Access-Token") != s.access_token)
    return envd_refuse(c, 401,
                       "unauthorized access, please provide a valid access token or method signing if supported");
  if (c->path == "/files")
    return files(c, s);
  if (c->request.verb != http::method::post)
    return envd_refuse(c, 404, "page not found");
  if (c->path == "/process.Process/Start")
    return start_process(c, s);
  if (c->path == "/process.Process/Connect")
    return connect_process(c, s);
  unary(c, s, std::string_view{c->path}.substr(1));
}

void e2b_cloud::start_process(const call_ref& c, e2b_sandbox& s) {
  auto body = enveloped(c->request.body);
  if (!body || !body->contains("process") || text_at((*body)["process"], "cmd").empty())
    return rpc_refuse(c, 400, "invalid_argument", "process is required");
  const auto& process = (*body)["process"];
  command_order order{.argv = {text_at(process, "cmd")},
                      .env = variables_at(process, "envs"),
                      .directory = text_at(process, "cwd"),
                      .keeps_input = flag_at(*body, "stdin", true)};
  if (process.contains("args"))
    for (const auto& a : process["args"])
      order.argv.push_back(a.is_string() ? a.get<std::string>() : a.dump());
  // Heard only once the number is known: machines never call back from inside `run`.
  auto number = std::make_shared<std::int64_t>(-1);
  auto say = [this, id = s.id, number](stream from, std::string_view bytes) {
    auto* now = find(id);
    auto at = now ? now->processes.find(*number) : std::map<std::int64_t, e2b_process>::iterator{};
    if (!now || at == now->processes.end())
      return;
    json data{{from == stream::out ? "stdout" : "stderr", base64(bytes)}};
    for (const auto& listening : at->second.streams)
      listening->more(envelope({{"event", {{"data", data}}}}));
  };
  auto over = [this, id = s.id, number](int exit_code) { process_ended(id, *number, exit_code); };
  auto pid = world_.inside.run(s.id, std::move(order), {.output = say, .ended = over});
  if (!pid)
    return rpc_refuse(c, 500, "internal", "error starting process: fork/exec failed");
  *number = *pid;
  auto& p = s.processes[*pid];
  p.config = process;
  p.tag = text_at(*body, "tag");
  p.streams.push_back(c->back);
  c->back->begin(stream_head());
  c->back->more(envelope(started(*pid)));
  // The deadline ends the process; that the client goes away does not.
  if (auto ms = std::atoll(c->header("Connect-Timeout-Ms").c_str()); ms > 0)
    world_.time.after(milliseconds{ms}, [this, id = s.id, pid] {
      auto* now = find(id);
      auto at = now ? now->processes.find(*pid) : std::map<std::int64_t, e2b_process>::iterator{};
      if (!now || at == now->processes.end())
        return;
      at->second.timed_out = true;
      world_.inside.signal(id, *pid, SIGKILL);
    });
}

void e2b_cloud::process_ended(const std::string& id, std::int64_t pid, int exit_code) {
  auto* s = find(id);
  auto at = s ? s->processes.find(pid) : std::map<std::int64_t, e2b_process>::iterator{};
  if (!s || at == s->processes.end())
    return;
  auto p = std::move(at->second);
  s->processes.erase(at);
  for (const auto& listening : p.streams) {
    if (p.timed_out) {
      json error{{"code", "deadline_exceeded"}, {"message", "context deadline exceeded"}};
      listening->more(envelope({{"error", error}}, end_of_stream));
    } else {
      listening->more(envelope(ended(exit_code)));
      listening->more(envelope(json::object(), end_of_stream));
    }
    listening->end();
  }
}

std::optional<std::int64_t> e2b_cloud::selected(const e2b_sandbox& s, const json& body) const {
  auto which = body.find("process");
  if (which == body.end() || !which->is_object())
    return std::nullopt;
  auto pid = number_at(*which, "pid", -1);
  auto tag = text_at(*which, "tag");
  for (const auto& [number, p] : s.processes)
    if (number == pid || (!tag.empty() && p.tag == tag))
      return number;
  return std::nullopt;
}

void e2b_cloud::connect_process(const call_ref& c, e2b_sandbox& s) {
  auto body = enveloped(c->request.body);
  auto pid = body ? selected(s, *body) : std::nullopt;
  if (!pid)
    return rpc_refuse(c, 404, "not_found", "process not found");
  s.processes[*pid].streams.push_back(c->back);
  c->back->begin(stream_head());
  c->back->more(envelope(started(*pid)));
}

void e2b_cloud::unary(const call_ref& c, e2b_sandbox& s, std::string_view method) {
  auto body = c->object();
  if (!body)
    return rpc_refuse(c, 400, "invalid_argument", "the message is no JSON object");
  if (method.starts_with("filesystem.Filesystem/") && filesystem(c, s, method.substr(22), *body))
    return;
  if (method == "process.Process/List") {
    auto all = json::array();
    for (const auto& [pid, p] : s.processes) {
      json one{{"config", p.config}, {"pid", pid}};
      if (!p.tag.empty())
        one["tag"] = p.tag;
      all.push_back(one);
    }
    return c->answer(200, all.empty() ? json::object() : json{{"processes", all}});
  }
  auto pid = selected(s, *body);
  bool known = method == "process.Process/SendSignal" || method == "process.Process/SendInput" ||
               method == "process.Process/CloseStdin";
  if (!known)
    return envd_refuse(c, 404, "page not found");
  if (!pid) {
    auto number = body->contains("process") ? number_at((*body)["process"], "pid", 0) : 0;
    return rpc_refuse(c, 404, "not_found", "process with pid " + std::to_string(number) + " not found");
  }
  if (method == "process.Process/SendSignal") {
    world_.inside.signal(s.id, *pid, text_at(*body, "signal") == "SIGNAL_SIGKILL" ? SIGKILL : SIGTERM);
  } else {
    auto input =
      body->contains("input") ? base64_decoded(text_at((*body)["input"], "stdin")).value_or("") : std::string{};
    world_.inside.feed(s.id, *pid, input, method == "process.Process/CloseStdin");
  }
  c->answer(200, json::object());
}

bool e2b_cloud::filesystem(const call_ref& c, e2b_sandbox& s, std::string_view method, const json& body) {
  auto path = text_at(body, "path");
  auto described = [&](const file_entry& f, const std::string& where) {
    return json{{"name", f.name},
                {"type", f.directory ? "FILE_TYPE_DIRECTORY" : "FILE_TYPE_FILE"},
                {"path", where},
                {"size", std::to_string(f.size)},
                {"mode", f.directory ? 493 : 420},
                {"permissions", f.directory ? "drwxr-xr-x" : "-rw-r--r--"},
                {"owner", "user"},
                {"group", "user"},
                {"modifiedTime", iso_time(wall_ms())}};
  };
  auto missing = [&] { rpc_refuse(c, 404, "not_found", "file not found"); };
  if (method == "Stat") {
    auto f = world_.inside.look(s.id, path);
    f ? c->answer(200, {{"entry", described(*f, path)}}) : missing();
  } else if (method == "ListDir") {
    auto found = world_.inside.list(s.id, path);
    auto all = json::array();
    for (const auto& f : found.value_or(std::vector<file_entry>{}))
      all.push_back(described(f, path + (path.ends_with('/') ? "" : "/") + f.name));
    found ? c->answer(200, {{"entries", all}}) : missing();
  } else if (method == "MakeDir") {
    if (world_.inside.look(s.id, path))
      rpc_refuse(c, 409, "already_exists", "directory already exists: " + path);
    else if (world_.inside.make_directory(s.id, path))
      c->answer(200, {{"entry", described({path.substr(path.rfind('/') + 1), true, 0}, path)}});
    else
      rpc_refuse(c, 400, "invalid_argument", "error creating directory");
  } else if (method == "Remove") {
    world_.inside.remove(s.id, path);
    c->answer(200, json::object());
  } else if (method == "Move") {
    auto bytes = world_.inside.read(s.id, text_at(body, "source"));
    auto to = text_at(body, "destination");
    if (!bytes || !world_.inside.write(s.id, to, *bytes) || !world_.inside.remove(s.id, text_at(body, "source")))
      missing();
    else
      c->answer(200, {{"entry", described({to.substr(to.rfind('/') + 1), false, bytes->size()}, to)}});
  } else {
    return false;
  }
  return true;
}

void e2b_cloud::files(const call_ref& c, e2b_sandbox& s) {
  auto path = c->parameter("path").value_or("");
  if (c->request.verb == http::method::get) {
    auto bytes = world_.inside.read(s.id, path);
    if (!bytes)
      return envd_refuse(c, 404, "path '" + path + "' does not exist");
    http::response r;
    r.status = 200;
    r.headers.emplace_back("Content-Type", "application/octet-stream");
    r.body.assign(bytes->data(), bytes->size());
    return c->answer(std::move(r));
  }
  auto stored = json::array();
  auto store = [&](const std::string& to, std::string_view content) {
    bool good = !to.empty() && world_.inside.write(s.id, to, content);
    if (good)
      stored.push_back({{"path", to}, {"name", to.substr(to.rfind('/') + 1)}, {"type", "file"}});
    return good;
  };
  auto parts = form_parts(c->header("Content-Type"), c->request.body);
  bool good = true;
  if (parts) // without a path each file's own name is its destination
    for (const auto& p : *parts)
      good = good && store(path.empty() ? p.filename : path, p.content);
  else
    good = store(path, c->request.body);
  good ? c->answer(200, stored) : envd_refuse(c, 400, "invalid path");
}

} // namespace nestor::emulator
