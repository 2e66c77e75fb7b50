// The V0 server's own story, as transcripts: what is asked, in which order, and what the run comes to.
#include "support/nested_transcript.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

using lines = std::vector<std::string>;

/// A server that holds `usual()` and will hold what `settings` and `secrets` show.
canned configured(std::string_view settings = settings_as_wanted, std::string_view secrets = secrets_as_wanted) {
  auto answers = fresh_openhands();
  answers["GET /api/settings"] = {answer(200, settings_as_wanted), answer(200, settings)};
  answers["GET /api/secrets"] = {answer(200, secrets_as_wanted), answer(200, secrets)};
  for (auto name : {"API_TOKEN", "DEPLOY_KEY"})
    answers["DELETE /api/secrets/" + std::string{name}] = {answer(200, R"({"message":"Secret deleted"})")};
  answers["POST /api/unset-provider-tokens"] = {answer(200, R"({"message":"Unset Git provider tokens"})")};
  return answers;
}

push_order update_to(configuration c) {
  auto order = order_for(std::move(c));
  order.why = purpose::update;
  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  return order;
}

constexpr const char* usual_settings =
  R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-llm","llm_model":"m"})";

} // namespace

TEST_CASE("an update of one secret deletes and writes that one and leaves the rest alone") {
  auto c = usual();
  c.secrets[0].value = text_secret("rotated");
  auto run = drive(update_to(c), configured());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked == lines{"GET /alive", "GET /api/settings", "GET /api/secrets", "DELETE /api/secrets/API_TOKEN",
                           R"(POST /api/secrets {"description":"","name":"API_TOKEN","value":"rotated"})",
                           "GET /api/secrets", "GET /api/settings"});
  CHECK(run.done().holds == delivery_of(c, *some_key()));
}

TEST_CASE("an update that changes nothing only looks") {
  auto run = drive(update_to(usual()), configured());
  REQUIRE(run.confirmed());
  CHECK(run.asked ==
        lines{"GET /alive", "GET /api/settings", "GET /api/secrets", "GET /api/secrets", "GET /api/settings"});
}

TEST_CASE("an update pushes what is unchanged but no longer there") {
  auto answers = configured();
  answers["GET /api/secrets"] = {answer(200, R"({"custom_secrets":[{"name":"API_TOKEN"}]})"),
                                 answer(200, secrets_as_wanted)};
  answers["GET /api/settings"] = {
    answer(200,
           R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m","provider_tokens_set":{"github":null}})"),
    answer(200, settings_as_wanted)};
  auto run = drive(update_to(usual()), answers);
  REQUIRE(run.confirmed());
  CHECK(run.asked[2] ==
        R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null},)"
        R"("gitlab":{"host":"git.acme.test","token":"CANARY-gl","user_id":null}}})");
  CHECK(run.asked[4] == R"(POST /api/secrets {"description":"ships it","name":"DEPLOY_KEY","value":"CANARY-deploy"})");
}

TEST_CASE("a rotated git token is taken away, then sent alone, while the unchanged one is kept by an empty token") {
  auto c = usual();
  c.git_providers[0].token = text_secret("rotated");
  auto run = drive(update_to(c), configured());
  REQUIRE(run.confirmed());
  CHECK(
    run.asked[2] ==
    R"(POST /api/add-git-providers {"provider_tokens":{"gitlab":{"host":"git.acme.test","token":"","user_id":null}}})");
  CHECK(
    run.asked[3] ==
    R"(POST /api/add-git-providers {"provider_tokens":{"gitlab":{"host":"git.acme.test","token":"","user_id":null},)"
    R"("github":{"host":null,"token":"rotated","user_id":null}}})");
}

TEST_CASE("a removed git provider, secret and key are taken away and seen to be gone") {
  auto c = usual();
  c.settings = R"({"agent":"CodeActAgent"})";
  c.secret_settings.clear();
  c.git_providers.pop_back();
  c.secrets.pop_back();
  auto run =
    drive(update_to(c),
          configured(
            R"({"agent":"CodeActAgent","llm_api_key_set":false,"llm_model":"","provider_tokens_set":{"github":null}})",
            R"({"custom_secrets":[{"name":"API_TOKEN"}]})"));
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked ==
        lines{"GET /alive", "GET /api/settings",
              R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"","llm_model":""})",
              R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null}}})",
              "GET /api/secrets", "DELETE /api/secrets/DEPLOY_KEY", "GET /api/secrets", "GET /api/settings"});
}

