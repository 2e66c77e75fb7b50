// Supervision for real: children and SUPERVISORs that throw, that never answer, that are killed, at every io of a life.
// CAF's deterministic scheduler, virtual time; the tree does what the ladder says.
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>

using namespace nestor;
using namespace nestor::tests;

namespace {

constexpr std::size_t ios_max = 200; // far beyond what a life needs: the loops must end by themselves
constexpr incarnation second_life = incarnation{1} << 32U;

struct bench {
  spec_choice choice;
  test_node node;
  sandbox_id id;

  explicit bench(spec_choice c = {}) : choice(std::move(c)), node(options_for(choice)) {
    if (choice.provider == "static")
      node.world->add_static(static_port);
  }
  static nested_server::model_options options_for(const spec_choice& c) {
    auto options = quick_servers();
    options.dialect = c.dialect;
    if (c.provider == "static")
      options.session_key = secret::copy_of(std::string{canary} + "-session");
    return options;
  }

  void create(sandbox_policy policy = {}) {
    auto spec = canary_spec(choice);
    spec.policy = policy;
    id = node.create(std::move(spec));
  }
  void configure(int variant) {
    REQUIRE_FALSE(node.ask<actors::accepted>(actors::configure_sandbox{id, canary_configuration(variant)}).refused);
  }
  void destroy() { REQUIRE_FALSE(node.ask<actors::accepted>(actors::destroy_sandbox{id}).refused); }
  std::shared_ptr<const sandbox_view> rest() { return node.run_to_rest(id); }

  nested_server::server_model& server() {
    return node.world->server(choice.provider == "static" ? static_port : node.world->running().at(0));
  }
  /// Ready, on exactly one runtime, which holds exactly that.
  std::shared_ptr<const sandbox_view> require_ready(int variant) {
    auto seen = rest();
    INFO(node.told());
    REQUIRE(seen);
    INFO((seen->why ? to_string(*seen->why) : "no failure"));
    REQUIRE(seen->word == status::ready);
    REQUIRE(seen->observed == static_cast<generation>(variant));
    if (choice.provider != "static")
      REQUIRE(node.world->running().size() == 1);
    REQUIRE(difference(server(), *canary_configuration(variant)) == "");
    CHECK(node.world->most_in_flight() <= 1);
    CHECK(node.told().find(canary) == std::string::npos);
    return seen;
  }
  void require_absent() {
    INFO(node.told());
    REQUIRE(node.run_until([&] { return ended(node.see(id)->word); }, 2h));
    CHECK(node.world->running().empty());
    if (choice.provider == "static")
      CHECK(remains(server()) == "");
    CHECK(node.told().find(canary) == std::string::npos);
  }
};

const spec_choice choices[] = {{"process", "openhands"}, {"process", "generic"}, {"static", "openhands"}};

/// Time for all budgets to be spent, and none of them comes back meanwhile.
const sandbox_policy patient = [] {
  sandbox_policy policy;
  policy.ready_within = std::chrono::hours{4};
  policy.restarts.within = std::chrono::hours{8};
  return policy;
}();

/// Runs `life` with `how` striking its first io, its second, and so on, until there was none left to strike.
template <class Life>
void at_every_io(Life life) {
  std::size_t nth = 0;
  for (; nth < ios_max; ++nth) {
    INFO("io " << nth);
    if (!life(nth))
      break;
  }
  CHECK(nth > 0);
  CHECK(nth < ios_max);
}

} // namespace

// -- CONFIGURATOR ---------------------------------------------------------------------------------

TEST_CASE("a CONFIGURATOR that throws or never answers at any request is replaced under a higher incarnation",
          "[children]") {
  for (const auto& choice : choices)
    for (auto how : {mishap::throws, mishap::throws_after, mishap::unanswered})
      at_every_io([&](std::size_t nth) {
        bench b{choice};
        b.node.sabotage->strike(how, nth, 1, asker_kind::configurator);
        b.create();
        auto seen = b.require_ready(1);
        if (b.node.sabotage->struck() == 0)
          return false;
        CHECK(seen->fence == 2);
        CHECK(b.node.world->spawned() == (choice.provider == "process" ? 1 : 0));
        return true;
      });
}

