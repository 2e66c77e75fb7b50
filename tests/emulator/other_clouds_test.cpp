// Runloop's and the runtime API's traps, each named.
#include "cloud_world.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;

namespace {

struct runloop : account {
  runloop() : account("runloop") {}
  std::string running(json body = json::object()) {
    std::string id = ask("POST /v1/devboxes", body)->body()["id"];
    CHECK(ask("POST /v1/devboxes/" + id + "/wait_for_status", {{"statuses", {"running"}}})->status() == 200);
    return id;
  }
  std::string status(const std::string& id) { return ask("GET /v1/devboxes/" + id)->body()["status"]; }
};

} // namespace

TEST_CASE("runloop: a long poll is 408 after its time, and answered as soon as it can be") {
  runloop r;
  r.plan({"late-boot:40000@POST /v1/devboxes$"});
  std::string id = r.ask("POST /v1/devboxes", json::object())->body()["id"];
  auto before = r.time.now();
  json wait{{"statuses", {"running", "failure", "shutdown"}}};
  CHECK(r.ask("POST /v1/devboxes/" + id + "/wait_for_status", wait)->status() == 408);
  CHECK(r.time.now() - before == 30s);
  auto then = r.ask("POST /v1/devboxes/" + id + "/wait_for_status", wait);
  CHECK(then->status() == 200);
  CHECK(r.time.now() - before < 41s);
  wait["statuses"] = {"nonsense"};
  CHECK(r.ask("POST /v1/devboxes/" + id + "/wait_for_status", wait)->status() == 400);
}

TEST_CASE("runloop: lists have no filter by metadata, and keep what has ended") {
  runloop r;
  auto id = r.running({{"metadata", {{"k", "v"}}}});
  r.ask("POST /v1/devboxes/" + id + "/shutdown");
  CHECK(r.rented() == 0);
  auto all = r.ask("GET /v1/devboxes?metadata=other")->body();
  CHECK(all["devboxes"].size() == 1);
  CHECK(all["devboxes"][0]["status"] == "shutdown");
  CHECK(r.ask("GET /v1/devboxes?status=running")->body()["devboxes"].empty());
}

TEST_CASE("runloop: pages go on after the last id") {
  runloop r;
  for (int i = 0; i < 5; ++i)
    r.ask("POST /v1/devboxes", json::object());
  std::size_t seen = 0;
  std::string after;
  for (bool more = true; more;) {
    auto page = r.ask("GET /v1/devboxes?limit=2" + (after.empty() ? "" : "&starting_after=" + after))->body();
    seen += page["devboxes"].size();
    after = page["devboxes"].back()["id"];
    more = page["has_more"];
  }
  CHECK(seen == 5);
}

TEST_CASE("runloop: a repeated request id creates again") {
  runloop r;
  headers same{{"x-request-id", "stainless-node-retry-1"}};
  auto first = r.ask("POST /v1/devboxes", json::object(), same)->body()["id"];
  CHECK(r.ask("POST /v1/devboxes", json::object(), same)->body()["id"] != first);
}

TEST_CASE("runloop: one tunnel, enabled once, only while it runs") {
  runloop r;
  auto id = r.running({{"entrypoint", "nestor-nested-server"}});
  auto tunnel = r.ask("POST /v1/devboxes/" + id + "/enable_tunnel", {{"auth_mode", "authenticated"}})->body();
  CHECK(r.ask("POST /v1/devboxes/" + id + "/enable_tunnel", json::object())->status() == 400);
  r.time.advance(1s);
  headers at{{"Host", "3000-" + tunnel["tunnel_key"].get<std::string>() + ".tunnel.localhost"}};
  CHECK(r.ask("GET /alive", nullptr, at)->status() == 401);
  at.emplace_back("X-Runloop-Tunnel-Authorization", "Bearer " + tunnel["auth_token"].get<std::string>());
  CHECK(r.ask("GET /alive", nullptr, at)->status() == 200);
}

