// Actions that the provider itself carries, in bad weather: every mishap at every request of an action, at every
// provider that runs commands. Nothing is sent twice, what is said of an action is what became of it, and the sandbox
// is none the worse.
#include "acting.hpp"

#include <emulator/mishap.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

std::vector<std::string> kinds_that_run() {
  auto kinds = rented_kinds();
  std::erase_if(kinds, [](const auto& kind) { return !providers::of_kind(kind)->exec; });
  return kinds;
}

/// Every kind of the emulator's table, those with an argument also with a long one.
std::vector<std::string> mishaps() {
  std::vector<std::string> all;
  for (const auto& row : emulator::mishap_table()) {
    all.emplace_back(row.name);
    if (!row.argument.empty() && row.fallback * 60 <= row.most)
      all.push_back(std::string{row.name} + ":" + std::to_string(row.fallback * 60));
  }
  return all;
}

/// One sandbox that is Ready, and what its provider was asked to run in it.
struct acting {
  std::string kind;
  renting_node here;
  sandbox_id id;
  std::string ref;
  incarnation fence = 0;
  int actions = 0;

  explicit acting(std::string of_kind) : kind(std::move(of_kind)) {
    id = here.create(kind, acts_through_provider);
    REQUIRE(here.to_rest(id) == status::ready);
    ref = here.clouds->rented(kind, id).at(0).id;
    fence = here.node->see(id)->fence;
    here.clouds->keeps_exchanges = true;
  }
  /// The word that the next action says.
  std::string word() { return "said-in-action-" + std::to_string(++actions) + "."; }
  std::optional<actors::action_seen> run(const std::string& said, const std::string& line = {}) {
    return act(here, id, line.empty() ? "echo " + said : line);
  }
  [[nodiscard]] std::size_t sent(const std::string& said) const {
    return static_cast<std::size_t>(std::ranges::count_if(here.clouds->exchanges, [&](const auto& each) {
      return std::string_view{each.request.body}.find(said) != std::string_view::npos;
    }));
  }
  std::size_t ran(const std::string& said) { return here.clouds->inside().runs(ref, said); }
};

/// What is wrong with what was said of an action; empty when nothing is.
std::string fault_of(acting& at, const std::string& said, const actors::action_seen& came, bool twice) {
  auto ran = at.ran(said);
  if (at.sent(said) > 1)
    return "it was sent twice";
  if (ran > (twice ? 2U : 1U))
    return "it was run " + std::to_string(ran) + " times";
  if (came.refused)
    return ran == 0 ? "" : "it was run, and is said not to have been: " + to_string(*came.refused);
  if (came.seen.came == verdict::ok && (ran == 0 || came.seen.output != said + "\n"))
    return "it is said to have printed '" + came.seen.output + "'";
  if (came.seen.came == verdict::failed && (came.seen.trouble.empty() || ran == 0))
    return "it is said to have failed, and did not";
  if (came.seen.came == verdict::unknown && came.seen.trouble.empty())
    return "it is unknown, and nothing says why";
  return {};
}

/// An action under that mishap; whether it hit.
bool act_under(acting& at, const std::string& mishap, int request) {
  auto spec = mishap + "#" + std::to_string(request);
  INFO(at.kind << " under " << spec);
  bool twice = mishap == "duplicate";
  auto said = at.word();
  at.here.clouds->plan(at.kind, {spec});
  auto came = at.run(said);
  bool hit = at.here.clouds->cloud(at.kind).plan().hits() > 0;
  at.here.clouds->plan(at.kind, {});
  if (!came) {
    FAIL_CHECK("nothing came of it");
    return hit;
  }
  CHECK(fault_of(at, said, *came, twice) == "");
  at.here.node->run_until([] { return false; }, 2min); // what takes effect late
  CHECK(fault_of(at, said, *came, twice) == "");
  CHECK(at.here.node->run_until([&] { return at.here.word(at.id) == status::ready; }, 10min));
  CHECK(at.here.node->see(at.id)->fence == at.fence);
  at.here.clouds->exchanges.clear();
  return hit;
}

} // namespace

TEST_CASE("an action through its provider comes back with what it printed and how it ended", "[lives]") {
  REQUIRE(kinds_that_run().size() >= 4);
  for (const auto& kind : kinds_that_run()) {
    INFO(kind);
    acting at{kind};
    auto said = at.word();
    auto came = at.run(said, "echo " + said + "; exit 3");
    REQUIRE(came);
    INFO((came->refused ? to_string(*came->refused) : came->seen.trouble));
    REQUIRE_FALSE(came->refused);
    CHECK(came->seen.came == verdict::failed);
    CHECK(came->seen.exit_status == 3);
    CHECK(came->seen.output == said + "\n");
    auto late = at.run("", "sleep 100");
    REQUIRE(late);
    CHECK_FALSE(late->refused);
    CHECK(late->seen.came == verdict::failed);
    CHECK(late->seen.trouble == out_of_time().trouble);
    auto next = at.run(at.word());
    REQUIRE(next);
    CHECK(next->seen.came == verdict::ok);
  }
}

TEST_CASE("every mishap at every request of an action, at every provider that runs commands", "[lives]") {
  constexpr int requests_max = 60;
  for (const auto& kind : kinds_that_run())
    for (const auto& mishap : mishaps()) {
      acting at{kind};
      int n = 1;
      while (n < requests_max && act_under(at, mishap, n))
        ++n;
      CHECK(n > 1);
      CHECK(n < requests_max);
      CHECK(at.here.difference_in(kind, at.id).empty());
      CHECK(at.here.clouds->rented(kind, at.id).size() == 1);
      auto said = at.word();
      auto fair = at.run(said);
      REQUIRE(fair);
      CHECK(fair->seen.came == verdict::ok);
      CHECK(at.ran(said) == 1);
      at.here.destroy(at.id);
      CHECK(at.here.to_end(at.id));
      CHECK(at.here.clouds->rented(kind).empty());
    }
}

TEST_CASE("an action whose answer is lost at the request that carries it is unknown or known for certain", "[lives]") {
  for (const auto& kind : kinds_that_run())
    for (std::string mishap : {"answer-lost", "answer-hangs", "cut", "reset", "hang", "page:502", "status:500"}) {
      INFO(kind << " under " << mishap);
      acting at{kind};
      // Which of an action's requests it is: the one that names what is to be said.
      auto first = at.word();
      at.here.clouds->exchanges.clear();
      REQUIRE(at.run(first));
      std::vector<exchange> of_action;
      std::ranges::copy_if(at.here.clouds->exchanges, std::back_inserter(of_action),
                           [&](const auto& each) { return each.cloud == kind; });
      auto carrier = std::ranges::find_if(of_action, [&](const auto& each) {
        return std::string_view{each.request.body}.find(first) != std::string_view::npos;
      });
      REQUIRE(carrier != of_action.end());
      auto said = at.word();
      at.here.clouds->plan(kind, {mishap + "@" + std::string{http::name_of(carrier->request.verb)} + " " +
                                  carrier->request.target.substr(0, carrier->request.target.find('?')) + "$"});
      auto came = at.run(said);
      REQUIRE(came);
      CHECK(at.here.clouds->cloud(kind).plan().hits() == 1);
      CHECK(fault_of(at, said, *came, false) == "");
      CHECK_FALSE(came->refused);
      CHECK((came->seen.came == verdict::unknown || (came->seen.came == verdict::ok && at.ran(said) == 1)));
    }
}
