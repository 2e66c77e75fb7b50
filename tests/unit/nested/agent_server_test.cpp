// The agent-server dialect against canned answers of that server: what it asks, in which order, and what it makes of
// each answer.
#include "support/nested_transcript.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

constexpr std::string_view not_deferred = R"({"detail":"server is not running with deferred_init=True"})";
constexpr std::string_view dormant = R"({"state":"dormant","error":null})";
constexpr std::string_view awake = R"({"state":"ready","error":null})";
constexpr std::string_view new_settings =
  R"({"agent_settings":{"agent":"CodeActAgent","llm":{"api_key":null,"model":"default"}},)"
  R"("conversation_settings":{"max_iterations":500},"llm_api_key_is_set":false,"misc_settings":{}})";
constexpr std::string_view settings_in_clear =
  R"({"agent_settings":{"agent":"CodeActAgent","llm":{"api_key":"CANARY-llm","model":"m"}},)"
  R"("conversation_settings":{"max_iterations":500},"llm_api_key_is_set":true,"misc_settings":{}})";
constexpr std::string_view all_secrets =
  R"({"secrets":[{"name":"GITHUB_TOKEN","description":"Token of the git provider github"},)"
  R"({"name":"GITLAB_TOKEN","description":"Token of the git provider gitlab, host git.acme.test"},)"
  R"({"name":"API_TOKEN","description":null},{"name":"DEPLOY_KEY","description":"ships it"}]})";
constexpr std::string_view none = R"({"secrets":[]})";
constexpr std::string_view no_conversations = R"({"items":[],"next_page_id":null})";
constexpr std::string_view search = "GET /api/conversations/search?limit=100";

canned fresh() {
  return {
    {"GET /alive", {answer(200, alive_ok)}},
    {"GET /api/init", {answer(404, not_deferred)}},
    {"GET /api/settings", {answer(200, new_settings), answer(200, settings_in_clear)}},
    {"GET /api/settings/secrets", {answer(200, none), answer(200, all_secrets)}},
    {"PATCH /api/settings", {answer(200, new_settings)}},
    {"PUT /api/settings/secrets", {answer(200, R"({"name":"x","description":null})")}},
    {std::string{search}, {answer(200, no_conversations)}},
    {"GET /api/settings/secrets/GITHUB_TOKEN", {answer(200, "CANARY-gh", {{"Content-Type", "text/plain"}})}},
    {"GET /api/settings/secrets/GITLAB_TOKEN", {answer(200, "CANARY-gl")}},
    {"GET /api/settings/secrets/API_TOKEN", {answer(200, "CANARY-api")}},
    {"GET /api/settings/secrets/DEPLOY_KEY", {answer(200, "CANARY-deploy")}},
  };
}

canned configured() {
  auto answers = fresh();
  answers["GET /api/settings"] = {answer(200, settings_in_clear)};
  answers["GET /api/settings/secrets"] = {answer(200, all_secrets)};
  return answers;
}

push_order usual_order(purpose why = purpose::configure) {
  auto order = order_for(usual(), "agent-server");
  order.why = why;
  if (why != purpose::configure)
    order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
  return order;
}

std::size_t count_of(const outcome_of_run& run, std::string_view start) {
  return static_cast<std::size_t>(
    std::ranges::count_if(run.asked, [&](const auto& line) { return line.starts_with(start); }));
}

} // namespace

TEST_CASE("a new agent-server is sent settings, tokens and secrets in that order, and every value is read back") {
  auto run = drive(usual_order(), fresh());
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::value);
  CHECK(run.asked ==
        std::vector<std::string>{
          "GET /alive", "GET /api/init", "GET /api/settings", "GET /api/settings/secrets",
          R"(PATCH /api/settings {"agent_settings_diff":{"agent":"CodeActAgent","llm":{"api_key":"CANARY-llm",)"
          R"("model":"m"}},"conversation_settings_diff":{"max_iterations":500}})",
          R"(PUT /api/settings/secrets {"name":"GITHUB_TOKEN","value":"CANARY-gh",)"
          R"("description":"Token of the git provider github"})",
          R"(PUT /api/settings/secrets {"name":"GITLAB_TOKEN","value":"CANARY-gl",)"
          R"("description":"Token of the git provider gitlab, host git.acme.test"})",
          R"(PUT /api/settings/secrets {"name":"API_TOKEN","value":"CANARY-api","description":""})",
          R"(PUT /api/settings/secrets {"name":"DEPLOY_KEY","value":"CANARY-deploy","description":"ships it"})",
          std::string{search}, "GET /api/settings/secrets", "GET /api/settings/secrets/GITHUB_TOKEN",
          "GET /api/settings/secrets/GITLAB_TOKEN", "GET /api/settings/secrets/API_TOKEN",
          "GET /api/settings/secrets/DEPLOY_KEY", "GET /api/settings"});
}

