#include "yaml_reader.hpp"

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <istream>
#include <set>
#include <streambuf>
#include <vector>

namespace nestor::cli {
namespace {

/// Leaves the parser; never leaves this file.
struct stop {
  syntax_fault why;
};

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view without_zeros(std::string_view digits) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return digits;
}

/// YAML 1.2 core: `0o17`, `0x1f`. Nothing when it is neither; empty when the number is too large.
std::optional<std::string> other_base(std::string_view text) {
  int base = text.starts_with("0o") ? 8 : text.starts_with("0x") ? 16 : 0;
  std::uint64_t value = 0;
  if (base == 0 || text.size() == 2)
    return std::nullopt;
  auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, base);
  if (end != text.data() + text.size())
    return std::nullopt;
  return error == std::errc{} ? std::to_string(value) : std::string{};
}

/// YAML 1.2 core: [-+]? ( digits | digits . digits? | . digits ) ( [eE] [-+]? digits )? as JSON writes it.
std::optional<std::string> decimal(std::string_view text) {
  std::string json;
  if (text.starts_with('-') || text.starts_with('+')) {
    json = text.front() == '-' ? "-" : "";
    text.remove_prefix(1);
  }
  auto e = text.find_first_of("eE");
  auto mantissa = text.substr(0, e);
  auto dot = mantissa.find('.');
  auto whole = mantissa.substr(0, dot);
  auto fraction = dot == mantissa.npos ? std::string_view{} : mantissa.substr(dot + 1);
  if ((whole.empty() && fraction.empty()) || (!whole.empty() && !all_digits(whole)) ||
      (!fraction.empty() && !all_digits(fraction)))
    return std::nullopt;
  json += whole.empty() ? "0" : without_zeros(whole);
  if (dot != mantissa.npos)
    json.append(".").append(fraction.empty() ? "0" : fraction);
  if (e == text.npos)
    return json;
  auto exponent = text.substr(e + 1);
  auto sign = exponent.starts_with('-') || exponent.starts_with('+') ? exponent.substr(0, 1) : std::string_view{};
  exponent.remove_prefix(sign.size());
  if (!all_digits(exponent))
    return std::nullopt;
  return json.append("e").append(sign).append(exponent);
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

class json_writer : public YAML::EventHandler {
public:
  json_writer(std::string_view text, document& into, bool places_only)
      : source_(text), into_(into), places_only_(places_only) {}

  [[nodiscard]] bool began() const { return began_; }
  [[nodiscard]] std::string here() const {
    if (open_.empty())
      return {};
    const auto& top = open_.back();
    if (!top.map)
      return element_path(top.path, top.count);
    return top.key.empty() || top.wants_key ? top.path : member_path(top.path, top.key);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(began_, true))
      refuse(mark, "expected one document, got a second one");
  }
  void OnDocumentEnd() override {} // nothing is left open
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    refuse(mark, "expected plain values, got an anchor (&); write the value out");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "expected plain values, got an alias (*); write the value out");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (wants_key())
      refuse(mark, "expected a name, got null");
    value(mark);
    into_.json += "null";
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!quoted)
      refuse_tag(mark, tag);
    if (quoted && !closes(mark))
      refuse(mark, "expected valid YAML: this quote is never closed");
    if (wants_key())
      return key(mark, text);
    auto json = places_only_ ? wiped_string{} : scalar(mark, text, quoted);
    value(mark);
    into_.json += json;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, false);
  }
  void OnSequenceEnd() override { close(']'); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, tag, true);
  }
  void OnMapEnd() override { close('}'); }