TEST_CASE("runloop: the devbox shuts down when its entrypoint ends, and when its time is up") {
  runloop r;
  auto id = r.running({{"entrypoint", "nestor-nested-server"}});
  r.inside.crash(id, 1);
  r.time.advance(1s);
  CHECK(r.ask("GET /v1/devboxes/" + id)->body()["shutdown_reason"] == "entrypoint_exit");
  auto brief = r.running({{"launch_parameters", {{"keep_alive_time_seconds", 60}}}});
  r.time.advance(61s);
  CHECK(r.ask("GET /v1/devboxes/" + brief)->body()["shutdown_reason"] == "keep_alive_timeout");
  CHECK(r.inside.count() == 0);
}

TEST_CASE("runloop: a shutdown during a snapshot is 409 unless it is forced") {
  runloop r;
  auto id = r.running();
  r.ask("POST /v1/devboxes/" + id + "/snapshot_disk_async");
  CHECK(r.begin("POST /v1/devboxes/" + id + "/shutdown")->status() == 409);
  CHECK(r.begin("POST /v1/devboxes/" + id + "/shutdown?force=true")->status() == 200);
  CHECK(r.status(id) == "shutdown");
}

TEST_CASE("runloop: a suspended devbox has lost its processes, and a resume starts none of them") {
  runloop r;
  auto id = r.running();
  r.time.advance(1s);
  CHECK(r.inside.server(id));
  r.ask("POST /v1/devboxes/" + id + "/suspend");
  r.time.advance(1s);
  CHECK(r.status(id) == "suspended");
  CHECK_FALSE(r.inside.server(id));
  CHECK(r.ask("POST /v1/devboxes/" + id + "/suspend")->status() == 400);
  r.ask("POST /v1/devboxes/" + id + "/resume");
  r.time.advance(1s);
  CHECK(r.status(id) == "running");
  CHECK_FALSE(r.inside.server(id));
  r.ask("POST /v1/devboxes/" + id + "/execute_async", {{"command", "nestor-nested-server"}});
  r.time.advance(1s);
  CHECK(r.inside.server(id));
}

TEST_CASE("runloop: a command's own id makes it one command") {
  runloop r;
  auto id = r.running();
  json body{{"command", "echo a"}, {"command_id", "01a1"}};
  auto first = r.ask("POST /v1/devboxes/" + id + "/execute", body)->body();
  CHECK(first["stdout"] == "a\n");
  CHECK(r.ask("POST /v1/devboxes/" + id + "/execute", body)->body()["execution_id"] == first["execution_id"]);
}

TEST_CASE("remote: the service makes the inner key, and pod_status is not in its first answer") {
  account r{"remote"};
  json order{{"image", "nested"}, {"session_id", "s1"}, {"command", {"nestor-nested-server"}}};
  auto started = r.ask("POST /start", order)->body();
  CHECK_FALSE(started.contains("pod_status"));
  r.time.advance(1s);
  auto now = r.ask("GET /sessions/s1")->body();
  CHECK(now["pod_status"] == "ready");
  CHECK_FALSE(now.contains("session_id"));
  std::string id = now["runtime_id"];
  headers inner{{"X-Session-API-Key", now["session_api_key"]}};
  CHECK(r.ask("GET /runtimes/" + id + "/3000/api/settings", nullptr, inner)->status() == 404);
  CHECK(r.ask("GET /runtimes/" + id + "/3000/api/settings")->status() == 401);
}

TEST_CASE("remote: a second start of one name is a second runtime, and pausing loses what ran") {
  account r{"remote"};
  json order{{"image", "nested"}, {"session_id", "s1"}};
  auto first = r.ask("POST /start", order)->body()["runtime_id"];
  auto second = r.ask("POST /start", order)->body()["runtime_id"];
  CHECK(first != second);
  CHECK(r.rented() == 2);
  r.time.advance(1s);
  CHECK(r.ask("POST /pause", {{"runtime_id", second}})->body()["status"] == "paused");
  CHECK_FALSE(r.inside.server(second));
  CHECK(r.ask("POST /resume", {{"runtime_id", second}})->body()["status"] == "starting");
  for (const auto& id : {first, second})
    CHECK(r.ask("POST /stop", {{"runtime_id", id}})->status() == 200);
  CHECK(r.ask("POST /stop", {{"runtime_id", first}})->status() == 404);
  CHECK(r.rented() == 0);
}
