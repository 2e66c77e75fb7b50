// The action server: real processes, one at a time, bounded. Driven without sockets: a door catches the answers.
#include "asking.hpp"

#include <nested_server/actions.hpp>

#include <boost/asio/io_context.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using nlohmann::json;

namespace {

struct caught_answer final : reply_door {
  void reply(wire_reply&& r) override { response = std::move(r.response); }
  void count_in(traffic&) override {}
  void begin(const http::response& head) override { response = head; }
  void more(std::string_view bytes) override { response.body += bytes; }
  void end() override {}
  http::response response;
};

struct action_server {
  boost::asio::io_context io;
  std::shared_ptr<action_site> site = std::make_shared<action_site>(io, secret::copy_of("right"), instant{});

  std::shared_ptr<caught_answer> start(std::string_view asked, std::string_view body, std::string_view key = "right") {
    auto door = std::make_shared<caught_answer>();
    site->serve(ask(asked, body, key), instant{}, "127.0.0.1", door);
    return door;
  }
  http::response operator()(std::string_view asked, std::string_view body, std::string_view key = "right") {
    auto door = start(asked, body, key);
    io.run();
    io.restart();
    return std::move(door->response);
  }
  json run(const json& args, double timeout = 30, std::string_view kind = "run") {
    json body{{"action", {{"action", kind}, {"args", args}, {"timeout", timeout}}}};
    auto r = (*this)("POST /execute_action", body.dump());
    REQUIRE(r.status == 200);
    return json::parse(r.body.begin(), r.body.end());
  }
};

} // namespace

TEST_CASE("a command runs through a shell and its output and exit code come back") {
  action_server server;
  auto seen = server.run({{"command", "echo out; echo err >&2; exit 3"}});
  CHECK(seen["observation"] == "run");
  CHECK(seen["content"] == "out\nerr\n");
  CHECK(seen["extras"]["metadata"]["exit_code"] == 3);
  CHECK(seen["extras"]["command"] == "echo out; echo err >&2; exit 3");
  CHECK(seen["success"] == false);
  CHECK(server.run({{"command", "pwd"}, {"cwd", "/tmp"}})["content"] == "/tmp\n");
  CHECK(server.run({{"command", "kill -9 $$"}})["extras"]["metadata"]["exit_code"] == 137);
}

TEST_CASE("code runs through python") {
  action_server server;
  auto seen = server.run({{"code", "print(6 * 7)"}}, 30, "run_ipython");
  CHECK(seen["observation"] == "run_ipython");
  CHECK(seen["content"] == "42\n");
  CHECK(seen["extras"]["code"] == "print(6 * 7)");
}

TEST_CASE("an action that takes too long is ended with everything it started") {
  action_server server;
  auto seen = server.run({{"command", "echo begun; sleep 600 & sleep 600"}}, 0.2);
  CHECK(seen["content"] == "begun\n");
  CHECK(seen["extras"]["metadata"]["exit_code"] == -1);
  CHECK(seen["success"] == false);
}

TEST_CASE("output is bounded and always text") {
  action_server server;
  auto content = server.run({{"command", "head -c 1000000 /dev/zero | tr '\\0' x"}})["content"].get<std::string>();
  CHECK(content.size() < action_output_max + 100);
  CHECK_THAT(content, Catch::Contains("only its beginning is kept"));
  CHECK(server.run({{"command", "printf 'a\\377b\\303\\244'"}})["content"] == "a?b\xc3\xa4");
}

TEST_CASE("what an action runs does not see the session key") {
  ::setenv("SESSION_API_KEY", "CANARY", 1);
  action_server server;
  CHECK(server.run({{"command", "echo \"[$SESSION_API_KEY]\""}})["content"] == "[]\n");
  ::unsetenv("SESSION_API_KEY");
}

TEST_CASE("actions run one at a time, in order") {
  action_server server;
  auto body = [](std::string_view command) {
    return json{{"action", {{"action", "run"}, {"args", {{"command", command}}}}}}.dump();
  };
  auto slow = server.start("POST /execute_action", body("sleep 0.1; date +%s%N"));
  auto quick = server.start("POST /execute_action", body("date +%s%N"));
  server.io.run();
  auto when = [](const caught_answer& a) {
    return std::stoll(json::parse(a.response.body.begin(), a.response.body.end())["content"].get<std::string>());
  };
  CHECK(when(*slow) < when(*quick));
}

TEST_CASE("the action server's refusals are the original's") {
  action_server server;
  CHECK(server("GET /alive", "", "").body == R"({"status":"ok"})");
  CHECK(server("GET /server_info", "", "").status == 200);
  auto denied = server("POST /execute_action", "{}", "wrong");
  CHECK(denied.status == 403);
  CHECK(denied.body == R"({"detail":"Invalid API Key"})");
  for (auto body : {"", "[]", "{}", R"({"action":"run"})"})
    CHECK(server("POST /execute_action", body).status == 422);
  for (auto body : {R"({"action":{"action":"dance","args":{}}})", R"({"action":{"action":"run","args":{}}})",
                    R"({"action":{"action":"run","args":{"command":"a\u0000b"}}})"}) {
    auto r = server("POST /execute_action", body);
    CHECK(r.status == 500);
    CHECK_THAT(std::string{std::string_view{r.body}}, Catch::Contains("Internal server error"));
  }
  auto nowhere =
    server("POST /execute_action", R"({"action":{"action":"run","args":{"command":"true","cwd":"/nonexistent"}}})");
  CHECK(nowhere.status == 500);
  CHECK(server("GET /execute_action", "").status == 405);
}
