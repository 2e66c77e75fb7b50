// The newer nested server, as the contract tells it: merges, upserts, keys per request, an init that wakes it.
#include "asking.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using nlohmann::json;

namespace {

constexpr std::string_view id = "11111111-2222-4333-8444-555555555555";
constexpr auto gone = R"(404 {"detail":"Not Found"})";
constexpr auto success = R"(200 {"success":true})";

/// Asked with one more header.
struct asked_with {
  server_model& model;
  std::string_view name;
  std::string operator()(std::string_view what, std::string_view value, std::string_view body = {}) const {
    auto request = ask(what, body);
    request.headers.push_back({std::string{name}, wiped_string{value}});
    auto r = model.handle(request, {}, "127.0.0.1").response;
    return std::to_string(r.status) + " " + std::string{std::string_view{r.body}};
  }
};

std::string path(std::string_view verb, std::string_view rest = {}) {
  return std::string{verb} + " /api/conversations/" + std::string{id} + std::string{rest};
}

} // namespace

TEST_CASE("agent-server: alive, health, ready and server_info are open, and say what it is") {
  auto options = options_of("agent-server");
  options.session_key = secret::copy_of("key");
  asked_model server{options};
  CHECK(server("GET /alive") == R"(200 {"status":"ok"})");
  CHECK(server("GET /health") == R"(200 {"status":"ok"})");
  CHECK(server("GET /ready") == R"(200 {"status":"ready"})");
  auto info = server.json("GET /server_info");
  CHECK(info["title"] == "OpenHands Agent Server");
  CHECK(info["uptime"].is_number_integer());
  CHECK(info.contains("sdk_version"));
  CHECK(server("GET /api/settings") == R"(401 {"detail":"Unauthorized"})");
  CHECK(server.answer("GET /api/init").status == 404);
}

TEST_CASE("agent-server: a patch merges, null goes back to the default, and an invalid one changes nothing") {
  asked_model server{options_of("agent-server")};
  auto fresh = server.json("GET /api/settings");
  CHECK(fresh["llm_api_key_is_set"] == false);
  CHECK(fresh["conversation_settings"]["max_iterations"] == 500);
  CHECK(server
          .answer("PATCH /api/settings", R"({"agent_settings_diff":{"llm":{"model":"m","api_key":"CANARY"}},
                      "conversation_settings_diff":{"max_iterations":"9"},"misc_settings_diff":{"a":{"b":1}}})")
          .status == 200);
  CHECK(server
          .answer("PATCH /api/settings", R"({"agent_settings_diff":{"llm":{"base_url":"u"}},
                      "misc_settings_diff":{"a":{"b":null,"c":2}}})")
          .status == 200);
  auto shown = server.json("GET /api/settings");
  CHECK(shown["agent_settings"]["llm"]["model"] == "m");
  CHECK(shown["agent_settings"]["llm"]["api_key"] == "**********");
  CHECK(shown["agent_settings"]["llm"]["base_url"] == "u");
  CHECK(shown["conversation_settings"]["max_iterations"] == 9);
  CHECK(shown["misc_settings"] == json::parse(R"({"a":{"c":2}})"));
  CHECK(shown["llm_api_key_is_set"] == true);
  auto before = server.model.settings_text();
  for (auto bad :
       {R"({"agent_settings_diff":{"llm":{"model":7}}})", R"({"conversation_settings_diff":{"max_iterations":null}})",
        R"({"agent_settings_diff":{"mcp_config":{"a":{}}}})", R"({"agent_settings_diff":7})"}) {
    CHECK(server.answer("PATCH /api/settings", bad).status == 422);
    CHECK(server.model.settings_text() == before);
  }
  CHECK(server.answer("PATCH /api/settings", "{}").status == 400);
  CHECK(server.answer("PATCH /api/settings", R"({"active_profile":"p"})").status == 404);
  server("PATCH /api/settings", R"({"agent_settings_diff":{"llm":null},"misc_settings_diff":{"a":null}})");
  shown = server.json("GET /api/settings");
  CHECK(shown["agent_settings"] == fresh["agent_settings"]);
  CHECK(shown["misc_settings"] == json::parse(R"({"a":null})"));
}

TEST_CASE("agent-server: secrets of the settings are shown in clear to who asks for it, and to nobody else") {
  asked_model server{options_of("agent-server")};
  asked_with exposing{server.model, "X-Expose-Secrets"};
  auto answer = server("PATCH /api/settings", R"({"agent_settings_diff":{"llm":{"api_key":"CANARY"},
                       "mcp_config":{"a":{"url":"u","headers":{"X":"CANARY"}}}}})");
  CHECK(answer.find("CANARY") == std::string::npos);
  CHECK(exposing("GET /api/settings", "plaintext").find(R"("api_key":"CANARY")") != std::string::npos);
  CHECK(exposing("GET /api/settings", "plaintext").find(R"("X":"CANARY")") != std::string::npos);
  CHECK(exposing("GET /api/settings", "encrypted").starts_with("503"));
  CHECK(exposing("GET /api/settings", "please").starts_with("400"));
}