TEST_CASE("a CONFIGURATOR that crashes or is silent at a step each time spends its budgets, and the failure names it",
          "[children]") {
  struct {
    std::string call;
    step at;
  } const calls[] = {{"GET /alive", step::alive},
                     {"POST /api/settings", step::settings},
                     {"POST /api/add-git-providers", step::git_providers},
                     {"POST /api/secrets", step::secrets}};
  for (const auto& [call, at] : calls)
    for (auto how : {mishap::throws, mishap::unanswered}) {
      bench b;
      b.node.sabotage->strike_always(how, call);
      b.create(patient);
      auto seen = b.rest();
      INFO(call << "\n" << b.node.told());
      REQUIRE(seen->word == status::failed);
      CHECK(seen->why->code == (how == mishap::throws ? errc::child_crashed : errc::child_silent));
      CHECK(name_of(seen->why->at) == name_of(at));
      // One runtime and its replacements; on each of them one push and its restarts.
      CHECK(b.node.world->spawned() == 1 + patient.restarts.max);
      CHECK(b.node.sabotage->struck() == (1 + patient.restarts.max) * (1 + supervision::policy{}.reconfigures));
      b.require_absent();
    }
}

TEST_CASE("a CONFIGURATOR that throws or never answers at any request of a live change still brings it about",
          "[children]") {
  for (const auto& choice : choices)
    for (auto how : {mishap::throws, mishap::throws_after, mishap::unanswered})
      at_every_io([&](std::size_t nth) {
        bench b{choice};
        b.create();
        auto before = b.require_ready(1);
        b.node.sabotage->strike(how, nth, 1, asker_kind::configurator);
        b.configure(2);
        auto seen = b.require_ready(2);
        if (b.node.sabotage->struck() == 0)
          return false;
        CHECK(seen->fence > before->fence + 1);
        return true;
      });
}

TEST_CASE("a CONFIGURATOR that dies at a probe is no reason to close a sandbox", "[children]") {
  for (auto how : {mishap::throws, mishap::unanswered}) {
    bench b;
    b.create();
    auto before = b.require_ready(1);
    b.node.sabotage->strike(how, 0, 3, asker_kind::configurator);
    b.node.system.advance(5min);
    REQUIRE(b.node.run_until([&] { return b.node.sabotage->struck() == 3; }, 1h));
    CHECK(b.require_ready(1)->fence == before->fence);
  }
}

// -- PROVIDER_AUTH --------------------------------------------------------------------------------

TEST_CASE("a PROVIDER_AUTH that throws or never answers leaks nothing, whichever io it was at", "[children]") {
  for (auto how : {mishap::throws, mishap::throws_after, mishap::unanswered})
    at_every_io([&](std::size_t nth) {
      bench b;
      b.node.sabotage->strike(how, nth, 1, asker_kind::provider_auth);
      b.create();
      auto seen = b.require_ready(1);
      // What did happen is found and used; only what did not is done again.
      CHECK(b.node.world->spawned() == 1);
      if (nth == 0)
        CHECK(seen->number == (how == mishap::throws_after ? 1 : 2));
      b.destroy();
      b.require_absent();
      CHECK(b.node.see(b.id)->word == status::destroyed);
      return b.node.sabotage->struck() != 0;
    });
}

TEST_CASE("a PROVIDER_AUTH that crashes or is silent at each create spends the budget, and the failure says so",
          "[children]") {
  for (auto how : {mishap::throws, mishap::unanswered}) {
    bench b;
    b.node.sabotage->strike_always(how, "spawn");
    b.create(patient);
    auto seen = b.rest();
    REQUIRE(seen->word == status::failed);
    CHECK(seen->why->code == (how == mishap::throws ? errc::child_crashed : errc::child_silent));
    CHECK(seen->why->at == step::provision);
    CHECK(seen->number == 1 + patient.restarts.max);
    CHECK(b.node.world->spawned() == 0);
  }
}

// -- SUPERVISOR -----------------------------------------------------------------------------------

TEST_CASE("a SUPERVISOR that dies at any io of a start-up is followed by one that ends Ready on one runtime",
          "[children]") {
  for (const auto& choice : choices)
    for (auto how : {mishap::supervisor_killed, mishap::supervisor_told})
      at_every_io([&](std::size_t nth) {
        bench b{choice};
        b.node.sabotage->strike(how, nth);
        b.create();
        auto seen = b.require_ready(1);
        if (b.node.sabotage->struck() == 0)
          return false;
        CHECK(seen->fence >= second_life);
        CHECK(b.node.world->spawned() == (choice.provider == "process" ? 1 : 0));
        b.destroy();
        b.require_absent();
        CHECK(b.node.see(b.id)->word == status::destroyed);
        return true;
      });
}

