// A sandbox's life over the API and by the client verbs, with real processes: created, Ready, reached, changed, ended.
// Every secret is a canary, and everything that was said is searched for it.
#include "serve/serving.hpp"
#include "support/canary.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <sys/un.h>

using namespace nestor::tests;
using nlohmann::json;

namespace {

const std::string secret_text = "CANARY-9b1c-\"serve\"/value";

std::string yaml_spec(const scratch_folder& scratch, const std::string& name) {
  auto key = scratch.write("key", secret_text);
  return scratch.write("spec.yaml", "name: " + name + "\nlabels: {team: web}\nruntime: {command: [" + server_binary() +
                                      ", --dialect, openhands]}\n"
                                      "configuration:\n"
                                      "  settings: {llm_model: x, llm_api_key: {$file: " +
                                      key + "}}\n  secrets: {DEPLOY_KEY: {$file: " + key + "}}\n");
}

std::string json_spec(const std::string& name) {
  return json{{"name", name},
              {"runtime", {{"command", {server_binary()}}}},
              {"configuration", {{"secrets", {{"DEPLOY_KEY", {{"$literal", secret_text}}}}}}}}
    .dump();
}

} // namespace

TEST_CASE("the client verbs take a sandbox from its specification to its end") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  std::string said;
  auto run = [&](std::vector<std::string> arguments) {
    auto end = node.cli(scratch, std::move(arguments));
    said += end.out + end.err;
    INFO(end.out << end.err);
    CHECK(end.exit_code == 0);
    return end;
  };
  auto created = run({"sandbox", "create", "-f", yaml_spec(scratch, "one"), "--wait", "-o", "json"});
  auto sandbox = json::parse(created.out, nullptr, false);
  REQUIRE(sandbox.is_object());
  CHECK(sandbox["status"] == "Ready");
  CHECK(sandbox["labels"]["team"] == "web");
  CHECK(sandbox["tenant"] == "default");
  for (const std::string step : {"alive", "settings", "secrets", "verify"})
    CHECK_THAT(created.err, Catch::Contains(step));
  auto id = sandbox["id"].get<std::string>();
  CHECK(run({"sandbox", "list", "-o", "name", "-l", "team=web"}).out == id + "\n");
  CHECK(run({"sandbox", "list", "-o", "name", "-l", "team=other"}).out.empty());
  CHECK_THAT(run({"sandbox", "get", id, "-o", "yaml"}).out, Catch::Contains("\"status\": \"Ready\""));
  CHECK_THAT(run({"sandbox", "describe", id}).out, Catch::Contains("one is Ready"));
  CHECK_THAT(run({"sandbox", "events", id}).out, Catch::Contains("Ready  generation 1"));
  auto access = node.cli(scratch, {"sandbox", "access", id});
  CHECK(access.exit_code == 0);
  CHECK_THAT(access.out, Catch::Contains("http://127.0.0.1:") && Catch::Contains("X-Session-API-Key"));

  auto patch = scratch.write("patch.yaml", "settings: {llm_model: y}\n");
  CHECK_THAT(run({"sandbox", "configure", id, "-f", patch, "--dry-run"}).out, Catch::Contains("settings.llm_model"));
  CHECK_THAT(run({"sandbox", "get", id, "-o", "json"}).out, Catch::Contains("\"generation\": 1,"));
  CHECK_THAT(run({"sandbox", "configure", id, "-f", patch}).out, Catch::Contains("next conversation"));
  auto token = scratch.write("other", secret_text + "-2");
  CHECK_THAT(run({"sandbox", "set", id, "secrets.DEPLOY_KEY", "--from-file", token}).out,
             Catch::Contains("secrets.DEPLOY_KEY"));
  CHECK(settle(node, id, "Ready") == "Ready");
  run({"sandbox", "delete", id, "--wait"});
  CHECK_THAT(run({"sandbox", "get", id}).out, Catch::Contains("Destroyed"));
  CHECK_THAT(run({"node", "status"}).out, Catch::Contains("takes new sandboxes"));
  CHECK(canary_in(said) == "");
  CHECK(node.end_by(SIGTERM) == 0);
}