TEST_CASE("the last git provider goes with an empty map") {
  auto c = usual();
  c.git_providers.clear();
  auto run =
    drive(update_to(c),
          configured(R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m","provider_tokens_set":{}})"));
  REQUIRE(run.confirmed());
  CHECK(run.asked[2] == R"(POST /api/add-git-providers {"provider_tokens":{}})");
}

TEST_CASE("a restore pushes everything, whatever is believed to be there") {
  auto order = update_to(usual());
  order.why = purpose::restore;
  auto run = drive(std::move(order), configured());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  REQUIRE(run.asked.size() == 14);
  CHECK(run.asked[3] == usual_settings);
  CHECK(run.asked[4] == R"(POST /api/add-git-providers {"provider_tokens":{}})");
  CHECK(
    run.asked[5] ==
    R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"CANARY-gh","user_id":null}}})");
  CHECK(run.asked[8] == "DELETE /api/secrets/API_TOKEN");
  CHECK(run.asked[10] == "DELETE /api/secrets/DEPLOY_KEY");
}

TEST_CASE("a replaced key is emptied first, so that its being there again proves that the new one arrived") {
  auto c = usual();
  c.settings = R"({"agent":"CodeActAgent","llm_api_key":"CANARY-new","llm_model":"m"})";
  auto run = drive(update_to(c), configured());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::presence);
  CHECK(run.done().weakest == step::settings);
  CHECK(run.asked[2] ==
        R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-new","llm_model":"m","llm_api_key":""})");
  CHECK(run.asked[3] == R"(POST /api/settings {"agent":"CodeActAgent","llm_api_key":"CANARY-new","llm_model":"m"})");
  auto lost = R"({"agent":"CodeActAgent","llm_api_key_set":false,"llm_model":"m",)"
              R"("provider_tokens_set":{"github":null,"gitlab":"git.acme.test"}})";
  CHECK(name_of(drive(update_to(c), configured(lost)).why().code) == name_of(errc::not_confirmed));
}

TEST_CASE("a git provider that moves to another host is dropped before its new token is judged") {
  auto c = usual();
  c.git_providers[1].host = "git.other.test";
  auto run =
    drive(update_to(c), configured(R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m",)"
                                   R"("provider_tokens_set":{"github":"github.com","gitlab":"git.other.test"}})"));
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked[2] ==
        R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null}}})");
  CHECK(run.asked[3] ==
        R"(POST /api/add-git-providers {"provider_tokens":{"github":{"host":null,"token":"","user_id":null},)"
        R"("gitlab":{"host":"git.other.test","token":"CANARY-gl","user_id":null}}})");
}

TEST_CASE("a withdrawal takes back what was written, keeps what was not, and reads back") {
  auto order = update_to(usual());
  order.why = purpose::withdraw;
  order.wanted.reset();
  auto foreign = configured();
  foreign["GET /api/secrets"] = {
    answer(200, R"({"custom_secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"},{"name":"THEIRS"}]})"),
    answer(200, R"({"custom_secrets":[{"name":"THEIRS"}]})")};
  foreign["GET /api/settings"] = {
    answer(200, R"({"llm_api_key_set":true,"provider_tokens_set":{"azure_devops":"dev.acme.test","github":null,)"
                R"("gitlab":"git.acme.test"}})"),
    answer(200, R"({"llm_api_key_set":false,"llm_model":"","provider_tokens_set":{"azure_devops":"dev.acme.test"}})")};
  auto run = drive(std::move(order), foreign);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().holds == delivery{});
  CHECK(run.asked ==
        lines{"GET /alive", "GET /api/secrets", "DELETE /api/secrets/API_TOKEN", "DELETE /api/secrets/DEPLOY_KEY",
              "GET /api/settings",
              R"(POST /api/add-git-providers {"provider_tokens":{"azure_devops":{"host":"dev.acme.test","token":"",)"
              R"("user_id":null}}})",
              R"(POST /api/settings {"llm_api_key":"","llm_base_url":"","llm_model":"","search_api_key":""})",
              "GET /api/secrets", "GET /api/settings"});
}

