// The V0 server's configuration routes, row by row of the contract's table.
#include "asking.hpp"
#include "support/canary.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using nlohmann::json;

namespace {

struct exchange_row {
  std::string_view asked;
  std::string_view body;
  std::string_view answered;
};

/// One conversation with one server, in order.
void check(asked_model& server, std::initializer_list<exchange_row> rows) {
  for (const auto& row : rows) {
    CAPTURE(row.asked, row.body);
    CHECK(server(row.asked, row.body) == row.answered);
  }
}

/// type, loc and input of the faults of a 422.
std::string faults_of(asked_model& server, std::string_view asked, std::string_view sent) {
  auto r = server.answer(asked, sent);
  REQUIRE(r.status == 422);
  auto body = json::parse(r.body.begin(), r.body.end());
  std::string text;
  for (const auto& fault : body["detail"]) {
    CHECK(fault["msg"].is_string());
    text += (text.empty() ? "" : "; ") + fault["type"].get<std::string>() + " " + fault["loc"].dump() + " " +
            fault["input"].dump();
  }
  return text;
}

} // namespace

TEST_CASE("alive, health and server_info are open, everything under /api wants the key") {
  model_options options;
  options.session_key = secret::copy_of("right");
  server_model model{options};
  auto status = [&, now = instant{}](std::string_view asked, std::string_view key) mutable {
    now = now + microseconds{1'000'000};
    return model.handle(ask(asked, {}, key), now, "127.0.0.1").response;
  };
  for (auto open : {"GET /alive", "GET /health", "GET /server_info"})
    CHECK(status(open, "").status == 200);
  CHECK(status("GET /alive", "").body == R"({"status":"ok"})");
  CHECK(status("GET /health", "").body == R"("OK")");
  for (auto closed : {"GET /api/settings", "POST /api/settings", "GET /api/secrets", "DELETE /api/secrets/X",
                      "POST /api/add-git-providers", "POST /api/conversations", "GET /api/conversations/x"})
    for (auto key : {"", "wrong", "righ", "right "}) {
      CHECK(status(closed, key).status == 401);
      CHECK(status(closed, key).body == R"({"detail":"Unauthorized"})");
    }
  CHECK(status("GET /api/settings", "right").status == 404);
}

TEST_CASE("without a key everything is open") {
  asked_model server;
  CHECK(server("GET /api/secrets") == R"(200 {"custom_secrets":[]})");
}

TEST_CASE("uptime and idle time are seconds with fractions, and measuring takes its time") {
  asked_model server;
  server.pace = microseconds{0};
  server.now = instant{1'500'000};
  server("GET /api/secrets");
  server.now = instant{2'750'000};
  auto reply = server.model.handle(ask("GET /server_info"), server.now, "127.0.0.1");
  CHECK(reply.delay == 100ms);
  auto shown = json::parse(reply.response.body.begin(), reply.response.body.end());
  CHECK(shown["uptime"] == 2.75);
  CHECK(shown["idle_time"] == 1.25);
  CHECK(shown["resources"].contains("cpu_percent"));
  for (auto part : {"memory", "disk", "io"})
    CHECK(shown["resources"][part].is_object());
  server.model.reset(instant{3'000'000});
  server.now = instant{3'250'000};
  CHECK(server.json("GET /server_info")["uptime"] == 0.25);
}

TEST_CASE("what does not exist says so") {
  asked_model server;
  check(server, {{"GET /ready", "", R"(404 {"detail":"Not Found"})"},
                 {"GET /api/nothing", "", R"(404 {"detail":"Not Found"})"},
                 {"PUT /api/settings", "{}", R"(405 {"detail":"Method Not Allowed"})"},
                 {"POST /api/reset-settings", "", R"(410 {"error":"Resetting settings is no longer offered"})"}});
}

// -- settings --------------------------------------------------------------------------------------------------------

