// Actions in a real sandbox of a real node: a child process with its action server, over the API and by the verbs.
#include "serve/serving.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace nestor::tests;
using nlohmann::json;

namespace {

const std::string secret_text = "CANARY-4c1e-of-an-action";

std::string ready_sandbox(const serving_node& node, const scratch_folder& scratch, const std::string& actions) {
  auto key = scratch.write("key", secret_text);
  auto spec = scratch.write("spec.yaml", "runtime: {command: [" + server_binary() + "]" + actions +
                                           "}\nconfiguration: {secrets: {DEPLOY_KEY: {$file: " + key + "}}}\n");
  auto created = node.cli(scratch, {"sandbox", "create", "-f", spec, "--wait", "-o", "name"});
  INFO(created.err);
  REQUIRE(created.exit_code == 0);
  return created.out.substr(0, created.out.find('\n'));
}

} // namespace

TEST_CASE("a command and Python run in a sandbox, and their status, output and secrets come back as they should") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto id = ready_sandbox(node, scratch, ", actions: {via: action-server}");
  auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"sandbox", "run", id, "--"});
    return node.cli(scratch, std::move(words));
  };
  auto echoed = run({"echo", "two  blanks", "$HOME"});
  CHECK(echoed.exit_code == 0);
  CHECK(echoed.out == "two  blanks $HOME\n"); // no shell read the words
  auto failed = run({"sh", "-c", "echo no >&2; exit 7"});
  CHECK(failed.exit_code == 1);
  CHECK_THAT(failed.err, Catch::Contains("it ended with status 7"));
  auto python = node.cli(scratch, {"sandbox", "python", id, "print(6 * 7)", "-o", "json"});
  CHECK(python.exit_code == 0);
  auto seen = json::parse(python.out, nullptr, false);
  CHECK(seen["output"] == "42\n");
  CHECK(seen["outcome"] == "ok");
  CHECK(run({"env"}).out.find("SESSION_API_KEY=") == std::string::npos);
  CHECK_THAT(run({"cat", scratch.write("key", secret_text)}).out, Catch::StartsWith("<secret>"));
  auto late = node.cli(scratch, {"sandbox", "run", id, "--timeout", "0.3", "--", "sleep", "60"});
  CHECK(late.exit_code == 1);
  CHECK_THAT(late.err, Catch::Contains("time was up"));
  CHECK(run({"sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"}).exit_code == 0);
}

TEST_CASE("an action over the API: who may, what is one, and what the sandbox can") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto id = ready_sandbox(node, scratch, "");
  auto at = "/v1/sandboxes/" + id + "/actions";
  const std::string hello = R"({"action":"run","command":"echo hello"})";
  CHECK(node.ask("POST", at, node.token(), hello).json()["code"] == "capability_missing");
  CHECK(node.ask("POST", at, node.token(), R"({"action":"run"})").json()["code"] == "request_invalid");
  CHECK(node.ask("POST", at, node.token_for("default", "read"), hello).status == 403);
  CHECK(node.ask("POST", at, node.token_for("other", "write"), hello).status == 404);
  CHECK(node.ask("POST", at, "", hello).status == 401);
  CHECK(node.ask("GET", at, node.token()).status == 405);
  auto spec = R"({"provider":"process","runtime":{"command":["x"],"actions":{"via":"provider-exec"}}})";
  auto refused = node.ask("POST", "/v1/sandboxes", node.token(), spec);
  CHECK(refused.status == 400);
  CHECK_THAT(refused.body, Catch::Contains("runtime.actions.via") && Catch::Contains("provider-exec is for"));
}
