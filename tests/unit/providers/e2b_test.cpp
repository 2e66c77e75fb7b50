// E2B's traps, each by its name. What the API says is taken from its published shapes and its SDK's captures.
#include "conversation.hpp"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace nestor;
using namespace nestor::tests;
using nlohmann::json;

namespace {

const provider& e2b() {
  return *of_kind("e2b");
}
account team() {
  auto who = account_of(e2b());
  for (auto& [name, value] : who.settings)
    if (name == "domain")
      value = "e2b.app";
  return who;
}

constexpr std::string_view created =
  R"({"templateID":"base","sandboxID":"i2b84ef9e0540aeda0e9","clientID":"6532622b","alias":"base",)"
  R"("envdVersion":"0.6.13","envdAccessToken":"ea_1092e9f8","trafficAccessToken":"tr_77","domain":null})";
constexpr std::string_view gone =
  R"({"code":404,"message":"Sandbox \"i2b84ef9e0540aeda0e9\" doesn't exist or you don't have access to it"})";

std::string frame(std::string_view message, char flag = 0) {
  std::string text(1, flag);
  text += std::string(3, '\0') + static_cast<char>(message.size());
  return text + std::string{message};
}
/// The agent's stream of a shell that ended; a status of 0 is left out.
io_reply shell_ended(int status) {
  std::string end = status == 0 ? R"({"event":{"end":{"exited":true,"status":"exit status 0"}}})"
                                : R"({"event":{"end":{"exitCode":)" + std::to_string(status) + R"(,"exited":true}}})";
  return replied(200, frame(R"({"event":{"start":{"pid":17035}}})") + frame(end) + frame("{}", 2));
}

std::string list_item(const labels& stamp, std::string_view id = "i2b84ef9e0540aeda0e9") {
  return json{{{"sandboxID", id},
               {"state", "running"},
               {"startedAt", "2026-11-21T19:44:34.408Z"},
               {"metadata",
                {{"nestor-installation", stamp.installation.text},
                 {"nestor-sandbox", stamp.sandbox.text},
                 {"nestor-attempt", std::to_string(stamp.number)}}}}}
    .dump();
}

/// Answers by the beginning of the request's line, in order of preference.
auto script(std::vector<std::pair<std::string, io_reply>> lines) {
  return [lines](const ask& question, std::size_t) {
    for (const auto& [line, reply] : lines)
      if (line_of(question).starts_with(line))
        return reply;
    return replied(500, R"({"code":500,"message":"not in the script"})");
  };
}

} // namespace

TEST_CASE("e2b creates by v1 with every default said, labels in the metadata, and starts the server inside") {
  auto order = order_for(e2b());
  order.lease = std::chrono::minutes{30};
  auto held = converse(e2b().provision, team(), order,
                       script({{"POST /v2/sandboxes", replied(201, created)}, {"POST /process", shell_ended(0)}}));
  REQUIRE(held.result());
  REQUIRE(held.asked.size() == 2);
  CHECK(line_of(held.asked[0]) == "POST /v2/sandboxes");
  CHECK(header_of(held.asked[0], "X-API-Key") == std::string{test_key} + "-api_key");
  CHECK(json::parse(tests::body_of(held.asked[0])) == json::parse(R"({
    "templateID":"acme-agent","timeout":1800,"allow_internet_access":true,
    "network":{"allowPublicTraffic":false},
    "metadata":{"nestor-installation":"nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa",
                "nestor-sandbox":"nst-bbbbbbbbbbbbbbbbbbbbbbbbbb","nestor-attempt":"3"}})"));
  CHECK(text_of(held.asked[0].request).find(test_session_key) == std::string::npos);

  const auto& start = call_of(held.asked[1]);
  CHECK(start.to.host == "49983-i2b84ef9e0540aeda0e9.e2b.app");
  CHECK(header_of(held.asked[1], "X-Access-Token") == "ea_1092e9f8");
  CHECK(header_of(held.asked[1], "Connect-Timeout-Ms").empty()); // when it elapses, the process is killed
  auto body = tests::body_of(held.asked[1]);
  CHECK(body.substr(0, 3) == std::string(3, '\0'));
  auto message = json::parse(body.substr(5));
  CHECK(message["process"]["envs"] ==
        json{{"LOG_LEVEL", "info"}, {"PORT", "8000"}, {"SESSION_API_KEY", test_session_key}});
  CHECK(message["stdin"] == false);

  const auto& rented = *held.result();
  CHECK(rented.ref == "i2b84ef9e0540aeda0e9");
  CHECK(rented.where.tls);
  CHECK(rented.where.host == "8000-i2b84ef9e0540aeda0e9.e2b.app");
  CHECK(rented.from == address_source::spec);
  REQUIRE(rented.headers.size() == 1);
  CHECK(rented.headers[0].name == "e2b-traffic-access-token");
}