TEST_CASE("a SUPERVISOR that throws at any record, before or after it is durable, is followed by one that ends Ready",
          "[children]") {
  for (const auto& choice : choices)
    for (bool durable : {false, true})
      at_every_io([&](std::size_t nth) {
        bench b{choice};
        b.node.journal->throw_in = nth;
        b.node.journal->throw_when_durable = durable;
        b.create();
        auto seen = b.require_ready(1);
        if (b.node.journal->throws_left != 0) // it was Ready before that many records: then it throws at the end
          b.node.journal->throw_in = 0;
        bool last = b.node.journal->throws_left != 0;
        if (!last)
          CHECK(seen->fence >= second_life);
        b.destroy();
        b.require_absent();
        CHECK(b.node.see(b.id)->word == status::destroyed);
        return !last;
      });
}

TEST_CASE("a SUPERVISOR that dies at any io of a live change is followed by one that brings it about", "[children]") {
  for (const auto& choice : choices)
    at_every_io([&](std::size_t nth) {
      bench b{choice};
      b.create();
      auto before = b.require_ready(1);
      b.node.sabotage->strike(mishap::supervisor_killed, nth);
      b.configure(2);
      auto seen = b.require_ready(2);
      if (b.node.sabotage->struck() == 0)
        return false;
      CHECK(seen->fence > before->fence);
      CHECK(b.node.world->spawned() == (choice.provider == "process" ? 1 : 0));
      return true;
    });
}

TEST_CASE("while nobody supervises a Ready sandbox it is Unknown and not served, then it is read back", "[children]") {
  for (const auto& choice : choices) {
    bench b{choice};
    b.create();
    auto before = b.require_ready(1);
    auto writes = b.node.world->writes().size();
    b.node.end_supervisor(b.id);
    b.node.system.settle();

    auto seen = b.node.see(b.id);
    CHECK(seen->word == status::unknown);
    REQUIRE(seen->why);
    CHECK(seen->why->code == errc::supervisor_crashed);
    for (const auto& c : seen->conditions) {
      CHECK(c.status == truth::unknown);
      CHECK(c.reason == "supervisor_crashed");
    }
    CHECK(b.node.ask<actors::access>(actors::get_access{b.id}).refused);

    auto after = b.require_ready(1);
    CHECK(after->fence > before->fence);
    CHECK_FALSE(after->why);
    CHECK(b.node.world->writes().size() == writes); // it held what was confirmed: nothing is pushed again
    CHECK_FALSE(b.node.ask<actors::access>(actors::get_access{b.id}).refused);
  }
}

TEST_CASE("what happened while nobody supervised is noticed: a restart, a loss, a new configuration, a request to end",
          "[children]") {
  bench restarted;
  restarted.create();
  restarted.require_ready(1);
  restarted.node.end_supervisor(restarted.id);
  restarted.node.system.advance(1ms);
  restarted.node.world->restart(restarted.node.world->running().front());
  restarted.require_ready(1);
  CHECK(restarted.node.world->spawned() == 1);

  bench lost;
  lost.create();
  lost.require_ready(1);
  lost.node.end_supervisor(lost.id);
  lost.node.system.advance(1ms);
  lost.node.world->kill(lost.node.world->running().front());
  lost.require_absent();
  CHECK(lost.node.see(lost.id)->word == status::failed);
  CHECK(lost.node.see(lost.id)->why->code == errc::runtime_lost);

  bench changed;
  changed.create();
  changed.require_ready(1);
  changed.node.end_supervisor(changed.id);
  changed.node.system.settle();
  changed.configure(2);
  changed.require_ready(2);

  bench unwanted;
  unwanted.create();
  unwanted.require_ready(1);
  unwanted.node.end_supervisor(unwanted.id);
  unwanted.node.system.settle();
  unwanted.destroy();
  unwanted.require_absent();
  CHECK(unwanted.node.see(unwanted.id)->word == status::destroyed);
}

