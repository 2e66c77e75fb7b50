// Rest and lease at every provider that has them: while it rests nothing is served, what wakes up is read back before
// it is served, a lease is renewed as long as somebody wants the runtime, and an age ends it.
#include "life.hpp"

#include <emulator/mishap.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

namespace {

std::vector<std::string> kinds_that(bool providers::capabilities::*can) {
  std::vector<std::string> kinds;
  for (const auto& kind : rented_kinds())
    if (providers::of_kind(kind)->can.*can)
      kinds.push_back(kind);
  return kinds;
}

std::optional<failure> refusal_of(renting_node& here, const sandbox_id& id, bool rests) {
  return here.node->ask<actors::accepted>(actors::rest_sandbox{id, rests}).refused;
}

/// Unknown while its SUPERVISOR ends in the middle of an answer.
status word_of(renting_node& here, const sandbox_id& id) {
  try {
    return here.word(id);
  } catch (const std::runtime_error&) { return status::unknown; }
}

bool reaches(renting_node& here, const sandbox_id& id, status word, microseconds within = rests_within) {
  return here.node->run_until([&] { return word_of(here, id) == word; }, within);
}

/// Everything that is due meanwhile happens in its time.
void time_passes(renting_node& here, microseconds how_long) {
  here.node->run_until([] { return false; }, how_long);
}

/// What such a provider does to a runtime keeps it from waking up: what it starts stays on its way or is not what it
/// says, or a pause that was given up comes through behind our back.
bool may_keep_it_asleep(std::string_view mishap) {
  return mishap == "never-ready" || mishap == "wrong-state" || mishap == "late-effect";
}

bool served(renting_node& here, const sandbox_id& id) {
  return !here.node->ask<actors::access>(actors::get_access{id}).refused;
}

/// What is wrong with a rest in the middle of a life under these mishaps; empty when nothing is.
std::string fault_of_rest(renting_node& here, const std::string& kind, const std::string& mishap, int request) {
  auto id = here.create(kind);
  if (here.to_rest(id) != status::ready)
    return "it was not Ready to begin with";
  here.clouds->plan(kind, {mishap + "#" + std::to_string(request)});
  if (refusal_of(here, id, true))
    return "pausing it was refused";
  if (!here.node->run_until([&] { return here.word(id) == status::paused || here.word(id) == status::ready; },
                            rests_within))
    return "it came to no rest";
  if (here.word(id) == status::paused) {
    if (served(here, id))
      return "it is served while it rests";
    if (auto why = refusal_of(here, id, false))
      return "resuming it was refused: " + why->cause;
  }
  bool awake = reaches(here, id, status::ready);
  if (!awake && !may_keep_it_asleep(mishap))
    return "it did not wake up: " + std::string{name_of(here.word(id))};
  if (!awake && served(here, id))
    return "it is served, and not Ready";
  if (auto difference = awake ? here.difference_in(kind, id) : ""; !difference.empty())
    return "it is served without what was wanted: " + difference;
  here.destroy(id);
  if (!here.to_end(id) || !here.clouds->rented(kind).empty())
    return "something is left";
  return {};
}

} // namespace

TEST_CASE("a paused sandbox is not served, and wakes up with what was wanted", "[lives]") {
  auto kinds = kinds_that(&providers::capabilities::pauses);
  REQUIRE(kinds.size() >= 4);
  for (const auto& kind : kinds) {
    INFO(kind);
    renting_node here;
    auto id = here.create(kind);
    REQUIRE(here.to_rest(id) == status::ready);
    for (int times = 0; times < 2; ++times) {
      CHECK_FALSE(refusal_of(here, id, true));
      CHECK(reaches(here, id, status::paused));
      CHECK_FALSE(served(here, id));
      CHECK(here.clouds->rented(kind, id).size() == 1);
      CHECK_FALSE(refusal_of(here, id, true)); // again: it is what was wanted
      time_passes(here, std::chrono::minutes{10});
      CHECK(here.word(id) == status::paused);
      CHECK_FALSE(refusal_of(here, id, false));
      CHECK(reaches(here, id, status::ready));
      CHECK(here.difference_in(kind, id).empty());
      CHECK(served(here, id));
    }
    CHECK_FALSE(refusal_of(here, id, true));
    CHECK(reaches(here, id, status::paused));
    here.destroy(id); // asleep
    CHECK(here.to_end(id));
    CHECK(here.clouds->rented(kind).empty());
  }
}

