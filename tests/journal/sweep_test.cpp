#include <nestor/supervision/sweep.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace nestor::supervision {
namespace {

using whose = explanation::of_sandbox;

struct world {
  std::map<std::string, explanation, std::less<>> known;
  sweep_memory memory;
  sweep_limits limits;

  std::vector<sweep_finding> look(const std::vector<swept>& list) {
    return memory.judge(list, limits, [&](std::string_view sandbox) {
      auto at = known.find(sandbox);
      return at == known.end() ? explanation{} : at->second;
    });
  }
};

} // namespace

TEST_CASE("a sweep's verdict on one runtime") {
  struct row {
    const char* what;
    swept seen;
    explanation known;
    sweep_verdict first;
    sweep_verdict second;
  };
  using v = sweep_verdict;
  const row rows[] = {
    {"its sandbox's own", {"r", "s", 2}, {whose::alive, 2}, v::explained, v::explained},
    {"a create that was given up on", {"r", "s", 1}, {whose::alive, 2}, v::suspected, v::ends},
    {"later than we know", {"r", "s", 3}, {whose::alive, 2}, v::explained, v::explained},
    {"of an attempt that lists do not tell", {"r", "s", 0}, {whose::alive, 2}, v::explained, v::explained},
    {"of an ended sandbox", {"r", "s", 1}, {whose::ended, 0}, v::suspected, v::ends},
    {"of a sandbox without a record", {"r", "s", 1}, {}, v::suspected, v::ends},
    {"of one nobody can speak for now", {"r", "s", 1}, {whose::silent, 0}, v::explained, v::explained},
    {"without a sandbox's label", {"r", "", 0}, {}, v::unlabelled, v::unlabelled},
  };
  for (const auto& r : rows) {
    INFO(r.what);
    world w;
    w.known["s"] = r.known;
    CHECK(w.look({r.seen}).front().verdict == r.first);
    CHECK(w.look({r.seen}).front().verdict == r.second);
  }
}

TEST_CASE("looks count only in a row, and what was explained meanwhile starts anew") {
  world w;
  swept orphan{"r", "s", 1};
  CHECK(w.look({orphan}).front().verdict == sweep_verdict::suspected);
  CHECK(w.look({}).empty());
  CHECK(w.memory.suspects() == 0);
  CHECK(w.look({orphan}).front().verdict == sweep_verdict::suspected);
  w.known["s"] = {whose::alive, 1};
  CHECK(w.look({orphan}).front().verdict == sweep_verdict::explained);
  w.known.clear();
  CHECK(w.look({orphan}).front().verdict == sweep_verdict::suspected);
  CHECK(w.look({orphan}).front().verdict == sweep_verdict::ends);
}

TEST_CASE("a sweep that would end many ends few, the longest suspected first, and a dry run none") {
  world w;
  std::vector<swept> list;
  for (int i = 0; i < 10; ++i)
    list.push_back({"r" + std::to_string(i), "gone", 1});
  auto ends = [](const std::vector<sweep_finding>& found) {
    std::set<std::string> refs;
    for (const auto& each : found)
      if (each.verdict == sweep_verdict::ends)
        refs.insert(each.what.ref);
    return refs;
  };
  w.look({list[7]}); // older than the others
  CHECK(ends(w.look(list)) == std::set<std::string>{"r7"});
  CHECK(ends(w.look(list)) == std::set<std::string>{"r0", "r1", "r2"}); // it would not go: it does not block the rest
  w.limits.percent = 80;
  CHECK(ends(w.look(list)).size() == 8);
  w.limits.dry_run = true;
  auto dry = w.look(list);
  CHECK(ends(dry).empty());
  CHECK(std::ranges::count(dry, sweep_verdict::held_back, &sweep_finding::verdict) == 10);
}

TEST_CASE("in random worlds a sweep ends nothing that is explained, and in time everything that is not") {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    auto below = [&](std::uint64_t n) { return random() % n; };
    world w;
    w.limits.looks = 1 + static_cast<std::uint32_t>(below(3));
    w.limits.at_least = 1 + below(3);
    w.limits.percent = static_cast<double>(below(30));
    std::map<std::string, swept> there;
    std::map<std::string, std::uint32_t> unexplained_for; // lists in a row, by our own count
    int next = 0;
    for (int pass = 0; pass < 30; ++pass) {
      for (auto n = below(4); n > 0; --n) {
        auto ref = "r" + std::to_string(next++);
        there[ref] = {ref, below(8) == 0 ? "" : "s" + std::to_string(below(6)), static_cast<attempt>(below(4))};
      }
      for (auto n = below(3); n > 0; --n)
        w.known["s" + std::to_string(below(6))] = {static_cast<whose>(below(4)), static_cast<attempt>(below(4))};
      std::vector<swept> list;
      for (const auto& [ref, each] : there)
        list.push_back(each);
      auto cap = std::max(w.limits.at_least,
                          static_cast<std::size_t>(static_cast<double>(list.size()) * w.limits.percent / 100));
      std::size_t ended = 0;
      for (const auto& each : w.look(list)) {
        auto at = w.known.find(each.what.sandbox);
        auto known = at == w.known.end() ? explanation{} : at->second;
        bool orphan = !each.what.sandbox.empty() && known.whose != whose::silent &&
                      (known.whose != whose::alive || (each.what.number != 0 && each.what.number < known.latest));
        auto& row = unexplained_for[each.what.ref];
        row = orphan ? row + 1 : 0;
        if (each.verdict != sweep_verdict::ends)
          continue;
        REQUIRE(orphan);
        REQUIRE(row >= w.limits.looks);
        REQUIRE(++ended <= cap);
        there.erase(each.what.ref);
      }
    }
    auto orphans = [&] {
      return std::ranges::count_if(there, [&](const auto& each) {
        auto at = w.known.find(each.second.sandbox);
        auto known = at == w.known.end() ? explanation{} : at->second;
        return !each.second.sandbox.empty() && known.whose != whose::silent &&
               (known.whose != whose::alive || (each.second.number != 0 && each.second.number < known.latest));
      });
    };
    for (auto left = there.size() + w.limits.looks; left > 0; --left) {
      std::vector<swept> list;
      for (const auto& [ref, each] : there)
        list.push_back(each);
      for (const auto& each : w.look(list))
        if (each.verdict == sweep_verdict::ends)
          there.erase(each.what.ref);
    }
    REQUIRE(orphans() == 0);
  }
}

} // namespace nestor::supervision