TEST_CASE("a withdrawal with no foreign git provider unsets them all, and is not done while one is left") {
  auto order = update_to(usual());
  order.why = purpose::withdraw;
  order.wanted.reset();
  auto answers = configured(settings_as_wanted, no_secrets);
  auto run = drive(std::move(order), answers);
  INFO(joined(run.asked));
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::withdraw_failed));
  CHECK(std::ranges::count(run.asked, "POST /api/unset-provider-tokens") == 1);
}

TEST_CASE("a server that has settings which are not ours is refused when it may not be taken over") {
  auto order = order_for(usual());
  order.refuse_existing = true;
  auto run = drive(order, configured());
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::already_configured));
  CHECK_FALSE(std::get<run_failed>(run.last).wrote);
  CHECK(run.asked == lines{"GET /alive", "GET /api/settings"});

  order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key)); // a run of ours that broke off
  CHECK(drive(order, configured()).confirmed());
}

TEST_CASE("a server that is adopted keeps the git providers and secrets that are not ours") {
  auto order = order_for(usual());
  order.refuse_existing = true;
  auto answers = fresh_openhands();
  auto shown = R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m",)"
               R"("provider_tokens_set":{"azure_devops":null,"github":null,"gitlab":"git.acme.test"}})";
  answers["GET /api/settings"] = {answer(404, no_settings),
                                  answer(200, R"({"provider_tokens_set":{"azure_devops":null}})"), answer(200, shown)};
  answers["GET /api/secrets"] = {
    answer(200, R"({"custom_secrets":[{"name":"THEIRS"}]})"),
    answer(200, R"({"custom_secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"},{"name":"THEIRS"}]})")};
  auto run = drive(order, answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.asked[4] ==
        R"(POST /api/add-git-providers {"provider_tokens":{"azure_devops":{"host":null,"token":"","user_id":null},)"
        R"("github":{"host":null,"token":"CANARY-gh","user_id":null}}})");
  CHECK(joined(run.asked).find("DELETE") == std::string::npos);

  answers["GET /api/secrets"] = {answer(200, R"({"custom_secrets":[{"name":"API_TOKEN"}]})")};
  CHECK(name_of(drive(order, answers).why().code) == name_of(errc::already_configured));
}

TEST_CASE("on a runtime of our own everything that is not wanted goes") {
  auto answers = fresh_openhands();
  answers["GET /api/secrets"] = {answer(200, R"({"custom_secrets":[{"name":"LEFT_OVER"}]})"),
                                 answer(200, secrets_as_wanted)};
  answers["DELETE /api/secrets/LEFT_OVER"] = {answer(200, "{}")};
  auto run = drive(order_for(usual()), answers);
  REQUIRE(run.confirmed());
  CHECK(std::ranges::count(run.asked, "DELETE /api/secrets/LEFT_OVER") == 1);
}

TEST_CASE("a refused first git token never gets past, however good the second one is") {
  auto answers = fresh_openhands();
  answers["POST /api/add-git-providers"] = {
    answer(401, R"({"error":"Invalid token. Please make sure it is a valid github token."})")};
  auto run = drive(order_for(usual()), answers);
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::git_token_refused));
  CHECK(run.why().cause.find("'github'") != std::string::npos);
  CHECK(joined(run.asked).find("CANARY-gl") == std::string::npos);
  CHECK(std::ranges::count_if(run.asked, [](const auto& line) { return line.starts_with("POST /api/add-git"); }) == 4);
  CHECK(run.waited >= milliseconds{350}); // 50–100, 100–200, 200–400 ms
}