TEST_CASE("what cannot rest says why", "[lives]") {
  renting_node here;
  auto queued = here.create("e2b");
  auto why = refusal_of(here, queued, true);
  REQUIRE(why);
  CHECK(why->code == errc::conflict);
  for (const auto& kind : rented_kinds())
    if (!providers::of_kind(kind)->can.pauses) {
      auto id = here.create(kind);
      REQUIRE(here.to_rest(id) == status::ready);
      why = refusal_of(here, id, true);
      REQUIRE(why);
      CHECK(why->code == errc::capability_missing);
    }
}

TEST_CASE("a rest survives a supervisor that dies at any moment of it", "[lives]") {
  for (const auto& kind : kinds_that(&providers::capabilities::pauses))
    for (int moment = 0; moment < 12; ++moment) {
      INFO(kind << ", after " << moment << " steps of time");
      renting_node here;
      auto id = here.create(kind);
      REQUIRE(here.to_rest(id) == status::ready);
      REQUIRE_FALSE(refusal_of(here, id, true));
      here.node->system.advance(milliseconds{moment * 10});
      here.node->end_supervisor(id);
      CHECK(reaches(here, id, status::paused));
      CHECK_FALSE(refusal_of(here, id, false));
      here.node->system.advance(milliseconds{moment * 10});
      here.node->end_supervisor(id);
      CHECK(reaches(here, id, status::ready));
      CHECK(here.difference_in(kind, id).empty());
      here.destroy(id);
      CHECK(here.to_end(id));
      CHECK(here.clouds->rented(kind).empty());
    }
}

TEST_CASE("every mishap at every request of a rest", "[lives]") {
  constexpr int requests = 8;
  for (const auto& kind : kinds_that(&providers::capabilities::pauses))
    for (const auto& row : emulator::mishap_table())
      for (int n = 1; n <= requests; ++n) {
        renting_node here;
        auto fault = fault_of_rest(here, kind, std::string{row.name}, n);
        if (!fault.empty())
          FAIL_CHECK(kind << " under " << row.name << "#" << n << ": " << fault);
      }
}

TEST_CASE("a lease is renewed while the sandbox lives, and not while it rests", "[lives]") {
  auto kinds = kinds_that(&providers::capabilities::leases);
  REQUIRE(kinds.size() >= 3);
  for (const auto& kind : kinds) {
    INFO(kind);
    renting_node here;
    auto id = here.create(kind, [](sandbox_spec& spec) { spec.policy.lease = std::chrono::minutes{10}; });
    REQUIRE(here.to_rest(id) == status::ready);
    time_passes(here, std::chrono::hours{2});
    CHECK(here.word(id) == status::ready);
    CHECK(here.clouds->rented(kind, id).size() == 1);
    here.destroy(id);
    CHECK(here.to_end(id));
    CHECK(here.clouds->rented(kind).empty());
  }
}

TEST_CASE("a sandbox ends at its age, whatever it does", "[lives]") {
  for (const auto& kind : rented_kinds()) {
    INFO(kind);
    renting_node here;
    auto aged = [](sandbox_spec& spec) { spec.policy.max_lifetime = std::chrono::minutes{30}; };
    auto id = here.create(kind, aged);
    REQUIRE(here.to_rest(id) == status::ready);
    time_passes(here, std::chrono::minutes{20});
    CHECK(here.word(id) == status::ready);
    CHECK(reaches(here, id, status::destroyed, std::chrono::minutes{20}));
    auto why = here.node->see(id)->why;
    REQUIRE(why);
    CHECK(why->code == errc::lifetime_over);
    CHECK(here.clouds->rented(kind).empty());
  }
}
