#include "support/nested_transcript.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

constexpr std::string_view shown_settings_text = R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m"})";

canned looking_server() {
  return {
    {"GET /alive", {answer(200, alive_ok)}},
    {"POST /api/settings", {answer(200, "{}")}},
    {"POST /api/add-git-providers", {answer(200, "{}")}},
    {"POST /api/secrets", {answer(200, "{}")}},
    {"GET /api/settings", {answer(200, shown_settings_text)}},
    {"GET /api/git-providers", {answer(200, R"({"providers":[{"provider":"github"},{"provider":"gitlab"}]})")}},
    {"GET /api/secrets", {answer(200, R"({"secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"}]})")}},
  };
}

canned blind_server(std::string_view body = "") {
  auto answers = looking_server();
  for (auto key : {"GET /api/settings", "GET /api/git-providers", "GET /api/secrets"})
    answers.erase(key);
  for (auto key : {"POST /api/settings", "POST /api/add-git-providers", "POST /api/secrets"})
    answers[key] = {answer(200, body)};
  return answers;
}

} // namespace

TEST_CASE("a generic server gets one POST per git provider and per secret, in order") {
  auto run = drive(order_for(usual(), "generic"), looking_server());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::presence);
  CHECK(run.asked ==
        std::vector<std::string>{
          "GET /alive", R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-llm","llm_model":"m"})",
          R"(POST /api/add-git-providers {"provider":"github","token":"CANARY-gh"})",
          R"(POST /api/add-git-providers {"provider":"gitlab","token":"CANARY-gl","host":"git.acme.test"})",
          R"(POST /api/secrets {"name":"API_TOKEN","value":"CANARY-api"})",
          R"(POST /api/secrets {"name":"DEPLOY_KEY","value":"CANARY-deploy","description":"ships it"})",
          "GET /api/settings", "GET /api/git-providers", "GET /api/secrets"});
}

TEST_CASE("a generic server that cannot be looked at is believed on its answers, and the evidence says so") {
  for (std::string_view body : {"", "OK", "{}", R"({"status":"ok"})"}) {
    auto run = drive(order_for(usual(), "generic"), blind_server(body));
    INFO(body);
    if (body == "OK") // a word is neither JSON nor nothing
      continue;
    REQUIRE(run.confirmed());
    CHECK(run.done().strength == evidence::answer);
  }
  auto everything_is_fine = [](const send_request&) -> http_reply { return answer(200, R"({"status":"ok"})"); };
  auto run = drive(order_for(usual(), "generic"), everything_is_fine);
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::answer);
}

TEST_CASE("a generic server that can be looked at is held to what it shows") {
  auto with = [](std::string key, std::string_view body) {
    auto answers = looking_server();
    answers[key] = {answer(200, body)};
    auto run = drive(order_for(usual(), "generic"), answers);
    return run.confirmed() ? std::string{"confirmed"} : std::string{name_of(run.why().code)};
  };
  CHECK(with("GET /api/settings", R"({"agent":"other"})") == "not_confirmed");
  CHECK(with("GET /api/settings", "{}") == "not_confirmed");
  CHECK(with("GET /api/git-providers", R"({"providers":["github"]})") == "not_confirmed");
  CHECK(with("GET /api/secrets", R"({"secrets":[]})") == "not_confirmed");
  CHECK(with("GET /api/git-providers", R"({"providers":["github","gitlab"]})") == "confirmed");
}

TEST_CASE("what a read-back of our own runtime shows too much is deleted once and looked at again") {
  auto answers = looking_server();
  answers["GET /api/secrets"] = {
    answer(200, R"({"secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"},{"name":"OLD"}]})"),
    answer(200, R"({"secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"}]})")};
  answers["GET /api/git-providers"] = {answer(200, R"({"providers":["github","gitlab","old"]})"),
                                       answer(200, R"({"providers":["github","gitlab"]})")};
  answers["DELETE /api/secrets/OLD"] = {answer(200, "{}")};
  answers["DELETE /api/add-git-providers/old"] = {answer(200, "{}")};
  auto run = drive(order_for(usual(), "generic"), answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(std::ranges::count(run.asked, "DELETE /api/secrets/OLD") == 1);
  CHECK(std::ranges::count(run.asked, "DELETE /api/add-git-providers/old") == 1);
  CHECK(std::ranges::count_if(run.asked, [](const auto& line) { return line.starts_with("POST /api/secrets"); }) == 2);
}

TEST_CASE("a generic update writes what changed and deletes what went") {
  auto c = usual();
  c.git_providers.pop_back();
  c.secrets[0].value = text_secret("rotated");
  c.secrets.pop_back();
  auto order = order_for(c, "generic");
  order.why = purpose::update;
  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  auto answers = blind_server("{}");
  answers["DELETE /api/secrets/DEPLOY_KEY"] = {answer(200, "{}")};
  answers["DELETE /api/add-git-providers/gitlab"] = {answer(404, "{}")};
  auto run = drive(order, answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked == std::vector<std::string>{"GET /alive", "DELETE /api/add-git-providers/gitlab",
                                              "DELETE /api/secrets/DEPLOY_KEY",
                                              R"(POST /api/secrets {"name":"API_TOKEN","value":"rotated"})",
                                              "GET /api/settings", "GET /api/git-providers", "GET /api/secrets"});
}

TEST_CASE("a generic withdrawal deletes every name that may have been written") {
  auto order = order_for(usual(), "generic");
  order.why = purpose::withdraw;
  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  order.wanted.reset();
  auto answers = blind_server("{}");
  for (auto name : {"secrets/API_TOKEN", "secrets/DEPLOY_KEY", "add-git-providers/github", "add-git-providers/gitlab"})
    answers["DELETE /api/" + std::string{name}] = {answer(200, "{}")};
  auto run = drive(order, answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().holds == delivery{});
  CHECK(run.asked[5] == "POST /api/settings {}");
}