TEST_CASE("settings are not found before the first POST, then shown without keys") {
  asked_model server;
  check(server,
        {{"GET /api/settings", "", R"(404 {"error":"Settings not found"})"},
         {"POST /api/settings",
          R"({"llm_model":"m","llm_api_key":"CANARY-1","search_api_key":"CANARY-2","sandbox_api_key":"CANARY-3",)"
          R"("selected_repository":"ignored","secrets_store":{"provider_tokens":{"github":{"token":"x"}}}})",
          R"(200 {"message":"Settings stored"})"}});
  auto shown = server.json("GET /api/settings");
  CHECK(tests::canary_in(shown.dump()) == "");
  for (auto key : {"llm_api_key", "search_api_key", "sandbox_api_key"})
    CHECK(shown[key].is_null());
  CHECK(shown["llm_api_key_set"] == true);
  CHECK(shown["search_api_key_set"] == true);
  CHECK(shown["llm_model"] == "m");
  CHECK_FALSE(shown.contains("selected_repository"));
  CHECK(shown["provider_tokens_set"] == json::object());
  CHECK(shown["enable_default_condenser"] == true);
  CHECK(shown["enable_sound_notifications"] == false);
  CHECK(shown["language"].is_null());
  CHECK(json::parse(server.model.settings_text())["llm_api_key"] == "CANARY-1");
}

