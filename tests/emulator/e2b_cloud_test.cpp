// One test for each trap of E2B's API, named after it.
#include "cloud_world.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;

namespace {

struct e2b : account {
  explicit e2b(cloud_options options = {}) : account("e2b", std::move(options)) {}

  json created(json body = {{"templateID", "base"}}, std::string_view path = "/v2/sandboxes") {
    auto made = ask("POST " + std::string{path}, body);
    REQUIRE(made->status() == 201);
    return made->body();
  }
  headers inside_of(const json& box) {
    return {{"Host", "127.0.0.1:1"},
            {"E2b-Sandbox-Id", box["sandboxID"]},
            {"E2b-Sandbox-Port", "49983"},
            {"X-Access-Token", box.value("envdAccessToken", "")}};
  }
};

std::string enveloped(const json& message) {
  auto text = message.dump();
  auto out = std::string(3, '\0');
  out += static_cast<char>(text.size() >> 8U & 0xFFU);
  out += static_cast<char>(text.size() & 0xFFU);
  return out + text;
}

/// The messages of a Connect stream, the last frame's flag before it.
std::vector<json> frames(std::string_view bytes) {
  std::vector<json> found;
  while (bytes.size() >= 5) {
    std::size_t size = 0;
    for (int i = 1; i < 5; ++i)
      size = size << 8U | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    found.push_back(json::parse(bytes.substr(5, size)));
    found.back()["flag"] = static_cast<int>(bytes.front());
    bytes.remove_prefix(5 + size);
  }
  return found;
}

json start_of(std::string_view line) {
  return {{"process", {{"cmd", "/bin/bash"}, {"args", {"-l", "-c", line}}}}, {"stdin", false}};
}

} // namespace

TEST_CASE("e2b: both creates are served, with their own defaults") {
  e2b e;
  auto first = e.created({{"templateID", "base"}}, "/sandboxes");
  CHECK_FALSE(first.contains("envdAccessToken"));
  auto second = e.created();
  CHECK(second["envdAccessToken"].is_string());
  CHECK(second["envdVersion"] == "0.6.13");
  e.time.advance(20s);
  CHECK(e.rented() == 1); // the first one's 15 s are over
  e.time.advance(300s);
  CHECK(e.rented() == 0);
  CHECK(e.inside.count() == 0);
}

TEST_CASE("e2b: errors carry their status as code") {
  e2b e;
  auto gone = e.ask("DELETE /sandboxes/i00000000000000000000");
  CHECK(gone->status() == 404);
  CHECK(gone->body()["code"] == 404);
  CHECK(gone->body()["message"] == "Sandbox \"i00000000000000000000\" doesn't exist or you don't have access to it");
  CHECK(e.ask("GET /sandboxes/UPPER")->status() == 400);
}

TEST_CASE("e2b: what is wrong with a key is said") {
  e2b e;
  auto said = [&](const std::string& key) {
    auto a = e.ask("GET /v2/sandboxes?limit=1", nullptr, {{"X-API-Key", key}});
    CHECK(a->status() == 401);
    return a->body()["message"].get<std::string>();
  };
  CHECK(said("abc") == "authorization header is malformed");
  CHECK(said("e2b_xyz").ends_with("Invalid API key format"));
  CHECK(said("e2b_00").ends_with("Cannot get the team for the given API key"));
}

TEST_CASE("e2b: a blocked team may list, and not create") {
  e2b e;
  auto key = std::string{"e2b_00112233445566778899aabbccddeeffdeadbeef"};
  CHECK(e.ask("GET /v2/sandboxes", nullptr, {{"X-API-Key", key}})->status() == 200);
  CHECK(e.ask("POST /sandboxes", {{"templateID", "base"}}, {{"X-API-Key", key}})->status() == 403);
}

TEST_CASE("e2b: metadata is percent-encoded three times") {
  e2b e;
  e.created({{"templateID", "base"}, {"metadata", {{"demo run", "1"}, {"app", "hold&out=1/\xC3\xBC"}}}});
  e.created({{"templateID", "base"}, {"metadata", {{"demo run", "2"}}}});
  CHECK(e.ask("GET /v2/sandboxes?metadata=demo%252520run%3D1%26app%3Dhold%252526out%25253D1%25252F%2525C3%2525BC")
          ->body()
          .size() == 1);
  CHECK(e.ask("GET /v2/sandboxes?metadata=demo%252520run%3D3")->body().empty());
}

TEST_CASE("e2b: the next page's token is a header, and is there only if there is one") {
  e2b e;
  for (int i = 0; i < 3; ++i)
    e.created();
  auto first = e.ask("GET /v2/sandboxes?limit=2");
  CHECK(first->body().size() == 2);
  CHECK(first->header("X-Total-Running") == "3");
  auto last = e.ask("GET /v2/sandboxes?limit=2&nextToken=" + first->header("X-Next-Token"));
  CHECK(last->body().size() == 1);
  CHECK(last->header("X-Next-Token").empty());
  CHECK(e.ask("GET /v2/sandboxes?nextToken=nonsense")->body()["message"] == "Invalid next token");
}

