// The runtime API's traps, each by its name.
#include "conversation.hpp"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace nestor;
using namespace nestor::tests;
using nlohmann::json;

namespace {

const provider& remote() {
  return *of_kind("remote");
}

constexpr std::string_view started =
  R"({"runtime_id":"rt-1","url":"https://rt-1.prod-runtime.test/base","session_api_key":"their-own-key"})";

io_reply pod(std::string_view word) {
  return replied(200, R"({"runtime_id":"rt-1","pod_status":")" + std::string{word} + "\"}");
}

/// Answers in turn; the last one again and again.
auto in_turn(std::vector<io_reply> replies) {
  return [replies](const ask&, std::size_t n) { return replies[std::min(n, replies.size() - 1)]; };
}

runtime rented() {
  runtime r;
  r.ref = "rt-1";
  return r;
}

} // namespace

TEST_CASE("remote proves its key by a session that nobody has") {
  auto held = converse(remote().authenticate, account_of(remote()), no_order{}, in_turn({replied(404)}));
  CHECK(held.result());
  CHECK(header_of(held.asked[0], "X-API-Key") == std::string{test_key} + "-api_key");
}

TEST_CASE("remote starts, waits for the pod, and takes the key that the service made") {
  auto held =
    converse(remote().provision, account_of(remote()), order_for(remote()),
             in_turn({replied(200, started), pod("pending"), pod("not found"), pod("running"), pod("ready")}));
  REQUIRE(held.result());
  auto body = json::parse(tests::body_of(held.asked[0]));
  CHECK(body["session_id"] == "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3");
  CHECK(body["command"] == json{"nestor-nested-server", "--loud"});
  CHECK(body["environment"]["NESTOR_INSTALLATION"] == test_labels().installation.text);
  CHECK(body["environment"]["NESTOR_ATTEMPT"] == "3");
  CHECK(text_of(held.asked[0].request).find(test_session_key) == std::string::npos);
  const auto& r = *held.result();
  CHECK(r.where.host == "rt-1.prod-runtime.test");
  CHECK(r.path_prefix == "/base");
  CHECK(r.session_key == secret::copy_of("their-own-key"));
  CHECK(r.headers.empty()); // the control plane's key is not the sandbox's
}

TEST_CASE("remote gives up on a pod in a crash loop and ends it first") {
  auto held =
    converse(remote().provision, account_of(remote()), order_for(remote()),
             in_turn({replied(200, started), pod("crashloopbackoff"), replied(200), pod("running"), pod("not found")}));
  REQUIRE(held.why());
  CHECK(held.why()->code == errc::provision_failed);
  CHECK(line_of(held.asked[2]) == "POST /stop");
  CHECK(held.asked.size() == 5);
}

TEST_CASE("remote a pod that never comes and cannot be stopped stays unknown") {
  auto held =
    converse(remote().provision, account_of(remote()), order_for(remote()), [](const ask& question, std::size_t) {
      return line_of(question) == "POST /start"  ? replied(200, started)
             : line_of(question) == "POST /stop" ? replied(500)
                                                 : pod("pending");
    });
  REQUIRE(held.why());
  CHECK(held.why()->code == errc::create_unknown);
}

TEST_CASE("remote a start for a lost answer is looked for, never sent again") {
  auto seen =
    converse(remote().observe, account_of(remote()), order_for(remote()),
             in_turn({replied(200, std::string{R"({"status":"running",)"} + std::string{started.substr(1)})}));
  REQUIRE(seen.result());
  CHECK(line_of(seen.asked[0]) == "GET /sessions/nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3");
  CHECK(std::get<runtime>(*seen.result()).ref == "rt-1");
}

TEST_CASE("remote a stopped session is gone for good, a paused one is resumed") {
  auto at = [&](std::string_view status, std::vector<io_reply> more) {
    std::vector<io_reply> all{
      replied(200, R"({"status":")" + std::string{status} + "\"," + std::string{started.substr(1)})};
    all.insert(all.end(), more.begin(), more.end());
    return converse(remote().observe, account_of(remote()), order_for(remote()), in_turn(all));
  };
  auto stopped = at("stopped", {replied(404)}); // an older service has no list
  CHECK(std::holds_alternative<absent>(*stopped.result()));
  auto paused = at("paused", {replied(200)});
  CHECK(std::holds_alternative<runtime>(*paused.result()));
  CHECK(line_of(paused.asked[1]) == "POST /resume");
  CHECK(at("paused", {replied(500)}).why()); // and no second start
}

TEST_CASE("remote two runtimes of one session: the look-up shows one, the list the other") {
  auto list_of = [](std::string_view name, std::string_view status) {
    return replied(200, R"({"total":2,"runtimes":[{"session_id":"other","runtime_id":"rt-9","status":"running"},)"
                        R"({"session_id":")" +
                          std::string{name} + R"(","status":")" + std::string{status} +
                          R"(","runtime_id":"rt-1","url":"https://rt-1.test","session_api_key":"k"}]})");
  };
  constexpr std::string_view ours = "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3";
  auto twin = [&](std::vector<io_reply> replies) {
    return converse(remote().twin, account_of(remote()), test_labels(), in_turn(std::move(replies)));
  };
  auto left = twin({replied(404), list_of(ours, "running")});
  REQUIRE(left.result());
  CHECK(line_of(left.asked[1]) == "GET /list");
  CHECK(std::get<runtime>(*left.result()).ref == "rt-1");
  auto is_absent = [](const auto& held) { return held.result() && std::holds_alternative<absent>(*held.result()); };
  CHECK(is_absent(twin({replied(404), list_of("somebody-else", "running")})));
  CHECK(is_absent(twin({replied(404), list_of(ours, "stopped")})));
  for (auto none : {replied(404), replied(405), replied(501), broke(http::transport_error::too_large)})
    CHECK(is_absent(twin({replied(404), none})));
  for (auto unclear : {replied(500), replied(200, "<html>"), broke(http::transport_error::reset)}) {
    CHECK(twin({replied(404), unclear}).why());
    CHECK(twin({unclear}).why());
  }
  auto looked_for = converse(remote().observe, account_of(remote()), order_for(remote()),
                             in_turn({replied(404), list_of(ours, "paused"), replied(200)}));
  REQUIRE(looked_for.result());
  CHECK(std::get<runtime>(*looked_for.result()).where.host == "rt-1.test");
  CHECK(line_of(looked_for.asked.back()) == "POST /resume");
}

TEST_CASE("remote destroy waits until the pod is gone") {
  auto held =
    converse(remote().destroy, account_of(remote()), rented(), in_turn({replied(404), pod("running"), replied(404)}));
  CHECK(held.result());
  CHECK(held.asked.size() == 3);
  CHECK(converse(remote().destroy, account_of(remote()), rented(), in_turn({replied(401)})).asked.size() == 1);
}
