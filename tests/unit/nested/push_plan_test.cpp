#include "transcript.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

TEST_CASE("a fresh openhands server gets settings, then one map per git token, then secrets, and is read back") {
  auto run = drive(order_for(usual()), fresh_openhands());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::presence);
  CHECK(run.done().dialect == "openhands");
  CHECK(run.done().holds == delivery_of(usual(), *some_key()));
  CHECK(run.asked == std::vector<std::string>{
    "GET /alive",
    "GET /api/settings",
    R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-llm","llm_model":"m"})",
    R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"CANARY-gh","user_id":null}}})",
    R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null},)"
    R"("gitlab":{"host":"git.acme.test","token":"CANARY-gl","user_id":null}}})",
    "GET /api/secrets",
    R"(POST /api/secrets {"description":"","name":"API_TOKEN","value":"CANARY-api"})",
    R"(POST /api/secrets {"description":"ships it","name":"DEPLOY_KEY","value":"CANARY-deploy"})",
    "GET /api/settings",
    "GET /api/secrets",
  });
}
