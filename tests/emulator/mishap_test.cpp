// Mishaps: how they are written, and what each does to a create at every cloud.
#include "cloud_world.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;

namespace {

struct create_call {
  std::string_view cloud, what;
  json body;
};

std::vector<create_call> creates() {
  return {{"daytona", "POST /api/sandbox", {{"snapshot", "s"}}},
          {"e2b", "POST /sandboxes", {{"templateID", "base"}, {"timeout", 3600}}},
          {"runloop", "POST /v1/devboxes", json::object()},
          {"remote", "POST /start", {{"image", "i"}, {"session_id", "s"}}}};
}

} // namespace

TEST_CASE("a mishap is a kind, an argument, and which request it hits") {
  auto m = parse_mishap("throttled:5@POST /v2/sandboxes$#2x3");
  REQUIRE(m);
  CHECK(m->kind == mishap_kind::throttled);
  CHECK(m->argument == 5);
  CHECK(m->verb == http::method::post);
  CHECK(m->path == "/v2/sandboxes$");
  CHECK(m->first == 2);
  CHECK(m->times == 3);
  CHECK(parse_mishap("reset@/ %10")->percent == 10);
  for (auto wrong : {"nonsense", "reset:1", "status:99", "slow:", "slow:x", "reset@nowhere", ""})
    CHECK_FALSE(parse_mishap(wrong));
  for (const auto& row : mishap_table())
    CHECK(parse_mishap(row.name)->kind == row.kind);
}

TEST_CASE("a path may leave a segment open, and may say where it ends") {
  mishap_plan plan{{*parse_mishap("reset@POST /sandboxes/*/pause$ x*"), *parse_mishap("hang@GET /a$ x*")}};
  CHECK(plan.hit(http::method::post, "/sandboxes/i1/pause?x=1"));
  CHECK_FALSE(plan.hit(http::method::post, "/sandboxes/i1/pause/more"));
  CHECK_FALSE(plan.hit(http::method::post, "/sandboxes/i1/connect"));
  CHECK_FALSE(plan.hit(http::method::get, "/sandboxes/i1/pause"));
  CHECK(plan.hit(http::method::get, "/a"));
  CHECK_FALSE(plan.hit(http::method::get, "/ab"));
  CHECK(plan.hits() == 2);
}

TEST_CASE("the table of these tests has a create for every cloud") {
  CHECK(creates().size() == cloud_table().size());
}

TEST_CASE("every mishap does to a create what it says, at every cloud") {
  using way = wire_reply::way;
  for (const auto& [name, what, body] : creates()) {
    auto after = [&, &what = what, &body = body, &name = name](std::string_view spec) {
      auto a = std::make_unique<account>(name);
      a->plan({std::string{spec} + "@" + std::string{what} + "$"});
      auto got = a->ask(what, body);
      return std::pair{std::move(a), got};
    };
    INFO(name);
    for (auto without_effect : {"reset", "hang", "status:500", "page", "throttled"})
      CHECK(after(without_effect).first->rented() == 0);
    for (auto with_effect : {"slow", "truncated", "cut", "answer-lost", "answer-hangs", "late-listing", "late-boot:10"})
      CHECK(after(with_effect).first->rented() == 1);
    CHECK(after("reset").second->got->how == way::reset);
    CHECK(after("hang").second->got->how == way::hang);
    CHECK(after("status:500").second->status() == 500);
    CHECK(after("throttled").second->status() == 429);
    CHECK(after("answer-lost").second->got->how == way::reset);
    CHECK(after("answer-hangs").second->got->how == way::hang);
    CHECK(after("slow:700").second->got->delay == 700ms);
    CHECK(after("cut").second->got->body_sent < after("cut").second->got->response.body.size());
  }
}

TEST_CASE("an effect may come after its caller was told of a reset, at every cloud") {
  for (const auto& [name, what, body] : creates()) {
    INFO(name);
    account a{name};
    a.plan({"late-effect:5000"});
    CHECK(a.begin(what, body)->got->how == wire_reply::way::reset);
    a.time.advance(4s);
    CHECK(a.rented() == 0);
    a.time.advance(2s);
    CHECK(a.rented() == 1);
  }
}

TEST_CASE("a create may be carried out twice, unless its name is its own") {
  for (const auto& [name, what, body] : creates()) {
    INFO(name);
    account a{name};
    a.plan({"duplicate"});
    CHECK(a.ask(what, body)->status() / 100 == 2);
    CHECK(a.rented() == 2);
  }
  account named{"daytona"};
  named.plan({"duplicate"});
  CHECK(named.ask("POST /api/sandbox", {{"name", "a"}})->status() == 200);
  CHECK(named.rented() == 1);
}
