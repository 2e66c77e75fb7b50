// Two installations share the same accounts: neither sees, adopts nor ends what the other rents.
#include "life.hpp"

#include <nestor/actors/provider_desk.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace nestor;
using namespace nestor::tests;

namespace {

using actors::list_runtimes;
using actors::runtimes_listed;

/// Time passes for both alike: they share the clouds.
bool run_both(renting_node& a, renting_node& b, const std::function<bool()>& done) {
  auto began = a.node->system.now();
  while (!done()) {
    auto passed = a.node->system.now() - began;
    if (passed > rests_within)
      return false;
    microseconds step{passed < std::chrono::seconds{5} ? 20'000 : 500'000};
    a.node->system.advance(step);
    b.node->system.advance(step);
  }
  return true;
}

struct neighbours {
  renting_node a{1};
  renting_node b{2, a.clouds};

  bool until(const std::function<bool()>& done) { return run_both(a, b, done); }
  /// The sandboxes that a node is shown of an account under its own label.
  std::set<std::string> listed(renting_node& whose, const std::string& kind) {
    auto got = std::make_shared<std::optional<runtimes_listed>>();
    auto& node = *whose.node;
    actors::spawn<asker<runtimes_listed, list_runtimes>>(node.system.system(), nullptr, node.desk(),
                                                         list_runtimes{kind, node.journal->installation()}, got);
    until([&] { return got->has_value(); });
    REQUIRE(got->has_value());
    REQUIRE_FALSE((*got)->why);
    std::set<std::string> names;
    for (const auto& each : (*got)->items)
      names.insert(each.sandbox);
    return names;
  }
  bool ready(renting_node& whose, const std::vector<sandbox_id>& ids) {
    return until(
      [&] { return std::ranges::all_of(ids, [&](const auto& id) { return whose.word(id) == status::ready; }); });
  }
  bool ended_all(renting_node& whose, const std::vector<sandbox_id>& ids) {
    for (const auto& id : ids)
      whose.destroy(id);
    return until([&] { return std::ranges::all_of(ids, [&](const auto& id) { return ended(whose.word(id)); }); });
  }
};

} // namespace

TEST_CASE("two installations share an account and know nothing of each other's", "[lives]") {
  for (const auto& kind : rented_kinds()) {
    INFO(kind);
    neighbours n;
    // Of each the first create's answer is lost: what is looked for by label must be one's own.
    n.a.clouds->plan(kind, {"answer-lost@POST / #1x2"});
    std::vector<sandbox_id> of_a, of_b;
    for (int i = 0; i < 2; ++i) {
      of_a.push_back(n.a.create(kind));
      of_b.push_back(n.b.create(kind));
    }
    REQUIRE(n.ready(n.a, of_a));
    REQUIRE(n.ready(n.b, of_b));
    REQUIRE(n.a.node->journal->installation().text != n.b.node->journal->installation().text);
    CHECK(n.a.clouds->rented(kind).size() == 4);
    CHECK(n.a.clouds->most_at_a_time() == 1);
    CHECK(n.a.difference_in(kind, of_a.front()).empty());
    CHECK(n.b.difference_in(kind, of_b.front()).empty());

    if (providers::of_kind(kind)->list) {
      CHECK(n.listed(n.a, kind) == std::set{of_a[0].text, of_a[1].text});
      CHECK(n.listed(n.b, kind) == std::set{of_b[0].text, of_b[1].text});
    }

    CHECK(n.ended_all(n.a, of_a));
    for (const auto& id : of_b) {
      CHECK(n.b.word(id) == status::ready);
      CHECK(n.a.clouds->rented(kind, id).size() == 1);
    }
    CHECK(n.a.clouds->rented(kind).size() == 2);
    CHECK(n.ended_all(n.b, of_b));
    CHECK(n.a.clouds->rented(kind).empty());
  }
}