TEST_CASE("types are coerced as the original does") {
  struct coercion {
    const char* given;
    const char* field;
    json shown;
  };
  for (const auto& c : std::vector<coercion>{
         {R"({"max_iterations":"50"})", "max_iterations", 50},
         {R"({"max_iterations":" 50.0 "})", "max_iterations", 50},
         {R"({"max_iterations":50.0})", "max_iterations", 50},
         {R"({"max_iterations":true})", "max_iterations", 1},
         {R"({"max_budget_per_task":"0.5"})", "max_budget_per_task", 0.5},
         {R"({"max_budget_per_task":2})", "max_budget_per_task", 2.0},
         {R"({"confirmation_mode":"yes"})", "confirmation_mode", true},
         {R"({"confirmation_mode":"OFF"})", "confirmation_mode", false},
         {R"({"confirmation_mode":1})", "confirmation_mode", true},
         {R"({"condenser_max_size":20})", "condenser_max_size", 20},
         {R"({"mcp_config":{"sse_servers":["http://a"]}})", "mcp_config",
          json::parse(R"({"sse_servers":[{"url":"http://a","api_key":null}],"stdio_servers":[],"shttp_servers":[]})")},
         {R"({"mcp_config":{"shttp_servers":[{"url":"u","api_key":"k"}],)"
          R"("stdio_servers":[{"name":"n","command":"c","env":{"T":"v"}}]}})",
          "mcp_config",
          json::parse(R"({"sse_servers":[],"stdio_servers":[{"name":"n","command":"c","args":[],"env":{"T":"v"}}],)"
                      R"("shttp_servers":[{"url":"u","api_key":"k","timeout":60}]})")},
       }) {
    asked_model server;
    CAPTURE(c.given);
    CHECK(server("POST /api/settings", c.given) == R"(200 {"message":"Settings stored"})");
    CHECK(server.json("GET /api/settings")[c.field] == c.shown);
  }
}

TEST_CASE("what the schema does not allow is 422 and echoes what was sent") {
  struct refusal {
    const char* body;
    const char* faults;
  };
  for (const auto& r : std::vector<refusal>{
         {R"({"condenser_max_size":19})", R"(greater_than_equal ["body","condenser_max_size"] 19)"},
         {R"({"llm_api_key":{"a":"CANARY"}})", R"(string_type ["body","llm_api_key"] {"a":"CANARY"})"},
         {R"({"max_iterations":"many"})", R"(int_parsing ["body","max_iterations"] "many")"},
         {R"({"max_iterations":1.5})", R"(int_from_float ["body","max_iterations"] 1.5)"},
         {R"({"max_iterations":[]})", R"(int_type ["body","max_iterations"] [])"},
         {R"({"confirmation_mode":"maybe"})", R"(bool_parsing ["body","confirmation_mode"] "maybe")"},
         {R"({"confirmation_mode":{}})", R"(bool_type ["body","confirmation_mode"] {})"},
         {R"({"max_budget_per_task":"x"})", R"(float_parsing ["body","max_budget_per_task"] "x")"},
         {R"({"enable_default_condenser":null})", R"(bool_type ["body","enable_default_condenser"] null)"},
         {R"({"mcp_config":{"nope":1}})", R"(extra_forbidden ["body","mcp_config","nope"] 1)"},
         {R"({"mcp_config":{"sse_servers":[{"url":"u","key":"CANARY"}]}})",
          R"(extra_forbidden ["body","mcp_config","sse_servers",0,"key"] "CANARY")"},
         {R"({"mcp_config":{"stdio_servers":[{"name":"n"}]}})",
          R"(missing ["body","mcp_config","stdio_servers",0,"command"] {"name":"n"})"},
         {R"({"mcp_config":{"shttp_servers":[{"url":"u","timeout":3601}]}})",
          R"(less_than_equal ["body","mcp_config","shttp_servers",0,"timeout"] 3601)"},
         {R"([1])", R"(model_attributes_type ["body"] [1])"},
         {R"({"a":)", R"(json_invalid ["body",0] {})"},
         {"", R"(missing ["body"] null)"},
         {R"({"language":1,"agent":2})", R"(string_type ["body","agent"] 2; string_type ["body","language"] 1)"},
       }) {
    asked_model server;
    CAPTURE(r.body);
    CHECK(faults_of(server, "POST /api/settings", r.body) == r.faults);
    CHECK(server("GET /api/settings") == R"(404 {"error":"Settings not found"})");
  }
}

TEST_CASE("a body of another type than JSON is 422, one nested beyond reason too") {
  asked_model server;
  auto request = ask("POST /api/settings", R"({"llm_api_key":"CANARY"})");
  request.headers.push_back({"Content-Type", "text/plain"});
  auto r = server.model.handle(request, instant{}, "127.0.0.1").response;
  CHECK(r.status == 422);
  CHECK(r.body.find("CANARY") != wiped_string::npos);
  CHECK(server.answer("POST /api/settings", std::string(100'000, '[')).status == 422);
  request.headers.back().value = "application/json; charset=utf-8";
  CHECK(server.model.handle(request, instant{}, "127.0.0.1").response.status == 200);
}

TEST_CASE("a partial POST resets what it leaves out, but null keeps five fields") {
  asked_model server;
  server("POST /api/settings",
         R"({"llm_model":"m","llm_api_key":"k","llm_base_url":"u","search_api_key":"s",)"
         R"("user_consents_to_analytics":true,"agent":"a","max_iterations":5,"sandbox_api_key":"b",)"
         R"("enable_sound_notifications":true,"mcp_config":{"sse_servers":["http://a"]}})");
  server("POST /api/settings", R"({"llm_api_key":null,"language":"en"})");
  auto shown = server.json("GET /api/settings");
  CHECK(shown["llm_model"] == "m");
  CHECK(shown["llm_base_url"] == "u");
  CHECK(shown["llm_api_key_set"] == true);
  CHECK(shown["search_api_key_set"] == true);
  CHECK(shown["user_consents_to_analytics"] == true);
  CHECK(shown["language"] == "en");
  CHECK(shown["agent"].is_null());
  CHECK(shown["max_iterations"].is_null());
  CHECK(shown["mcp_config"].is_null());
  CHECK(shown["enable_sound_notifications"] == false);
  CHECK(json::parse(server.model.settings_text()).contains("sandbox_api_key") == false);
}

TEST_CASE("an empty or blank key clears it") {
  for (auto blank : {R"({"llm_api_key":"","search_api_key":"  "})", R"({"llm_api_key":" \t","search_api_key":""})"}) {
    asked_model server;
    server("POST /api/settings", R"({"llm_api_key":"k","search_api_key":"s"})");
    server("POST /api/settings", blank);
    auto shown = server.json("GET /api/settings");
    CHECK(shown["llm_api_key_set"] == false);
    CHECK(shown["search_api_key_set"] == false);
    CHECK(server.model.settings_text() == "{}");
  }
}

TEST_CASE("MCP keys and environments come back in clear") {
  asked_model server;
  server("POST /api/settings", R"({"mcp_config":{"sse_servers":[{"url":"u","api_key":"CANARY-a"}],)"
                               R"("stdio_servers":[{"name":"n","command":"c","env":{"T":"CANARY-b"}}]}})");
  auto shown = server.json("GET /api/settings")["mcp_config"];
  CHECK(shown["sse_servers"][0]["api_key"] == "CANARY-a");
  CHECK(shown["stdio_servers"][0]["env"]["T"] == "CANARY-b");
}

// -- git providers ---------------------------------------------------------------------------------------------------

TEST_CASE("each POST of git providers replaces the whole map") {
  asked_model server;
  server("POST /api/settings", "{}");
  auto stored = R"(200 {"message":"Git providers stored"})";
  check(server,
        {{"POST /api/add-git-providers",
          R"({"provider_tokens":{"github":{"token":"t","host":"ghe.test"},"gitlab":{"token":"u","user_id":"me"}}})",
          stored}});
  CHECK(server.json("GET /api/settings")["provider_tokens_set"] ==
        json::parse(R"({"github":"ghe.test","gitlab":null})"));
  CHECK(server.model.find()->git_providers.at("gitlab").user_id == "me");
  check(server, {{"POST /api/add-git-providers", R"({"provider_tokens":{"bitbucket":{"token":"v"}}})", stored}});
  CHECK(server.tokens() == "bitbucket=v");
}

TEST_CASE("a body in the wrong form is answered with success and wipes every token") {
  for (auto body : {R"({})", R"({"provider":"github","token":"t"})", R"({"provider_tokens":{}})"}) {
    asked_model server;
    server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})");
    CHECK(server("POST /api/add-git-providers", body) == R"(200 {"message":"Git providers stored"})");
    CHECK(server.tokens().empty());
  }
}

TEST_CASE("an empty token keeps a stored one with the host that was sent, and drops an unknown one") {
  asked_model server;
  server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t","user_id":"me","host":"a"}}})");
  CHECK(server("POST /api/add-git-providers",
               R"({"provider_tokens":{"github":{"token":"","host":"b"},"gitlab":{"token":""},"bitbucket":{}}})") ==
        R"(200 {"message":"Git providers stored"})");
  CHECK(server.tokens() == "github=t");
  const auto& kept = server.model.find()->git_providers.at("github");
  CHECK(kept.host == "b");
  CHECK(kept.user_id == "me");
}

TEST_CASE("only the verdict of the last token counts") {
  auto refused = [](std::string_view x) {
    return "401 {\"error\":\"Invalid token. Please make sure it is a valid " + std::string{x} + " token.\"}";
  };
  std::string stored = R"(200 {"message":"Git providers stored"})";
  asked_model server;
  server("POST /api/add-git-providers", R"({"provider_tokens":{"gitlab":{"token":"old"}}})");
  CHECK(server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"bad-1"}}})") ==
        refused("github"));
  CHECK(server("POST /api/add-git-providers",
               R"({"provider_tokens":{"gitlab":{"token":"good"},"github":{"token":"bad-1"}}})") == refused("github"));
  CHECK(server("POST /api/add-git-providers",
               R"({"provider_tokens":{"github":{"token":"bad-1"},"azure_devops":{"token":""}}})") == refused("github"));
  CHECK(server.tokens() == "gitlab=old"); // a refusal leaves what was there
  CHECK(server("POST /api/add-git-providers", R"({"provider_tokens":{"enterprise_sso":{"token":"good"}}})") ==
        refused("enterprise_sso"));
  // In the order of the document, not of the names: gitlab is last.
  CHECK(server("POST /api/add-git-providers",
               R"({"provider_tokens":{"github":{"token":"bad-1"},"gitlab":{"token":"good"}}})") == stored);
  CHECK(server.tokens() == "github=bad-1 gitlab=good");
  CHECK(server("POST /api/add-git-providers",
               R"({"provider_tokens":{"gitlab":{"token":"bad-2"},"github":{"token":"good"}}})") == stored);
}