TEST_CASE("the client verbs say what went wrong, and exit with a code that scripts can tell apart") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto bad = scratch.write("bad.yaml", "name: x\nruntime:\n  comand: [a]\n");
  auto refused = node.cli(scratch, {"sandbox", "create", "-f", bad});
  INFO(refused.err);
  CHECK(refused.exit_code == 2);
  CHECK_THAT(refused.err, Catch::Contains("bad.yaml:3:") && Catch::Contains("did you mean command"));
  auto absent = node.cli(scratch, {"sandbox", "get", "nst-aaaaaaaaaaaaaaaaaaaaaaaaaa"});
  CHECK(absent.exit_code == 3);
  auto nobody = run_program(scratch, {nestor_binary(), "sandbox", "list"},
                            {.env = {{"NESTOR_SERVER", node.url()}, {"NESTOR_TOKEN", "nsk-none"}}});
  CHECK(nobody.exit_code == 3);
  CHECK_THAT(nobody.err, Catch::Contains("token"));
  auto nowhere = run_program(scratch, {nestor_binary(), "sandbox", "list", "--server", "http://127.0.0.1:1"});
  CHECK(nowhere.exit_code == 4);
  CHECK_THAT(nowhere.err, Catch::Contains("nestor serve"));
  auto slow = scratch.write("slow.yaml", "runtime: {command: [/bin/sleep, '600']}\n");
  auto late = node.cli(scratch, {"sandbox", "create", "-f", slow, "--wait", "--timeout", "1"});
  INFO(late.err);
  CHECK(late.exit_code == 5);
  auto dead =
    scratch.write("dead.yaml", "runtime: {command: [/bin/false]}\npolicy: {restarts: {max: 0, within: 1m}}\n");
  auto failed = node.cli(scratch, {"sandbox", "create", "-f", dead, "--wait"});
  INFO(failed.err);
  CHECK(failed.exit_code == 1);
  CHECK_THAT(failed.err, Catch::Contains("What to do:"));
}

TEST_CASE("a key is done once: the same request gets the same sandbox, another body is refused") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto create = [&](const std::string& body) {
    return node.ask("POST", "/v1/sandboxes", node.token(), body, "Idempotency-Key: k-1\r\n");
  };
  auto first = create(json_spec("a"));
  REQUIRE(first.status == 202);
  CHECK(first.has("Location: /v1/sandboxes/" + first.json()["id"].get<std::string>()));
  CHECK(first.has("RateLimit-Remaining: 999"));
  auto again = create(json_spec("a"));
  CHECK(again.status == 202);
  CHECK(again.json()["id"] == first.json()["id"]);
  CHECK(create(json_spec("b")).status == 422);
  CHECK(node.ask("POST", "/v1/sandboxes", node.token(), json_spec("a")).status == 409);
  CHECK(node.ask("GET", "/v1/sandboxes", node.token()).json()["items"].size() == 1);
}

TEST_CASE("a change is for a generation: none is refused, an old one too") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), json_spec("a"));
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  REQUIRE(settle(node, id, "Ready") == "Ready");
  auto patch = [&](const std::string& tag, const std::string& body) {
    return node.ask("PATCH", "/v1/sandboxes/" + id + "/configuration", node.token(), body,
                    "Content-Type: application/merge-patch+json\r\n" +
                      (tag.empty() ? "" : "If-Match: " + tag + "\r\n"));
  };
  const std::string change = R"({"settings":{"llm_model":"z"}})";
  CHECK(patch("", change).status == 428);
  CHECK(patch("\"7\"", change).status == 412);
  CHECK(patch("1", change).status == 400);
  auto done = patch("\"1\"", change);
  CHECK(done.status == 202);
  CHECK(done.json()["generation"] == 2);
  CHECK(done.json()["plan"][0]["path"] == "settings.llm_model");
  CHECK(patch("\"1\"", change).status == 412);
  CHECK(patch("\"2\"", R"({"secrets":{"X":{"$keep":true}}})").status == 400);
  CHECK(patch("\"2\"", R"({"secrets":{"X":{"$file":"/etc/hostname"}}})").status == 400);
  CHECK(settle(node, id, "Ready") == "Ready");
}

TEST_CASE("events come as they happen, are replayed from where a reader was, and hold no secret") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto stream = [&](const std::string& more) {
    auto to = std::make_unique<raw_connection>(node.port());
    to->send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer " +
             node.token() + "\r\n" + more + "\r\n");
    return to;
  };
  auto live = stream("");
  CHECK_THAT(live->read_until("\r\n\r\n"), Catch::Contains("text/event-stream"));
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), json_spec("a"));
  REQUIRE(made.status == 202);
  auto text = live->read_until("\"status\":\"Ready\"");
  CHECK_THAT(text, Catch::Contains("id: 1\n") && Catch::Contains("\"status\":\"Ready\""));
  CHECK(canary_in(text) == "");
  auto later = stream("Last-Event-ID: 2\r\n");
  auto replayed = later->read_until("\"status\":\"Ready\"");
  CHECK_THAT(replayed, Catch::Contains("id: 3\n") && !Catch::Contains("id: 2\n") && !Catch::Contains("reset"));
  auto lost = stream("Last-Event-ID: 123456\r\n");
  CHECK_THAT(lost->read_until("id: 1\n"), Catch::Contains("event: reset"));
  auto page = node.ask("GET", "/v1/events?limit=2", node.token());
  CHECK(page.json()["items"].size() == 2);
  CHECK(page.json()["last_id"] == 2);
}

