#include "support/canary.hpp"
#include "support/nested_transcript.hpp"

#include <catch2/catch.hpp>

#include <random>

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
  CHECK(
    run.asked ==
    std::vector<std::string>{
      "GET /alive",
      "GET /api/settings",
      R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-llm","llm_model":"m"})",
      R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"CANARY-gh","user_id":null}}})",
      R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null},)"
      R"("gitlab":{"host":"git.acme.test","token":"CANARY-gl","user_id":null}}})",
      "GET /api/secrets",
      R"(POST /api/secrets {"description":"","name":"API_TOKEN","value":"CANARY-api"})",
      R"(POST /api/secrets {"description":"ships it","name":"DEPLOY_KEY","value":"CANARY-deploy"})",
      "GET /api/secrets",
      "GET /api/settings",
    });
}

TEST_CASE("nothing is pushed before the server says that it is alive, and then without losing time") {
  auto answers = fresh_openhands();
  answers["GET /alive"] = {http::transport_error::refused,
                           http::transport_error::refused,
                           http::transport_error::timed_out,
                           answer(503, ""),
                           answer(200, R"({"status":"not initialized"})"),
                           answer(200, "<html>proxy"),
                           answer(200, R"({"stat)"),
                           answer(404, ""),
                           answer(200, R"("OK")")};
  auto run = drive(order_for(usual()), answers);
  REQUIRE(run.confirmed());
  CHECK(std::ranges::count(run.asked, "GET /alive") == 9);
  CHECK(run.asked[9] == "GET /api/settings");
  CHECK(run.waited == milliseconds{2 + 4 + 8 + 16 + 32 + 64 + 100 + 100});
}

TEST_CASE("a server that never comes alive is alive_timeout, with what was heard last") {
  auto order = order_for(usual());
  order.limits.alive_within = milliseconds{500};
  auto run = drive(order, canned{{"GET /alive", {http::transport_error::refused}}});
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::alive_timeout));
  CHECK(run.why().at == step::alive);
  CHECK(run.why().cause == "within 500 ms; last: no answer: connection refused");
  CHECK_FALSE(std::get<run_failed>(run.last).wrote);

  CHECK(name_of(drive(order, canned{{"GET /alive", {http::transport_error::tls_refused}}}).why().code) ==
        name_of(errc::tls_refused));
  auto refused = drive(order, canned{{"GET /alive", {http::transport_error::address_refused}}});
  CHECK(name_of(refused.why().code) == name_of(errc::address_refused));
  CHECK(refused.asked.size() == 1);
}

TEST_CASE("the session key goes with what needs it and with nothing else") {
  auto order = order_for(usual());
  auto server = canned_server(fresh_openhands());
  drive(order, [&](const send_request& send) {
    bool keyed = !send.request.headers.empty();
    CHECK(keyed == (send.request.target != "/alive"));
    if (keyed) {
      CHECK(send.request.headers.at(0).name == "X-Session-API-Key");
      CHECK(send.request.headers.at(0).value == "CANARY-session");
    }
    return server(send);
  });
  order.session_key = {};
  auto other = canned_server(fresh_openhands());
  drive(order, [&](const send_request& send) {
    CHECK(send.request.headers.empty());
    return other(send);
  });
}

TEST_CASE("every request goes below the prefix of the server's URL") {
  auto order = order_for(usual());
  order.path_prefix = "/s/7";
  auto server = canned_server(fresh_openhands());
  auto run = drive(order, [&](const send_request& send) {
    CHECK(send.request.target.starts_with("/s/7/"));
    auto inner = send;
    inner.request.target = send.request.target.substr(4);
    return server(inner);
  });
  CHECK(run.confirmed());
}