TEST_CASE("a stored token is not judged again until its host changes") {
  asked_model server;
  server("POST /api/add-git-providers",
         R"({"provider_tokens":{"github":{"token":"bad-1"},"gitlab":{"token":"good"}}})");
  CHECK(server.answer("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":""}}})").status == 200);
  CHECK(server.tokens() == "github=bad-1");
  CHECK(
    server.answer("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"","host":"b"}}})").status ==
    401);
}

TEST_CASE("an unknown git provider is 422") {
  asked_model server;
  CHECK(faults_of(server, "POST /api/add-git-providers", R"({"provider_tokens":{"forgejo":{"token":"t"}}})") ==
        R"(enum ["body","provider_tokens","forgejo","[key]"] "forgejo")");
  CHECK(faults_of(server, "POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":7}}})") ==
        R"(string_type ["body","provider_tokens","github","token"] 7)");
  CHECK(faults_of(server, "POST /api/add-git-providers", R"({"provider_tokens":[]})") ==
        R"(dict_type ["body","provider_tokens"] [])");
  CHECK(faults_of(server, "POST /api/add-git-providers", R"({"provider_tokens":{},"mcp_config":{"x":1}})") ==
        R"(extra_forbidden ["body","mcp_config","x"] 1)");
}

TEST_CASE("a git provider that cannot be reached looks like a refused token") {
  asked_model server;
  auto r = server.model.handle(ask("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"good"}}})"),
                               instant{}, "127.0.0.1", {.git_hosts_unreachable = true});
  CHECK(r.response.status == 401);
  CHECK(r.response.body == R"({"error":"Invalid token. Please make sure it is a valid github token."})");
  CHECK(server.tokens().empty());
}

