// The supervision tree under CAF's deterministic scheduler, on virtual time: what the ladder says, happens.
#include <support/canary.hpp>
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

nested_server::model_options plain_options() {
  nested_server::model_options options;
  options.rate_limit = false;
  options.server_info_delay = milliseconds{0};
  return options;
}

std::shared_ptr<nested::configuration> copy_of(int variant = 1) {
  return std::make_shared<nested::configuration>(*canary_configuration(variant));
}

sandbox_spec spec_with(std::shared_ptr<const nested::configuration> c, sandbox_policy policy = {}) {
  auto spec = canary_spec({});
  spec.configuration = std::move(c);
  spec.policy = policy;
  return spec;
}

void replace_token(nested::configuration& c, std::string_view git_provider, std::string_view token) {
  for (auto& item : c.git_providers)
    if (item.git_provider == git_provider)
      item.token = secret::copy_of(token);
}

truth condition_of(const sandbox_view& seen, std::string_view type) {
  auto at = std::ranges::find(seen.conditions, type, &condition::type);
  REQUIRE(at != seen.conditions.end());
  return at->status;
}

} // namespace

TEST_CASE("a nested server that is killed at any step of a start-up is replaced, and the sandbox becomes Ready",
          "[supervision]") {
  for (std::size_t after = 1;; ++after) {
    test_node node{plain_options()};
    auto id = node.create(canary_spec({}));
    bool reached =
      node.run_until([&] { return node.world->performed() > after || node.see(id)->word == status::ready; }, 1min);
    REQUIRE(reached);
    if (node.see(id)->word == status::ready)
      break; // it was Ready before that many ios
    if (!node.world->running().empty())
      node.world->kill(node.world->running().front());
    auto seen = node.run_to_rest(id);
    INFO("killed after io " << after);
    REQUIRE(seen->word == status::ready);
    CHECK(node.world->running().size() == 1);
    CHECK(difference(node.world->server(node.world->running().front()), *canary_configuration(), "openhands").empty());
  }
}

TEST_CASE("a refused git token before the first Ready ends the sandbox and names the git provider only",
          "[supervision]") {
  test_node node{plain_options()};
  auto c = copy_of();
  replace_token(*c, "github", "bad-CANARY-7f3a-token");
  auto seen = node.run_to_rest(node.create(spec_with(c)));
  REQUIRE(seen->word == status::failed);
  CHECK(seen->why->code == errc::git_token_refused);
  CHECK(seen->why->cause.find("github") != std::string::npos);
  CHECK(canary_in(seen->why->cause) == "");
  CHECK(node.world->running().empty());
}

TEST_CASE("with the first of two git tokens bad, openhands does not become Ready", "[supervision]") {
  test_node node{plain_options()};
  auto c = copy_of();
  replace_token(*c, "github", "bad");
  CHECK(node.run_to_rest(node.create(spec_with(c)))->word == status::failed);
}

TEST_CASE("a bad token in a live change restores the previous generation and destroys nothing", "[supervision]") {
  test_node node{plain_options()};
  auto id = node.create(canary_spec({}));
  REQUIRE(node.run_to_rest(id)->word == status::ready);
  auto c = copy_of(2);
  replace_token(*c, "gitlab", "bad");
  REQUIRE_FALSE(node.ask<actors::accepted>(actors::configure_sandbox{id, c}).refused);
  auto seen = node.run_to_rest(id);
  REQUIRE(seen->word == status::ready);
  CHECK(seen->observed == 1);
  CHECK(condition_of(*seen, "Updated") == truth::no);
  CHECK(condition_of(*seen, "Ready") == truth::yes);
  CHECK(seen->why->code == errc::git_token_refused);
  REQUIRE(node.world->running().size() == 1);
  CHECK(difference(node.world->server(node.world->running().front()), *canary_configuration(), "openhands").empty());
  CHECK(node.world->spawned() == 1);

  auto better = copy_of(3);
  REQUIRE_FALSE(node.ask<actors::accepted>(actors::configure_sandbox{id, better}).refused);
  auto after = node.run_to_rest(id);
  CHECK(after->observed == 3);
  CHECK(difference(node.world->server(node.world->running().front()), *canary_configuration(3), "openhands").empty());
}

TEST_CASE("a changed secret reaches a running sandbox, and a removed one leaves it", "[supervision]") {
  test_node node{plain_options()};
  auto id = node.create(canary_spec({}));
  REQUIRE(node.run_to_rest(id)->word == status::ready);
  auto c = copy_of();
  c->secrets.at(0).value = secret::copy_of("CANARY-7f3a-rotated");
  c->secrets.erase(c->secrets.begin() + 1);
  auto writes = node.world->writes().size();
  REQUIRE_FALSE(node.ask<actors::accepted>(actors::configure_sandbox{id, c}).refused);
  REQUIRE(node.run_to_rest(id)->observed == 2);
  CHECK(difference(node.world->server(node.world->running().front()), *c, "openhands").empty());
  std::vector<std::string> since(node.world->writes().begin() + static_cast<std::ptrdiff_t>(writes),
                                 node.world->writes().end());
  CHECK(std::ranges::count(since, "DELETE /api/secrets/DEPLOY_KEY") == 1);
  CHECK(std::ranges::count(since, "DELETE /api/secrets/API_TOKEN") == 1);
}