TEST_CASE("e2b: the limit of sandboxes at a time says no time to wait, the rate does") {
  cloud_options one;
  one.sandboxes_max = 1;
  e2b e{one};
  e.created();
  auto full = e.ask("POST /v2/sandboxes", {{"templateID", "base"}});
  CHECK(full->status() == 429);
  CHECK(full->header("Retry-After").empty());
  cloud_options slow;
  slow.creates_per_second = 1;
  e2b fast{slow};
  fast.begin("POST /v2/sandboxes", {{"templateID", "base"}});
  auto second = fast.begin("POST /v2/sandboxes", {{"templateID", "base"}});
  CHECK(second->status() == 429);
  CHECK(second->header("Retry-After") == "1");
}

TEST_CASE("e2b: pause is once, keeps what runs, and connect says whether it was running") {
  e2b e;
  auto box = e.created();
  std::string id = box["sandboxID"];
  CHECK(e.ask("POST /v2/sandboxes/" + id + "/connect", json::object())->status() == 200);
  CHECK(e.ask("POST /sandboxes/" + id + "/pause", json::object())->status() == 204);
  CHECK(e.ask("POST /sandboxes/" + id + "/pause", json::object())->status() == 409);
  CHECK(e.ask("POST /sandboxes/" + id + "/timeout", {{"timeout", 60}})->status() == 404);
  CHECK(e.ask("GET /health", nullptr, e.inside_of(box))->status() == 502);
  e.time.advance(std::chrono::hours{24});
  CHECK(e.rented() == 1);
  CHECK(e.ask("POST /sandboxes/" + id + "/connect", {{"timeout", 60}})->status() == 201);
  CHECK(e.ask("GET /health", nullptr, e.inside_of(box))->status() == 204);
}

TEST_CASE("e2b: the two 502s of a host are told apart by their message") {
  e2b e;
  auto box = e.created();
  std::string id = box["sandboxID"];
  auto open = e.ask("GET /", nullptr, {{"Host", "3000-" + id + ".e2b.test"}})->body();
  CHECK(open["message"] == "The sandbox is running but port is not open");
  CHECK(open["port"] == 3000);
  e.ask("DELETE /sandboxes/" + id);
  auto gone = e.ask("GET /", nullptr, {{"Host", "3000-" + id + ".e2b.test"}})->body();
  CHECK(gone["message"] == "The sandbox was not found");
  CHECK_FALSE(gone.contains("port"));
}

TEST_CASE("e2b: one routing header without the other is refused") {
  e2b e;
  CHECK(e.ask("GET /health", nullptr, {{"Host", "127.0.0.1"}, {"E2b-Sandbox-Id", "i1"}})->status() == 400);
}

TEST_CASE("e2b: a command's stream names its process, then its output, then how it ended") {
  e2b e;
  auto box = e.created();
  auto with = e.inside_of(box);
  with.emplace_back("Content-Type", "application/connect+json");
  auto ran = e.ask("POST /process.Process/Start", enveloped(start_of("echo hi; exit 7")), with);
  e.time.advance(1s);
  auto seen = frames(ran->parts);
  REQUIRE(seen.size() == 4);
  CHECK(seen[0]["event"]["start"]["pid"].is_number());
  CHECK(seen[1]["event"]["data"]["stdout"] == "aGkK");
  CHECK(seen[2]["event"]["end"]["exitCode"] == 7);
  CHECK(seen[3]["flag"] == 2);
  CHECK(ran->ended);
  auto good = e.ask("POST /process.Process/Start", enveloped(start_of("true")), with);
  e.time.advance(1s);
  CHECK_FALSE(frames(good->parts)[1]["event"]["end"].contains("exitCode"));
  with[3].second = "wrong";
  CHECK(e.ask("POST /process.Process/Start", enveloped(start_of("true")), with)->status() == 401);
}

TEST_CASE("e2b: the deadline of a command's stream ends the command") {
  e2b e;
  auto box = e.created();
  auto with = e.inside_of(box);
  with.emplace_back("Content-Type", "application/connect+json");
  auto limited = with;
  limited.emplace_back("Connect-Timeout-Ms", "1000");
  auto ran = e.ask("POST /process.Process/Start", enveloped(start_of("sleep 60")), limited);
  e.time.advance(2s);
  CHECK(frames(ran->parts).back()["error"]["code"] == "deadline_exceeded");
  auto unlimited = e.ask("POST /process.Process/Start", enveloped(start_of("sleep 60")), with);
  e.time.advance(30s);
  CHECK_FALSE(unlimited->ended);
  CHECK(e.ask("POST /process.Process/List", json::object(), e.inside_of(box))->body()["processes"].size() == 1);
}

TEST_CASE("e2b: what cannot be placed leaves nothing") {
  e2b e;
  e.plan({"wrong-state@POST /v2/sandboxes$", "never-ready@POST /sandboxes$"});
  CHECK(e.ask("POST /v2/sandboxes", {{"templateID", "base"}})->body()["error_code"] == "sandbox_create_failed");
  CHECK(e.ask("POST /sandboxes", {{"templateID", "base"}})->body()["error_code"] == "sandbox_placement_timeout");
  CHECK(e.rented() == 0);
}
