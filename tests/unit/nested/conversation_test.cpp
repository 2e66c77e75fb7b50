// How a conversation is started, against canned answers of both servers: what is asked, in which order, and that a
// lost answer is looked for and not asked for again where that cannot be told.
#include "support/nested_transcript.hpp"

#include <nestor/nested/conversation.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

constexpr std::string_view hex = "00112233445566778899aabbccddeeff";
constexpr std::string_view uuid = "00112233-4455-8677-a899-aabbccddeeff";
constexpr std::string_view start = "POST /api/conversations";
const std::string look = "GET /api/conversations/" + std::string{hex};
const std::string agent_look = "GET /api/conversations/" + std::string{uuid};
constexpr std::string_view runs = R"({"conversation_id":"c","status":"RUNNING"})";
constexpr std::string_view yes = R"({"status":"ok","conversation_id":"00112233445566778899aabbccddeeff"})";
constexpr std::string_view invalid = R"({"detail":[{"type":"extra_forbidden"}]})";

push_order talk_order(std::string dialect = "openhands", std::string conversation = R"({"initial_user_msg":"hi"})") {
  auto order = order_for(usual(), std::move(dialect));
  order.why = purpose::converse;
  order.conversation = std::move(conversation);
  order.conversation_id = hex;
  return order;
}

/// A server that runs since before the configuration, and answers as told.
canned server(canned more) {
  more["GET /alive"] = {answer(200, alive_ok)};
  more["GET /server_info"] = {answer(200, R"({"uptime":100})")};
  return more;
}

std::ptrdiff_t starts(const outcome_of_run& run) {
  return std::ranges::count_if(run.asked, [](const std::string& line) { return line.starts_with(start); });
}

} // namespace

TEST_CASE("a conversation is started by an id of ours and read back before it counts") {
  auto run = drive(talk_order(), server({{std::string{start}, {answer(200, yes)}}, {look, {answer(200, runs)}}}));
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked ==
        std::vector<std::string>{
          "GET /alive", "GET /server_info",
          R"(POST /api/conversations {"initial_user_msg":"hi","conversation_id":")" + std::string{hex} + "\"}", look});
  CHECK(std::ranges::none_of(run.mutated, [](bool writes) { return writes; })); // of the configuration
}

TEST_CASE("an agent-server's conversation gets its own copy of the secrets, and an id that is a UUID") {
  auto order = talk_order("agent-server", R"({"workspace":{"working_dir":"/w"}})");
  auto run = drive(order, server({{std::string{start}, {answer(201, R"({"id":")" + std::string{uuid} + "\"}")}},
                                  {agent_look, {answer(200, R"({"id":"x"})")}}}));
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked.at(2) == R"(POST /api/conversations {"workspace":{"working_dir":"/w"},"conversation_id":")" +
                             std::string{uuid} +
                             R"(","secrets":{"GITHUB_TOKEN":{"kind":"StaticSecret","value":"CANARY-gh"},)"
                             R"("GITLAB_TOKEN":{"kind":"StaticSecret","value":"CANARY-gl"},)"
                             R"("API_TOKEN":{"kind":"StaticSecret","value":"CANARY-api"},)"
                             R"("DEPLOY_KEY":{"kind":"StaticSecret","value":"CANARY-deploy"}}})");
  order.conversation = "{}";
  order.wanted = shared({});
  run = drive(order, server({{std::string{start}, {answer(422, invalid)}}}));
  CHECK(run.asked.at(2) == R"(POST /api/conversations {"conversation_id":")" + std::string{uuid} + "\"}");
  CHECK(name_of(run.why().code) == name_of(errc::configuration_refused));
}