TEST_CASE("secrets are asked for in clear only to be compared, and every key goes where it belongs") {
  auto answers = canned_server(fresh());
  bool woken = false;
  auto run = drive(usual_order(), [&](const send_request& send) -> http_reply {
    const auto& r = send.request;
    auto has = [&](std::string_view name) {
      return std::ranges::any_of(r.headers, [&](const auto& h) { return h.name == name; });
    };
    bool init = r.target == "/api/init";
    bool open = r.target == "/alive" || (init && r.verb == http::method::get);
    CHECK(has("X-Init-API-Key") == (init && r.verb == http::method::post));
    CHECK(has("X-Session-API-Key") == (!open && !init));
    CHECK(has("X-Expose-Secrets") == (send.at == step::verify && r.target == "/api/settings"));
    if (init) {
      auto state = answer(200, woken ? awake : dormant);
      woken |= r.verb == http::method::post;
      return state;
    }
    return answers(send);
  });
  INFO(joined(run.asked));
  CHECK(run.confirmed());
  CHECK(count_of(run, R"(POST /api/init {"session_api_keys":["CANARY-session"]})") == 1);
}

TEST_CASE("an init whose answer is lost, refused as late or failed is looked after, and a server may stay dormant") {
  auto answers = fresh();
  for (http_reply reply : std::vector<http_reply>{http::transport_error::reset, answer(500, R"({"detail":"x"})"),
                                                  answer(400, R"({"detail":"server already in state: ready"})")}) {
    answers["GET /api/init"] = {answer(200, dormant), answer(200, R"({"state":"initializing"})"), answer(200, awake)};
    answers["POST /api/init"] = {reply};
    auto run = drive(usual_order(), answers);
    INFO(joined(run.asked));
    CHECK(run.confirmed());
    CHECK(count_of(run, "POST /api/init") == 1);
  }
  answers["GET /api/init"] = {answer(200, dormant)};
  answers["POST /api/init"] = {answer(500, R"({"detail":"x"})")};
  auto run = drive(usual_order(), answers);
  REQUIRE_FALSE(run.confirmed());
  CHECK(name_of(run.why().code) == name_of(errc::nested_error));
  CHECK(count_of(run, "POST /api/init") == 3);
  answers["POST /api/init"] = {answer(401, R"({"detail":"Unauthorized"})")};
  run = drive(usual_order(), answers);
  CHECK(name_of(run.why().code) == name_of(errc::session_key_refused));
  CHECK(count_of(run, "POST /api/init") == 1);
  auto order = usual_order(purpose::withdraw);
  order.wanted.reset();
  CHECK(drive(order, answers).confirmed()); // a dormant server holds nothing
}

TEST_CASE("a configuration that does not fit is refused before anything is sent") {
  auto refused = [](configuration c) {
    auto run = drive(order_for(std::move(c), "agent-server"), fresh());
    REQUIRE_FALSE(run.confirmed());
    CHECK(run.asked == std::vector<std::string>{"GET /alive"});
    CHECK(name_of(run.why().code) == name_of(errc::configuration_refused));
    CHECK(to_string(run.why()).find("CANARY") == std::string::npos);
    return run.why().cause;
  };
  auto c = usual();
  c.settings = R"({"search_api_key":"CANARY"})";
  CHECK(refused(c).find("'search_api_key'") != std::string::npos);
  c = usual();
  c.secrets[0].name = "_HIDDEN";
  CHECK(refused(c).find("'_HIDDEN'") != std::string::npos);
  c = usual();
  c.secrets[0].name = "GITHUB_TOKEN";
  CHECK(refused(c).find("'github'") != std::string::npos);
}