TEST_CASE("a secret that exists already is deleted and written again, unless our own lost write made it") {
  constexpr std::string_view exists = R"({"message":"Secret API_TOKEN already exists"})";
  auto answers = fresh_openhands();
  answers["DELETE /api/secrets/API_TOKEN"] = {answer(200, "{}")};
  SECTION("another client's") {
    answers["POST /api/secrets"] = {answer(400, exists), answer(201, created)};
    auto run = drive(order_for(usual()), answers);
    REQUIRE(run.confirmed());
    CHECK(std::ranges::count(run.asked, "DELETE /api/secrets/API_TOKEN") == 1);
  }
  SECTION("ours, the answer was lost") {
    for (auto lost : std::vector<http_reply>{http::transport_error::timed_out, http::transport_error::reset,
                                             answer(502, ""), answer(201, "{\"mess"), answer(201, "<html>")}) {
      answers["POST /api/secrets"] = {lost, answer(400, exists), answer(201, created)};
      auto run = drive(order_for(usual()), answers);
      REQUIRE(run.confirmed());
      CHECK(joined(run.asked).find("DELETE") == std::string::npos);
    }
  }
  SECTION("it never was sent, so it is not ours") {
    answers["POST /api/secrets"] = {http::transport_error::refused, answer(400, exists), answer(201, created)};
    auto run = drive(order_for(usual()), answers);
    REQUIRE(run.confirmed());
    CHECK(std::ranges::count(run.asked, "DELETE /api/secrets/API_TOKEN") == 1);
  }
  SECTION("another client keeps writing it") {
    answers["POST /api/secrets"] = {answer(400, exists)};
    auto run = drive(order_for(usual()), answers);
    REQUIRE_FALSE(run.confirmed());
    CHECK(name_of(run.why().code) == name_of(errc::not_confirmed));
  }
}

TEST_CASE("a read-back that differs is never a confirmation") {
  auto with = [](std::string key, std::string_view last) {
    auto answers = fresh_openhands();
    answers[key].back() = answer(200, last);
    auto run = drive(order_for(usual()), answers);
    REQUIRE_FALSE(run.confirmed());
    CHECK(name_of(run.why().code) == name_of(errc::not_confirmed));
    return run.why().cause;
  };
  CHECK(with("GET /api/secrets", no_secrets) == "read back: the secret 'API_TOKEN' is not there");
  CHECK(with("GET /api/secrets", R"({"custom_secrets":[{"name":"API_TOKEN"},{"name":"DEPLOY_KEY"},{"name":"X"}]})") ==
        "read back: a secret that is not wanted is still there");
  CHECK(with("GET /api/settings",
             R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m","provider_tokens_set":{}})") ==
        "read back: the git provider 'github' is not there");
  CHECK(with("GET /api/settings", R"({"agent":"CodeActAgent","llm_api_key_set":true,"llm_model":"m",)"
                                  R"("provider_tokens_set":{"github":null,"gitlab":"elsewhere.test"}})") ==
        "read back: the git provider 'gitlab' has another host");
  CHECK(with("GET /api/settings", R"({"agent":"CodeActAgent","llm_api_key_set":false,"llm_model":"m",)"
                                  R"("provider_tokens_set":{"github":null,"gitlab":"git.acme.test"}})") ==
        "read back: the setting at /llm_api_key is not the wanted one");
}

TEST_CASE("a failing list after writes means that the store is corrupt, before them that the server failed") {
  auto answers = fresh_openhands();
  answers["GET /api/secrets"] = {answer(200, no_secrets), answer(500, "Internal Server Error")};
  CHECK(name_of(drive(order_for(usual()), answers).why().code) == name_of(errc::store_corrupt));

  auto order = order_for(usual());
  order.why = purpose::deep_probe;
  answers["GET /server_info"] = {answer(200, "{}")};
  answers["GET /api/secrets"] = {answer(500, "Internal Server Error")};
  CHECK(name_of(drive(order, answers).why().code) == name_of(errc::nested_error));
}

TEST_CASE("a secret that JSON cannot carry is refused by name before it is sent") {
  auto c = usual();
  c.secrets[1].value = text_secret("\xff\xfe");
  auto run = drive(order_for(c), fresh_openhands());
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::configuration_refused));
  CHECK(run.why().cause.find("'DEPLOY_KEY'") != std::string::npos);
}
