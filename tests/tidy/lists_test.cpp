// One list for everything enumerated: a line of a .def file names a source file, and every such file has its line.
#include "source_tree.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <regex>
#include <set>

using namespace nestor::tidy;

namespace {

std::set<std::string> lines_of_list(const std::string& path, const std::string& macro) {
  std::set<std::string> names;
  const std::regex line{"(?:^|\n)" + macro + R"(\(([a-z0-9_]+)[,)])"};
  for (const auto& file : all_files())
    if (file.path == path)
      for (std::sregex_iterator at{file.text.begin(), file.text.end(), line}, end; at != end; ++at)
        names.insert((*at)[1]);
  return names;
}

/// Names of the .cpp files in `folder` that define NAME_`suffix`(.
std::set<std::string> files_that_define(const std::string& folder, const std::string& suffix) {
  std::set<std::string> names;
  for (const auto& file : cpp_files()) {
    if (!file.under(folder) || file.is_header())
      continue;
    auto stem = file.path.substr(folder.size(), file.path.size() - folder.size() - 4);
    auto defines = [&](auto& line) { return line.find(" " + stem + suffix + "(") != std::string::npos; };
    if (std::any_of(file.code.begin(), file.code.end(), defines))
      names.insert(stem);
  }
  return names;
}

} // namespace

TEST_CASE("every provider's line has its file, and every provider's file its line") {
  auto listed = lines_of_list("protocols/nestor/providers/providers.def", "NESTOR_PROVIDER");
  CHECK_FALSE(listed.empty());
  CHECK(listed == files_that_define("protocols/nestor/providers/", "_provider"));
}

TEST_CASE("every dialect's line has its file, and every dialect's file its line") {
  auto listed = lines_of_list("protocols/nestor/nested/dialects.def", "NESTOR_DIALECT");
  CHECK_FALSE(listed.empty());
  CHECK(listed == files_that_define("protocols/nestor/nested/", "_dialect"));
}
