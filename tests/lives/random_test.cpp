// Lives in bad weather: one request in ten goes wrong, in ways drawn anew for each account, while some sandboxes are
// ended in the middle of their start. A seed gives the same weather and the same lives again.
#include "life.hpp"

#include <nestor/core/backoff.hpp>

#include <emulator/mishap.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

constexpr int lives_a_node = 20;
constexpr microseconds read_back_within =
  std::chrono::minutes{30};         // every tenth probe, and what the weather makes of it
constexpr int mishaps_a_cloud = 10; // each hits one request in a hundred

struct one_life {
  std::string kind;
  sandbox_id id;
};

std::vector<std::string> weather(std::uint64_t& seed) {
  std::vector<std::string> specs;
  auto table = emulator::mishap_table();
  for (int i = 0; i < mishaps_a_cloud; ++i) {
    const auto& row = table[next_random(seed) % table.size()];
    std::string spec{row.name};
    if (!row.argument.empty() && row.fallback * 20 <= row.most && next_random(seed) % 2 == 0)
      spec += ":" + std::to_string(row.fallback * 20);
    specs.push_back(spec + " x*%1");
  }
  return specs;
}

bool twice_possible(const std::vector<std::string>& specs) {
  return std::ranges::any_of(specs, [](const auto& s) { return s.starts_with("duplicate"); });
}

/// One node, its accounts and twenty lives under that seed; how many became Ready.
std::size_t lives_of(std::uint64_t seed) {
  INFO("seed " << seed);
  auto draw = seed;
  renting_node here{seed};
  auto kinds = rented_kinds();
  bool may_be_twice = false;
  for (const auto& kind : kinds) {
    auto specs = weather(draw);
    may_be_twice = may_be_twice || twice_possible(specs);
    here.clouds->plan(kind, specs, next_random(draw));
  }
  std::vector<one_life> lives;
  for (int i = 0; i < lives_a_node; ++i) {
    const auto& kind = kinds[static_cast<std::size_t>(i) % kinds.size()];
    lives.push_back({kind, here.create(kind)});
    here.node->system.advance(milliseconds{next_random(draw) % 500});
    if (next_random(draw) % 4 == 0) // somebody changed their mind
      here.destroy(lives[next_random(draw) % lives.size()].id);
  }
  std::size_t became_ready = 0;
  for (const auto& [kind, id] : lives) {
    auto word = here.to_rest(id);
    INFO(kind << " " << id.text << " is " << name_of(word));
    CHECK((word == status::ready || word == status::quarantined || ended(word)));
    if (word == status::ready) {
      ++became_ready;
      // A write that an own time-out gave up on may still arrive: the next read-back finds that out.
      here.node->run_until([&] { return here.difference_in(kind, id).empty() || here.word(id) != status::ready; },
                           read_back_within);
      CHECK((here.word(id) != status::ready || here.difference_in(kind, id).empty()));
    }
  }
  for (const auto& [kind, id] : lives)
    here.destroy(id);
  for (const auto& [kind, id] : lives) {
    INFO(kind << " " << id.text);
    CHECK(here.to_end(id));
  }
  here.node->system.advance(std::chrono::minutes{5}); // what takes effect late
  for (const auto& kind : kinds) {
    INFO("left at " << kind);
    CHECK(here.clouds->rented(kind).empty());
  }
  CHECK((may_be_twice || here.clouds->most_at_a_time() <= 1));
  CHECK(here.node->told().find(canary) == std::string::npos);
  return became_ready;
}

void lives_from(std::uint64_t first_seed, std::size_t count) {
  std::size_t ready = 0, lived = 0;
  for (auto seed = first_seed; lived < count; ++seed, lived += lives_a_node)
    ready += lives_of(seed);
  INFO(ready << " of " << lived << " became Ready");
  CHECK(ready * 2 > lived); // bad weather, not the end of the world
}

} // namespace

TEST_CASE("a thousand lives with a fault in every tenth request", "[lives]") {
  lives_from(1, 1'000);
}

TEST_CASE("ten thousand lives with a fault in every tenth request", "[.long]") {
  lives_from(1'000'000, 10'000);
}
