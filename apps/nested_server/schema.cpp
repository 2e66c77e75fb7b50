#include <nested_server/schema.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace nestor::nested_server {
namespace {

constexpr std::array secured_url_rules{
  field_rule{"url", field_kind::text, false, true},
  field_rule{"api_key", field_kind::text},
};
constexpr std::array stdio_rules{
  field_rule{"name", field_kind::text, false, true},
  field_rule{"command", field_kind::text, false, true},
  field_rule{"args", field_kind::texts, false},
  field_rule{"env", field_kind::text_map, false},
};
constexpr std::array streaming_rules{
  field_rule{"url", field_kind::text, false, true},
  field_rule{"api_key", field_kind::text},
  field_rule{"timeout", field_kind::integer, true, false, 1, 3600},
};

constexpr std::string_view git_provider_choice =
  "Input should be 'github', 'gitlab', 'bitbucket', 'azure_devops' or 'enterprise_sso'";

void append_places(wiped_string& out, const place& where) {
  if (where.outer) {
    append_places(out, *where.outer);
    out += ',';
  }
  if (where.name.data())
    append_text(out, where.name);
  else
    out += std::to_string(where.index);
}

std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  return text.size() > 1 && text.front() == '+' ? text.substr(1) : text;
}

std::optional<double> number_in(std::string_view text) {
  text = trimmed(text);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = !text.empty() && error == std::errc{} && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional{value} : std::nullopt;
}

bool integral(double value) {
  constexpr double exact_max = 9007199254740992.0; // 2^53: beyond it a double is no exact integer
  return std::abs(value) <= exact_max && std::trunc(value) == value;
}

void coerce_text(const wiped_json& value, const place& where, schema_faults& faults) {
  if (!value.is_string())
    faults.add("string_type", where, "Input should be a valid string", value);
}

void coerce_integer(wiped_json& value, const field_rule& rule, const place& where, schema_faults& faults) {
  if (value.is_boolean()) {
    value = value.get<bool>() ? 1 : 0;
  } else if (value.is_number_float()) {
    if (!integral(value.get<double>()))
      return faults.add("int_from_float", where, "Input should be a valid integer, got a number with a fractional part",
                        value);
    value = static_cast<std::int64_t>(value.get<double>());
  } else if (value.is_string()) {
    auto number = number_in(text_of(value));
    if (!number || !integral(*number))
      return faults.add("int_parsing", where, "Input should be a valid integer, unable to parse string as an integer",
                        value);
    value = static_cast<std::int64_t>(*number);
  } else if (!value.is_number_integer()) {
    return faults.add("int_type", where, "Input should be a valid integer", value);
  }
  auto number = value.get<std::int64_t>();
  if (number < rule.least)
    faults.add("greater_than_equal", where, "Input should be greater than or equal to " + std::to_string(rule.least),
               value, "{\"ge\":" + std::to_string(rule.least) + "}");
  else if (number > rule.most)
    faults.add("less_than_equal", where, "Input should be less than or equal to " + std::to_string(rule.most), value,
               "{\"le\":" + std::to_string(rule.most) + "}");
}

void coerce_decimal(wiped_json& value, const place& where, schema_faults& faults) {
  if (value.is_boolean()) {
    value = value.get<bool>() ? 1.0 : 0.0;
  } else if (value.is_string()) {
    auto number = number_in(text_of(value));
    if (!number)
      return faults.add("float_parsing", where, "Input should be a valid number, unable to parse string as a number",
                        value);
    value = *number;
  } else if (value.is_number()) {
    value = value.get<double>();
  } else {
    faults.add("float_type", where, "Input should be a valid number", value);
  }
}

std::optional<bool> truth_in(const wiped_json& value) {
  if (value.is_number()) {
    auto number = value.get<double>();
    return number == 0 ? std::optional{false} : number == 1 ? std::optional{true} : std::nullopt;
  }
  auto is_one_of = [text = text_of(value)](std::span<const std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view word) {
      return std::ranges::equal(word, text, {}, {},
                                [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    });
  };
  constexpr std::array<std::string_view, 6> yes{"true", "1", "yes", "on", "y", "t"};
  constexpr std::array<std::string_view, 6> no{"false", "0", "no", "off", "n", "f"};
  return is_one_of(yes) ? std::optional{true} : is_one_of(no) ? std::optional{false} : std::nullopt;
}

void coerce_truth(wiped_json& value, const place& where, schema_faults& faults) {
  if (value.is_boolean())
    return;
  if (!value.is_number() && !value.is_string())
    return faults.add("bool_type", where, "Input should be a valid boolean", value);
  auto truth = truth_in(value);
  if (!truth)
    return faults.add("bool_parsing", where, "Input should be a valid boolean, unable to interpret input", value);
  value = *truth;
}

void coerce_texts(wiped_json& value, const place& where, schema_faults& faults) {
  if (!value.is_array())
    return faults.add("list_type", where, "Input should be a valid list", value);
  for (std::size_t i = 0; i < value.size(); ++i)
    coerce_text(value[i], within(where, i), faults);
}

void coerce_text_map(wiped_json& value, const place& where, schema_faults& faults) {
  if (!value.is_object())
    return faults.add("dict_type", where, "Input should be a valid dictionary", value);
  for (const auto& [name, text] : value.get_ref<const wiped_json::object_t&>())
    coerce_text(text, within(where, name), faults);
}

