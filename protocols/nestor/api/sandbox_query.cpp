#include <nestor/api/sandbox_query.hpp>

#include <nestor/providers/provider.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::api {
namespace {

constexpr std::uint64_t limit_max = 200; // of a page: an object is about 2 KiB
constexpr std::uint64_t wait_max = 60;   // seconds: proxies give up on a silent answer after about a minute

failure invalid(std::string cause) {
  return {errc::request_invalid, step::queue, std::move(cause), 0, {}};
}

std::optional<std::uint64_t> whole(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool fine = failed == std::errc{} && end == text.data() + text.size();
  return fine ? std::optional{value} : std::nullopt;
}

/// A number of the query between `least` and `most`; `fallback` when it is absent.
expected<std::uint64_t> number(const target& of, std::string_view name, std::uint64_t least, std::uint64_t most,
                               std::uint64_t fallback) {
  const auto* text = of.find(name);
  if (!text)
    return fallback;
  auto value = whole(*text);
  if (!value || *value < least || *value > most)
    return invalid(std::string{name} + ": expected a whole number from " + std::to_string(least) + " to " +
                   std::to_string(most));
  return *value;
}

} // namespace

expected<sandbox_query> read_sandbox_query(const target& of) {
  sandbox_query result;
  auto limit = number(of, "limit", 1, limit_max, result.limit);
  if (!limit)
    return limit.error();
  result.limit = static_cast<std::size_t>(*limit);
  if (const auto* cursor = of.find("cursor")) {
    if (!is_sandbox_id(*cursor))
      return invalid("cursor: it is none that a page before gave");
    result.after = *cursor;
  }
  if (const auto* word = of.find("status")) {
    auto found = std::ranges::find(status_names, std::string_view{*word});
    if (found == status_names.end())
      return invalid("status: expected a status such as Ready");
    result.word = static_cast<status>(found - status_names.begin());
  }
  for (const auto& [name, value] : of.query) {
    if (name != "label")
      continue;
    auto equals = value.find('=');
    if (equals == 0 || equals == value.npos)
      return invalid("label: expected key=value");
    result.labels[value.substr(0, equals)] = value.substr(equals + 1);
  }
  return result;
}

expected<event_query> read_event_query(const http::request& head, const target& of) {
  event_query result;
  auto limit = number(of, "limit", 1, limit_max, limit_max);
  if (!limit)
    return limit.error();
  result.limit = static_cast<std::size_t>(*limit);
  auto wait = number(of, "wait", 0, wait_max, 0);
  if (!wait)
    return wait.error();
  result.wait = static_cast<std::uint32_t>(*wait);
  auto last = only_header(head, "Last-Event-ID");
  auto accept = only_header(head, "Accept");
  if (!last)
    return last.error();
  result.stream = accept && *accept && (*accept)->find("text/event-stream") != std::string_view::npos;
  const auto* after = of.find("after");
  if (after || *last) {
    result.after = whole(after ? std::string_view{*after} : **last);
    if (!result.after)
      return invalid(std::string{after ? "after" : "Last-Event-ID"} + ": expected the id of an event");
  }
  return result;
}

expected<bool> read_flag(const target& of, std::string_view name) {
  const auto* text = of.find(name);
  if (!text || *text == "false")
    return false;
  if (*text == "true")
    return true;
  return invalid(std::string{name} + ": expected true or false");
}

expected<std::optional<generation>> read_if_match(const http::request& head) {
  auto given = only_header(head, "If-Match");
  if (!given)
    return given.error();
  if (!*given)
    return failure{errc::generation_missing, step::queue, "there is no If-Match header", 0, {}};
  auto text = **given;
  if (text == "*")
    return std::optional<generation>{};
  bool quoted = text.size() > 2 && text.front() == '"' && text.back() == '"';
  auto value = quoted ? whole(text.substr(1, text.size() - 2)) : std::nullopt;
  if (!value)
    return invalid("If-Match: expected a generation in quotes, such as \"3\"");
  return std::optional<generation>{*value};
}

bool may_use(const providers::account& account, const caller& who) {
  const auto& tenants = account.tenants;
  return tenants.empty() || std::ranges::find(tenants, who.tenant) != tenants.end();
}

std::optional<failure> forbidden_here(const providers::account& account, const caller& who) {
  if (!account.speaks->on_this_machine || who.may == role::admin || !account.tenants.empty())
    return std::nullopt;
  return failure{errc::forbidden,
                 step::queue,
                 "the provider " + account.name +
                   " rents out the node's own machine: it needs an admin's token, or `tenants` in its configuration",
                 0,
                 {}};
}

} // namespace nestor::api
