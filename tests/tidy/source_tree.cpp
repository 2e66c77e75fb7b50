#include "source_tree.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>
#include <sstream>

namespace nestor::tidy {
namespace {

namespace fs = std::filesystem;

bool in_identifier(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Blanks comments and the insides of literals; keeps every line break, so that line numbers stay true.
class blanker {
public:
  explicit blanker(std::string text) : text_(std::move(text)) {}

  std::string run() && {
    while (at_ < text_.size())
      step();
    return std::move(text_);
  }

private:
  void step() {
    auto rest = std::string_view{text_}.substr(at_);
    if (rest.starts_with("//"))
      blank_until("\n", false);
    else if (rest.starts_with("/*"))
      blank_until("*/", true);
    else if (rest.starts_with("R\"") && (at_ == 0 || !in_identifier(text_[at_ - 1])))
      raw_string();
    else if (text_[at_] == '"')
      literal('"');
    else if (text_[at_] == '\'' && (at_ == 0 || !in_identifier(text_[at_ - 1]))) // else it separates digits
      literal('\'');
    else
      ++at_;
  }

  void blank_to(std::size_t end) {
    for (; at_ < std::min(end, text_.size()); ++at_)
      if (text_[at_] != '\n')
        text_[at_] = ' ';
  }

  void blank_until(std::string_view mark, bool mark_too) {
    auto end = text_.find(mark, at_);
    blank_to(end == std::string::npos ? text_.size() : end + (mark_too ? mark.size() : 0));
  }

  void raw_string() {
    auto open = text_.find('(', at_);
    auto mark = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
    blank_until(mark, true);
  }

  void literal(char quote) {
    ++at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n')
      blank_to(at_ + (text_[at_] == '\\' ? 2 : 1));
    ++at_;
  }

  std::string text_;
  std::size_t at_ = 0;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

bool is_ours(const fs::path& path) {
  static const std::array<std::string_view, 10> endings{".cpp",   ".hpp", ".def",  ".md",   ".txt",
                                                        ".cmake", ".in",  ".yaml", ".json", ""};
  return std::find(endings.begin(), endings.end(), path.extension().string()) != endings.end();
}

bool is_walked(const fs::path& path) {
  auto name = path.filename().string();
  return name != "build" && name != ".git" && name != ".cache" && name != "seeds";
}

source_file read(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  source_file file;
  file.path = fs::relative(path, repository()).generic_string();
  file.text.assign(std::istreambuf_iterator<char>{in}, {});
  if (file.is_cpp())
    file.code = lines_of(blanker{file.text}.run());
  return file;
}

std::vector<source_file> read_all() {
  std::vector<source_file> files;
  for (auto at = fs::recursive_directory_iterator{repository()}; at != fs::recursive_directory_iterator{}; ++at) {
    if (at->is_directory() && !is_walked(at->path()))
      at.disable_recursion_pending();
    else if (at->is_regular_file() && is_ours(at->path()))
      files.push_back(read(at->path()));
  }
  std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return a.path < b.path; });
  return files;
}

std::string one_line(std::string_view head) {
  std::string out;
  for (char c : head)
    if (!std::isspace(static_cast<unsigned char>(c)))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  return out;
}

enum class brace { scope, function, other };

/// What the brace after `head` opens.
brace kind_of(const std::string& head) {
  for (auto word : {"namespace", "class", "struct", "union", "enum", "extern"})
    if (has_word(head.substr(0, head.find('(')), word))
      return brace::scope;
  auto open = head.find('(');
  auto assigned = head.find('=');
  auto is_initialiser = assigned != std::string::npos && assigned < open && head.find("operator") == std::string::npos;
  return open != std::string::npos && !is_initialiser ? brace::function : brace::other;
}

} // namespace

fs::path repository() {
  return NESTOR_SOURCE_DIR;
}

const std::vector<source_file>& all_files() {
  static const auto files = read_all();
  return files;
}

std::vector<source_file> cpp_files() {
  std::vector<source_file> files;
  std::copy_if(all_files().begin(), all_files().end(), std::back_inserter(files), [](auto& f) { return f.is_cpp(); });
  return files;
}

std::vector<std::string> includes_of(const source_file& file) {
  std::vector<std::string> names;
  for (const auto& line : lines_of(file.text)) {
    auto start = line.find_first_not_of(" \t");
    if (start == std::string::npos || line[start] != '#' || line.find("include") == std::string::npos)
      continue;
    auto open = line.find_first_of("<\"");
    auto close = line.find_last_of(">\"");
    if (open != std::string::npos && close > open)
      names.push_back(line.substr(open + 1, close - open - 1));
  }
  return names;
}

bool has_word(std::string_view line, std::string_view word) {
  for (auto at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    auto after = at + word.size();
    if ((at == 0 || !in_identifier(line[at - 1])) && (after == line.size() || !in_identifier(line[after])))
      return true;
  }
  return false;
}

std::vector<function_body> functions_of(const source_file& file) {
  std::vector<function_body> found;
  std::vector<brace> open;
  std::string head;
  auto in_function = [&] { return std::count(open.begin(), open.end(), brace::scope) != std::ssize(open); };
  bool directive = false; // a preprocessor line, or the continuation of one
  for (std::size_t n = 0; n < file.code.size(); ++n) {
    const auto& line = file.code[n];
    auto first = line.find_first_not_of(" \t");
    directive = directive || (first != std::string::npos && line[first] == '#');
    if (directive) {
      directive = line.ends_with('\\');
      continue;
    }
    for (char c : line) {
      if (c == '{') {
        auto kind = kind_of(head);
        if (kind == brace::function && !in_function())
          found.push_back({one_line(head), n + 1, 0});
        else if (kind == brace::function)
          kind = brace::other;
        open.push_back(kind);
      } else if (c == '}' && !open.empty()) {
        if (open.back() == brace::function)
          found.back().lines = n + 1 - found.back().line;
        open.pop_back();
      }
      if (c == '{' || c == '}' || c == ';')
        head.clear();
      else
        head += c;
    }
    head += ' ';
  }
  return found;
}

} // namespace nestor::tidy
