// The action-execution API and the API's own form of an action: what is sent, and what each answer is taken for.
#include "../providers/conversation.hpp"

#include <nestor/api/action_request.hpp>
#include <nestor/runtime/action_server.hpp>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace nestor;
using namespace nestor::tests;
using nlohmann::json;

namespace {

action_order order_of(action what) {
  action_order order;
  order.where.where.host = "127.0.0.1";
  order.where.where.port = 4001;
  order.where.from = address_source::node;
  order.where.session_key = secret::copy_of("right");
  order.what = std::move(what);
  return order;
}

auto run(const io_reply& reply, action what = {action_kind::run, "make", "", milliseconds{7'000}}) {
  return converse(run_at_action_server, account{}, order_of(std::move(what)),
                  [&](const ask&, std::size_t) { return reply; });
}

io_reply seen(json body) {
  return replied(200, body.dump());
}

} // namespace

TEST_CASE("an action goes to the action server as its own client sends it, with the session key") {
  auto held = run(replied(500), {action_kind::run, "make", "/src", milliseconds{1'500}});
  REQUIRE(held.asked.size() == 1);
  CHECK(line_of(held.asked[0]) == "POST /execute_action");
  CHECK(header_of(held.asked[0], "X-Session-API-Key") == "right");
  CHECK(call_of(held.asked[0]).timeout == milliseconds{6'500});
  CHECK(call_of(held.asked[0]).to.port == 4001);
  CHECK(json::parse(body_of(held.asked[0])) == json::parse(R"({"action":{"action":"run","timeout":1.5,"args":{
    "command":"make","cwd":"/src","hidden":false,"is_input":false,"blocking":true,"is_static":false}}})"));
  auto python = run(replied(500), {action_kind::run_ipython, "1/0", "", milliseconds{1'000}});
  CHECK(json::parse(body_of(python.asked[0]))["action"]["args"] == json{{"code", "1/0"}, {"hidden", false}});
}

TEST_CASE("what the action server says of an action is its observation") {
  auto of = [](int status) {
    return seen({{"observation", "run"}, {"content", "hi"}, {"extras", {{"metadata", {{"exit_code", status}}}}}});
  };
  CHECK(run(of(0)).result()->came == verdict::ok);
  CHECK(run(of(0)).result()->output == "hi");
  CHECK(run(of(3)).result()->came == verdict::failed);
  CHECK(run(of(3)).result()->exit_status == 3);
  auto late = *run(of(-1)).result();
  CHECK(late.came == verdict::failed);
  CHECK_FALSE(late.exit_status);
  CHECK(late.output == "hi");
  CHECK_THAT(late.trouble, Catch::Contains("time was up"));
  auto python = *run(seen({{"observation", "run_ipython"}, {"content", "42"}, {"success", true}})).result();
  CHECK(python.came == verdict::ok);
  CHECK_FALSE(python.exit_status);
  CHECK(run(seen({{"observation", "run_ipython"}, {"success", false}})).result()->came == verdict::failed);
  CHECK(run(seen({{"observation", "error"}, {"content", "no"}})).result()->came == verdict::failed);
  CHECK(run(seen({{"observation", "run"}, {"content", ""}})).result()->came == verdict::unknown);
}

TEST_CASE("an action is sent once: what was certainly not run is a failure, any other lost answer is unknown") {
  for (std::size_t i = 0; i < static_cast<std::size_t>(http::transport_error::count_); ++i) {
    auto why = static_cast<http::transport_error>(i);
    INFO(http::name_of(why));
    auto held = run(broke(why));
    CHECK(held.asked.size() == 1);
    if (http::never_sent(why))
      REQUIRE(held.why());
    else
      CHECK(held.result()->came == verdict::unknown);
    if (held.why())
      CHECK_THAT(held.why()->cause, Catch::Contains("nothing was run"));
  }
  for (std::uint16_t status : {302, 400, 401, 403, 404, 405, 422, 429})
    CHECK(run(replied(status)).why());
  CHECK(run(replied(403)).why()->code == errc::session_key_refused);
  CHECK(run(replied(429)).why()->code == errc::nested_busy);
  for (std::uint16_t status : {200, 204, 408, 500, 502, 503, 504}) {
    auto held = run(replied(status, "<html>welcome</html>"));
    INFO(status);
    CHECK(held.asked.size() == 1);
    REQUIRE(held.result());
    CHECK(held.result()->came == verdict::unknown);
    CHECK_THAT(held.result()->trouble, Catch::Contains("not run again"));
  }
}

TEST_CASE("waiting for an action server asks until it says ok, and no longer than it may") {
  auto wait = [](auto answer) {
    return converse(await_action_server, account{}, order_of({action_kind::alive, "", "", milliseconds{10'000}}),
                    [&](const ask&, std::size_t n) { return answer(n); });
  };
  auto comes_up = wait([](std::size_t n) {
    if (n == 0)
      return broke(http::transport_error::refused);
    return n == 1 ? replied(200, R"({"status":"not initialized"})") : replied(200, R"({"status":"ok"})");
  });
  REQUIRE(comes_up.result());
  CHECK(comes_up.result()->came == verdict::ok);
  CHECK(comes_up.asked.size() == 3);
  CHECK(line_of(comes_up.asked[0]) == "GET /alive");
  auto never = wait([](std::size_t) { return broke(http::transport_error::refused); });
  REQUIRE(never.why());
  CHECK(never.why()->code == errc::nested_unreachable);
  CHECK(never.took <= milliseconds{11'000});
  CHECK(wait([](std::size_t) { return replied(503); }).why()->code == errc::alive_timeout);
}

TEST_CASE("an action server is on the runtime's host, at its own port or the one after the nested server's") {
  runtime nested;
  nested.where.host = "h";
  nested.where.port = 4000;
  nested.path_prefix = "/s/one";
  CHECK(action_server_of(nested, 0).where.port == 4001);
  CHECK(action_server_of(nested, 9).where.port == 9);
  CHECK(action_server_of(nested, 9).path_prefix.empty());
}

TEST_CASE("an action as the line of a shell") {
  CHECK(shell_line_of({action_kind::run, "make test | tee log", "", {}}) == "make test | tee log");
  CHECK(shell_line_of({action_kind::run, "make", "/a b", {}}) == "cd '/a b' || exit\nmake");
  CHECK(shell_line_of({action_kind::run_ipython, "print('x')", "", {}}) == "python3 -c 'print('\\''x'\\'')'");
}

TEST_CASE("an observation goes out without secrets, and no longer than it may be") {
  auto clean =
    for_its_reader(ended_with(0, "key is s3cret-value!", "s3cret-value"), {{secret::copy_of("s3cret-value")}});
  CHECK(clean.output.find("s3cret") == std::string::npos);
  CHECK(clean.error_output.find("s3cret") == std::string::npos);
  CHECK_FALSE(clean.cut);
  auto text = std::string(action_output_max - 1, 'x') + "é and more";
  auto cut = for_its_reader(ended_with(0, text), {});
  CHECK(cut.cut);
  CHECK(cut.output == std::string(action_output_max - 1, 'x')); // at the end of a character
  auto shown = json::parse(to_json(action_kind::run, ended_with(7, "\xff"), 4));
  CHECK(shown["exit_code"] == 7);
  CHECK(shown["outcome"] == "failed");
  CHECK(shown["incarnation"] == 4);
  CHECK(shown["error"].is_null());
  CHECK(json::parse(to_json(action_kind::run, lost_answer("gone"), 1))["outcome"] == "unknown");
}

TEST_CASE("an action over the API is read whole, or refused by the member's name") {
  auto read = api::read_action(R"({"action":"run","command":"make","cwd":"/src","timeout_s":0.5})");
  REQUIRE(read);
  CHECK(read->text == "make");
  CHECK(read->directory == "/src");
  CHECK(read->within == milliseconds{500});
  CHECK(api::read_action(R"({"action":"run_ipython","code":"1"})")->what == action_kind::run_ipython);
  CHECK(api::read_action(R"({"action":"run_ipython","code":"1"})")->within == action_within);
  struct row {
    std::string body, names;
  };
  std::string long_text(action_text_max + 1, 'x');
  for (const auto& [body, names] : std::vector<row>{{"", "JSON object"},
                                                    {"[]", "JSON object"},
                                                    {"{}", "action"},
                                                    {R"({"action":"alive"})", "action"},
                                                    {R"({"action":5})", "action"},
                                                    {R"({"action":"run"})", "command"},
                                                    {R"({"action":"run","command":" \n"})", "command"},
                                                    {R"({"action":"run","command":5})", "command"},
                                                    {R"({"action":"run","command":"a\u0000b"})", "command"},
                                                    {R"({"action":"run","command":")" + long_text + "\"}", "command"},
                                                    {R"({"action":"run","code":"1"})", "unknown member"},
                                                    {R"({"action":"run","command":"a","timeout_s":0})", "timeout_s"},
                                                    {R"({"action":"run","command":"a","timeout_s":3601})", "timeout_s"},
                                                    {R"({"action":"run","command":"a","timeout_s":"1"})", "timeout_s"},
                                                    {R"({"action":"run","command":"a","cwd":[]})", "cwd"}}) {
    INFO(body.substr(0, 80));
    auto said = api::read_action(body);
    REQUIRE_FALSE(said);
    CHECK(said.error().code == errc::request_invalid);
    CHECK_THAT(said.error().cause, Catch::Contains(names));
  }
}
