#include "scenario.hpp"

#include <nestor/core/backoff.hpp>

#include <emulator/mishap.hpp>

#include <algorithm>
#include <array>

namespace nestor::simulation {
namespace {

using emulator::mishap_kind;

constexpr std::array<std::string_view, static_cast<std::size_t>(act::count_)> act_names{
  "create", "configure", "pause", "resume", "destroy", "access", "sweep", "empties", "dies", "steps"};
constexpr std::array<std::string_view, 6> blow_names{"at message", "after deed",   "before sync",
                                                     "after sync", "disk refuses", "disk lies"};

// Most of what can go wrong goes wrong while something is under way, and that takes seconds.
constexpr unsigned busy_ms = 8'000;
constexpr unsigned long_ms = 400'000;
// What a provider does later than it said, it does within the time that `create_settles` covers.
constexpr unsigned late_at_most_ms = 40'000;
// Longer than any provider is given to come to rest.
constexpr unsigned outage_at_most_ms = 400'000;

/// Requests that create, end and look for runtimes at each provider: what takes effect late there is the provider's own
/// lateness.
struct control_paths {
  std::string_view kind, create, end, find;
  unsigned proofs = 0; ///< of the key, that look like `find`
};
constexpr std::array control{
  control_paths{"daytona", "POST /api/sandbox$", "DELETE /api/sandbox/", "GET /api/sandbox"},
  control_paths{"e2b", "POST /v2/sandboxes$", "DELETE /sandboxes/", "GET /v2/sandboxes", 1},
  control_paths{"runloop", "POST /v1/devboxes$", "POST /v1/devboxes/*/shutdown", "GET /v1/devboxes", 1},
  control_paths{"modal", "POST /modal.client.ModalClient/SandboxCreate",
                "POST /modal.client.ModalClient/SandboxTerminate", "POST /modal.client.ModalClient/SandboxList"},
  control_paths{"remote", "POST /start", "POST /stop", "GET /sessions/nst-"},
};

class draw {
public:
  explicit draw(std::uint64_t seed) : state_(seed ^ 0x5eed5eed5eedULL) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(next_random(state_) % std::max(n, 1U)); }
  bool chance(unsigned percent) { return below(100) < percent; }
  /// Small ones as likely as large ones.
  unsigned spread(unsigned most) {
    unsigned bits = 0;
    while (most >> bits)
      ++bits;
    return std::min(most, below(2U << below(bits)));
  }
  std::uint64_t whole() { return next_random(state_); }

private:
  std::uint64_t state_;
};

std::string trouble_of(draw& d, const control_paths& paths) {
  auto table = emulator::mishap_table();
  const auto* chosen = &table[d.below(static_cast<unsigned>(table.size()))];
  if (chosen->kind == mishap_kind::duplicate && paths.kind == "remote") // docs/simulation.md says why not there
    chosen = &table.front();
  const auto& row = *chosen;
  std::string spec{row.name};
  bool late = row.kind == mishap_kind::late_effect;
  bool of_creates = late || row.kind == mishap_kind::late_listing || row.kind == mishap_kind::duplicate;
  if (of_creates || row.kind == mishap_kind::late_boot) {
    if (!row.argument.empty())
      spec += ":" + std::to_string(1 + d.spread(late_at_most_ms));
    spec += "@" + std::string{late && d.chance(30) ? paths.end : paths.create};
  } else {
    if (!row.argument.empty() && row.fallback * 20 <= row.most && d.chance(50))
      spec += ":" + std::to_string(row.fallback * 20);
    if (d.chance(40))
      spec += "@" + std::string{d.chance(60) ? paths.create : paths.end};
  }
  if (d.chance(50))
    return spec + "#" + std::to_string(1 + d.spread(12)) + "x" + std::to_string(1 + d.below(3));
  return spec + " x*%" + std::to_string(1 + d.spread(of_creates ? 60 : 12));
}

/// A provider goes down in the middle of something: that takes effect, nobody hears so, and whoever looks for what came
/// of it is refused for a while, which may be longer than the provider is given to come to rest.
void draw_outage(draw& d, scenario& s, const control_paths& paths) {
  constexpr std::array lost{"answer-lost", "answer-hangs", "cut", "truncated"};
  constexpr std::array down{"reset", "status:500", "status:503", "page:502", "truncated"};
  std::string_view begins = d.chance(80) ? paths.create : paths.end;
  auto first = "#" + std::to_string(1 + d.below(2));
  s.troubles.push_back({std::string{paths.kind}, lost[d.below(lost.size())] + ("@" + std::string{begins}) + first});
  s.troubles.push_back({std::string{paths.kind}, down[d.below(down.size())] + ("@" + std::string{paths.find}) + "#" +
                                                   std::to_string(paths.proofs + 1 + d.below(2)) + "x" +
                                                   std::to_string(6 + d.spread(300))});
  s.calm_after = milliseconds{d.below(outage_at_most_ms)};
}

/// Where there is no room for all, clients come again, and make room.
void draw_turnover(draw& d, scenario& s, unsigned sandboxes) {
  for (unsigned who = 0; who < sandboxes; ++who) {
    if (d.chance(70))
      s.deeds.push_back({milliseconds{1'000 + d.below(busy_ms)}, act::destroy, who, 0});
    for (auto more = 2 + d.below(4); more > 0; --more)
      s.deeds.push_back({milliseconds{d.below(2 * busy_ms)}, act::create, who, d.below(8)});
  }
}

void draw_deeds(draw& d, scenario& s) {
  unsigned sandboxes = 1 + d.spread(3);
  auto span = d.chance(75) ? busy_ms : long_ms;
  auto moment = [&] { return milliseconds{d.spread(span)}; };
  for (unsigned who = 0; who < sandboxes; ++who) {
    auto born = milliseconds{d.spread(2'000)};
    s.deeds.push_back({born, act::create, who, d.below(8)});
    if (d.chance(20)) // somebody is not sure whether it worked
      s.deeds.push_back({born + milliseconds{d.spread(2'000)}, act::create, who, d.below(8)});
    for (auto more = d.spread(5); more > 0; --more) {
      constexpr std::array likely{act::configure, act::configure, act::configure, act::access,  act::pause,
                                  act::pause,     act::resume,    act::destroy,   act::empties, act::dies};
      auto what = likely[d.below(likely.size())];
      if (what == act::dies && d.chance(60))
        what = act::access;
      s.deeds.push_back({born + moment(), what, who, d.below(8)});
      if (what == act::pause)
        s.deeds.push_back({s.deeds.back().at + moment(), act::resume, who, 0});
    }
  }
  if (s.sandboxes_max < sandboxes)
    draw_turnover(d, s, sandboxes);
  if (d.chance(30))
    s.deeds.push_back({moment(), act::sweep, 0, 0});
  if (d.chance(10))
    s.deeds.push_back({moment(), act::steps, 0, d.below(7'200)});
  std::ranges::stable_sort(s.deeds, {}, &deed::at);
}

void draw_strikes(draw& d, scenario& s) {
  for (auto crashes = d.spread(4); crashes > 0; --crashes) {
    strike one;
    constexpr std::array likely{blow::at_message, blow::at_message, blow::at_message,   blow::after_deed,
                                blow::after_deed, blow::after_deed, blow::before_sync,  blow::before_sync,
                                blow::after_sync, blow::after_sync, blow::disk_refuses, blow::disk_lies};
    one.how = likely[d.below(likely.size())];
    one.count = 1 + d.spread(one.how == blow::at_message ? 3'000 : 60);
    if (one.how == blow::after_deed) {
      one.count = 1 + d.below(static_cast<unsigned>(s.deeds.size()));
      one.later = d.spread(200);
    }
    one.down = milliseconds{d.chance(85) ? 1 + d.spread(3'000) : d.spread(600'000)};
    one.survives = d.below(3) * 50;
    s.strikes.push_back(one);
  }
}

} // namespace

std::string_view name_of(act a) {
  return act_names.at(static_cast<std::size_t>(a));
}
std::string_view name_of(blow b) {
  return blow_names.at(static_cast<std::size_t>(b));
}

scenario scenario_of(std::uint64_t seed) {
  draw d{seed};
  scenario s;
  s.seed = d.whole();
  auto first = d.below(control.size());
  s.kinds.emplace_back(control.at(first).kind);
  if (d.chance(20))
    s.kinds.emplace_back(control.at((first + 1 + d.below(control.size() - 1)) % control.size()).kind);
  s.neighbour = d.chance(15);
  if (d.chance(20))
    s.sandboxes_max = 1 + d.below(2);
  draw_deeds(d, s);
  draw_strikes(d, s);
  if (d.chance(15))
    draw_outage(d, s, control.at(first));
  for (auto more = d.spread(6); more > 0; --more) {
    const auto& kind = s.kinds[d.below(static_cast<unsigned>(s.kinds.size()))];
    auto paths = std::ranges::find(control, kind, &control_paths::kind);
    s.troubles.push_back({kind, trouble_of(d, *paths)});
  }
  return s;
}

std::size_t parts_of(const scenario& s) {
  return s.deeds.size() + s.strikes.size() + s.troubles.size();
}

scenario without(scenario s, std::size_t first, std::size_t count) {
  std::size_t at = 0;
  auto thin = [&](auto& list) {
    std::erase_if(list, [&](const auto&) { return at++, at - 1 >= first && at - 1 < first + count; });
  };
  thin(s.deeds);
  thin(s.strikes);
  thin(s.troubles);
  return s;
}

std::string to_text(const scenario& s) {
  std::string text = "at";
  for (const auto& kind : s.kinds)
    text += " " + kind;
  text += ", at most " + std::to_string(s.sandboxes_max) + " sandboxes" + (s.neighbour ? ", beside a neighbour" : "") +
          ", calm " + std::to_string(s.calm_after.count()) + " ms after the last deed";
  for (const auto& each : s.deeds)
    text += "\n  " + std::to_string(each.at.count()) + " ms: " + std::string{name_of(each.what)} + " " +
            std::to_string(each.who) + "." + std::to_string(each.variant);
  for (const auto& each : s.strikes)
    text += "\n  crash " + std::string{name_of(each.how)} + " " + std::to_string(each.count) +
            (each.later == 0 ? "" : ", " + std::to_string(each.later) + " messages later") + ", for " +
            std::to_string(each.down.count()) + " ms, " + std::to_string(each.survives) + " % survives";
  for (const auto& each : s.troubles)
    text += "\n  " + each.kind + ": " + each.spec;
  return text + "\n";
}

} // namespace nestor::simulation
