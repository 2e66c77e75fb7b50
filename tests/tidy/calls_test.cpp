// Calls that have a home, and are nowhere else.
#include "source_tree.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor::tidy;

namespace {

struct homed_call {
  std::string_view call;
  std::vector<std::string_view> homes; ///< paths or their beginnings
  std::string_view instead;
};

const std::vector<homed_call> homed_calls{
  {"::now(", {"actors/nestor/io/clock.", "tests/"}, "time is a parameter; ask nestor/io/clock.hpp at the edge"},
  {"clock_gettime(",
   {"actors/nestor/io/clock.", "apps/guardian/", "tests/"},
   "time is a parameter; ask nestor/io/clock.hpp at the edge"},
  {"getenv(",
   {"actors/nestor/io/", "apps/", "tests/"},
   "only io reads the environment: for secrets that are named, and for children"},
  {"sleep_for(", {"actors/nestor/io/journal_store.cpp"}, "wait for the event itself"},
  {"sleep_until(", {}, "wait for the event itself"},
  {"usleep(", {}, "wait for the event itself"},
  {"nanosleep(", {}, "wait for the event itself"},
  {"caf::infinite", {"actors/nestor/actors/caf.hpp"}, "every request has a deadline with a name and a reason"},
  {"std::cout", {"apps/", "tests/"}, "a library prints nothing"},
  {"std::cerr", {"apps/", "tests/"}, "a library prints nothing"},
  {"printf(", {"apps/", "tests/"}, "a library prints nothing"},
  {"std::exit(", {"apps/", "tests/"}, "a library never exits"},
  {"std::rand(", {}, "randomness is an input; nestor/io/entropy.hpp brings it"},
  {"std::system(", {}, "a program and its arguments, never a shell string"},
};

bool at_home(const source_file& file, const homed_call& rule) {
  return std::any_of(rule.homes.begin(), rule.homes.end(), [&](auto home) { return file.under(home); });
}

/// True when `line` calls it: `snprintf(` is not `printf(`.
bool calls(std::string_view line, std::string_view call) {
  auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (auto at = line.find(call); at != std::string_view::npos; at = line.find(call, at + 1))
    if (at == 0 || call.front() == ':' || !is_letter(line[at - 1]))
      return true;
  return false;
}

} // namespace

TEST_CASE("time, environment, waiting and printing are called only at home") {
  for (const auto& file : cpp_files())
    for (const auto& rule : homed_calls)
      if (!at_home(file, rule))
        for (std::size_t n = 0; n < file.code.size(); ++n)
          if (calls(file.code[n], rule.call))
            FAIL_CHECK(file.path << ':' << n + 1 << ": " << rule.call << " — " << rule.instead);
}
