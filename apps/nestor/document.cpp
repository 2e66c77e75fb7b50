#include "document.hpp"

#include "yaml_reader.hpp"

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace nestor::cli {
namespace {

failure refused(const std::string& file, position at, const std::string& path, const std::string& message) {
  auto cause = file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
               (path.empty() ? "the document" : path) + ": " + message;
  return {errc::spec_invalid, step::queue, std::move(cause), 0, {}};
}

failure unreadable(const std::string& file, const std::string& why) {
  return {errc::spec_invalid, step::queue, file + ": the document: expected a readable file, got " + why, 0, {}};
}

/// Everything that makes a text none, line by line, before a parser sees it.
std::optional<syntax_fault> objection(std::string_view text) {
  if (text.size() > spec_bytes_max)
    return syntax_fault{{}, {}, "expected at most 1 MiB, got more"};
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    auto end = std::min(text.find('\n', begin), text.size());
    auto line = text.substr(begin, end - begin);
    ++number;
    if (line.size() > spec_line_max)
      return syntax_fault{
        {number, 1}, {}, "expected lines of at most 32 KiB, got one of " + std::to_string(line.size()) + " bytes"};
    wiped_string scratch;
    if (!nested::append_json(scratch, line))
      return syntax_fault{{number, 1}, {}, "expected UTF-8, got other bytes in this line"};
    for (std::size_t i = 0; i < line.size(); ++i)
      if (auto c = static_cast<unsigned char>(line[i]); (c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
        return syntax_fault{{number, static_cast<int>(i) + 1}, {}, "expected text, got a control character"};
    begin = end + 1;
  }
  return std::nullopt;
}

/// Notes where a parser stops, and builds nothing.
class json_check : public nlohmann::json_sax<nlohmann::json> {
public:
  std::size_t stopped = 0;
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string& text) override { return wiped(text); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return true; }
  bool key(std::string&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    stopped = at;
    return false;
  }

private:
  static bool wiped(std::string& text) {
    wipe(text);
    return true;
  }
};

std::optional<syntax_fault> read_json(std::string_view text, document& into) {
  json_check check;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &check)) {
    auto before = text.substr(0, check.stopped == 0 ? 0 : std::min(check.stopped - 1, text.size()));
    auto line = static_cast<int>(std::ranges::count(before, '\n')) + 1;
    auto column =
      static_cast<int>(before.size() - (before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1)) + 1;
    return syntax_fault{
      {line, column},
      {},
      "expected valid JSON (a document that begins with '{' or '[' is JSON), got something else here"};
  }
  document scratch; // JSON is YAML in all that matters for places; what is not leaves them unknown
  read_yaml(text, scratch, true);
  into.places = std::move(scratch.places);
  into.json.assign(text);
  return std::nullopt;
}

} // namespace

expected<document> to_document(std::string name, std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark))
    text.remove_prefix(byte_order_mark.size());
  document made;
  made.file = std::move(name);
  auto wrong = objection(text);
  if (!wrong) {
    auto first = text.find_first_not_of(" \t\r\n");
    bool json = first != text.npos && (text[first] == '{' || text[first] == '[');
    wrong = json ? read_json(text, made) : read_yaml(text, made, false);
  }
  if (wrong)
    return refused(made.file, wrong->at, wrong->path, wrong->message);
  return made;
}

expected<document> read_document(const std::string& file) {
  bool standard_input = file == "-";
  auto name = standard_input ? std::string{"(standard input)"} : file;
  std::ifstream stream;
  if (!standard_input) {
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored))
      return unreadable(name, "a folder");
    errno = 0;
    stream.open(file, std::ios::binary);
    if (!stream)
      return unreadable(name, errno == 0 ? "none" : std::string{std::strerror(errno)});
  }
  std::istream& in = standard_input ? std::cin : stream;
  wiped_string text(spec_bytes_max + 1, '\0'); // one more than allowed: more shows itself
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad())
    return unreadable(name, "a read error");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return to_document(std::move(name), text);
}

std::string located(const document& from, const fault& f) {
  position at;
  for (std::string_view path = f.path; !path.empty();) {
    if (auto found = from.places.find(path); found != from.places.end()) {
      at = found->second;
      break;
    }
    auto cut = path.find_last_of(".[");
    path = path.substr(0, cut == path.npos ? 0 : cut);
  }
  return from.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + to_string(f);
}

} // namespace nestor::cli
