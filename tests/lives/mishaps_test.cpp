// Every mishap × every provider × every request of a life: it ends Ready and as wanted, or absent, and the judge sees
// nothing left and never two.
#include "life.hpp"

#include <emulator/mishap.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

TEST_CASE("a life at every provider becomes Ready, is as wanted, and leaves nothing", "[lives]") {
  REQUIRE(rented_kinds().size() >= 4);
  for (const auto& kind : rented_kinds()) {
    renting_node here;
    auto id = here.create(kind);
    INFO(kind);
    auto word = here.to_rest(id);
    auto seen = here.node->see(id);
    INFO((seen->why ? to_string(*seen->why) : "no failure"));
    CHECK(word == status::ready);
    CHECK(here.difference_in(kind, id).empty());
    CHECK(here.clouds->rented(kind, id).size() == 1);
    here.destroy(id);
    CHECK(here.to_end(id));
    CHECK(here.clouds->rented(kind).empty());
    CHECK(here.clouds->inside().count() == 0);
    CHECK(here.clouds->most_at_a_time() == 1);
  }
}

namespace {

struct trouble {
  std::string spec; ///< without the place
  bool twice;       ///< the provider itself may carry a create out twice
};

/// Every kind of the emulator's table; those with an argument also with a long one.
std::vector<trouble> troubles() {
  std::vector<trouble> all;
  for (const auto& row : emulator::mishap_table()) {
    bool twice = row.kind == emulator::mishap_kind::duplicate;
    std::string name{row.name};
    all.push_back({name, twice});
    if (!row.argument.empty() && row.fallback * 20 <= row.most)
      all.push_back({name + ":" + std::to_string(row.fallback * 20), twice});
  }
  return all;
}

/// That mishap at the nth request of a life, and at the ones after it, for every n that a life has.
void at_every_request(const std::string& kind, const trouble& what, int times) {
  constexpr int requests_max = 400;
  int n = 1;
  for (bool hit = true; hit && n < requests_max; ++n) {
    renting_node here;
    auto spec = what.spec + "#" + std::to_string(n) + "x" + std::to_string(times);
    auto fault = fault_of_life(here, kind, {spec});
    hit = here.clouds->cloud(kind).plan().hits() > 0;
    if (!fault.empty())
      FAIL_CHECK(kind << " under " << spec << ": " << fault);
    if (!what.twice && here.clouds->most_at_a_time() > 1)
      FAIL_CHECK(kind << " under " << spec << ": two at a time");
  }
  CHECK(n > 8); // a life is more than that
  CHECK(n < requests_max);
}

} // namespace

TEST_CASE("a create whose answer is lost is found although lists are late, once and no second time", "[lives]") {
  for (const auto& kind : rented_kinds())
    for (std::string lost : {"answer-lost", "answer-hangs", "truncated", "cut", "late-effect:5000"})
      for (std::string late : {"late-listing:1000", "late-listing:20000", "late-boot:20000", "wrong-state"}) {
        renting_node here;
        INFO(kind << ": " << lost << " and " << late);
        CHECK(fault_of_life(here, kind, {lost + "@POST / #1x1", late + "@POST / #1x1"}) == "");
        CHECK(here.clouds->most_at_a_time() == 1);
      }
}

TEST_CASE("every mishap at every request of a life, once", "[lives]") {
  for (const auto& kind : rented_kinds())
    for (const auto& what : troubles())
      at_every_request(kind, what, 1);
}

TEST_CASE("every mishap at every request of a life, four in a row", "[lives]") {
  for (const auto& kind : rented_kinds())
    for (const auto& what : troubles())
      at_every_request(kind, what, 4);
}