TEST_CASE("a lost answer is looked for before anything is asked again") {
  for (const auto& lost : std::vector<http_reply>{http::transport_error::timed_out, answer(502, "gone"),
                                                  answer(200, "<html>"), answer(200, R"({"status)"), answer(200, "{}")})
    for (bool came : {true, false}) {
      auto run =
        drive(talk_order(), server({{std::string{start}, {lost, answer(200, yes)}},
                                    {look, {came ? answer(200, runs) : answer(200, "null"), answer(200, runs)}}}));
      INFO(joined(run.asked));
      REQUIRE(run.confirmed());
      CHECK(run.asked.at(3) == look);
      CHECK(starts(run) == (came ? 1 : 2));
    }
}

TEST_CASE("what an earlier run may have asked for is looked for first") {
  auto order = talk_order();
  order.asked_before = true;
  auto there = drive(order, server({{look, {answer(200, runs)}}}));
  REQUIRE(there.confirmed());
  CHECK(starts(there) == 0);
  auto absent =
    drive(order, server({{look, {answer(200, "null"), answer(200, runs)}}, {std::string{start}, {answer(200, yes)}}}));
  REQUIRE(absent.confirmed());
  CHECK(starts(absent) == 1);
}

TEST_CASE("a server that lets nobody choose the id is asked once: a lost answer is the end") {
  auto refusing = [](http_reply second) {
    return server({{std::string{start}, {answer(422, invalid), std::move(second)}},
                   {"GET /api/conversations/77", {answer(200, runs)}}});
  };
  auto run = drive(talk_order(), refusing(answer(200, R"({"conversation_id":"77"})")));
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked.at(3) == R"(POST /api/conversations {"initial_user_msg":"hi"})");
  CHECK(run.asked.back() == "GET /api/conversations/77");
  for (const auto& lost : std::vector<http_reply>{http::transport_error::reset, answer(500, "Internal Server Error")}) {
    run = drive(talk_order(), refusing(lost));
    INFO(joined(run.asked));
    CHECK(name_of(run.why().code) == name_of(errc::conversation_unknown));
    CHECK(starts(run) == 2);
  }
  auto again = talk_order();
  again.asked_before = true; // that run may have come as far as the request without an id
  run = drive(again, server({{look, {answer(200, "null")}}, {std::string{start}, {answer(422, invalid)}}}));
  CHECK(name_of(run.why().code) == name_of(errc::conversation_unknown));
  CHECK(starts(run) == 1);
}

TEST_CASE("an id that the specification chose is used, and its refusal is one") {
  auto order = talk_order("openhands", R"({"conversation_id":"mine"})");
  auto run = drive(order, server({{std::string{start}, {answer(200, R"({"conversation_id":"mine"})")}},
                                  {"GET /api/conversations/mine", {answer(200, runs)}}}));
  REQUIRE(run.confirmed());
  CHECK(run.asked.at(2) == R"(POST /api/conversations {"conversation_id":"mine"})");
  run = drive(order, server({{std::string{start}, {answer(422, invalid)}}}));
  CHECK(name_of(run.why().code) == name_of(errc::configuration_refused));
  CHECK(starts(run) == 1);
}

TEST_CASE("a refusal says why in words of ours, and nothing of the body") {
  auto said = [](http_reply refusal) {
    auto run = drive(talk_order(), server({{std::string{start}, {std::move(refusal)}}}));
    REQUIRE_FALSE(run.confirmed());
    CHECK(run.why().at == step::ready);
    CHECK(name_of(run.why().code) == name_of(errc::configuration_refused));
    return run.why().cause;
  };
  CHECK_THAT(said(answer(400, R"({"message":"CANARY","msg_id":"STATUS$ERROR_LLM_AUTHENTICATION"})")),
             Catch::Contains("llm_api_key") && !Catch::Contains("CANARY"));
  CHECK_THAT(said(answer(400, R"({"message":"CANARY","msg_id":"CONFIGURATION$SETTINGS_NOT_FOUND"})")),
             Catch::Contains("no settings"));
  CHECK_THAT(said(answer(401, R"("CANARY")")), Catch::Contains("repository") && !Catch::Contains("CANARY"));
}

TEST_CASE("a server that never starts one although it says so ends the run, and not for ever") {
  auto run = drive(talk_order(), server({{std::string{start}, {answer(200, yes)}}, {look, {answer(200, "null")}}}));
  INFO(joined(run.asked));
  CHECK(name_of(run.why().code) == name_of(errc::not_confirmed));
  CHECK(starts(run) == 3);
}

TEST_CASE("a look that is refused proves nothing") {
  auto run = drive(talk_order(), server({{std::string{start}, {http::transport_error::reset}},
                                         {look, {answer(401, R"({"detail":"Unauthorized"})")}}}));
  INFO(joined(run.asked));
  CHECK(name_of(run.why().code) == name_of(errc::conversation_unknown));
  CHECK(starts(run) == 1);
}

TEST_CASE("another server than the one that was configured is asked for nothing") {
  auto order = talk_order();
  order.configured_since = instant{10'000'000};
  auto answers = server({});
  answers["GET /server_info"] = {answer(200, R"({"uptime":1.5})")};
  auto run = drive(order, canned_server(answers), instant{100'000'000});
  REQUIRE(run.confirmed());
  CHECK(run.done().another_server);
  CHECK(starts(run) == 0);
}

TEST_CASE("a dialect without conversations says so") {
  auto run = drive(talk_order("generic"), server({}));
  CHECK(name_of(run.why().code) == name_of(errc::capability_missing));
}

TEST_CASE("every runtime's conversation has an id of its own") {
  sandbox_id one{"nst-aaaaaaaaaaaaaaaaaaaaaaaaaa"};
  sandbox_id other{"nst-aaaaaaaaaaaaaaaaaaaaaaaaab"};
  CHECK(conversation_id_of(one, 1).size() == 32);
  CHECK(conversation_id_of(one, 1) == conversation_id_of(one, 1));
  CHECK(conversation_id_of(one, 1) != conversation_id_of(one, 2));
  CHECK(conversation_id_of(one, 1) != conversation_id_of(other, 1));
}

TEST_CASE("a run that lacks what it needs ends as a fault of our own") {
  auto order = talk_order();
  order.wanted = nullptr;
  auto run = drive(order, server({}));
  CHECK(run.asked.empty());
  CHECK(name_of(run.why().code) == name_of(errc::internal));
}