TEST_CASE("e2b routes by headers where one address serves all sandboxes") {
  auto who = team();
  who.settings.emplace_back("sandbox_url", "http://127.0.0.1:9000");
  auto held = converse(e2b().provision, who, order_for(e2b()),
                       script({{"POST /v2/sandboxes", replied(201, created)}, {"POST /process", shell_ended(0)}}));
  REQUIRE(held.result());
  CHECK(header_of(held.asked[1], "E2b-Sandbox-Port") == "49983");
  CHECK(held.result()->where.port == 9000);
  CHECK(std::string_view{held.result()->headers[1].value} == "8000");
}

TEST_CASE("e2b ends what could not start its server before it says so") {
  auto held = converse(e2b().provision, team(), order_for(e2b()), [](const ask& question, std::size_t n) {
    if (line_of(question) == "POST /v2/sandboxes")
      return replied(201, created);
    if (line_of(question).starts_with("POST /process"))
      return shell_ended(127);
    return n == 2 ? replied(204) : replied(404, gone);
  });
  REQUIRE(held.why());
  CHECK(held.why()->code == errc::provision_failed);
  CHECK(held.why()->cause.find("no such command") != std::string::npos);
  CHECK(line_of(held.asked.back()) == "DELETE /sandboxes/i2b84ef9e0540aeda0e9");
  CHECK(held.asked.size() == 4);
}

TEST_CASE("e2b a sandbox that failed and cannot be ended stays unknown") {
  auto held = converse(
    e2b().provision, team(), order_for(e2b()),
    script(
      {{"POST /v2/sandboxes", replied(201, created)}, {"POST /process", shell_ended(1)}, {"DELETE", replied(500)}}));
  REQUIRE(held.why());
  CHECK(held.why()->code == errc::create_unknown);
}

TEST_CASE("e2b capacity errors that placed nothing are failures, other 503 are unknown") {
  auto code = [](std::string_view error_code) {
    auto body = R"({"code":503,"message":"not enough capacity","error_code":")" + std::string{error_code} + "\"}";
    auto held = converse(e2b().provision, team(), order_for(e2b()), script({{"POST", replied(503, body)}}));
    return held.why()->code;
  };
  CHECK(code("sandbox_capacity_unavailable") == errc::provision_failed);
  CHECK(code("sandbox_no_compatible_node") == errc::provision_failed);
  CHECK(code("sandbox_placement_timeout") == errc::create_unknown);
}

TEST_CASE("e2b 429 of the concurrency limit has no Retry-After") {
  auto held = converse(e2b().provision, team(), order_for(e2b()),
                       script({{"POST", replied(429, R"({"code":429,"message":"you have reached the maximum"})")}}));
  CHECK(held.why()->code == errc::rate_limited);
  CHECK_FALSE(held.why()->retry_after);
}

TEST_CASE("e2b metadata is encoded at three levels, and one for its own signs") {
  auto held = converse(e2b().observe, team(), order_for(e2b()), script({{"GET", replied(200, "[]")}}));
  CHECK(call_of(held.asked[0]).request.target ==
        "/v2/sandboxes?metadata=nestor-installation%3Dnsi-aaaaaaaaaaaaaaaaaaaaaaaaaa%26nestor-sandbox%3D"
        "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb%26nestor-attempt%3D3&state=running%2Cpaused&limit=100");
  REQUIRE(held.result());
  CHECK(std::holds_alternative<absent>(*held.result()));
}