TEST_CASE("a node tells its service manager, reads its configuration again, and shares its state with no other") {
  scratch_folder scratch;
  auto path = scratch.file("notify");
  int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un here{};
  here.sun_family = AF_UNIX;
  path.copy(here.sun_path, sizeof here.sun_path - 1);
  REQUIRE(::bind(manager, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0);
  timeval patience{20, 0};
  ::setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  auto told = [&] {
    std::array<char, 512> text{};
    auto size = ::recv(manager, text.data(), text.size(), 0);
    return std::string(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  serving_node node{scratch, "{}", {.env = {{"NOTIFY_SOCKET", path}}}};
  REQUIRE(node.port() != 0);
  CHECK_THAT(told(), Catch::StartsWith("READY=1"));
  auto second = run_program(scratch, {nestor_binary(), "serve", "--listen", "127.0.0.1:0", "--state", node.state()});
  CHECK(second.exit_code == 3);
  CHECK_THAT(second.err, Catch::Contains("another node"));

  auto as_host = [&](const std::string& host) {
    raw_connection to{node.port()};
    to.send("GET /livez HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    return parse_answer(to.read_to_end()).status;
  };
  CHECK(as_host("nestor.example") == 421);
  scratch.write("node.yaml", "hosts: [nestor.example]\n");
  ::kill(node.program().pid(), SIGHUP);
  CHECK(told() == "RELOADING=1");
  CHECK(told() == "READY=1");
  CHECK(as_host("nestor.example") == 200);
  scratch.write("node.yaml", "hots: []\n");
  ::kill(node.program().pid(), SIGHUP);
  CHECK(told() == "RELOADING=1");
  CHECK(told() == "READY=1");
  CHECK(node.program().shows("goes on with the one it had"));
  CHECK(as_host("nestor.example") == 200);
  CHECK(node.end_by(SIGTERM) == 0);
  CHECK_THAT(told(), Catch::StartsWith("STOPPING=1"));
  ::close(manager);
}

TEST_CASE("sandboxes outlive their node, however it ends, and the next one has them again") {
  scratch_folder scratch;
  std::string id;
  std::string runtime;
  for (int number : {SIGTERM, SIGKILL}) {
    serving_node node{scratch};
    REQUIRE(node.port() != 0);
    node.leaves_sandboxes = true;
    if (id.empty())
      id = node.ask("POST", "/v1/sandboxes", node.token(), json_spec("survivor")).json().value("id", "");
    CHECK(settle(node, id, "Ready") == "Ready");
    auto seen = node.ask("GET", "/v1/sandboxes/" + id, node.token()).json();
    auto ref = seen["runtime"].value("ref", "");
    CHECK((runtime.empty() || ref == runtime)); // the same process
    runtime = ref;
    auto again = node.ask("POST", "/v1/sandboxes", node.token(), json_spec("survivor"));
    CHECK(again.status == 409); // its name is still its own
    CHECK(node.end_by(number) == (number == SIGTERM ? 0 : -1));
  }
  serving_node last{scratch};
  CHECK(settle(last, id, "Ready") == "Ready");
  CHECK(last.ask("GET", "/v1/sandboxes/" + id, last.token()).json()["runtime"].value("ref", "") == runtime);
  CHECK(last.ask("DELETE", "/v1/sandboxes/" + id, last.token()).status == 202);
  CHECK(settle(last, id, "Destroyed") == "Destroyed");
}

TEST_CASE("a draining node takes nothing new and says so, and its tokens outlive it") {
  scratch_folder scratch;
  std::string token;
  {
    serving_node node{scratch};
    REQUIRE(node.port() != 0);
    token = node.token_for("acme", "write");
    CHECK(node.ask("GET", "/readyz", "").status == 200);
    CHECK(node.ask("POST", "/v1/node/drain", token).status == 403);
    CHECK(node.ask("POST", "/v1/node/drain", node.token()).status == 202);
    CHECK(node.ask("GET", "/readyz", "").status == 503);
    auto refused = node.ask("POST", "/v1/sandboxes", node.token(), json_spec("a"));
    CHECK(refused.status == 503);
    CHECK(refused.has("Retry-After: "));
    CHECK(node.end_by(SIGTERM) == 0);
  }
  CHECK(contents_of(scratch.file("state") + "/tokens.json").find(token) == std::string::npos);
  serving_node again{scratch};
  CHECK(again.ask("GET", "/v1/sandboxes", token).status == 200);
}
