// This repository's own files as text, for tests that keep its rules. Knows C++ only as far as comments, strings and
// braces go; no compiler is asked, so the rules stay fast and run everywhere.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::tidy {

struct source_file {
  std::string path;              ///< relative to the repository, with '/'
  std::string text;              ///< as it is
  std::vector<std::string> code; ///< its lines (C++ only), with comments and the insides of literals blanked

  [[nodiscard]] bool under(std::string_view folder) const { return path.starts_with(folder); }
  [[nodiscard]] bool is_header() const { return path.ends_with(".hpp"); }
  [[nodiscard]] bool is_cpp() const { return is_header() || path.ends_with(".cpp"); }
};

/// Where the checkout is.
std::filesystem::path repository();

/// All text files of the checkout, read once; build trees and .git left out.
const std::vector<source_file>& all_files();

/// The C++ ones.
std::vector<source_file> cpp_files();

/// What a file includes, without the brackets or quotes.
std::vector<std::string> includes_of(const source_file& file);

/// True when `line` holds `word` with no identifier character on either side of it.
bool has_word(std::string_view line, std::string_view word);

struct function_body {
  std::string head;     ///< its declaration, on one line
  std::size_t line = 0; ///< where its brace opens, counted from 1
  std::size_t lines = 0;
};

/// Functions, member functions and test cases, approximately: what is not inside another one counts.
std::vector<function_body> functions_of(const source_file& file);

} // namespace nestor::tidy