TEST_CASE("e2b look-ups read every page, ignore what is not ours, and connect for the tokens") {
  auto other = test_labels();
  other.number = 2;
  auto held = converse(e2b().observe, team(), order_for(e2b()), [&](const ask& question, std::size_t n) {
    if (n == 0)
      return replied(200, list_item(other, "iother"), {{"X-Next-Token", "MQ=="}});
    if (n == 1)
      return replied(200, list_item(test_labels()));
    return line_of(question).starts_with("POST /process") ? shell_ended(0) : replied(200, created);
  });
  REQUIRE(held.result());
  CHECK(std::get<runtime>(*held.result()).ref == "i2b84ef9e0540aeda0e9");
  CHECK(line_of(held.asked[1]).ends_with("&nextToken=MQ%3D%3D"));
  CHECK(line_of(held.asked[2]) == "POST /v2/sandboxes/i2b84ef9e0540aeda0e9/connect");
  CHECK(held.asked.size() == 4);
}

TEST_CASE("e2b a list that does not end is no proof of absence") {
  auto held = converse(e2b().observe, team(), order_for(e2b()),
                       script({{"GET", replied(200, "[]", {{"X-Next-Token", "again"}})}}));
  REQUIRE(held.why());
  CHECK(held.why()->code == errc::provider_unavailable);
}

TEST_CASE("e2b destroy believes the body's code, not an empty 404") {
  runtime r;
  r.ref = "i2b84ef9e0540aeda0e9";
  auto held = converse(e2b().destroy, team(), r,
                       [](const ask&, std::size_t n) { return n == 0 ? replied(204) : replied(404, gone); });
  CHECK(held.result());
  CHECK(held.asked.size() == 2);
  CHECK(converse(e2b().destroy, team(), r, script({{"DELETE", replied(404)}})).why());
}

TEST_CASE("e2b pausing what is paused is done") {
  runtime r;
  r.ref = "i1";
  auto held = converse(e2b().pause, team(), r, script({{"POST /sandboxes/i1/pause", replied(409, "{}")}}));
  CHECK(held.result());
}

TEST_CASE("e2b lists by installation, page by page") {
  auto held = converse(e2b().list, team(), list_order{test_labels().installation, "MQ=="},
                       script({{"GET", replied(200, list_item(test_labels()), {{"X-Next-Token", "Mg=="}})}}));
  REQUIRE(held.result());
  REQUIRE(held.result()->items.size() == 1);
  CHECK(held.result()->items[0].sandbox == test_labels().sandbox.text);
  CHECK(held.result()->items[0].number == 3);
  CHECK(held.result()->next == "Mg==");
}

TEST_CASE("e2b: a command is run once by the agent, which is told its time, and a lost end is unknown") {
  exec_order order;
  order.where.ref = "i2b84ef9e0540aeda0e9";
  order.command = "make test";
  order.within = milliseconds{7'000};
  auto exec = [&](const io_reply& said) {
    return converse(e2b().exec, team(), order,
                    script({{"GET /sandboxes/i2b84ef9e0540aeda0e9", replied(200, created)}, {"POST /process", said}}));
  };
  auto started = frame(R"({"event":{"start":{"pid":7}}})") + frame(R"({"event":{"data":{"stdout":"aGkK"}}})") +
                 frame(R"({"event":{"data":{"stderr":"IQ=="}}})");
  auto held = exec(replied(200, started + frame(R"({"event":{"end":{"exitCode":3,"exited":true}}})") + frame("{}", 2)));
  REQUIRE(held.result());
  CHECK(held.result()->exit_status == 3);
  CHECK(held.result()->output == "hi\n");
  CHECK(held.result()->error_output == "!");
  CHECK(header_of(held.asked[1], "Connect-Timeout-Ms") == "7000");
  CHECK(header_of(held.asked[1], "X-API-Key").empty());
  CHECK(json::parse(tests::body_of(held.asked[1]).substr(5))["process"]["args"] == json{"-l", "-c", "make test"});
  auto late = exec(replied(200, started + frame(R"({"error":{"code":"deadline_exceeded"}})", 2)));
  CHECK(late.result()->came == verdict::failed);
  CHECK(exec(replied(200, started)).result()->came == verdict::unknown);
  CHECK(exec(broke(http::transport_error::reset)).result()->came == verdict::unknown);
  CHECK(exec(replied(502)).result()->came == verdict::unknown);
  CHECK(exec(replied(401)).why());
  CHECK(exec(broke(http::transport_error::refused)).why());
}