TEST_CASE("unsetting git providers keeps the secrets") {
  asked_model server;
  server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})");
  server("POST /api/secrets", R"({"name":"A","value":"v"})");
  CHECK(server("POST /api/unset-provider-tokens") == R"(200 {"message":"Unset Git provider tokens"})");
  CHECK(server.tokens().empty());
  CHECK(server("GET /api/secrets") == R"(200 {"custom_secrets":[{"name":"A","description":""}]})");
}

// -- secrets ---------------------------------------------------------------------------------------------------------

TEST_CASE("secrets are created once, renamed and described, and never changed") {
  asked_model server;
  check(server,
        {{"GET /api/secrets", "", R"(200 {"custom_secrets":[]})"},
         {"POST /api/secrets", R"({"name":"A","value":"1","description":"d"})",
          R"(201 {"message":"Secret created successfully"})"},
         {"POST /api/secrets", R"({"name":"A","value":"1","description":"d"})",
          R"(400 {"message":"Secret A already exists"})"},
         {"POST /api/secrets", R"({"name":"B","value":"2"})", R"(201 {"message":"Secret created successfully"})"},
         {"PUT /api/secrets/A", R"({"name":"A","value":"other","description":"e"})",
          R"(200 {"message":"Secret updated successfully"})"},
         {"PUT /api/secrets/A", R"({"name":"B"})", R"(400 {"message":"Secret B already exists"})"},
         {"PUT /api/secrets/C", R"({"name":"C"})", R"(404 {"error":"Secret with ID C not found"})"},
         {"GET /api/secrets", "",
          R"(200 {"custom_secrets":[{"name":"A","description":"e"},{"name":"B","description":""}]})"},
         {"DELETE /api/secrets/B", "", R"(200 {"message":"Secret deleted successfully"})"},
         {"DELETE /api/secrets/B", "", R"(404 {"error":"Secret with ID B not found"})"}});
  CHECK(server.model.find()->secrets.at("A").value == "1");
  CHECK(server("PUT /api/secrets/A", R"({"name":"Z"})") == R"(200 {"message":"Secret updated successfully"})");
  CHECK(server.model.find()->secrets.at("Z").value == "1");
}