TEST_CASE("agent-server: a secret is upserted, listed without its value, read, and deleted once") {
  asked_model server{options_of("agent-server")};
  CHECK(server("GET /api/settings/secrets") == R"(200 {"secrets":[]})");
  for (auto value : {"1", "2"})
    CHECK(server("PUT /api/settings/secrets", R"({"name":"A","description":"d","value":")" + std::string{value} +
                                                R"("})") == R"(200 {"name":"A","description":"d"})");
  CHECK(server("GET /api/settings/secrets") == R"(200 {"secrets":[{"name":"A","description":"d"}]})");
  auto value = server.answer("GET /api/settings/secrets/A");
  CHECK(value.body == "2");
  REQUIRE(value.find("Content-Type"));
  CHECK(value.find("Content-Type")->starts_with("text/plain"));
  CHECK(server("DELETE /api/settings/secrets/A") == R"(200 {"deleted":true})");
  CHECK(server("DELETE /api/settings/secrets/A") == R"(404 {"detail":"Secret not found"})");
  CHECK(server("GET /api/settings/secrets/A") == R"(404 {"detail":"Secret not found"})");
  for (auto name : {"", "_A", "1A", "A-B"})
    CHECK(server.answer("PUT /api/settings/secrets", R"({"value":"CANARY","name":")" + std::string{name} + R"("})")
            .status == 422);
}

TEST_CASE("agent-server: a 422 does not echo what was sent") {
  asked_model server{options_of("agent-server")};
  for (auto body : {R"({"name":"A","value":["CANARY"]})", R"({"value":"CANARY"})", R"(["CANARY"])"}) {
    auto answer = server("PUT /api/settings/secrets", body);
    CHECK(answer.starts_with("422"));
    CHECK(answer.find("CANARY") == std::string::npos);
  }
}

TEST_CASE("agent-server: a dormant one takes nothing but its init, once, and then the keys it was given") {
  auto options = options_of("agent-server");
  options.deferred_init = true;
  options.init_key = secret::copy_of("pool");
  asked_model server{options};
  asked_with waking{server.model, "X-Init-API-Key"};
  CHECK(server("GET /ready").starts_with("200"));
  CHECK(server("GET /api/init") == R"(200 {"state":"dormant","error":null})");
  CHECK(server("GET /api/settings").starts_with("503"));
  CHECK(waking("POST /api/init", "wrong", "{}") == R"(401 {"detail":"Unauthorized"})");
  CHECK(waking("POST /api/init", "pool", R"({"unknown":1})").starts_with("422"));
  CHECK(waking("POST /api/init", "pool", R"({"session_api_keys":["a","b"]})") ==
        R"(200 {"state":"ready","error":null})");
  CHECK(waking("POST /api/init", "pool", "{}").starts_with("400"));
  CHECK(server("GET /api/settings").starts_with("401"));
  for (auto key : {"a", "b"})
    CHECK(server.model.handle(ask("GET /api/settings", {}, key), {}, "127.0.0.1").response.status == 200);
  server.model.reset({});
  CHECK(server("GET /api/init") == R"(200 {"state":"dormant","error":null})");
}

TEST_CASE("agent-server: MCP servers are added, changed and deleted by name") {
  asked_model server{options_of("agent-server")};
  CHECK(server.answer("POST /api/settings/mcp/svc", R"({"url":"u","headers":{"X":"1","Y":"2"}})").status == 201);
  CHECK(server.answer("POST /api/settings/mcp/svc", R"({"url":"u"})").status == 409);
  CHECK(server.answer("PATCH /api/settings/mcp/svc", R"({"headers":{"X":null}})").status == 200);
  CHECK(json::parse(server.model.settings_text())["agent_settings"]["mcp_config"]["svc"]["headers"].size() == 1);
  CHECK(server.answer("DELETE /api/settings/mcp/svc").status == 200);
  CHECK(server.answer("DELETE /api/settings/mcp/svc").status == 404);
  CHECK(server.answer("PATCH /api/settings/mcp/svc", "{}").status == 404);
}

TEST_CASE("agent-server: a conversation starts once by id, is listed in pages, and is told new secrets") {
  asked_model server{options_of("agent-server")};
  auto start = R"({"workspace":{"working_dir":"/w"},"agent_settings":{},"conversation_id":")" + std::string{id} +
               R"(","secrets":{"A":{"kind":"StaticSecret","value":"1"}}})";
  CHECK(server("POST /api/conversations", start).starts_with("201"));
  CHECK(server("POST /api/conversations", start).starts_with("200"));
  CHECK(
    server("POST /api/conversations", R"({"workspace":{"working_dir":"/w"},"agent_settings":{}})").starts_with("201"));
  CHECK(server("POST /api/conversations", R"({"workspace":{"working_dir":"/w"}})").starts_with("422"));
  auto first = server.json("GET /api/conversations/search?limit=1");
  REQUIRE(first["items"].size() == 1);
  auto page = first["next_page_id"].get<std::string>();
  auto second = server.json("GET /api/conversations/search?limit=1&page_id=" + page);
  CHECK(second["items"][0]["id"] == page);
  CHECK(second["next_page_id"].is_null());
  CHECK(server(path("POST", "/secrets"), R"({"secrets":{"A":"2","B":{"kind":"StaticSecret","value":"3"}}})") ==
        success);
  const auto& told = server.model.find()->conversations.find(id)->second.secrets;
  CHECK(told.at("A") == "2");
  CHECK(told.at("B") == "3");
  CHECK(server(path("POST", "/run")) == success);
  CHECK(server(path("POST", "/run")).starts_with("409"));
  CHECK(server.answer("POST /api/conversations/prepare-for-sandbox-pause").status == 204);
  CHECK(server.json(path("GET"))["execution_status"] == "paused");
  CHECK(server(path("DELETE")) == success);
  CHECK(server(path("POST", "/secrets"), R"({"secrets":{}})") == gone);
  CHECK(server("GET /api/conversations/nobody").starts_with("422"));
}