void give_default(wiped_json& object, std::string_view name, wiped_json value) {
  if (!member(object, name))
    object[wiped_string{name}] = std::move(value);
}

/// A list of MCP servers; a bare URL stands for an object with that URL.
void coerce_servers(wiped_json& list, std::span<const field_rule> rules, const place& where, schema_faults& faults) {
  if (!list.is_array())
    return faults.add("list_type", where, "Input should be a valid list", list);
  bool has_url = rules.front().name == "url";
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto& server = list[i];
    if (has_url && server.is_string())
      server = wiped_json{{"url", std::move(server)}};
    coerce_object(server, rules, unknown_fields::refused, within(where, i), faults);
    if (!server.is_object())
      continue;
    if (has_url)
      give_default(server, "api_key", nullptr);
    if (rules.size() == streaming_rules.size())
      give_default(server, "timeout", 60);
    if (!has_url) {
      give_default(server, "args", wiped_json::array());
      give_default(server, "env", wiped_json::object());
    }
  }
}

void coerce_mcp(wiped_json& value, const place& where, schema_faults& faults) {
  if (!value.is_object())
    return faults.add("model_type", where, "Input should be a valid dictionary or instance of MCPConfig", value);
  constexpr std::array<std::string_view, 3> lists{"sse_servers", "stdio_servers", "shttp_servers"};
  for (const auto& [name, unknown] : value.get_ref<const wiped_json::object_t&>())
    if (std::ranges::find(lists, std::string_view{name}) == lists.end())
      faults.add("extra_forbidden", within(where, name), "Extra inputs are not permitted", unknown);
  for (auto name : lists)
    give_default(value, name, wiped_json::array());
  coerce_servers(value["sse_servers"], secured_url_rules, within(where, lists[0]), faults);
  coerce_servers(value["stdio_servers"], stdio_rules, within(where, lists[1]), faults);
  coerce_servers(value["shttp_servers"], streaming_rules, within(where, lists[2]), faults);
}

} // namespace

void schema_faults::add(std::string_view type, const place& where, std::string_view message, const wiped_json& input,
                        std::string_view context) {
  list_ += list_.empty() ? "{" : ",{";
  append_name(list_, "type");
  append_text(list_, type);
  list_ += ",\"loc\":[";
  append_places(list_, where);
  list_ += "],\"msg\":";
  append_text(list_, message);
  list_ += ",\"input\":";
  if (redacted_)
    list_ += R"("**********")";
  else
    append(list_, input);
  if (!context.empty()) {
    list_ += ",\"ctx\":";
    list_ += context;
  }
  list_ += '}';
}

wiped_string schema_faults::body() const {
  return "{\"detail\":[" + list_ + "]}";
}

bool known_git_provider(std::string_view name) {
  return std::ranges::find(git_provider_names, name) != git_provider_names.end();
}

void refuse_git_provider(std::string_view name, const place& map, schema_faults& faults) {
  auto key = within(map, name);
  faults.add("enum", within(key, "[key]"), git_provider_choice, wiped_string{name});
}

void coerce(wiped_json& value, const field_rule& rule, const place& where, schema_faults& faults) {
  if (value.is_null() && rule.nullable)
    return;
  switch (rule.kind) {
    case field_kind::text: return coerce_text(value, where, faults);
    case field_kind::integer: return coerce_integer(value, rule, where, faults);
    case field_kind::decimal: return coerce_decimal(value, where, faults);
    case field_kind::truth: return coerce_truth(value, where, faults);
    case field_kind::texts: return coerce_texts(value, where, faults);
    case field_kind::text_map: return coerce_text_map(value, where, faults);
    case field_kind::mcp: return coerce_mcp(value, where, faults);
    case field_kind::git_provider:
      if (!known_git_provider(text_of(value)))
        faults.add("enum", where, git_provider_choice, value);
      return;
    case field_kind::objects:
      if (!value.is_array())
        faults.add("list_type", where, "Input should be a valid list", value);
      return;
    case field_kind::object:
      if (!value.is_object())
        faults.add("dict_type", where, "Input should be a valid dictionary", value);
      return;
  }
}

void coerce_object(wiped_json& object, std::span<const field_rule> rules, unknown_fields unknown, const place& where,
                   schema_faults& faults) {
  if (!object.is_object())
    return faults.add("model_attributes_type", where,
                      "Input should be a valid dictionary or object to extract fields from", object);
  auto& members = object.get_ref<wiped_json::object_t&>();
  std::size_t known = 0;
  for (const auto& rule : rules) {
    auto at = members.find(rule.name);
    if (at != members.end()) {
      ++known;
      coerce(at->second, rule, within(where, rule.name), faults);
    } else if (rule.required) {
      faults.add("missing", within(where, rule.name), "Field required", object);
    }
  }
  if (known == members.size())
    return;
  for (auto at = members.begin(); at != members.end();) {
    if (std::ranges::find(rules, std::string_view{at->first}, &field_rule::name) != rules.end()) {
      ++at;
    } else if (unknown == unknown_fields::dropped) {
      at = members.erase(at);
    } else {
      faults.add("extra_forbidden", within(where, at->first), "Extra inputs are not permitted", at->second);
      ++at;
    }
  }
}

} // namespace nestor::nested_server
