#include "support/nested_transcript.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

canned nobody_known() {
  return {{"GET /alive", {answer(200, alive_ok)}}};
}

} // namespace

TEST_CASE("auto recognises a fresh openhands server by its own words and does not ask it twice") {
  auto run = drive(order_for(usual(), "auto"), fresh_openhands());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().dialect == "openhands");
  REQUIRE(run.asked.size() == 10);
  CHECK(run.asked[1] == "GET /api/settings");
  CHECK(run.asked[2].starts_with("POST /api/settings"));
}

TEST_CASE("auto recognises an openhands server that has settings by its map of git providers") {
  auto order = order_for(usual(), "auto");
  order.why = purpose::update;
  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  auto answers = fresh_openhands();
  answers["GET /api/settings"] = {answer(200, settings_as_wanted)};
  answers["GET /api/secrets"] = {answer(200, secrets_as_wanted)};
  auto run = drive(order, answers);
  REQUIRE(run.confirmed());
  CHECK(run.asked == std::vector<std::string>{"GET /alive", "GET /api/settings", "GET /api/secrets", "GET /api/secrets",
                                              "GET /api/settings"});
}

TEST_CASE("auto names what it saw when it knows no such server, and never falls back on generic") {
  auto answers = nobody_known();
  answers["GET /api/settings"] = {answer(200, R"({"something":"CANARY-body"})")};
  answers["GET /api/init"] = {answer(405, "")};
  auto run = drive(order_for(usual(), "auto"), answers);
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::dialect_unknown));
  CHECK(run.why().cause == "seen: GET /api/settings 200, GET /api/init 405, GET /server_info 404");
}

TEST_CASE("auto recognises an agent-server by its settings, by its init, and by what it says of itself") {
  for (const auto& [path, body] : std::vector<std::pair<std::string, std::string>>{
         {"GET /api/settings", R"({"agent_settings":{},"llm_api_key_is_set":false})"},
         {"GET /api/init", R"({"state":"dormant","error":null})"},
         {"GET /api/init", R"({"state":"initializing","error":null})"},
         {"GET /server_info", R"({"uptime":1,"title":"t","version":"1","sdk_version":"1"})"}}) {
    auto answers = nobody_known();
    answers["GET /api/settings"] = {answer(503, "")};
    answers[path] = {answer(200, body)};
    auto run = drive(order_for(usual(), "auto"), answers);
    INFO(path << "\n" << joined(run.asked));
    auto asked = std::ranges::find(run.asked, path) - run.asked.begin() + 1;
    REQUIRE(static_cast<std::size_t>(asked) < run.asked.size());
    CHECK(run.asked[static_cast<std::size_t>(asked)] == "GET /api/init"); // the dialect's own first question
  }
}

TEST_CASE("auto takes nobody for an agent-server who only has the words in another place") {
  for (const auto& [path, body] : std::vector<std::pair<std::string, std::string>>{
         {"GET /api/init", R"({"agent_settings":{}})"},
         {"GET /api/init", R"({"state":"running"})"},
         {"GET /server_info", R"({"title":"t","version":"1","state":"ready"})"}}) {
    auto answers = nobody_known();
    answers[path] = {answer(200, body)};
    auto run = drive(order_for(usual(), "auto"), answers);
    REQUIRE_FALSE(run.confirmed());
    CHECK(name_of(run.why().code) == name_of(errc::dialect_unknown));
  }
}

TEST_CASE("auto takes trouble for trouble: it asks again and decides nothing") {
  auto answers = fresh_openhands();
  for (auto trouble :
       std::vector<http_reply>{answer(503, ""), answer(200, "<html>"), answer(200, "{\"prov"), answer(429, "{}"),
                               answer(401, R"({"error":"Invalid token"})"), http::transport_error::reset}) {
    answers["GET /api/settings"] = {trouble, answer(404, no_settings), answer(200, settings_as_wanted)};
    auto run = drive(order_for(usual(), "auto"), answers);
    INFO(joined(run.asked));
    CHECK(run.confirmed());
  }
  answers["GET /api/settings"] = {answer(500, "")};
  CHECK(name_of(drive(order_for(usual(), "auto"), answers).why().code) == name_of(errc::nested_error));
  answers["GET /api/settings"] = {answer(401, R"({"detail":"Unauthorized"})")};
  CHECK(name_of(drive(order_for(usual(), "auto"), answers).why().code) == name_of(errc::session_key_refused));
}

TEST_CASE("auto sends GETs only, whatever it hears, until it knows the dialect") {
  std::mt19937 random{20'260'101};
  const std::vector<std::uint16_t> statuses{100, 200, 200, 200, 201, 204, 301, 400, 401, 403,
                                            404, 404, 405, 409, 422, 429, 500, 502, 503, 599};
  const std::vector<std::string_view> bodies{"",
                                             "{}",
                                             "[]",
                                             "null",
                                             "\"OK\"",
                                             "<html>",
                                             "{\"error\":\"x\"}",
                                             "{\"detail\":\"y\"}",
                                             "{\"provider_tokens\":{}}",
                                             "{\"state\":\"odd\"}",
                                             "{\"a\":",
                                             "{\"version\":\"1\"}"};
  for (int round = 0; round < 10'000; ++round) {
    auto order = order_for(usual(), "auto");
    order.seed = random();
    auto run = drive(order, [&](const send_request& send) -> http_reply {
      if (send.request.target == "/alive")
        return answer(200, alive_ok);
      if (random() % 8 == 0)
        return static_cast<http::transport_error>(random() % static_cast<unsigned>(http::transport_error::count_));
      return answer(statuses[random() % statuses.size()], bodies[random() % bodies.size()]);
    });
    REQUIRE_FALSE(run.confirmed());
    REQUIRE_FALSE(std::get<run_failed>(run.last).wrote);
    for (const auto& line : run.asked)
      REQUIRE(line.starts_with("GET "));
  }
}
