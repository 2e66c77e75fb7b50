#include <nestor/api/route.hpp>

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <algorithm>
#include <array>

namespace nestor::api {
namespace {

constexpr std::array<std::string_view, 4> role_names{"anyone", "read", "write", "admin"};

constexpr route table[] = {
#define NESTOR_ROUTE(what, verb, path, needed, success, takes, gives, parameters, errors, summary)                     \
  {endpoint::what, #what, http::method::verb, path, role::needed, success, takes, gives, parameters, errors, summary},
#include <nestor/api/routes.def>
#undef NESTOR_ROUTE
};

constexpr parameter parameter_table[] = {
  {"limit", "query", R"({"type":"integer","minimum":1,"maximum":200,"default":50})", "How many at most"},
  {"cursor", "query", R"({"type":"string"})", "`next_cursor` of the page before"},
  {"label", "query", R"({"type":"array","items":{"type":"string"}})", "`key=value` that a sandbox must carry", true},
  {"status", "query",
   R"({"type":"string","enum":["Queued","Starting","Ready","Updating","Paused","Unknown","Quarantined","Destroying",)"
   R"("Failed","Destroyed"]})",
   "Only those with this status"},
  {"dry_run", "query", R"({"type":"boolean","default":false})", "Says what would be done, and does nothing"},
  {"after", "query", R"({"type":"integer","minimum":0})", "Only events with a larger id"},
  {"wait", "query", R"({"type":"integer","minimum":0,"maximum":60,"default":0})",
   "Seconds to wait for an event when there is none yet"},
  {"provider", "query", R"({"type":"string"})", "Only this provider"},
  {"installation", "query", R"({"type":"string"})", "Another installation's label instead of this one's"},
  {"Idempotency-Key", "header", R"({"type":"string","minLength":1,"maxLength":128})",
   "The same key and body get the same answer for 24 h, without doing it twice"},
  {"If-Match", "header", R"({"type":"string"})", "The generation that the change is for, in quotes: \"3\""},
  {"Last-Event-ID", "header", R"({"type":"string"})", "Of a stream: events after this one"},
};

int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

failure invalid(std::string cause) {
  return {errc::request_invalid, step::queue, std::move(cause), 0, {}};
}

std::optional<std::string> decoded(std::string_view text, bool form) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
      if (i + 2 >= text.size() || high < 0 || low < 0)
        return std::nullopt;
      result += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      result += form && c == '+' ? ' ' : c;
    }
  }
  wiped_string scratch;
  if (has_control(result) || !nested::append_json(scratch, result))
    return std::nullopt;
  return result;
}

/// Segments of a row's path.
std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> found;
  path.remove_prefix(1);
  for (;;) {
    auto end = path.find('/');
    found.push_back(path.substr(0, end));
    if (end == path.npos)
      return found;
    path.remove_prefix(end + 1);
  }
}

/// The path's argument when it fits; empty text when there is no parameter.
std::optional<std::string> fits(const route& row, const target& of) {
  auto parts = segments_of(row.path);
  if (parts.size() != of.segments.size())
    return std::nullopt;
  std::string argument;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i].starts_with('{'))
      argument = of.segments[i];
    else if (parts[i] != of.segments[i])
      return std::nullopt;
  return argument;
}

} // namespace

std::string_view name_of(role r) {
  return role_names.at(static_cast<std::size_t>(r));
}

std::optional<role> role_named(std::string_view name) {
  auto found = std::ranges::find(role_names, name);
  return found == role_names.end() ? std::nullopt : std::optional{static_cast<role>(found - role_names.begin())};
}

std::span<const route> routes() {
  return table;
}

std::span<const parameter> parameters() {
  return parameter_table;
}

std::vector<std::string_view> words(std::string_view cell) {
  std::vector<std::string_view> found;
  while (!cell.empty()) {
    auto end = std::min(cell.find(' '), cell.size());
    if (end > 0)
      found.push_back(cell.substr(0, end));
    cell.remove_prefix(std::min(end + 1, cell.size()));
  }
  return found;
}

bool takes_parameter(const route& r, std::string_view name) {
  auto names = words(r.parameters);
  return std::ranges::find(names, name) != names.end();
}

const std::string* target::find(std::string_view name) const {
  auto found = std::ranges::find(query, name, &std::pair<std::string, std::string>::first);
  return found == query.end() ? nullptr : &found->second;
}

expected<target> parse_target(std::string_view text) {
  if (!text.starts_with('/'))
    return invalid("the target is no path that begins with /");
  if (text.find('#') != text.npos)
    return invalid("the target has a fragment");
  auto question = text.find('?');
  target result;
  auto path = text.substr(0, question);
  for (auto part : segments_of(path)) {
    auto segment = decoded(part, false);
    if (!segment)
      return invalid("the path is not percent-encoded UTF-8 without control characters");
    result.segments.push_back(std::move(*segment));
  }
  auto query = question == text.npos ? std::string_view{} : text.substr(question + 1);
  while (!query.empty()) {
    auto end = std::min(query.find('&'), query.size());
    auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty())
      continue;
    auto equals = std::min(pair.find('='), pair.size());
    auto name = decoded(pair.substr(0, equals), true);
    auto value = decoded(equals < pair.size() ? pair.substr(equals + 1) : std::string_view{}, true);
    if (!name || !value)
      return invalid("the query is not percent-encoded UTF-8 without control characters");
    result.query.emplace_back(std::move(*name), std::move(*value));
  }
  return result;
}

expected<matched> match(http::method verb, const target& of) {
  bool known = false;
  for (const auto& row : table) {
    auto argument = fits(row, of);
    if (!argument)
      continue;
    known = true;
    if (row.verb == verb || (verb == http::method::head && row.verb == http::method::get))
      return matched{&row, std::move(*argument)};
  }
  if (!known)
    return failure{errc::route_unknown, step::queue, "no route has this path", 0, {}};
  return failure{errc::method_refused, step::queue, "the path knows " + methods_of(of), 0, {}};
}

std::string methods_of(const target& of) {
  std::string all;
  auto add = [&](std::string_view name) { all.append(all.empty() ? "" : ", ").append(name); };
  for (const auto& row : table)
    if (fits(row, of)) {
      add(http::name_of(row.verb));
      if (row.verb == http::method::get)
        add("HEAD");
    }
  return all;
}

expected<void> check_query(const route& where, const target& of) {
  for (const auto& [name, value] : of.query) {
    auto known = std::ranges::find_if(
      parameter_table, [&, &asked = name](const parameter& p) { return p.in == "query" && p.name == asked; });
    if (known == std::end(parameter_table) || !takes_parameter(where, known->name)) {
      std::string all;
      for (const auto& p : parameter_table)
        if (p.in == "query" && takes_parameter(where, p.name))
          all.append(all.empty() ? "known here: " : ", ").append(p.name);
      return invalid("a query parameter that the route does not have; " + (all.empty() ? "it has none" : all));
    }
    auto times = std::ranges::count(of.query, name, &std::pair<std::string, std::string>::first);
    if (times > 1 && !known->repeats)
      return invalid("the query parameter " + name + " is given twice");
  }
  return {};
}

} // namespace nestor::api
