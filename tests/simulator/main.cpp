// nestor_simulation: runs seeds, and shows the first that breaks a promise, made as short as it gets.
#include "planted.hpp"
#include "scenario.hpp"
#include "simulation.hpp"

#include <CLI/CLI.hpp>

#include <nestor/actors/messages.hpp>

#include <chrono>
#include <cstdio>
#include <string>

namespace {

using namespace nestor::simulation;
using clock_type = std::chrono::steady_clock;

struct asked_for {
  std::uint64_t seeds = 1'000;
  std::uint64_t from = 1;
  std::uint64_t seed = 0;
  double seconds = 0;
  bool transcript = false;
  bool brief = false;
  bool list_planted = false;
  std::string planted;
};

double seconds_since(clock_type::time_point began) {
  return std::chrono::duration<double>(clock_type::now() - began).count();
}

int show(std::uint64_t seed, const planted* broken) {
  auto s = shrunk(scenario_of(seed), broken);
  auto came = run(s, broken);
  std::printf("%s\nseed %llu breaks a promise: %s\nwhat it takes:\n%s", came.transcript.c_str(),
              static_cast<unsigned long long>(seed), came.fault.c_str(), to_text(s).c_str());
  std::printf("again: nestor_simulation --seed %llu --transcript%s%s\n", static_cast<unsigned long long>(seed),
              broken ? " --planted " : "", broken ? std::string{broken->name}.c_str() : "");
  return 1;
}

int run_one(const asked_for& what, const planted* broken) {
  auto s = scenario_of(what.seed);
  auto came = run(s, broken);
  if (what.transcript)
    std::printf("%s%s", came.transcript.c_str(), to_text(s).c_str());
  std::printf("seed %llu: %s, hash %016llx, %zu messages, %zu crashes, %zu became Ready\n",
              static_cast<unsigned long long>(what.seed), came.fault.empty() ? "kept" : came.fault.c_str(),
              static_cast<unsigned long long>(came.hash), came.messages, came.crashes, came.became_ready);
  return came.fault.empty() ? 0 : 1;
}

int run_many(const asked_for& what, const planted* broken) {
  auto began = clock_type::now();
  std::size_t ready = 0, crashes = 0, messages = 0;
  auto seed = what.from;
  for (; seed < what.from + what.seeds; ++seed) {
    auto came = run(scenario_of(seed), broken);
    if (!came.fault.empty() && what.brief)
      return std::printf("seed %llu breaks a promise: %s\n", static_cast<unsigned long long>(seed), came.fault.c_str()),
             1;
    if (!came.fault.empty())
      return show(seed, broken);
    ready += came.became_ready;
    crashes += came.crashes;
    messages += came.messages;
    if (what.seconds > 0 && seconds_since(began) > what.seconds) {
      ++seed;
      break;
    }
  }
  auto ran = seed - what.from;
  auto spent = seconds_since(began);
  std::printf("seeds %llu to %llu: every promise kept; %zu sandboxes became Ready, %zu crashes, %zu messages; "
              "%.1f s, %.2f ms a seed\n",
              static_cast<unsigned long long>(what.from), static_cast<unsigned long long>(seed - 1), ready, crashes,
              messages, spent, ran == 0 ? 0 : spent * 1000 / static_cast<double>(ran));
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  nestor::actors::register_messages();
  asked_for what;
  CLI::App app{"Runs a whole node in one thread, and breaks what can be broken around it."};
  app.add_option("--seeds", what.seeds, "how many")->capture_default_str();
  app.add_option("--from", what.from, "the first")->capture_default_str();
  app.add_option("--seed", what.seed, "this one only");
  app.add_option("--seconds", what.seconds, "begin no other seed after that time; 0: no limit");
  app.add_flag("--transcript", what.transcript, "with --seed: everything that happens");
  app.add_flag("--brief", what.brief, "says only which seed breaks what, and ends");
  app.add_option("--planted", what.planted, "with that bug planted; --planted-list names them");
  app.add_flag("--planted-list", what.list_planted, "the bugs that can be planted");
  CLI11_PARSE(app, argc, argv);
  if (what.list_planted) {
    for (const auto& each : all_planted())
      std::printf("%-32s %s\n", std::string{each.name}.c_str(), std::string{each.summary}.c_str());
    return 0;
  }
  const auto* broken = what.planted.empty() ? nullptr : planted_named(what.planted);
  if (!broken && !what.planted.empty()) {
    std::printf("there is no such bug to plant; --planted-list names them\n");
    return 2;
  }
  return what.seed != 0 ? run_one(what, broken) : run_many(what, broken);
}
