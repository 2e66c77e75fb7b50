#include "support/canary.hpp"
#include "support/nested_transcript.hpp"

#include <nestor/nested/settings_match.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

settings_match match(std::string_view wanted, std::string_view shown, std::vector<std::string> secrets = {},
                     bool exact = true) {
  configuration c;
  c.settings = wiped_string{wanted};
  c.secret_settings = std::move(secrets);
  shown_settings seen;
  return match_settings(c, shown, seen, exact);
}

} // namespace

TEST_CASE("settings are equal by value although the server coerces types and adds defaults") {
  CHECK(match(R"({"max_iterations":"50"})", R"({"max_iterations":50,"language":"en"})").equal);
  CHECK(match(R"({"confirmation_mode":"yes"})", R"({"confirmation_mode":true})").equal);
  CHECK(match(R"({"max_budget_per_task":4})", R"({"max_budget_per_task":4.0})").equal);
  CHECK(match(R"({"language":null})", R"({"language":null})").equal);
  CHECK(match(R"({"language":""})", R"({"language":null})").equal);
  CHECK(match(R"({"mcp_config":{"sse_servers":["http://x"]}})",
              R"({"mcp_config":{"sse_servers":[{"url":"http://x","api_key":null}]}})")
          .equal);
  CHECK(match(R"({"a":1})", R"({"a":1})").strength == evidence::value);
}

TEST_CASE("settings differ when a wanted member has another value or no place") {
  CHECK(match(R"({"agent":"A"})", R"({"agent":"B"})").difference == "/agent");
  CHECK(match(R"({"agent":"A"})", R"({"language":"en"})").difference == "/agent");
  CHECK(match(R"({"agent":"A"})", R"({"agent":null})").difference == "/agent");
  CHECK_FALSE(match(R"({"max_iterations":50})", R"({"max_iterations":51})").equal);
  CHECK_FALSE(match(R"({"confirmation_mode":true})", R"({"confirmation_mode":false})").equal);
  CHECK_FALSE(match(R"({"language":null})", R"({"language":"en"})").equal);
  CHECK_FALSE(match(R"({"m":{"sse_servers":[]}})", R"({"m":{"sse_servers":[{"url":"http://old"}]}})").equal);
  CHECK_FALSE(match(R"({"a":1})", "not json").equal);
  CHECK_FALSE(match(R"({"a":1})", R"({"a":1)").equal);
}

TEST_CASE("a secret setting is confirmed by its flag, and by nothing less where there is one") {
  auto shown = R"({"llm_api_key":null,"llm_api_key_set":true})";
  auto good = match(R"({"llm_api_key":"k"})", shown, {"/llm_api_key"});
  CHECK(good.equal);
  CHECK(good.strength == evidence::presence);
  CHECK_FALSE(
    match(R"({"llm_api_key":"k"})", R"({"llm_api_key":null,"llm_api_key_set":false})", {"/llm_api_key"}).equal);
  CHECK(match("{}", shown).difference == "/llm_api_key");
  CHECK(match(R"({"llm_api_key":""})", shown, {"/llm_api_key"}).difference == "/llm_api_key");
  CHECK(match("{}", R"({"llm_model":"left over"})").difference == "/llm_model");
  // no flag: there is only the place where it would be
  CHECK(match(R"({"sandbox_api_key":"k"})", R"({"sandbox_api_key":null})", {"/sandbox_api_key"}).strength ==
        evidence::answer);
  CHECK_FALSE(match(R"({"sandbox_api_key":"k"})", R"({})", {"/sandbox_api_key"}).equal);
  CHECK(match(R"({"sandbox_api_key":"k"})", R"({})", {"/sandbox_api_key"}, false).strength == evidence::answer);
}

TEST_CASE("a secret inside the MCP configuration is compared where it is shown and not named when it differs") {
  auto wanted = R"({"mcp_config":{"sse_servers":[{"api_key":"CANARY","url":"http://x"}]}})";
  std::vector<std::string> pointer{"/mcp_config/sse_servers/0/api_key"};
  auto with = [&](std::string_view key) {
    return match(wanted, R"({"mcp_config":{"sse_servers":[{"url":"http://x","api_key":)" + std::string{key} + "}]}}",
                 pointer);
  };
  CHECK(with("\"CANARY\"").strength == evidence::value);
  CHECK(with("\"**********\"").strength == evidence::presence);
  CHECK_FALSE(with("\"other\"").equal);
  CHECK(tests::canary_in(with("\"other\"").difference) == "");
}

TEST_CASE("what null would keep is emptied in the body, and only that") {
  std::vector<std::string> filled{"llm_api_key", "llm_model"};
  CHECK(settings_body(R"({"llm_model":"m"})", filled) == R"({"llm_model":"m","llm_api_key":""})");
  CHECK(settings_body("{}", filled) == R"({"llm_api_key":"","llm_model":""})");
  CHECK(settings_body(R"({"a":1})", {}) == R"({"a":1})");
}
