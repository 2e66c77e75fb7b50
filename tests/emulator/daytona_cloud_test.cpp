// One test for each trap of Daytona's API, named after it.
#include "cloud_world.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;

namespace {

struct daytona : account {
  explicit daytona(cloud_options options = {}) : account("daytona", std::move(options)) {}

  /// A started one's id.
  std::string started(json body = json::object()) {
    auto made = ask("POST /api/sandbox", body);
    REQUIRE(made->status() == 200);
    time.advance(1s);
    return made->body()["id"];
  }
  std::string state(const std::string& id) { return ask("GET /api/sandbox/" + id)->body().value("state", "404"); }
};

} // namespace

TEST_CASE("daytona: a create is held until it started, and its body is older than that") {
  daytona d;
  auto made = d.begin("POST /api/sandbox", {{"name", "a"}, {"snapshot", "daytona-small"}});
  CHECK_FALSE(made->got);
  d.time.advance(1s);
  CHECK(made->status() == 200);
  CHECK(made->body()["state"] == "creating");
  CHECK(d.state("a") == "started");
}

TEST_CASE("daytona: a create that fails while it is held is a 400, and its sandbox stays") {
  daytona d;
  d.plan({"wrong-state@POST /api/sandbox$"});
  auto made = d.ask("POST /api/sandbox", {{"name", "a"}});
  CHECK(made->status() == 400);
  CHECK(made->body()["message"].get<std::string>().starts_with("Sandbox failed to start: "));
  CHECK(d.state("a") == "error");
  CHECK(d.ask("DELETE /api/sandbox/a")->status() == 200);
}

TEST_CASE("daytona: nothing can be destroyed while a change of state is under way") {
  daytona d;
  auto made = d.begin("POST /api/sandbox", {{"name", "a"}});
  auto refused = d.begin("DELETE /api/sandbox/a");
  CHECK(refused->status() == 409);
  CHECK(refused->body()["message"] == "Sandbox state change in progress");
  CHECK(refused->body()["path"] == "/api/sandbox/a");
  d.time.advance(1s);
  CHECK(d.begin("DELETE /api/sandbox/a")->status() == 200);
  CHECK(d.begin("DELETE /api/sandbox/" + made->body()["id"].get<std::string>())->status() == 409);
  d.time.advance(1s);
  CHECK(d.rented() == 0);
  CHECK(d.inside.count() == 0);
}

TEST_CASE("daytona: one that never starts cannot be destroyed until the server gives it up") {
  daytona d;
  d.plan({"never-ready@POST /api/sandbox$"});
  std::string id = d.ask("POST /api/sandbox", {{"name", "a"}})->body()["id"];
  CHECK(d.state("a") == "creating");
  CHECK(d.ask("DELETE /api/sandbox/" + id)->status() == 409);
  d.time.advance(std::chrono::minutes{11});
  CHECK(d.state("a") == "error");
  CHECK(d.ask("DELETE /api/sandbox/" + id)->status() == 200);
  d.time.advance(1s);
  CHECK(d.rented() == 0);
}

TEST_CASE("a port that is taken ends the second server on it, and a line in the background ends at once") {
  daytona d;
  auto id = d.started({{"env", {{"SESSION_API_KEY", "first"}}}}); // its image serves by itself
  std::vector<int> codes;
  auto run = [&](std::string line, variables env) {
    command_ears ears;
    ears.ended = [&codes](int code) { codes.push_back(code); };
    d.inside.run(id, {.line = std::move(line), .env = std::move(env)}, ears);
    d.time.advance(1s);
  };
  run("nestor-nested-server", {{"SESSION_API_KEY", "second"}});
  CHECK(codes == std::vector{1});
  auto key = d.inside.server(id)->model().options().session_key;
  CHECK(key.expose([](std::string_view text) { return text == "first"; }));
  run("setsid nohup nestor-nested-server >/tmp/log 2>&1 </dev/null &", {{"PORT", "3001"}});
  CHECK(codes == std::vector{1, 0});
  CHECK(d.inside.server(id, 3001)); // it runs on
}

