#include <nestor/nested/json_text.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <map>
#include <vector>

namespace nestor::nested {
namespace {

// Its strings, the lexer's token buffer among them, are wiped when freed.
using wiped_json = nlohmann::basic_json<std::map, std::vector, wiped_string>;

/// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto tail = [&](std::size_t i) { return (at(i) & 0xc0U) == 0x80U; };
  unsigned first = at(0);
  if (first >= 0xc2 && first <= 0xdf)
    return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    unsigned high = first == 0xed ? 0x9f : 0xbf;
    return at(1) >= low && at(1) <= high && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    unsigned low = first == 0xf0 ? 0x90 : 0x80;
    unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return at(1) >= low && at(1) <= high && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

void append_escape(wiped_string& out, char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  out += "\\u00";
  out += hex[static_cast<unsigned char>(c) >> 4U];
  out += hex[static_cast<unsigned char>(c) & 15U];
}

class leaf_stream {
public:
  leaf_stream(detail::leaf_sink sink, void* context) : sink_(sink), context_(context) {
    path_.reserve(64);
    open_.reserve(8);
  }

  // -- what nlohmann's parser calls ---------------------------------------------------------------------------------
  bool null() { return scalar(json_kind::null, "null"); }
  bool boolean(bool value) { return scalar(json_kind::boolean, value ? "true" : "false"); }
  bool number_integer(std::int64_t value) { return number(value); }
  bool number_unsigned(std::uint64_t value) { return number(value); }
  bool number_float(double, const wiped_string& text) { return scalar(json_kind::number, text); }
  bool string(wiped_string& text) { return scalar(json_kind::string, text); }
  bool binary(wiped_json::binary_t&) { return false; } // JSON text has none
  bool start_object(std::size_t) { return open(false); }
  bool start_array(std::size_t) { return open(true); }
  bool end_object() { return close(json_kind::object); }
  bool end_array() { return close(json_kind::array); }
  bool key(wiped_string& name) {
    auto& top = open_.back();
    ++top.elements;
    path_.resize(top.path_size);
    path_ += '/';
    for (char c : name) {
      if (c == '~')
        path_ += "~0";
      else if (c == '/')
        path_ += "~1";
      else
        path_ += c;
    }
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

private:
  struct level {
    bool array;
    std::size_t path_size;
    std::size_t elements;
  };

  void place() { // an array's element gets its index as the last segment
    if (open_.empty() || !open_.back().array)
      return;
    auto& top = open_.back();
    path_.resize(top.path_size);
    path_ += '/';
    append_number(path_, top.elements++);
  }
  template <class Text, class Number>
  static void append_number(Text& out, Number value) {
    std::array<char, 24> digits{};
    auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  }
  template <class Number>
  bool number(Number value) {
    std::string text;
    append_number(text, value);
    return scalar(json_kind::number, text);
  }
  bool scalar(json_kind kind, std::string_view text) {
    place();
    sink_(context_, {path_, kind, text});
    return true;
  }
  bool open(bool array) {
    if (open_.size() == json_depth_max)
      return false;
    place();
    open_.push_back({array, path_.size(), 0});
    return true;
  }
  bool close(json_kind kind) {
    auto top = open_.back();
    open_.pop_back();
    path_.resize(top.path_size);
    std::string count;
    append_number(count, top.elements);
    sink_(context_, {path_, kind, count});
    return true;
  }

  detail::leaf_sink sink_;
  void* context_;
  std::string path_;
  std::vector<level> open_;
};

} // namespace

bool append_json(wiped_string& out, std::string_view text) {
  auto before = out.size();
  out += '"';
  std::size_t plain = 0; // start of the run that needs no escape
  std::size_t i = 0;
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      auto length = utf8_length(text.substr(i));
      if (length == 0) {
        wipe(out.data() + before, out.size() - before);
        out.resize(before);
        return false;
      }
      i += length;
      continue;
    }
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
      out.append(text.substr(plain, i - plain));
      append_escape(out, text[i]);
      plain = i + 1;
    }
    ++i;
  }
  out.append(text.substr(plain));
  out += '"';
  return true;
}

void json_object::name(std::string_view name) {
  if (!first_)
    out_ += ',';
  first_ = false;
  good_ = append_json(out_, name) && good_;
  out_ += ':';
}

void json_object::member(std::string_view key, std::string_view text) {
  name(key);
  good_ = append_json(out_, text) && good_;
}

void json_object::member(std::string_view key, const secret& text) {
  text.expose([&](std::string_view plain) { member(key, plain); });
}

void json_object::member(std::string_view key, const std::optional<std::string>& text) {
  if (text)
    return member(key, std::string_view{*text});
  name(key);
  out_ += "null";
}

void json_object::open(std::string_view key) {
  name(key);
  out_ += '{';
  first_ = true;
}

void json_object::close() {
  out_ += '}';
  first_ = false;
}

bool json_object::finish() {
  out_ += '}';
  return good_;
}

bool detail::read_json(std::string_view text, leaf_sink sink, void* context) {
  if (text.size() > json_bytes_max)
    return false;
  // `basic_json::sax_parse` would also instantiate the binary readers, which insist on std::string (3.11.2).
  leaf_stream stream{sink, context};
  auto bytes = nlohmann::detail::input_adapter(text.data(), text.data() + text.size());
  nlohmann::detail::parser<wiped_json, decltype(bytes)> parser{std::move(bytes), nullptr, false};
  return parser.sax_parse(&stream, true);
}

std::string unescape_pointer(std::string_view segment) {
  std::string out;
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] == '~' && i + 1 < segment.size()) {
      ++i;
      out += segment[i] == '1' ? '/' : '~';
    } else {
      out += segment[i];
    }
  }
  return out;
}

} // namespace nestor::nested
