#include <nestor/nested/agent_settings.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;

namespace {

std::string placed(std::string_view settings) {
  auto out = place_settings(settings);
  CHECK(out.objection == "");
  return std::string{std::string_view{out.text}};
}

std::string patch(std::string_view wanted, std::string_view shown) {
  return std::string{std::string_view{settings_patch(placed(wanted), shown)}};
}

} // namespace

TEST_CASE("flat settings stand where the agent-server keeps what they mean, and groups as they are") {
  CHECK(
    placed(R"({"llm_model":"m","agent_settings":{"llm":{"temperature":0.5}},"max_iterations":9,"language":"en"})") ==
    R"({"agent_settings":{"llm":{"model":"m","temperature":0.5}},"conversation_settings":{"max_iterations":9},)"
    R"("misc_settings":{"language":"en"}})");
  CHECK(placed(R"({"llm_base_url":null,"agent_settings":{"llm":{"model":null}}})") ==
        R"({"agent_settings":{"llm":{}}})"); // null is the default, so nothing is wanted
  CHECK(placed("{}") == "{}");
}

TEST_CASE("a setting without a place on the agent-server is refused by name") {
  CHECK(place_settings(R"({"search_api_key":"CANARY"})").objection.find("'search_api_key'") != std::string::npos);
  CHECK(place_settings(R"({"agent_settings":7})").objection.find("has to be an object") != std::string::npos);
  auto twice = place_settings(R"({"agent_settings":{"llm":{"model":"CANARY"}},"llm_model":"m"})").objection;
  CHECK(twice.find("'llm_model' is given twice") != std::string::npos);
  CHECK(twice.find("CANARY") == std::string::npos);
}

TEST_CASE("a patch sends what is wanted and ends what is not, with defaults where null is refused") {
  CHECK(patch(R"({"llm_model":"m"})",
              R"({"agent_settings":{"schema_version":5,"agent_kind":"acp","agent":"Other","tools":null,
                  "llm":{"model":"old","base_url":"http://old","num_retries":5},"mcp_config":{"a":{"url":"x"}}},
                  "conversation_settings":{"schema_version":1,"max_iterations":7,"security_analyzer":null},
                  "misc_settings":{"language":"en"},"active_profile":"p","active_agent_profile_id":null})") ==
        R"({"active_profile":null,"agent_settings_diff":{"agent":null,"agent_kind":"openhands",)"
        R"("llm":{"base_url":null,"model":"m","num_retries":null},"mcp_config":null},)"
        R"("conversation_settings_diff":{"max_iterations":500},"misc_settings_diff":{"language":null}})");
  CHECK(patch("{}", R"({"agent_settings":{}})") == R"({"misc_settings_diff":{}})"); // an empty one is refused
}

TEST_CASE("a profile brings its own LLM, so the patch that chooses it names none") {
  CHECK(patch(R"({"active_profile":"p"})", R"({"agent_settings":{"llm":{"model":"old"}}})") ==
        R"({"active_profile":"p"})");
}

TEST_CASE("what was left behind is found, and what a server fills in by itself is not") {
  auto surplus = [](std::string_view wanted, std::string_view shown) {
    auto seen = read_agent_settings(shown, placed(wanted));
    CHECK(seen.whole);
    return seen.surplus;
  };
  CHECK(surplus("{}", R"({"agent_settings":{"llm":{"model":"x","api_key":null,"base_url":""}}})") == "");
  CHECK(surplus("{}", R"({"agent_settings":{"llm":{"api_key":"**********"}}})") == "/agent_settings/llm/api_key");
  CHECK(surplus(R"({"llm_api_key":"k"})", R"({"agent_settings":{"llm":{"api_key":"k"}}})") == "");
  auto tools = R"({"agent_settings":{"mcp_config":{"svc":{"url":"u"}}}})";
  CHECK(surplus(tools, R"({"agent_settings":{"mcp_config":{"svc":{"url":"u","enabled":true}}}})") == "");
  CHECK(surplus(tools, R"({"agent_settings":{"mcp_config":{"svc":{"url":"u","headers":{"X-Old":"s"}}}}})") ==
        "/agent_settings/mcp_config/svc/headers/X-Old");
  CHECK(surplus("{}", R"({"agent_settings":{"mcp_config":{"svc":{"url":"u"}}}})") ==
        "/agent_settings/mcp_config/svc/url");
  CHECK(surplus("{}", R"({"agent_settings":{},"misc_settings":{"a":null}})") == "");
  CHECK(surplus("{}", R"({"agent_settings":{},"active_profile":"p"})") == "/active_profile");
}

TEST_CASE("a body that is not an agent-server's settings is not taken for some") {
  for (std::string_view body : {"", "[]", "{}", R"({"agent_settings":{})", R"({"provider_tokens_set":{}})"})
    CHECK_FALSE(read_agent_settings(body, "{}").whole);
}
