// The idempotent contract: every POST an upsert, 200 each.
#include "asking.hpp"

#include <catch2/catch.hpp>

#include <stdexcept>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using nlohmann::json;

namespace {
constexpr auto ok = R"(200 {"status":"ok"})";
}

TEST_CASE("generic: repeating a push changes nothing") {
  asked_model server{options_of("generic")};
  for (int i = 0; i < 2; ++i) {
    CHECK(server("POST /api/settings", R"({"llm_model":"m","llm_api_key":"CANARY","n":1})") == ok);
    CHECK(server("POST /api/add-git-providers", R"({"provider":"github","token":"t","host":"h"})") == ok);
    CHECK(server("POST /api/add-git-providers", R"({"provider":"my_forge","token":"u","user_id":"me"})") == ok);
    CHECK(server("POST /api/secrets", R"({"name":"A","value":"1","description":"d"})") == ok);
    CHECK(server("POST /api/secrets", R"({"name":"A","value":"2"})") == ok);
    CHECK(server.tokens() == "github=t my_forge=u");
    CHECK(server.model.find()->secrets.at("A").value == "2");
    CHECK(server("GET /api/git-providers") == R"(200 {"providers":[{"provider":"github","host":"h","user_id":null},)"
                                              R"({"provider":"my_forge","host":null,"user_id":"me"}]})");
    CHECK(server("GET /api/secrets") == R"(200 {"secrets":[{"name":"A","description":""}]})");
  }
  CHECK(server("POST /api/settings", "{}") == ok);
  CHECK(server.model.settings_text() == "{}");
}

TEST_CASE("generic: settings that look secret are masked, at the top with a flag") {
  asked_model server{options_of("generic")};
  CHECK(server("GET /api/settings") == "200 {}");
  server("POST /api/settings",
         R"({"llm_api_key":"CANARY","search_api_key":"","keys":3,"mcp_config":{"sse_servers":)"
         R"([{"url":"u","api_key":"CANARY"}],"stdio_servers":[{"name":"n","env":{"T":"CANARY"}}]}})");
  CHECK(
    server.json("GET /api/settings") ==
    json::parse(R"({"llm_api_key":"**********","llm_api_key_set":true,"search_api_key":"","search_api_key_set":false,)"
                R"("keys":3,"mcp_config":{"sse_servers":[{"url":"u","api_key":"**********"}],)"
                R"("stdio_servers":[{"name":"n","env":{"T":"**********"}}]}})"));
}

TEST_CASE("generic: what is deleted is gone, what is not there is 404") {
  asked_model server{options_of("generic")};
  server("POST /api/add-git-providers", R"({"provider":"github","token":"t"})");
  server("POST /api/secrets", R"({"name":"A","value":"1"})");
  CHECK(server("DELETE /api/secrets/A") == ok);
  CHECK(server("DELETE /api/secrets/A") == R"(404 {"error":"A not found"})");
  CHECK(server("DELETE /api/add-git-providers/github") == ok);
  CHECK(server("DELETE /api/add-git-providers/github") == R"(404 {"error":"github not found"})");
}

TEST_CASE("generic: without reads the GETs are no routes") {
  auto options = options_of("generic");
  options.reads = false;
  asked_model server{options};
  server("POST /api/settings", "{}");
  for (auto asked : {"GET /api/settings", "GET /api/git-providers", "GET /api/secrets"})
    CHECK(server(asked) == R"(404 {"detail":"Not Found"})");
  CHECK(server("GET /alive") == R"(200 {"status":"ok"})");
}

TEST_CASE("generic: refused tokens, malformed bodies and wrong keys") {
  auto options = options_of("generic");
  options.session_key = secret::copy_of("right");
  options.refused_tokens = {"expired-"};
  server_model model{options};
  auto status = [&](std::string_view asked, std::string_view body, std::string_view key = "right") {
    return model.handle(ask(asked, body, key), instant{}, "127.0.0.1").response.status;
  };
  CHECK(status("POST /api/add-git-providers", R"({"provider":"github","token":"expired-1"})") == 401);
  CHECK(status("POST /api/add-git-providers", R"({"provider":"github","token":"bad-is-fine-here"})") == 200);
  CHECK(status("POST /api/add-git-providers", R"({"provider":"github"})") == 422);
  CHECK(status("POST /api/secrets", R"({"name":"A"})") == 422);
  CHECK(status("POST /api/settings", "[]") == 422);
  CHECK(status("POST /api/settings", "{}", "wrong") == 401);
  CHECK(status("GET /server_info", "", "") == 200);
}

TEST_CASE("a dialect that does not exist is refused at once") {
  CHECK_THROWS_AS(server_model{options_of("klingon")}, std::invalid_argument);
}