TEST_CASE("a SUPERVISOR that dies at any io of a destroy is followed by one that ends it", "[children]") {
  for (const auto& choice : choices)
    for (auto how : {mishap::supervisor_killed, mishap::throws, mishap::unanswered})
      at_every_io([&](std::size_t nth) {
        bench b{choice};
        b.create();
        b.require_ready(1);
        b.node.sabotage->strike(how, nth);
        b.destroy();
        b.require_absent();
        CHECK(b.node.see(b.id)->word == status::destroyed);
        return b.node.sabotage->struck() != 0;
      });
}

TEST_CASE("what was given up stays given up when its SUPERVISOR dies on the way out", "[children]") {
  bench b;
  b.node.world->fail_always("POST /api/add-git-providers", fault::server_error);
  b.node.sabotage->strike_always(mishap::supervisor_killed, "end");
  sandbox_policy policy;
  policy.restarts.max = 0;
  b.create(policy);
  REQUIRE(b.node.run_until([&] { return b.node.sabotage->struck() == 3; }, 10min));
  b.node.sabotage->stop();
  b.require_absent();
  auto seen = b.node.see(b.id);
  CHECK(seen->word == status::failed);
  CHECK(seen->why->code == errc::nested_error);
  CHECK(b.node.world->spawned() == 1);
}

TEST_CASE("a server that others configured is left alone, also when the SUPERVISOR dies before that is known",
          "[children]") {
  at_every_io([](std::size_t nth) {
    bench b{{"static", "openhands"}};
    http::request theirs{http::method::post,
                         "/api/settings",
                         {{"X-Session-API-Key", wiped_string{"CANARY-7f3a-session"}}},
                         wiped_string{R"({"language":"fr"})"}};
    b.server().handle(theirs, b.node.system.now(), "127.0.0.1");
    b.node.sabotage->strike(mishap::supervisor_killed, nth);
    b.create();
    auto seen = b.rest();
    REQUIRE(seen->word == status::failed);
    CHECK(seen->why->code == errc::already_configured);
    CHECK(b.node.world->writes().empty());
    return b.node.sabotage->struck() != 0;
  });
}

// -- many, and again and again --------------------------------------------------------------------

TEST_CASE("SUPERVISORs that die again and again lose nothing and double nothing", "[children]") {
  constexpr int sandboxes = 20;
  constexpr int rounds = 12;
  test_node node{quick_servers()};
  std::vector<sandbox_id> ids;
  for (int i = 0; i < sandboxes; ++i)
    ids.push_back(node.create(canary_spec({})));
  for (int round = 0; round < rounds; ++round) {
    node.system.advance(milliseconds{1 + 37 * round});
    for (std::size_t i = 0; i < ids.size(); ++i)
      if ((i + static_cast<std::size_t>(round)) % 3 != 0)
        node.end_supervisor(ids[i], i % 2 == 0 ? mishap::supervisor_killed : mishap::supervisor_told);
    CHECK(node.world->running().size() <= ids.size());
  }
  for (const auto& id : ids) {
    auto seen = node.run_to_rest(id);
    REQUIRE(seen->word == status::ready);
  }
  CHECK(node.world->running().size() == ids.size());
  for (auto port : node.world->running())
    CHECK(difference(node.world->server(port), *canary_configuration()) == "");

  for (std::size_t i = 0; i < ids.size(); i += 2)
    node.end_supervisor(ids[i]);
  node.system.settle();
  auto left = node.ask<actors::drained>(actors::drain{}, 600'000); // waits for those that nobody supervises, too
  CHECK(left.left == 0);
  CHECK(node.world->running().empty());
}

TEST_CASE("a SUPERVISOR that dies each time before it owns anything is given up at last, with the reason",
          "[children]") {
  bench b;
  b.node.journal->throw_in = 0;
  b.node.journal->throws_left = 1'000;
  b.create();
  b.require_absent();
  auto seen = b.node.see(b.id);
  CHECK(seen->word == status::failed);
  CHECK(seen->why->code == errc::supervisor_crashed);
  CHECK(b.node.world->spawned() == 0);
  CHECK(b.node.journal->throws_left < 1'000 - 8);
}

TEST_CASE("a SUPERVISOR that dies for an hour while it owns a runtime is never given up", "[children]") {
  bench b;
  b.create();
  b.require_ready(1);
  b.node.journal->throw_in = 0;
  b.node.journal->throws_left = 60; // it cannot even record that the runtime is gone
  b.destroy();
  b.require_absent();
  CHECK(b.node.journal->throws_left == 0);
  CHECK(b.node.see(b.id)->word == status::destroyed);
}