private:
  struct level {
    bool map;
    bool wants_key;
    std::string path;
    std::string key;
    std::set<std::string> names;
    std::size_t count = 0;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string message) const {
    throw stop{{{mark.line + 1, mark.column + 1}, here(), std::move(message)}};
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, "expected plain values, got a tag (!); remove it");
  }
  [[nodiscard]] bool wants_key() const { return !open_.empty() && open_.back().map && open_.back().wants_key; }

  void key(const YAML::Mark& mark, const std::string& name) {
    auto& top = open_.back();
    top.key = name;
    top.wants_key = false;
    auto path = member_path(top.path, name);
    into_.places[path] = {mark.line + 1, mark.column + 1};
    if (places_only_)
      return;
    if (name == "<<")
      refuse(mark, "expected plain members, got a merge key (<<); write them out");
    if (!top.names.insert(name).second)
      refuse(mark, "expected each name once, got the same name twice");
    if (top.count++ > 0)
      into_.json += ',';
    nested::append_json(into_.json, name);
    into_.json += ':';
  }
  /// A value begins, in a list, behind a key or as the document.
  void value(const YAML::Mark& mark) {
    if (open_.empty())
      return;
    auto& top = open_.back();
    if (top.map) {
      top.wants_key = true;
      return;
    }
    into_.places[element_path(top.path, top.count)] = {mark.line + 1, mark.column + 1};
    if (top.count++ > 0)
      into_.json += ',';
  }
  void open(const YAML::Mark& mark, const std::string& tag, bool map) {
    refuse_tag(mark, tag);
    if (wants_key())
      refuse(mark, map ? "expected a name, got an object" : "expected a name, got a list");
    if (open_.size() == spec_depth_max)
      refuse(mark, "expected nesting of at most 32 levels, got deeper nesting");
    auto path = here();
    value(mark);
    open_.push_back({map, map, std::move(path), {}, {}, 0});
    into_.json += map ? '{' : '[';
  }
  void close(char bracket) {
    open_.pop_back();
    into_.json += bracket;
  }
  /// The JSON text of a scalar.
  wiped_string scalar(const YAML::Mark& mark, const std::string& text, bool quoted) const {
    wiped_string json;
    if (quoted) {
      nested::append_json(json, text);
    } else if (one_of(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
      json = text[0] == 't' || text[0] == 'T' ? "true" : "false";
    } else if (one_of(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                             ".NaN", ".NAN"})) {
      refuse(mark, "expected a value JSON can carry, got an infinity or no number; quote it if it is text");
    } else if (auto number = other_base(text)) {
      if (number->empty())
        refuse(mark, "expected an integer below 2^64, got a larger one; quote it if it is text");
      json = std::string_view{*number};
    } else if (auto plain = decimal(text)) {
      json = std::string_view{*plain};
    } else {
      nested::append_json(json, text);
    }
    return json;
  }
  /// yaml-cpp 0.7 takes a quote that the end of the text closes; a file that was cut off must not pass for a whole one.
  [[nodiscard]] bool closes(const YAML::Mark& mark) const {
    auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    if (at >= source_.size() || (source_[at] != '"' && source_[at] != '\''))
      return true; // a block scalar
    for (auto quote = source_[at++]; at < source_.size(); ++at) {
      if (source_[at] == '\\' && quote == '"')
        ++at;
      else if (source_[at] == quote)
        return true;
    }
    return false;
  }

  std::string_view source_;
  document& into_;
  bool places_only_;
  bool began_ = false;
  std::vector<level> open_;
};

/// What the parser says, when it says nothing of the text itself (anchors and tags are named in some messages).
std::string said(const std::string& message) {
  namespace m = YAML::ErrorMsg;
  for (const char* harmless :
       {m::END_OF_MAP, m::END_OF_MAP_FLOW, m::END_OF_SEQ, m::END_OF_SEQ_FLOW, m::MAP_KEY, m::MAP_VALUE, m::BLOCK_ENTRY,
        m::FLOW_END, m::TAB_IN_INDENTATION, m::EOF_IN_SCALAR, m::CHAR_IN_SCALAR, m::UNKNOWN_TOKEN, m::DOC_IN_SCALAR,
        m::INVALID_ESCAPE, m::INVALID_HEX, m::INVALID_UNICODE})
    if (message == harmless)
      return ": " + message;
  return {};
}

bool tab_indents(std::string_view text, int line) {
  for (; line > 0 && !text.empty(); --line)
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  auto first = text.find_first_not_of(' ');
  return first != text.npos && text[first] == '\t';
}

/// Reads from the text itself: a stringstream would keep a copy of every secret in it.
struct view_buffer : std::streambuf {
  explicit view_buffer(std::string_view text) {
    auto* begin = const_cast<char*>(text.data()); // a get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

} // namespace

std::optional<syntax_fault> read_yaml(std::string_view text, document& into, bool places_only) {
  json_writer writer{text, into, places_only};
  view_buffer buffer{text};
  std::istream stream{&buffer};
  try {
    YAML::Parser parser{stream};
    if (!parser.HandleNextDocument(writer))
      return syntax_fault{{}, {}, "expected an object of fields, got an empty document"};
    parser.HandleNextDocument(writer);
  } catch (const stop& s) { return s.why; } catch (const YAML::Exception& e) {
    std::string message = "expected valid YAML" + said(e.msg);
    if (tab_indents(text, e.mark.line))
      message = "expected valid YAML: tabs cannot indent, use spaces";
    return syntax_fault{{e.mark.line + 1, e.mark.column + 1}, writer.here(), std::move(message)};
  }
  return std::nullopt;
}

} // namespace nestor::cli
