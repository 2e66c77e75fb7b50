// Random walks over the lifecycle machine: a million steps through a world that lies, the promises checked after each.
#include <model/lifecycle_world.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace nestor::supervision;

namespace {

constexpr int walks = 34'000;
constexpr int steps_per_walk = 110;
constexpr std::uint64_t steps_required = 1'000'000;
constexpr int steps_to_rest = 400;

std::string diagram(const std::set<model::world::edge>& edges, const std::set<phase>& resumed) {
  std::map<std::pair<phase, phase>, std::set<std::string_view>> merged;
  for (const auto& [from, event, to] : edges)
    if (from != to)
      merged[{from, to}].insert(event);
  std::ostringstream dot;
  dot << "// Drawn by the model test from the walks it made; compared with this file in every run.\n"
      << "digraph lifecycle {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n";
  for (const auto& [ends, events] : merged) {
    dot << "  " << name_of(ends.first) << " -> " << name_of(ends.second) << " [label=\"";
    bool first = true;
    for (auto event : events) {
      dot << (first ? "" : "\\n") << event;
      first = false;
    }
    dot << "\"];\n";
  }
  dot << "  crash [shape=point, xlabel=\"its SUPERVISOR died\"];\n";
  for (auto to : resumed)
    dot << "  crash -> " << name_of(to) << " [style=dashed];\n";
  dot << "}\n";
  return dot.str();
}

std::string file(const std::string& path) {
  std::ifstream in{path};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

TEST_CASE("along a million random steps every promise holds and every life comes to rest", "[model]") {
  std::set<model::world::edge> edges;
  std::set<phase> resumed;
  std::uint64_t steps = 0;
  for (std::uint64_t walk = 1; walk <= walks; ++walk) {
    auto seed = 20261121 + walk * 7919;
    model::world world{seed, walk % 3 == 0};
    for (int i = 0; i < steps_per_walk && world.step(); ++i)
      ++steps;
    bool rests = world.violation().empty() && world.comes_to_rest(steps_to_rest);
    if (!world.violation().empty() || !rests)
      FAIL("seed " << seed << ": "
                   << (rests                       ? world.violation()
                       : world.violation().empty() ? "never comes to rest"
                                                   : world.violation())
                   << "\n"
                   << world.transcript());
    edges.insert(world.edges().begin(), world.edges().end());
    resumed.insert(world.resumed().begin(), world.resumed().end());
  }
  CHECK(steps >= steps_required);

  std::set<phase> seen;
  for (const auto& [from, event, to] : edges)
    seen.insert(to);
  for (int p = 1; p < static_cast<int>(phase::count_); ++p) {
    INFO("phase " << name_of(static_cast<phase>(p)) << " was reached");
    CHECK(seen.contains(static_cast<phase>(p)));
  }

  auto drawn = diagram(edges, resumed);
  auto path = std::string{NESTOR_SOURCE_DIR} + "/docs/lifecycle.dot";
  if (const char* update = std::getenv("NESTOR_UPDATE_DOCS"); update && *update == '1')
    std::ofstream{path} << drawn;
  INFO("docs/lifecycle.dot is drawn by this test; run it with NESTOR_UPDATE_DOCS=1 to draw it anew");
  CHECK(file(path) == drawn);
}
