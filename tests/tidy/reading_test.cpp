// How a file reads: sizes, words, and nothing left lying about.
#include "source_tree.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace nestor::tidy;

namespace {

constexpr std::size_t function_lines_max = 70; // a screen
constexpr std::size_t table_lines_max = 100;   // a test that is one table of cases
constexpr std::size_t file_lines_max = 550;    // more than one sitting: split by noun
constexpr std::size_t columns_max = 120;

std::size_t columns(std::string_view line) { // UTF-8: continuation bytes take no column
  return static_cast<std::size_t>(
    std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

template <class Visit>
void each_line(const source_file& file, Visit visit) {
  std::size_t n = 0;
  for (std::size_t at = 0; at < file.text.size();) {
    auto end = std::min(file.text.find('\n', at), file.text.size());
    visit(++n, std::string_view{file.text}.substr(at, end - at));
    at = end + 1;
  }
}

} // namespace

TEST_CASE("a function fits a screen") {
  for (const auto& file : cpp_files())
    for (const auto& body : functions_of(file))
      if (body.lines > (file.under("tests/") ? table_lines_max : function_lines_max))
        FAIL_CHECK(file.path << ':' << body.line << ": " << body.lines << " lines: " << body.head);
}

TEST_CASE("a file is read in one sitting") {
  for (const auto& file : cpp_files()) {
    auto lines = file.code.size();
    if (lines > file_lines_max)
      FAIL_CHECK(file.path << " has " << lines << " lines");
  }
}

TEST_CASE("a line fits the window") {
  for (const auto& file : cpp_files())
    each_line(file, [&](std::size_t n, std::string_view line) {
      if (columns(line) > columns_max)
        FAIL_CHECK(file.path << ':' << n << " has " << columns(line) << " columns");
      if (line.ends_with(' ') || line.find('\t') != std::string_view::npos)
        FAIL_CHECK(file.path << ':' << n << " has a tab or ends in a space");
    });
}

TEST_CASE("a header says what it is and is included once") {
  for (const auto& file : cpp_files())
    if (file.is_header()) {
      if (!file.text.starts_with("//"))
        FAIL_CHECK(file.path << " does not begin with a comment");
      if (file.text.find("\n#pragma once\n") == std::string::npos)
        FAIL_CHECK(file.path << " has no #pragma once");
    }
}

TEST_CASE("a conversation with a provider is never just a session") {
  for (const auto& file : cpp_files())
    for (std::size_t n = 0; n < file.code.size(); ++n)
      if (has_word(file.code[n], "session") && file.code[n].find("soci::session") == std::string::npos)
        FAIL_CHECK(file.path << ':' << n + 1 << ": which one? provider_session, session_key, remote_session_id");
}

TEST_CASE("files are named after nouns that say something") {
  for (const auto& file : all_files())
    for (auto word : {"manager", "helper", "util", "utils", "helpers", "misc", "common"}) {
      auto name = file.path.substr(file.path.rfind('/') + 1);
      std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '_'; }, ' ');
      if (has_word(name, word))
        FAIL_CHECK(file.path);
    }
}

TEST_CASE("nothing is left for later without saying so elsewhere") {
  // In halves, so that this file passes.
  const std::vector<std::string> leftovers{std::string{"FIX"} + "ME", std::string{"TO"} + "DO",
                                           std::string{"XX"} + "X"};
  for (const auto& file : all_files())
    each_line(file, [&](std::size_t n, std::string_view line) {
      for (const auto& word : leftovers)
        if (has_word(line, word))
          FAIL_CHECK(file.path << ':' << n << ": " << word);
    });
}

TEST_CASE("no file knows the machine it was written on") {
  for (const auto& file : all_files())
    each_line(file, [&](std::size_t n, std::string_view line) {
      for (const std::string& folder : {std::string{"work"}, std::string{"root"}, std::string{"opt/caf"}})
        if (line.find("/" + folder + (folder.size() == 4 ? "/" : "")) != std::string_view::npos)
          FAIL_CHECK(file.path << ':' << n << ": an absolute path");
    });
}

TEST_CASE("the top level holds what a newcomer looks for, and no more") {
  const std::set<std::string> known{
    "CMakeLists.txt", "CMakePresets.json", "CHANGELOG.md", "LICENSE", "README.md", "actors", "apps", "build", "cmake",
    "docs",           "protocols",         "tests"};
  const std::set<std::string> personal{"CMakeUserPresets.json", "compile_commands.json"};
  for (const auto& entry : std::filesystem::directory_iterator{repository()}) {
    auto name = entry.path().filename().string();
    if (!name.starts_with('.') && !known.contains(name) && !personal.contains(name))
      FAIL_CHECK(name);
  }
}
