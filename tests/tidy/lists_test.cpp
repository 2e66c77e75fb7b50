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

/// Every test case's name, and every stage's.
std::set<std::string> names_of_tests() {
  std::set<std::string> names;
  const std::regex name{R"re((?:TEST_CASE\(|TEST_CASE_METHOD\([a-z_:]+,|nestor_stage\()\s*"([^"]+)")re"};
  for (const auto& file : all_files())
    if (file.under("tests/"))
      for (std::sregex_iterator at{file.text.begin(), file.text.end(), name}, end; at != end; ++at)
        names.insert((*at)[1]);
  return names;
}

std::string text_of_file(const std::string& path) {
  for (const auto& file : all_files())
    if (file.path == path)
      return file.text;
  return {};
}

} // namespace

TEST_CASE("every threat of the threat model names a test that there is") {
  auto names = names_of_tests();
  auto model = text_of_file("docs/threat_model.md");
  const std::regex row{R"(\| `([^`]+)` \|\n)"};
  std::size_t threats = 0;
  for (std::sregex_iterator at{model.begin(), model.end(), row}, end; at != end; ++at, ++threats) {
    INFO((*at)[1]);
    CHECK(names.count((*at)[1]) == 1);
  }
  CHECK(threats > 30);
  std::size_t rows = 0;
  for (auto at = model.find("\n| "); at != std::string::npos; at = model.find("\n| ", at + 1))
    ++rows;
  CHECK(rows == threats + 1); // and the head of the table
}

TEST_CASE("every error code names a test that provokes it, and that there is") {
  auto tests = names_of_tests();
  auto listed = lines_of_list("protocols/nestor/core/errc.def", "NESTOR_ERRC");
  CHECK(listed.size() > 60);
  std::set<std::string> provoked;
  auto table = text_of_file("docs/failures.md");
  const std::regex row{R"(\n\| `([a-z_]+)` \| `([^`]+)` \|)"};
  for (std::sregex_iterator at{table.begin(), table.end(), row}, end; at != end; ++at) {
    INFO((*at)[1] << ": " << (*at)[2]);
    CHECK(tests.count((*at)[2]) == 1);
    CHECK(provoked.insert((*at)[1]).second);
  }
  CHECK(provoked == listed);
}

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
