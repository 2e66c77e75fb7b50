#include <nested_server/json.hpp>

#include <nestor/nested/json_text.hpp>

namespace nestor::nested_server {
namespace {

bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else
        quoted = c != '"';
      continue;
    }
    if (c == '"')
      quoted = true;
    else if (c == '{' || c == '[')
      ++depth;
    else if ((c == '}' || c == ']') && depth > 0)
      --depth;
    if (depth > nested::json_depth_max)
      return true;
  }
  return false;
}

} // namespace

std::optional<wiped_json> parse_json(std::string_view text) {
  if (too_deep(text))
    return std::nullopt;
  auto value = wiped_json::parse(text.begin(), text.end(), nullptr, false);
  return value.is_discarded() ? std::nullopt : std::optional{std::move(value)};
}

void append(wiped_string& out, const wiped_json& value) {
  if (value.is_string())
    append_text(out, value.get_ref<const wiped_string&>());
  else if (value.is_null())
    out += "null";
  else if (value.is_boolean())
    out += value.get<bool>() ? "true" : "false";
  else
    out += value.dump();
}

void append_text(wiped_string& out, std::string_view text) {
  if (!nested::append_json(out, text))
    out += "\"\"";
}

void append_text_or_null(wiped_string& out, const std::optional<std::string>& text) {
  if (text)
    append_text(out, std::string_view{*text});
  else
    out += "null";
}

void append_name(wiped_string& out, std::string_view name) {
  if (!out.empty() && out.back() != '{' && out.back() != '[')
    out += ',';
  append_text(out, name);
  out += ':';
}

const wiped_json* member(const wiped_json& object, std::string_view name) {
  if (!object.is_object())
    return nullptr;
  auto at = object.find(name);
  return at == object.end() ? nullptr : &*at;
}

std::string_view text_member(const wiped_json& object, std::string_view name) {
  const auto* value = member(object, name);
  return value ? text_of(*value) : std::string_view{};
}

std::optional<std::string> optional_text_member(const wiped_json& object, std::string_view name) {
  const auto* value = member(object, name);
  return value && value->is_string() ? std::optional{std::string{text_of(*value)}} : std::nullopt;
}

std::string_view text_of(const wiped_json& value) {
  return value.is_string() ? std::string_view{value.get_ref<const wiped_string&>()} : std::string_view{};
}

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

} // namespace nestor::nested_server
