// A machine that has run out of something: what it refuses now may be had later, and is asked for again.
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

namespace {

nested_server::model_options plain_options() {
  nested_server::model_options options;
  options.rate_limit = false;
  options.server_info_delay = milliseconds{0};
  return options;
}

} // namespace

TEST_CASE("a start that was refused for want of something is tried again, and the sandbox becomes Ready",
          "[shortage]") {
  test_node node{plain_options()};
  node.world->fail(0, fault::refused, 2); // the first thing that is asked for is a process
  auto seen = node.run_to_rest(node.create(canary_spec({})));
  REQUIRE(seen);
  CHECK(seen->word == status::ready);
  CHECK(seen->number == 3);
  CHECK(node.world->spawned() == 1);
}

TEST_CASE("a shortage that lasts ends the sandbox with a failure that says what is short", "[shortage]") {
  test_node node{plain_options()};
  node.world->fail(0, fault::refused, 1'000);
  auto seen = node.run_to_rest(node.create(canary_spec({})));
  REQUIRE(seen);
  CHECK(seen->word == status::failed);
  REQUIRE(seen->why);
  CHECK(seen->why->code == errc::overloaded);
  CHECK_THAT(seen->why->cause, Catch::Contains("Resource temporarily unavailable"));
  CHECK(node.world->running().empty());
}