TEST_CASE("a nested server that restarts empty is noticed within a probe, not served, and configured again",
          "[supervision]") {
  test_node node{plain_options()};
  auto id = node.create(canary_spec({}));
  auto ready = node.run_to_rest(id);
  REQUIRE(ready->word == status::ready);
  node.system.advance(10s);
  auto port = node.world->running().front();
  node.world->restart(port);
  bool seen_unready = false;
  REQUIRE(node.run_until(
    [&] {
      auto seen = node.see(id);
      seen_unready |= seen->word != status::ready;
      return seen_unready && seen->word == status::ready;
    },
    90s)); // one probe period, its jitter, and the push
  CHECK(difference(node.world->server(port), *canary_configuration(), "openhands").empty());
  CHECK(node.see(id)->fence > ready->fence);
  CHECK(node.world->spawned() == 1);
}

TEST_CASE("a server that stops answering after Ready is Unknown, never destroyed, and Ready again when it answers",
          "[supervision]") {
  test_node node{plain_options()};
  auto id = node.create(canary_spec({}));
  REQUIRE(node.run_to_rest(id)->word == status::ready);
  node.world->fail_always("GET", fault::no_answer);
  REQUIRE(node.run_until([&] { return node.see(id)->word == status::unknown; }, 10min));
  CHECK(node.ask<actors::access>(actors::get_access{id}).refused);
  node.system.advance(1h);
  CHECK(node.see(id)->word == status::unknown);
  CHECK(node.world->running().size() == 1);
  node.world->heal();
  REQUIRE(node.run_until([&] { return node.see(id)->word == status::ready; }, 5min));
  CHECK(node.world->spawned() == 1);
}

TEST_CASE("access is handed out only while Ready", "[supervision]") {
  test_node node{plain_options()};
  auto id = node.create(canary_spec({}));
  CHECK(node.ask<actors::access>(actors::get_access{id}).refused);
  REQUIRE(node.run_to_rest(id)->word == status::ready);
  auto access = node.ask<actors::access>(actors::get_access{id});
  REQUIRE_FALSE(access.refused);
  CHECK(access.url.starts_with("http://127.0.0.1:"));
  node.ask<actors::accepted>(actors::destroy_sandbox{id});
  CHECK(node.ask<actors::access>(actors::get_access{id}).refused);
}

TEST_CASE("nothing is created before its intent is durable, and Ready waits for its record", "[supervision]") {
  test_node node{plain_options()};
  node.journal->refuse_next = 3; // intent, twice again
  auto id = node.create(canary_spec({}));
  CHECK(node.world->spawned() == 0);
  REQUIRE(node.run_to_rest(id)->word == status::ready);
  REQUIRE(node.journal->written.size() >= 3);
  CHECK(node.journal->written.front().first == supervision::note::intent);
  CHECK(node.journal->written.back().first == supervision::note::confirmed);
}

TEST_CASE("a destroy at any moment ends in absence", "[supervision]") {
  for (int after_ms = 0; after_ms < 40; ++after_ms) {
    test_node node{plain_options()};
    auto id = node.create(canary_spec({}));
    node.system.advance(milliseconds{after_ms} / 2);
    node.ask<actors::accepted>(actors::destroy_sandbox{id});
    auto seen = node.run_to_rest(id);
    INFO("after " << after_ms << " ms");
    REQUIRE(node.run_until([&] { return ended(node.see(id)->word); }, 2min));
    CHECK(node.see(id)->word == status::destroyed);
    CHECK(node.world->running().empty());
  }
}

TEST_CASE("a second sandbox cannot have the same static server", "[supervision]") {
  auto options = plain_options();
  options.session_key = secret::copy_of("CANARY-7f3a-session");
  test_node node{options};
  node.world->add_static(static_port);
  node.create(canary_spec({"static", "openhands"}));
  auto again = node.ask<actors::accepted>(
    actors::create_sandbox{std::make_shared<sandbox_spec>(canary_spec({"static", "openhands"}))});
  REQUIRE(again.refused);
  CHECK(again.refused->code == errc::conflict);
}

TEST_CASE("a static server that has settings of others is refused and left alone", "[supervision]") {
  auto options = plain_options();
  options.session_key = secret::copy_of("CANARY-7f3a-session");
  test_node node{options};
  node.world->add_static(static_port);
  http::request theirs{http::method::post,
                       "/api/settings",
                       {{"X-Session-API-Key", wiped_string{"CANARY-7f3a-session"}}},
                       wiped_string{R"({"language":"fr"})"}};
  node.world->server(static_port).handle(theirs, node.system.now(), "127.0.0.1");
  auto seen = node.run_to_rest(node.create(canary_spec({"static", "openhands"})));
  REQUIRE(seen->word == status::failed);
  CHECK(seen->why->code == errc::already_configured);
  CHECK(node.world->writes().empty());
}

TEST_CASE("auto asks with GET only, whatever answers", "[supervision]") {
  for (auto how : {fault::server_error, fault::proxy_page, fault::truncated, fault::rate_limited}) {
    test_node node{plain_options()};
    node.world->fail_always("GET", how);
    auto id = node.create(canary_spec({"process", "auto"}));
    node.run_to_rest(id);
    CHECK(node.world->writes().empty());
    CHECK(node.see(id)->word == status::failed);
  }
}
