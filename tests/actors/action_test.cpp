// Actions in a sandbox's runtime, on virtual time: each is sent once whatever becomes of its answer, one at a time, and
// only while the sandbox is served; what comes back tells no secret.
#include <support/canary.hpp>
#include <support/test_node.hpp>

#include <nestor/actors/runtime_client.hpp>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace nestor;
using namespace nestor::actors;
using namespace nestor::tests;
using nlohmann::json;

namespace {

/// A node with one sandbox, and an action server of the test's beside its nested server.
struct acting_node {
  test_node node{quick_servers()};
  std::size_t sent = 0; ///< actions that reached the action server
  http_reply says = http::transport_error::reset;
  microseconds takes{300};
  sandbox_id id;

  explicit acting_node(actions_via via = actions_via::action_server, on_loss losing = on_loss::keep) {
    node.world->elsewhere = [this](const http_call& call) -> std::optional<nested_world::other_answer> {
      if (call.request.target == "/alive")
        return nested_world::other_answer{http_reply{answer_of({{"status", "ok"}})}, microseconds{300}};
      ++sent;
      return nested_world::other_answer{says, takes};
    };
    auto spec = canary_spec({});
    auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
    runtime->actions = via;
    spec.runtime = std::move(runtime);
    spec.policy.losing = losing;
    id = node.create(std::move(spec));
  }

  static http::response answer_of(const json& body) {
    http::response response;
    response.status = 200;
    response.body = wiped_string{body.dump()};
    return response;
  }
  void ends_with(int status, std::string_view output) {
    says =
      answer_of({{"observation", "run"}, {"content", output}, {"extras", {{"metadata", {{"exit_code", status}}}}}});
  }
  acting_node& ready() {
    REQUIRE(node.run_until([&] { return node.see(id)->word == status::ready; }, 1min));
    return *this;
  }
  [[nodiscard]] run_action order(std::string text = "make", std::optional<incarnation> expected = {}) const {
    return {id, std::make_shared<const action>(action{action_kind::run, std::move(text), {}, action_within}), expected};
  }
  action_seen run() { return node.ask<action_seen>(order()); }
  /// Asks `whom`, and goes on.
  template <class Response, class Request>
  std::shared_ptr<std::optional<Response>> start(const caf::actor& whom, Request request) {
    auto got = std::make_shared<std::optional<Response>>();
    spawn<asker<Response, Request>>(node.system.system(), nullptr, whom, std::move(request), got);
    node.system.settle();
    return got;
  }
  auto start() { return start<action_seen>(node.front(), order()); }
};

} // namespace

TEST_CASE("an action's observation comes back without the secrets that the runtime holds", "[actions]") {
  acting_node here;
  here.ready();
  auto text = canary_configuration()->secrets.front().value.expose([](auto plain) { return std::string{plain}; });
  here.ends_with(3, "the key is " + text + ", and the rest");
  auto came = here.run();
  REQUIRE_FALSE(came.refused);
  CHECK(came.seen.came == verdict::failed);
  CHECK(came.seen.exit_status == 3);
  CHECK(canary_in(came.seen.output) == "");
  CHECK_THAT(came.seen.output, Catch::Contains("the key is <secret>") && Catch::EndsWith("and the rest"));
  CHECK(here.sent == 1);
}

TEST_CASE("an action whose answer is lost is unknown, and never sent again", "[actions]") {
  acting_node here;
  here.ready();
  for (auto how : {http::transport_error::reset, http::transport_error::timed_out, http::transport_error::malformed}) {
    here.says = how;
    auto before = here.sent;
    auto came = here.run();
    REQUIRE_FALSE(came.refused);
    CHECK(came.seen.came == verdict::unknown);
    here.node.system.advance(std::chrono::hours{1});
    CHECK(here.sent == before + 1);
  }
  here.says = http::transport_error::refused;
  CHECK(here.run().refused->code == errc::nested_unreachable);
  here.ends_with(0, "");
  CHECK(here.run().seen.came == verdict::ok);
}

