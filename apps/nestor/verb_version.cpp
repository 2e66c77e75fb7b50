#include "served_node.hpp"
#include "verbs.hpp"

#include <nestor/providers/provider.hpp>

#include <nlohmann/json.hpp>

#include <iostream>

#ifndef NESTOR_VERSION
#  define NESTOR_VERSION "unknown"
#endif

namespace nestor::cli {
namespace {

#if defined(__clang__)
constexpr std::string_view compiler = "clang " __clang_version__;
#else
constexpr std::string_view compiler = "gcc " __VERSION__;
#endif

} // namespace

std::string build_version() {
  return NESTOR_VERSION;
}

int run_version(const version_options& o) {
  if (o.as == output::json) {
    nlohmann::ordered_json about{{"name", "nestor"}, {"version", NESTOR_VERSION}, {"compiler", compiler}};
    about["providers"] = nlohmann::json::array();
    for (const auto* p : providers::all())
      about["providers"].push_back(p->kind);
    std::cout << about.dump() << '\n';
  } else {
    std::cout << "nestor " << NESTOR_VERSION << '\n';
  }
  return done;
}

} // namespace nestor::cli
