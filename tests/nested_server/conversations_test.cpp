// The V0 server's conversations, as far as an orchestrator uses them.
#include "asking.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using nlohmann::json;

TEST_CASE("a conversation needs settings and an LLM key") {
  asked_model server;
  auto refused = server.json("POST /api/conversations", "{}");
  CHECK(refused["status"] == "error");
  CHECK(refused["msg_id"] == "CONFIGURATION$SETTINGS_NOT_FOUND");
  server("POST /api/settings", R"({"llm_model":"m"})");
  CHECK(server.answer("POST /api/conversations", "{}").status == 400);
  CHECK(server.json("POST /api/conversations", "{}")["msg_id"] == "STATUS$ERROR_LLM_AUTHENTICATION");
  for (auto model : {"bedrock/x", "lemonade/x"}) {
    server("POST /api/settings", "{\"llm_model\":\"" + std::string{model} + "\"}");
    CHECK(server.answer("POST /api/conversations", "{}").status == 200);
  }
  server("POST /api/settings", R"({"llm_model":"m","llm_api_key":"k"})");
  CHECK(server("POST /api/conversations", R"({"conversation_id":"c1"})") ==
        R"(200 {"status":"ok","conversation_id":"c1","message":null,"conversation_status":"STARTING"})");
  CHECK(server("POST /api/conversations", R"({"conversation_id":"c1"})") ==
        R"(200 {"status":"ok","conversation_id":"c1","message":null,"conversation_status":"RUNNING"})");
  CHECK(server.json("POST /api/conversations", "{}")["conversation_id"].get<std::string>().size() == 32);
}

TEST_CASE("keys that a conversation does not have are 422, and so is an id where it may not be chosen") {
  model_options options;
  options.choose_conversation_id = false;
  asked_model server{options};
  server("POST /api/settings", R"({"llm_api_key":"k"})");
  for (auto body :
       {R"({"nope":1})", R"({"conversation_id":"c"})", R"({"git_provider":"forgejo"})", R"({"image_urls":[1]})"}) {
    CAPTURE(body);
    CHECK(server.answer("POST /api/conversations", body).status == 422);
  }
  CHECK(server
          .answer("POST /api/conversations",
                  R"({"initial_user_msg":"hi","image_urls":[],"replay_json":null,"repository":null,)"
                  R"("selected_branch":null,"git_provider":null,"conversation_instructions":"x","mcp_config":null})")
          .status == 200);
}

TEST_CASE("a repository needs a git provider that reaches it") {
  asked_model server;
  server("POST /api/settings", R"({"llm_api_key":"k"})");
  auto broken = server.answer("POST /api/conversations", R"({"repository":"a/b"})");
  CHECK(broken.status == 500);
  CHECK(*broken.find("Content-Type") == "text/plain; charset=utf-8");
  server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})");
  CHECK(server.answer("POST /api/conversations", R"({"repository":"a/b"})").status == 200);
  CHECK(server.json("POST /api/conversations", R"({"repository":"a/b","git_provider":"gitlab"})").is_string());
  CHECK(server.answer("POST /api/conversations", R"({"repository":"a/b","git_provider":"gitlab"})").status == 401);
}

TEST_CASE("a conversation is shown, stopped, started and deleted") {
  asked_model server;
  server("POST /api/settings", R"({"llm_api_key":"k"})");
  CHECK(server("GET /api/conversations/c") == "200 null");
  server("POST /api/conversations", R"({"conversation_id":"c","selected_branch":"main"})");
  auto shown = server.json("GET /api/conversations/c");
  CHECK(shown["conversation_id"] == "c");
  CHECK(shown["status"] == "RUNNING");
  CHECK(shown["runtime_status"] == "STATUS$READY");
  CHECK(shown["selected_branch"] == "main");
  CHECK(server.json("POST /api/conversations/c/stop")["conversation_status"] == "STOPPED");
  CHECK(server.json("GET /api/conversations/c")["status"] == "STOPPED");
  CHECK(server.answer("POST /api/conversations/other/stop").status == 200);
  CHECK(server.json("POST /api/conversations/c/start", R"({"providers_set":[]})")["conversation_status"] == "RUNNING");
  CHECK(server.answer("POST /api/conversations/other/start", R"({"providers_set":[]})").status == 404);
  CHECK(server("POST /api/conversations/c/exp-config", R"({"config":{"system_prompt_filename":"x"}})") == "200 false");
  CHECK(server("DELETE /api/conversations/c") == "200 true");
  CHECK(server("DELETE /api/conversations/c") == "200 false");
  CHECK(server.answer("GET /api/conversations/a..b").status == 400);
  CHECK(server.answer("GET /api/conversations/" + std::string(101, 'x')).status == 400);
}

TEST_CASE("events are kept in order and read in pages") {
  asked_model server;
  server("POST /api/settings", R"({"llm_api_key":"k"})");
  CHECK(server.answer("GET /api/conversations/c/events").status == 404);
  server("POST /api/conversations", R"({"conversation_id":"c","initial_user_msg":"first"})");
  CHECK(server("POST /api/conversations/c/message", R"({"message":"second"})") == R"(200 {"success":true})");
  CHECK(server("POST /api/conversations/c/events", R"({"action":"message","args":{"content":"third"}})") ==
        R"(200 {"success":true})");
  CHECK(server.answer("POST /api/conversations/c/events", "[]").status == 422);
  auto contents = [&](std::string_view query) {
    std::string text;
    auto page = server.json("GET /api/conversations/c/events" + std::string{query});
    for (const auto& event : page["events"])
      text += event["args"]["content"].get<std::string>() + " ";
    return text + (page["has_more"] == true ? "and more" : "and no more");
  };
  CHECK(contents("") == "first second third and no more");
  CHECK(contents("?limit=2") == "first second and more");
  CHECK(contents("?reverse=true&limit=1") == "third and more");
  CHECK(contents("?start_id=1&end_id=1") == "second and no more");
  CHECK(contents("?limit=0") == "and more");
  for (auto limit : {"101", "-1"})
    CHECK(server.answer("GET /api/conversations/c/events?limit=" + std::string{limit}).status == 400);
  CHECK(server.answer("GET /api/conversations/c/events?limit=x").status == 422);
}