TEST_CASE("an update writes what changed and tells it to every conversation, which nobody can read back") {
  auto order = usual_order(purpose::update);
  auto older = usual();
  older.git_providers[0].token = text_secret("old");
  older.secrets.push_back({"OLD", text_secret("old"), ""});
  order.before = std::make_shared<const delivery>(delivery_of(older, *order.key));
  auto answers = configured();
  auto with_old =
    std::string{all_secrets.substr(0, all_secrets.size() - 2)} + R"(,{"name":"OLD","description":null}]})";
  answers["GET /api/settings/secrets"] = {answer(200, with_old), answer(200, all_secrets)};
  answers["DELETE /api/settings/secrets/OLD"] = {answer(200, R"({"deleted":true})")};
  answers[std::string{search}] = {answer(200, R"({"items":[{"id":"a","agent":{"id":"z"}}],"next_page_id":"b"})")};
  answers[std::string{search} + "&page_id=b"] = {answer(200, R"({"items":[{"id":"b"}],"next_page_id":null})")};
  answers["POST /api/conversations/a/secrets"] = {answer(200, R"({"success":true})")};
  answers["POST /api/conversations/b/secrets"] = {answer(404, R"({"detail":"Not Found"})")}; // it ended meanwhile
  auto run = drive(order, answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(count_of(run, "PATCH") == 0);
  CHECK(count_of(run, "PUT") == 1);
  CHECK(count_of(run, R"(POST /api/conversations/a/secrets {"secrets":{"GITHUB_TOKEN":"CANARY-gh","OLD":""}})") == 1);
  CHECK(count_of(run, "POST /api/conversations/b/secrets") == 1);
  CHECK(run.done().strength == evidence::answer);
  CHECK(run.done().weakest == step::git_providers);
  answers[std::string{search}] = {answer(200, no_conversations)};
  CHECK(drive(order, answers).done().strength == evidence::value);
}

TEST_CASE("a value that is not the wanted one is read once more, and then it is drift, or a failure") {
  auto order = usual_order(purpose::deep_probe);
  auto answers = configured();
  answers["GET /server_info"] = {answer(404, "{}")};
  CHECK_FALSE(drive(order, answers).done().drifted);
  answers["GET /api/settings/secrets/API_TOKEN"] = {answer(200, "CANA"), answer(200, "CANARY-api")};
  CHECK_FALSE(drive(order, answers).done().drifted);
  answers["GET /api/settings/secrets/API_TOKEN"] = {answer(200, "CANARY-other")};
  auto run = drive(order, answers);
  REQUIRE(run.confirmed());
  CHECK(run.done().drift == "the secret 'API_TOKEN' has another value");
  order = usual_order(purpose::restore);
  CHECK(name_of(drive(order, answers).why().code) == name_of(errc::not_confirmed));
  answers["GET /api/settings/secrets/API_TOKEN"] = {answer(200, "<html>"), answer(200, "CANARY-api")};
  CHECK(drive(order, answers).confirmed());
}

TEST_CASE("settings that were not kept are noticed by value, key and all") {
  auto order = usual_order(purpose::deep_probe);
  auto answers = configured();
  auto shows = [&](std::string_view from, std::string_view to) {
    std::string body{settings_in_clear};
    body.replace(body.find(from), from.size(), to);
    answers["GET /api/settings"] = {answer(200, body)};
    auto run = drive(order, answers);
    return run.confirmed() ? run.done().drift : std::string{"failed"};
  };
  CHECK(shows("CANARY-llm", "old").find("/agent_settings/llm/api_key") != std::string::npos);
  CHECK(shows(R"("CANARY-llm")", "null").find("/agent_settings/llm/api_key") != std::string::npos);
  CHECK(shows(R"("m")", R"("other")").find("/agent_settings/llm/model") != std::string::npos);
  CHECK(shows(R"("misc_settings":{})", R"("misc_settings":{"left":1})").find("/misc_settings/left") !=
        std::string::npos);
  CHECK(shows("CANARY-llm", "**********") == ""); // hidden all the same: it is there
}

TEST_CASE("a server that is not ours is left alone when it holds settings, or a secret of a wanted name") {
  auto order = usual_order();
  order.refuse_existing = true;
  auto answers = configured();
  CHECK(name_of(drive(order, answers).why().code) == name_of(errc::already_configured));
  answers["GET /api/settings"] = {answer(200, new_settings)};
  auto run = drive(order, answers);
  CHECK(name_of(run.why().code) == name_of(errc::already_configured));
  CHECK(std::ranges::none_of(run.mutated, [](bool m) { return m; }));
  CHECK(drive(order, fresh()).confirmed());
}

TEST_CASE("a withdrawal deletes what is ours, resets the settings, and makes conversations forget") {
  auto order = usual_order(purpose::withdraw);
  order.wanted.reset();
  auto answers = configured();
  auto theirs = R"({"secrets":[{"name":"THEIRS","description":null}]})";
  auto both = std::string{all_secrets.substr(0, all_secrets.size() - 2)} + R"(,{"name":"THEIRS","description":null}]})";
  answers["GET /api/settings/secrets"] = {answer(200, both), answer(200, theirs)};
  answers["GET /api/settings"] = {answer(200, settings_in_clear), answer(200, new_settings)};
  for (auto name : {"GITHUB_TOKEN", "GITLAB_TOKEN", "API_TOKEN", "DEPLOY_KEY"})
    answers["DELETE /api/settings/secrets/" + std::string{name}] = {answer(404, R"({"detail":"Secret not found"})")};
  answers[std::string{search}] = {answer(200, R"({"items":[{"id":"a"}],"next_page_id":null})")};
  answers["POST /api/conversations/a/secrets"] = {answer(200, R"({"success":true})")};
  auto run = drive(order, answers);
  INFO(joined(run.asked));
  REQUIRE(run.confirmed());
  CHECK(count_of(run, "DELETE") == 4);
  CHECK(count_of(run, "DELETE /api/settings/secrets/THEIRS") == 0);
  CHECK(count_of(run, R"(PATCH /api/settings {"agent_settings_diff":{"agent":null,"llm":null})") == 1);
  CHECK(count_of(run, "POST /api/conversations/a/secrets") == 1);
  answers["GET /api/settings"] = {answer(200, settings_in_clear)};
  CHECK(name_of(drive(order, answers).why().code) == name_of(errc::withdraw_failed));
}

TEST_CASE("a settings file that the agent-server cannot read is named as such") {
  auto answers = fresh();
  answers["PATCH /api/settings"] = {answer(409, R"({"detail":"Settings file is corrupted"})")};
  CHECK(name_of(drive(usual_order(), answers).why().code) == name_of(errc::store_corrupt));
}