TEST_CASE("a server that asks to wait is waited for, a minute at most, and named busy when it never stops") {
  auto answers = fresh_openhands();
  answers["POST /api/settings"] = {answer(429, R"({"message":"Too many requests"})", {{"Retry-After", "1"}}),
                                   answer(200, stored)};
  auto run = drive(order_for(usual()), answers);
  REQUIRE(run.confirmed());
  CHECK(run.waited >= milliseconds{1'000});
  CHECK(run.waited < milliseconds{1'200});

  answers["POST /api/settings"] = {answer(429, "{}", {{"Retry-After", "86400"}})};
  auto spent = drive(order_for(usual()), answers);
  CHECK(name_of(spent.why().code) == name_of(errc::nested_busy));
  CHECK(spent.waited == milliseconds{180'000});
  CHECK(spent.why().retry_after == milliseconds{60'000});
}

TEST_CASE("time-outs are the dialect's, or the policy's when it has one") {
  std::map<std::string, milliseconds> seen;
  auto record = [&](push_order order) {
    auto server = canned_server(fresh_openhands());
    drive(std::move(order), [&](const send_request& send) {
      seen[send.request.target] = send.timeout;
      return server(send);
    });
  };
  record(order_for(usual()));
  CHECK(seen["/api/settings"] == milliseconds{10'000});
  CHECK(seen["/api/add-git-providers"] == milliseconds{25'000});
  CHECK(seen["/api/secrets"] == milliseconds{10'000});
  CHECK(seen["/alive"] == milliseconds{5'000});
  auto order = order_for(usual());
  order.limits.step_timeout = milliseconds{1'234};
  record(order);
  CHECK(seen["/api/settings"] == milliseconds{1'234});
  CHECK(seen["/api/add-git-providers"] == milliseconds{1'234});
}

TEST_CASE("what mutates says so, and a failure says whether anything was written") {
  auto run = drive(order_for(usual()), fresh_openhands());
  for (std::size_t i = 0; i < run.asked.size(); ++i)
    CHECK(run.mutated[i] == !run.asked[i].starts_with("GET "));
  auto answers = fresh_openhands();
  answers["POST /api/settings"] = {answer(422, R"({"detail":[]})")};
  auto failed = drive(order_for(usual()), answers);
  CHECK(std::get<run_failed>(failed.last).wrote);
  CHECK(failed.why() ==
        failure{
          errc::configuration_refused, step::settings, "the settings: not valid for the nested server (422)", 422, {}});
}

TEST_CASE("the same seed gives the same waits, another seed others") {
  auto waits = [](std::uint64_t seed) {
    auto answers = fresh_openhands();
    answers["POST /api/secrets"] = {answer(503, ""), answer(503, ""), answer(201, created)};
    auto order = order_for(usual());
    order.seed = seed;
    return drive(order, answers).waited;
  };
  CHECK(waits(1) == waits(1));
  CHECK(waits(1) != waits(2));
}

TEST_CASE("a plan is asked for nothing while it is owed a reply, and given nothing it did not ask for") {
  push_plan plan{order_for(usual()), {}};
  CHECK_THROWS_AS(plan.on_reply(answer(200, ""), {}), std::logic_error);
  CHECK(std::holds_alternative<send_request>(plan.next({})));
  CHECK_THROWS_AS(plan.next({}), std::logic_error);
  CHECK(plan.at() == step::alive);
  CHECK(plan.tries() == 1);
}

TEST_CASE("a probe asks a few times, and tells a server that started later from the confirmed one") {
  auto at = [](std::int64_t seconds) { return instant{seconds * 1'000'000}; };
  auto probe = [&](std::string_view server_info, std::int64_t now_s, std::uint16_t status = 200) {
    push_order order;
    order.why = purpose::probe;
    order.dialect = "openhands";
    order.configured_since = at(100);
    auto run = drive(
      order,
      canned_server({{"GET /alive", {answer(200, alive_ok)}}, {"GET /server_info", {answer(status, server_info)}}}),
      at(now_s));
    REQUIRE(run.confirmed());
    CHECK(run.targets == std::vector<std::string>{"/alive", "/server_info"});
    return run.done().another_server;
  };
  CHECK_FALSE(probe(R"({"uptime":950.5})", 1'000)); // started at 49.5
  CHECK(probe(R"({"uptime":10.5})", 1'000));        // at 989.5
  CHECK(probe(R"({"uptime":10})", 1'000));
  CHECK_FALSE(probe(R"({"uptime":898})", 1'000)); // at 102, floored: perhaps at 101
  CHECK_FALSE(probe("", 1'000, 404));
  CHECK_FALSE(probe("{}", 1'000));
  CHECK_FALSE(probe(R"({"uptime":"10"})", 1'000));
  CHECK_FALSE(probe(R"({"uptime":-1})", 1'000));
  CHECK_FALSE(probe(R"({"uptime":1e300})", 1'000));

  push_order order;
  order.why = purpose::probe;
  auto gone = drive(order, canned{{"GET /alive", {http::transport_error::refused}}});
  CHECK(name_of(gone.why().code) == name_of(errc::nested_unreachable));
  CHECK(gone.asked.size() == order.limits.tries);
}

TEST_CASE("a deep probe tells drift from trouble and writes nothing") {
  auto order = order_for(usual());
  order.why = purpose::deep_probe;
  auto answers = fresh_openhands();
  answers["GET /server_info"] = {answer(404, R"({"detail":"Not Found"})")};
  answers["GET /api/settings"] = {answer(200, settings_as_wanted)};
  answers["GET /api/secrets"] = {answer(200, secrets_as_wanted)};
  auto good = drive(order, answers);
  REQUIRE(good.confirmed());
  CHECK_FALSE(good.done().drifted);
  CHECK(good.asked ==
        std::vector<std::string>{"GET /alive", "GET /server_info", "GET /api/secrets", "GET /api/settings"});

  answers["GET /api/secrets"] = {answer(200, no_secrets)};
  auto drifted = drive(order, answers);
  REQUIRE(drifted.confirmed());
  CHECK(drifted.done().drifted);
  CHECK(drifted.done().drift == "the secret 'API_TOKEN' is not there");

  answers["GET /api/settings"] = {answer(404, no_settings)};
  CHECK(drive(order, answers).done().drifted);
}

TEST_CASE("a withdrawal from a server that is gone fails as unreachable, for somebody to try again") {
  auto order = order_for(usual());
  order.why = purpose::withdraw;
  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  order.wanted.reset();
  auto run = drive(order, canned{{"GET /alive", {http::transport_error::refused}}});
  CHECK(name_of(run.why().code) == name_of(errc::nested_unreachable));
  CHECK(run.asked.size() == order.limits.tries);
}

TEST_CASE("whatever a server answers, no run hangs, and no secret is in a failure, a confirmation or a target") {
  std::mt19937 random{1};
  const std::vector<std::uint16_t> statuses{200, 200, 200, 200, 201, 201, 204, 301, 400, 400, 401,
                                            401, 403, 404, 404, 409, 413, 422, 429, 500, 503};
  const std::vector<std::string_view> bodies{"{}",
                                             "",
                                             "<html>CANARY-x",
                                             "{\"message\":\"ok\"}",
                                             "{\"error\":\"CANARY-x\"}",
                                             "{\"detail\":\"CANARY-x\"}",
                                             "{\"message\":\"Secret CANARY-x already exists\"}",
                                             no_settings,
                                             no_secrets,
                                             settings_as_wanted,
                                             secrets_as_wanted,
                                             "{\"custom_secrets\":[{\"name\":\"CANARY-x\"}]}",
                                             "{\"a\":\"CANARY-x"};
  for (int round = 0; round < 10'000; ++round) {
    auto order = order_for(usual(), std::vector<std::string>{"openhands", "generic", "auto"}[random() % 3]);
    order.why = static_cast<purpose>(random() % 6);
    order.seed = random();
    order.refuse_existing = random() % 2 == 0;
    if (random() % 2 == 0 || order.why == purpose::withdraw)
      order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
    auto run = drive(order, [&](const send_request& send) -> http_reply {
      if (send.request.target == "/alive")
        return answer(200, alive_ok);
      if (random() % 12 == 0)
        return static_cast<http::transport_error>(random() % static_cast<unsigned>(http::transport_error::count_));
      return answer(statuses[random() % statuses.size()], bodies[random() % bodies.size()]);
    });
    if (run.confirmed())
      REQUIRE(tests::canary_in(run.done().drift) == "");
    else
      REQUIRE(tests::canary_in(to_string(run.why())) == "");
    for (const auto& target : run.targets) // names that only the server knows may be deleted, by name
      REQUIRE((target.find("CANARY") == std::string::npos || target == "/api/secrets/CANARY-x"));
  }
}
