#include <nestor/nested/json_text.hpp>

#include <array>
#include <charconv>
#include <vector>

namespace nestor::nested {
namespace {

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

constexpr bool digit(char c) {
  return c >= '0' && c <= '9';
}

/// One pass over the text (RFC 8259). Strings without escapes are handed on where they stand, so that what is read is
/// not copied; the others go through one wiped buffer. Own code because the library's lexer copies every character into
/// memory that is not wiped, and was 70 % of the instructions of a whole push.
class reader {
public:
  reader(std::string_view text, detail::leaf_sink sink, void* context) : text_(text), sink_(sink), context_(context) {
    path_.reserve(64);
    open_.reserve(8);
  }

  bool run() {
    skip_blanks();
    if (!value())
      return false;
    while (!open_.empty()) {
      skip_blanks();
      if (take(open_.back().array ? ']' : '}'))
        close();
      else if (!element())
        return false;
    }
    skip_blanks();
    return at_ == text_.size();
  }

private:
  struct level {
    bool array;
    std::size_t path_size;
    std::size_t elements;
  };

  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ == text_.size())
      return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word))
      return false;
    at_ += word.size();
    return true;
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t')
      ++at_;
  }

  bool element() {
    auto& top = open_.back();
    if (top.elements != 0) {
      if (!take(','))
        return false;
      skip_blanks();
    }
    path_.resize(top.path_size);
    path_ += '/';
    if (top.array) {
      append_number(path_, top.elements++);
      return value();
    }
    ++top.elements;
    std::string_view name;
    if (!string(name))
      return false;
    append_segment(name);
    skip_blanks();
    if (!take(':'))
      return false;
    skip_blanks();
    return value();
  }

  bool value() {
    std::string_view text;
    switch (peek()) {
      case '{': return open(false);
      case '[': return open(true);
      case '"': return string(text) && tell(json_kind::string, text);
      case 't': return take("true") && tell(json_kind::boolean, "true");
      case 'f': return take("false") && tell(json_kind::boolean, "false");
      case 'n': return take("null") && tell(json_kind::null, "null");
      default: return number(text) && tell(json_kind::number, text);
    }
  }

  bool number(std::string_view& out) {
    auto from = at_;
    take('-');
    if (!take('0') && !digits())
      return false;
    if (take('.') && !digits())
      return false;
    if (take('e') || take('E')) {
      if (!take('+'))
        take('-');
      if (!digits())
        return false;
    }
    out = text_.substr(from, at_ - from);
    return true;
  }
  bool digits() {
    auto from = at_;
    while (digit(peek()))
      ++at_;
    return at_ != from;
  }

  bool string(std::string_view& out) {
    if (!take('"'))
      return false;
    auto from = at_; // start of the run that was not copied yet
    bool copied = false;
    buffer_.clear();
    while (at_ < text_.size()) {
      auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        out = text_.substr(from, at_ - from);
        if (copied) {
          buffer_ += out;
          out = buffer_;
        }
        ++at_;
        return true;
      }
      if (c == '\\') {
        buffer_ += text_.substr(from, at_ - from);
        copied = true;
        if (!escape())
          return false;
        from = at_;
      } else if (c >= 0x80) {
        auto length = utf8_length(text_.substr(at_));
        if (length == 0)
          return false;
        at_ += length;
      } else if (c < 0x20) {
        return false;
      } else {
        ++at_;
      }
    }
    return false;
  }

  bool escape() {
    ++at_; // the backslash
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    auto which = letters.find(peek());
    if (at_ < text_.size() && which != std::string_view::npos) {
      buffer_ += meant[which];
      ++at_;
      return true;
    }
    unsigned code = 0;
    if (!code_unit(code) || (code >= 0xdc00 && code <= 0xdfff))
      return false;
    if (code >= 0xd800 && code <= 0xdbff) {
      unsigned low = 0;
      if (!take('\\') || !code_unit(low) || low < 0xdc00 || low > 0xdfff)
        return false;
      code = 0x10000 + ((code - 0xd800) << 10U) + (low - 0xdc00);
    }
    append_utf8(code);
    return true;
  }
  bool code_unit(unsigned& out) {
    if (!take('u') || text_.size() - at_ < 4)
      return false;
    const auto* first = text_.data() + at_;
    auto [end, error] = std::from_chars(first, first + 4, out, 16);
    at_ += 4;
    return error == std::errc{} && end == first + 4;
  }
  void append_utf8(unsigned code) {
    auto put = [&](unsigned byte) { buffer_ += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0U | (code >> 6U));
      put(0x80U | (code & 0x3fU));
    } else if (code < 0x10000) {
      put(0xe0U | (code >> 12U));
      put(0x80U | ((code >> 6U) & 0x3fU));
      put(0x80U | (code & 0x3fU));
    } else {
      put(0xf0U | (code >> 18U));
      put(0x80U | ((code >> 12U) & 0x3fU));
      put(0x80U | ((code >> 6U) & 0x3fU));
      put(0x80U | (code & 0x3fU));
    }
  }

  void append_segment(std::string_view name) {
    for (char c : name) {
      if (c == '~')
        path_ += "~0";
      else if (c == '/')
        path_ += "~1";
      else
        path_ += c; // the usual case, and cheaper than looking for the others first
    }
  }
  template <class Text>
  static void append_number(Text& out, std::size_t value) {
    std::array<char, 24> text{};
    auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), static_cast<std::size_t>(end - text.data()));
  }

  bool tell(json_kind kind, std::string_view text) {
    sink_(context_, {path_, kind, text});
    return true;
  }
  bool open(bool array) {
    if (open_.size() == json_depth_max)
      return false;
    ++at_;
    open_.push_back({array, path_.size(), 0});
    return true;
  }
  void close() {
    auto top = open_.back();
    open_.pop_back();
    path_.resize(top.path_size);
    std::string count;
    append_number(count, top.elements);
    tell(top.array ? json_kind::array : json_kind::object, count);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  detail::leaf_sink sink_;
  void* context_;
  std::string path_;
  std::vector<level> open_;
  wiped_string buffer_;
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
  return reader{text, sink, context}.run();
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
