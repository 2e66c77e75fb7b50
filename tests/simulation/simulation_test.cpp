// A node that keeps its promises whatever is done to it, and a simulator that notices when it does not.
#include <simulator/planted.hpp>
#include <simulator/scenario.hpp>
#include <simulator/simulation.hpp>

#include <nestor/actors/messages.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace nestor::simulation;

namespace {

using clock_type = std::chrono::steady_clock;

// A bug that this many seeds do not show would not be found by a short run either.
constexpr std::uint64_t seeds_to_catch_at_most = 4'000;
constexpr std::uint64_t usual_seeds_to_catch = 200;

bool short_run() {
  const char* length = std::getenv("NESTOR_TEST_LENGTH");
  return length && std::string_view{length} == "short";
}

void promises_are_kept(std::uint64_t from, std::uint64_t seeds, std::chrono::seconds within) {
  auto began = clock_type::now();
  std::size_t ready = 0, crashes = 0;
  auto seed = from;
  for (; seed < from + seeds && clock_type::now() - began < within; ++seed) {
    auto came = run(scenario_of(seed));
    ready += came.became_ready;
    crashes += came.crashes;
    if (came.fault.empty())
      continue;
    auto s = shrunk(scenario_of(seed));
    FAIL("seed " << seed << ": " << came.fault << "\nwhat it takes: " << to_text(s) << run(s).transcript);
  }
  std::printf("seeds %llu to %llu: %zu sandboxes became Ready, %zu crashes\n", static_cast<unsigned long long>(from),
              static_cast<unsigned long long>(seed - 1), ready, crashes);
  CHECK(ready > (seed - from) / 2); // bad weather, not the end of the world
  CHECK(crashes > (seed - from) / 2);
}

/// The seed that shows it; 0 when none does.
std::uint64_t caught_by(const planted& bug) {
  for (std::uint64_t seed = 1; seed <= seeds_to_catch_at_most; ++seed)
    if (!run(scenario_of(seed), &bug).fault.empty())
      return seed;
  return 0;
}

} // namespace

TEST_CASE("a seed gives the same run again") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto once = run(scenario_of(seed));
    auto again = run(scenario_of(seed));
    CHECK(once.hash == again.hash);
    CHECK(once.transcript == again.transcript);
  }
}

TEST_CASE("a name stays taken when the last record of an earlier one of that name was refused") {
  scenario s;
  s.seed = 1;
  s.kinds = {"remote"};
  auto at = [](int ms, act what, unsigned variant = 0) { return deed{nestor::milliseconds{ms}, what, 0, variant}; };
  s.deeds = {at(0, act::create), at(1'000, act::destroy), at(3'000, act::create), at(6'000, act::create, 1)};
  // The node starts again after the third deed, and closes the first sandbox once more before the fourth.
  s.strikes.push_back({blow::after_deed, 3, nestor::milliseconds{100}, 100, 30});
  std::size_t closes_refused = 0;
  for (unsigned group = 1; group < 40; ++group) {
    auto one = s;
    one.strikes.push_back({blow::disk_refuses, group, {}, 0, 0});
    auto came = run(one);
    INFO(came.transcript);
    CHECK(came.fault.empty());
    closes_refused += came.transcript.find("close s1 - not done") != std::string::npos ? 1 : 0;
  }
  CHECK(closes_refused > 0);
}

TEST_CASE("every promise is kept through crashes, lies and losses") {
  promises_are_kept(1, short_run() ? 1'500 : 20'000, std::chrono::seconds{short_run() ? 60 : 280});
}

TEST_CASE("every promise is kept under a million seeds", "[.long]") {
  promises_are_kept(1'000'000, 1'000'000, std::chrono::hours{2});
}

TEST_CASE("every planted bug is noticed") {
  std::vector<std::uint64_t> seeds;
  for (const auto& bug : all_planted()) {
    auto seed = caught_by(bug);
    INFO(bug.name << ": " << bug.summary);
    CHECK(seed != 0);
    std::printf("%-32s seed %llu\n", std::string{bug.name}.c_str(), static_cast<unsigned long long>(seed));
    seeds.push_back(seed == 0 ? seeds_to_catch_at_most : seed);
  }
  std::ranges::sort(seeds);
  CHECK(seeds.size() >= 20);
  CHECK(seeds[seeds.size() / 2] <= usual_seeds_to_catch);
}