TEST_CASE("without a store PUT and DELETE succeed at nothing") {
  asked_model server;
  check(server, {{"PUT /api/secrets/A", R"({"name":"A"})", R"(200 {"message":"Secret updated successfully"})"},
                 {"DELETE /api/secrets/A", "", R"(200 {"message":"Secret deleted successfully"})"},
                 {"GET /api/secrets", "", R"(200 {"custom_secrets":[]})"}});
}

TEST_CASE("a secret without its fields is 422 and echoes the rest") {
  asked_model server;
  CHECK(faults_of(server, "POST /api/secrets", R"({"value":"CANARY"})") ==
        R"(missing ["body","name"] {"value":"CANARY"})");
  CHECK(faults_of(server, "POST /api/secrets", R"({"name":"A","value":5})") == R"(string_type ["body","value"] 5)");
}

TEST_CASE("any name is accepted, and three kinds can never be deleted") {
  asked_model server;
  for (auto name : {"", "a/b"})
    CHECK(server.answer("POST /api/secrets", "{\"name\":\"" + std::string{name} + "\",\"value\":\"v\"}").status == 201);
  CHECK(server("DELETE /api/secrets/a%2Fb") == R"(404 {"detail":"Not Found"})");
  CHECK(server.answer("DELETE /api/secrets/").status == 307);
  CHECK(server.model.find()->secrets.size() == 2);
  server("POST /api/secrets", R"({"name":"a b","value":"v"})");
  CHECK(server.answer("DELETE /api/secrets/a%20b").status == 200);
}

// -- rate limit, prefixes, judges ------------------------------------------------------------------------------------

TEST_CASE("more than ten requests in a second are delayed, more than twenty refused, and refused ones count") {
  server_model model{options_of("openhands")};
  auto at = [&](std::int64_t us, std::string_view client) {
    return model.handle(ask("GET /api/secrets"), instant{us}, client);
  };
  for (int i = 1; i <= 30; ++i) {
    auto r = at(i, "10.0.0.1");
    CAPTURE(i);
    CHECK(r.delay == (i > 10 && i <= 20 ? 1000ms : 0ms));
    CHECK(r.response.status == (i > 20 ? 429 : 200));
    if (i > 20) {
      CHECK(r.response.body == R"({"message":"Too many requests"})");
      CHECK(*r.response.find("Retry-After") == "1");
    }
  }
  CHECK(at(31, "10.0.0.2").response.status == 200); // each address has its own
  // The thirty are within the second until it has passed for each; those refused meanwhile keep it full.
  CHECK(at(999'999, "10.0.0.1").response.status == 429);
  CHECK(at(1'000'030, "10.0.0.1").response.status == 200);
}

TEST_CASE("the rate limit can be switched off") {
  auto options = options_of("openhands");
  options.rate_limit = false;
  server_model model{options};
  for (int i = 0; i < 100; ++i)
    CHECK(model.handle(ask("GET /alive"), instant{}, "10.0.0.1").response.status == 200);
}

TEST_CASE("each prefix is a server of its own") {
  asked_model server;
  server("POST /s/a/api/secrets", R"({"name":"A","value":"1"})");
  CHECK(server("GET /s/b/api/secrets") == R"(200 {"custom_secrets":[]})");
  CHECK(server("GET /s/a/api/secrets?x=1") == R"(200 {"custom_secrets":[{"name":"A","description":""}]})");
  CHECK(server("GET /s/a/alive") == R"(200 {"status":"ok"})");
  CHECK(server.answer("GET /s/").status == 404);
  CHECK(server.answer("GET /s/" + std::string(65, 'x') + "/alive").status == 404);
  CHECK(server.answer("GET /s/a%20b/alive").status == 404);
  CHECK(server.model.prefixes() == std::vector<std::string>{"", "/s/a", "/s/b"});
  CHECK(server.model.requests_to("GET /api/secrets", "/s/a") == 1);
  CHECK(server.model.requests_to("GET /api/secrets") == 0);
  CHECK(server.model.requests_to("other") == 3);
  server.model.reset("/s/a", server.now);
  CHECK(server("GET /s/a/api/secrets") == R"(200 {"custom_secrets":[]})");
}