TEST_CASE("daytona: a destroyed one's name is free at once, its id answers a little longer") {
  daytona d;
  auto id = d.started({{"name", "a"}});
  d.begin("DELETE /api/sandbox/a");
  CHECK(d.begin("GET /api/sandbox/a")->status() == 404);
  CHECK(d.begin("GET /api/sandbox/" + id)->body()["state"] == "destroying");
  d.time.advance(1s);
  CHECK(d.ask("GET /api/sandbox/" + id)->status() == 404);
}

TEST_CASE("daytona: names are unique, and say which") {
  daytona d;
  d.started({{"name", "a"}});
  auto second = d.ask("POST /api/sandbox", {{"name", "a"}});
  CHECK(second->status() == 409);
  CHECK(second->body()["message"] == "Sandbox with name a already exists");
  CHECK(d.rented() == 1);
}

TEST_CASE("daytona: a refused rate names its limit, and only wrong keys get a plain Retry-After") {
  daytona d;
  d.plan({"throttled:7@POST /api/sandbox$", "throttled:7@GET /api/sandbox$"});
  auto create = d.ask("POST /api/sandbox");
  CHECK(create->status() == 429);
  CHECK(create->header("Retry-After-sandbox-create") == "7");
  CHECK(create->header("Retry-After").empty());
  CHECK(d.ask("GET /api/sandbox")->header("Retry-After-authenticated") == "7");
  answer stranger;
  for (int i = 0; i < 11; ++i)
    stranger = d.ask("GET /api/sandbox", nullptr, {{"Authorization", "Bearer dtn_0"}});
  CHECK(stranger->status() == 429);
  CHECK_FALSE(stranger->header("Retry-After").empty());
}

TEST_CASE("daytona: a wrong key is 401 with the text of the service") {
  daytona d;
  auto refused = d.ask("GET /api/api-keys/current", nullptr, {{"Authorization", "Bearer dtn_0"}});
  CHECK(refused->status() == 401);
  CHECK(refused->body()["message"] == "Invalid credentials");
  CHECK(refused->header("X-RateLimit-Remaining-failed-auth") == "9");
  auto good = d.ask("GET /api/api-keys/current")->body();
  CHECK(good["permissions"][0] == "write:sandboxes");
  CHECK(good["expiresAt"].is_null());
}

TEST_CASE("daytona: session logs are split only for an SDK that is new enough") {
  daytona d;
  auto id = d.started();
  d.ask("POST /toolbox/" + id + "/process/session", {{"sessionId", "s"}});
  CHECK(d.ask("POST /toolbox/" + id + "/process/session", {{"sessionId", "s"}})->status() == 409);
  auto ran = d.ask("POST /toolbox/" + id + "/process/session/s/exec",
                   {{"command", "echo out; echo err 1>&2"}, {"runAsync", true}});
  CHECK(ran->status() == 202);
  d.time.advance(1s);
  auto logs = "GET /toolbox/" + id + "/process/session/s/command/" + ran->body()["cmdId"].get<std::string>() + "/logs";
  CHECK(d.ask(logs, nullptr, {{"X-Daytona-SDK-Version", "0.218.0"}})->body()["stderr"] == "err\n");
  CHECK(d.ask(logs)->header("Content-Type").starts_with("text/plain"));
  CHECK(d.ask(logs, nullptr, {{"X-Daytona-SDK-Version", "0.166.9"}})->header("Content-Type").starts_with("text/plain"));
}

TEST_CASE("daytona: a private preview answers strangers with a login, and a closed port with an empty 502") {
  daytona d;
  auto id = d.started();
  auto link = d.ask("GET /api/sandbox/" + id + "/ports/3000/preview-url")->body();
  headers at{{"Host", "3000-" + id + ".proxy.localhost"}, {"Authorization", ""}};
  auto stranger = d.ask("GET /alive", nullptr, at);
  CHECK(stranger->status() == 307);
  CHECK(stranger->header("Location").find("/oidc/") != std::string::npos);
  at.emplace_back("X-Daytona-Preview-Token", link["token"].get<std::string>());
  CHECK(d.ask("GET /alive", nullptr, at)->status() == 200);
  at[0].second = "3001-" + id + ".proxy.localhost";
  auto closed = d.ask("GET /alive", nullptr, at);
  CHECK(closed->status() == 502);
  CHECK(closed->got->response.body.empty());
}

