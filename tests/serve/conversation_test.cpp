// A conversation over a real nested server: started once the sandbox is Ready, told to whoever waits or listens, and
// known to the next node that finds the sandbox.
#include "serve/serving.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace nestor::tests;
using nlohmann::json;

namespace {

std::string talking_spec(const std::string& name, const json& settings, const json& conversation) {
  return json{{"name", name},
              {"dialect", "openhands"},
              {"runtime", {{"command", {server_binary()}}}},
              {"configuration", {{"settings", settings}}},
              {"conversation", conversation}}
    .dump();
}

const json usable{{"llm_model", "m"}, {"llm_api_key", {{"$literal", "key"}}}};

json condition(const json& sandbox) {
  for (const auto& each : sandbox["conditions"])
    if (each["type"] == "Conversation")
      return each;
  return {};
}

/// Until what is said of the conversation is the last word.
json settled(const serving_node& node, const std::string& id) {
  std::uint64_t seen = 0;
  for (;;) {
    auto sandbox = node.ask("GET", "/v1/sandboxes/" + id, node.token()).json();
    auto reason = condition(sandbox).value("reason", "");
    bool under_way = reason == "starting" || reason == "not_started" || reason == "doubtful";
    if (!sandbox.is_object() || (sandbox.value("status", "") == "Ready" && !under_way))
      return sandbox;
    auto page = node.ask("GET", "/v1/sandboxes/" + id + "/events?wait=10&after=" + std::to_string(seen), node.token());
    seen = page.json().value("last_id", seen);
  }
}

/// What the nested server itself says.
answer_seen ask_inside(const serving_node& node, const std::string& id, const std::string& target) {
  auto access = node.ask("POST", "/v1/sandboxes/" + id + "/access", node.token()).json();
  auto url = access.value("url", "");
  auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  raw_connection to{port};
  to.send("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Session-API-Key: " +
          access["headers"].value("X-Session-API-Key", "") + "\r\n\r\n");
  return parse_answer(to.read_to_end());
}

} // namespace

TEST_CASE("a conversation starts after Ready, once, and the next node knows of it") {
  scratch_folder scratch;
  std::string id;
  const json words{{"initial_user_msg", "hello"}, {"conversation_id", "of-a-test"}};
  for (bool first : {true, false}) {
    serving_node node{scratch};
    REQUIRE(node.port() != 0);
    node.leaves_sandboxes = first;
    if (first)
      id = node.ask("POST", "/v1/sandboxes", node.token(), talking_spec("talks", usable, words)).json().value("id", "");
    auto sandbox = settled(node, id);
    INFO(sandbox.dump());
    CHECK(condition(sandbox)["status"] == "True");
    CHECK(sandbox["observed_generation"] == 1);
    auto inside = ask_inside(node, id, "/api/conversations/of-a-test/events");
    INFO(inside.body);
    CHECK(inside.status == 200);
    CHECK(inside.json()["events"].size() == 1); // said once
    if (first) {
      auto events = node.ask("GET", "/v1/sandboxes/" + id + "/events?limit=200", node.token()).json()["items"];
      std::vector<std::string> told;
      for (const auto& each : events)
        if (each["kind"] == "status" && each["status"] == "Ready")
          told.push_back(each.value("conversation", "none") + " " +
                         std::to_string(each.value("observed_generation", 0)));
      CHECK(told == std::vector<std::string>{"none 1", "started 1"});
      auto waited = node.cli(scratch, {"sandbox", "wait", id, "--for=ready", "-o", "json"});
      CHECK(waited.exit_code == 0);
      CHECK(json::parse(waited.out, nullptr, false)["observed_generation"] == 1);
      CHECK(node.end_by(SIGKILL) == -1);
    }
  }
}

TEST_CASE("a conversation that is refused leaves the sandbox Ready, and says why") {
  scratch_folder scratch;
  serving_node node{scratch};
  REQUIRE(node.port() != 0);
  auto made = node.ask("POST", "/v1/sandboxes", node.token(),
                       talking_spec("mute", {{"llm_model", "m"}}, {{"initial_user_msg", "hello"}}));
  auto id = made.json().value("id", "");
  auto sandbox = settled(node, id);
  INFO(sandbox.dump());
  CHECK(condition(sandbox)["status"] == "False");
  CHECK(condition(sandbox)["reason"] == "configuration_refused");
  CHECK_THAT(sandbox["failure"]["cause"].get<std::string>(), Catch::Contains("llm_api_key"));
  CHECK(ask_inside(node, id, "/api/settings").status == 200);
  auto generic = talking_spec("none", usable, {{"a", 1}});
  generic.replace(generic.find("openhands"), 9, "generic");
  auto refused = node.ask("POST", "/v1/sandboxes", node.token(), generic);
  CHECK(refused.status == 400);
  CHECK_THAT(refused.body, Catch::Contains("conversation"));
}