TEST_CASE("one action runs at a time, the next one may follow at once", "[actions]") {
  acting_node here;
  here.ready().ends_with(0, "done");
  here.takes = 10s;
  auto first = here.start();
  here.node.system.advance(1s);
  CHECK(here.run().refused->code == errc::conflict);
  CHECK(here.sent == 1);
  here.node.system.advance(10s);
  REQUIRE(*first);
  CHECK((*first)->seen.output == "done");
  here.takes = 1ms;
  CHECK_FALSE(here.run().refused);
  CHECK(here.sent == 2);
}

TEST_CASE("an action that is never answered ends as unknown when its time is long over", "[actions]") {
  acting_node here;
  here.ready().takes = std::chrono::hours{10};
  auto asked = here.start();
  here.node.system.advance(action_within);
  CHECK_FALSE(*asked);
  here.node.system.advance(5min);
  REQUIRE(*asked);
  CHECK((*asked)->seen.came == verdict::unknown);
  here.takes = 1ms;
  here.ends_with(0, "");
  CHECK_FALSE(here.run().refused);
}

TEST_CASE("nothing is run in a sandbox that is not served, or carries no actions", "[actions]") {
  acting_node here;
  CHECK(here.run().refused->code == errc::conflict); // it starts
  here.ready();
  CHECK(here.node.ask<action_seen>(here.order("make", incarnation{77})).refused->code == errc::conflict);
  (void)here.node.ask<accepted>(destroy_sandbox{here.id});
  here.node.run_until([&] { return ended(here.node.see(here.id)->word); }, 1min);
  CHECK(here.run().refused->code == errc::conflict);
  CHECK(here.sent == 0);
  acting_node without{actions_via::none};
  CHECK(without.ready().run().refused->code == errc::capability_missing);
  auto elsewhere = without.order();
  elsewhere.of = "another-tenant";
  CHECK(without.node.ask<action_seen>(elsewhere).refused->code == errc::not_found);
}

TEST_CASE("an action in a runtime that is replaced or whose SUPERVISOR dies is unknown", "[actions]") {
  acting_node here{actions_via::action_server, on_loss::replace};
  here.ready().takes = 60s;
  auto asked = here.start();
  SECTION("the runtime dies") {
    here.node.world->kill(here.node.world->running().front());
  }
  SECTION("the SUPERVISOR dies") {
    here.node.end_supervisor(here.id);
  }
  here.node.system.advance(2s);
  REQUIRE(*asked);
  CHECK((*asked)->seen.came == verdict::unknown);
  here.takes = 1ms;
  here.ends_with(0, "");
  here.ready();
  CHECK_FALSE(here.run().refused);
  CHECK(here.sent == 2);
}

TEST_CASE("a runtime client acts in the incarnation it was connected to, and ends with it", "[actions]") {
  acting_node here;
  here.ready().ends_with(0, "hi");
  auto client = spawn<runtime_client>(here.node.system.system(), nullptr, here.node.front(), here.id, "");
  auto act_now = [&](action what) {
    auto got = here.start<action_seen>(client, act{std::move(what)});
    here.node.system.advance(1s);
    return got;
  };
  CHECK((*act_now({action_kind::run, "make", {}, {}}))->refused->code == errc::conflict); // not connected
  auto connected = here.start<runtime_connected>(client, connect_runtime{});
  here.node.system.advance(1s);
  REQUIRE(*connected);
  CHECK((*connected)->fence != 0);
  CHECK((*act_now({action_kind::alive, {}, {}, milliseconds{1'000}}))->seen.came == verdict::ok);
  CHECK((*act_now({action_kind::run, "make", {}, milliseconds{1'000}}))->seen.output == "hi");
  (void)here.node.ask<accepted>(configure_sandbox{here.id, canary_configuration(2)});
  here.node.run_until([&] { return here.node.see(here.id)->observed == 2; }, 1min);
  auto late = act_now({action_kind::run, "make", {}, milliseconds{1'000}});
  REQUIRE(*late);
  CHECK_THAT((*late)->refused->cause, Catch::Contains("was replaced by"));
  CHECK_FALSE(*act_now({action_kind::run, "make", {}, milliseconds{1'000}})); // it has ended
  CHECK(here.sent == 1);
}