TEST_CASE("daytona: the preview token is another one after stop and start") {
  daytona d;
  auto id = d.started();
  auto token = [&] { return d.ask("GET /api/sandbox/" + id + "/ports/3000/preview-url")->body()["token"]; };
  auto before = token();
  CHECK(d.ask("POST /api/sandbox/" + id + "/stop")->body()["state"] == "stopping");
  d.time.advance(1s);
  CHECK(d.ask("POST /api/sandbox/" + id + "/stop")->status() == 400);
  CHECK(d.ask("POST /api/sandbox/" + id + "/start")->status() == 200);
  CHECK(d.state(id) == "started");
  CHECK(token() != before);
  CHECK(d.ask("POST /api/sandbox/" + id + "/pause")->status() == 422);
}

TEST_CASE("daytona: lists filter by labels and lag behind, look-ups by name do not") {
  daytona d;
  d.plan({"late-listing:5000@POST /api/sandbox$"});
  d.ask("POST /api/sandbox", {{"name", "a"}, {"labels", {{"k", "v"}}}});
  auto listed = [&] { return d.ask("GET /api/sandbox?labels=%7B%22k%22%3A%22v%22%7D")->body()["items"].size(); };
  CHECK(listed() == 0);
  CHECK(d.ask("GET /api/sandbox/a")->status() == 200);
  d.time.advance(6s);
  CHECK(listed() == 1);
  CHECK(d.ask("GET /api/sandbox?labels=nonsense")->body()["message"] == "Invalid labels JSON format");
}

TEST_CASE("daytona: lists come in pages by a cursor") {
  daytona d;
  for (int i = 0; i < 5; ++i)
    d.started();
  std::size_t seen = 0;
  std::string cursor;
  do {
    auto page = d.ask("GET /api/sandbox?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor))->body();
    seen += page["items"].size();
    cursor = page["nextCursor"].is_null() ? "" : page["nextCursor"].get<std::string>();
  } while (!cursor.empty());
  CHECK(seen == 5);
  CHECK(d.ask("GET /api/sandbox?limit=201")->status() == 400);
}

TEST_CASE("daytona: idle minutes stop it, and an ephemeral one is gone then") {
  daytona d;
  auto id = d.started({{"autoStopInterval", 2}, {"autoDeleteInterval", 0}});
  d.time.advance(std::chrono::minutes{1});
  d.ask("POST /api/sandbox/" + id + "/last-activity", json::object());
  d.time.advance(90s);
  CHECK(d.state(id) == "started");
  d.time.advance(60s);
  CHECK(d.rented() == 0);
}

TEST_CASE("daytona: resources belong to images, not to snapshots") {
  daytona d;
  CHECK(d.ask("POST /api/sandbox", {{"snapshot", "s"}, {"cpu", 2}})->body()["message"] ==
        "Cannot specify Sandbox resources when using a snapshot");
  CHECK(d.ask("POST /api/sandbox", {{"buildInfo", {{"dockerfileContent", "FROM x\n"}}}, {"cpu", 2}})->status() == 200);
}

TEST_CASE("daytona: a command's time-out is 408, and its exit code is in a 200") {
  daytona d;
  auto id = d.started();
  CHECK(d.ask("POST /toolbox/" + id + "/process/execute", {{"command", "exit 3"}})->body()["exitCode"] == 3);
  auto late = d.ask("POST /toolbox/" + id + "/process/execute", {{"command", "sleep 60"}, {"timeout", 1}});
  CHECK(late->status() == 408);
  CHECK(late->body()["code"] == "REQUEST_TIMEOUT");
  CHECK(d.ask("POST /toolbox/" + id + "/process/execute", {{"command", "x"}}, {{"Authorization", ""}})->status() ==
        401);
}
