#include <nestor/sandbox/text_rules.hpp>

#include <nestor/http/url.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>

namespace nestor {
namespace {

constexpr std::size_t label_length_max = 63;  // characters of a DNS label; names travel into labels and host names
constexpr std::size_t git_name_max = 32;      // characters; the longest known is "enterprise_sso"
constexpr std::size_t env_name_max = 255;     // characters; far beyond use, bounded so that messages are
constexpr std::size_t host_length_max = 253;  // characters of a DNS name
constexpr std::size_t path_length_max = 1024; // characters; a liveness route, not a document

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool word(char c) {
  return lower(c) || upper(c) || digit(c);
}

bool identifier(std::string_view text, std::size_t max) {
  return !text.empty() && text.size() <= max && !digit(text.front()) &&
         std::ranges::all_of(text, [](char c) { return word(c) || c == '_'; });
}

bool is_sandbox_name(std::string_view text) {
  return !text.empty() && text.size() <= label_length_max && text.front() != '-' && text.back() != '-' &&
         std::ranges::all_of(text, [](char c) { return lower(c) || digit(c) || c == '-'; });
}

bool is_label_text(std::string_view text) {
  return text.size() <= label_length_max && word(text.front()) && word(text.back()) &&
         std::ranges::all_of(text, [](char c) { return word(c) || c == '-' || c == '_' || c == '.' || c == '/'; });
}

bool is_git_provider(std::string_view text) {
  return !text.empty() && text.size() <= git_name_max && lower(text.front()) &&
         std::ranges::all_of(text, [](char c) { return lower(c) || digit(c) || c == '_'; });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && text.size() <= path_length_max &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != '#' && c != '\\'; });
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= host_length_max && std::ranges::all_of(text, [](char c) {
    return word(c) || c == '-' || c == '.' || c == '_' || c == ':' || c == '/';
  });
}

bool is_header_name(std::string_view text) {
  constexpr std::size_t name_max = 64;
  return !text.empty() && text.size() <= name_max &&
         std::ranges::all_of(text, [](char c) { return word(c) || c == '-'; });
}

struct rule_row {
  text_rule rule;
  std::string_view expectation;
  bool (*obeyed)(std::string_view);
};

constexpr std::array rules{
  rule_row{text_rule::any, "text without NUL", [](std::string_view t) { return t.find('\0') == t.npos; }},
  rule_row{text_rule::line, "text without control characters", [](std::string_view t) { return !has_control(t); }},
  rule_row{text_rule::sandbox_name, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'", is_sandbox_name},
  rule_row{text_rule::label_key, "1 to 63 of A-Z, a-z, 0-9, '-', '_', '.' and '/', first and last a letter or digit",
           [](std::string_view t) { return !t.empty() && is_label_text(t); }},
  rule_row{text_rule::label_value,
           "nothing, or up to 63 of A-Z, a-z, 0-9, '-', '_', '.' and '/', first and last a letter or digit",
           [](std::string_view t) { return t.empty() || is_label_text(t); }},
  rule_row{text_rule::provider_name, "a provider's name: 1 to 63 of a-z, 0-9 and '-'", is_sandbox_name},
  rule_row{text_rule::git_provider, "a git provider's name: 1 to 32 of a-z, 0-9 and '_', first a letter",
           is_git_provider},
  rule_row{text_rule::secret_name, "a name of A-Z, a-z, 0-9 and '_', at most 64, first no digit",
           [](std::string_view t) { return identifier(t, 64); }},
  rule_row{text_rule::env_name, "an environment variable's name: A-Z, a-z, 0-9 and '_', first no digit",
           [](std::string_view t) { return identifier(t, env_name_max); }},
  rule_row{text_rule::env_name_or_none, "an environment variable's name, or \"\" for none",
           [](std::string_view t) { return t.empty() || identifier(t, env_name_max); }},
  rule_row{text_rule::url, "an http or https URL without query, fragment and user information",
           [](std::string_view t) { return http::parse_url(t).has_value(); }},
  rule_row{text_rule::path, "a path that starts with '/'", is_path},
  rule_row{text_rule::host, "a host name, with a port or path where the server has one", is_host},
  rule_row{text_rule::header_name, "a header's name: letters, digits and '-', at most 64 of them", is_header_name},
};
static_assert(rules.size() == static_cast<std::size_t>(text_rule::count_));

const rule_row& row_of(text_rule rule) {
  return rules.at(static_cast<std::size_t>(rule));
}

struct unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<unit, 4> durations{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::array<unit, 5> sizes{
  {{"B", 1}, {"KiB", 1ULL << 10U}, {"MiB", 1ULL << 20U}, {"GiB", 1ULL << 30U}, {"TiB", 1ULL << 40U}}};

std::optional<std::uint64_t> parse_amount(std::string_view text, std::span<const unit> units, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc{})
    return std::nullopt;
  std::string_view name{end, static_cast<std::size_t>(last - end)};
  for (const auto& u : units)
    if (u.name == name)
      return value > max / u.factor ? std::nullopt : std::optional{value * u.factor};
  return std::nullopt;
}

} // namespace

std::string_view expectation_of(text_rule rule) {
  return row_of(rule).expectation;
}

bool obeys(text_rule rule, std::string_view text) {
  return row_of(rule).obeyed(text);
}

std::optional<milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t ten_years = 10ULL * 366 * 24 * 3'600'000; // so that sums of durations cannot overflow
  auto value = parse_amount(text, durations, ten_years);
  return value ? std::optional{milliseconds{static_cast<std::int64_t>(*value)}} : std::nullopt;
}

std::string to_duration_text(milliseconds value) {
  auto count = static_cast<std::uint64_t>(value.count());
  unit best = durations.front();
  for (const auto& u : durations)
    if (count != 0 && count % u.factor == 0)
      best = u;
  return std::to_string(count / best.factor) + std::string{count == 0 ? "s" : best.name};
}

std::optional<std::uint64_t> parse_memory(std::string_view text) {
  return parse_amount(text, sizes, 1ULL << 53U); // what a JSON number carries exactly
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  if (a.size() > word_max || b.size() > word_max)
    return std::max(a.size(), b.size());
  std::array<std::size_t, word_max + 1> row{};
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  auto least = std::numeric_limits<std::size_t>::max();
  for (auto candidate : known) {
    auto distance = edit_distance(word, candidate);
    if (distance < least && distance <= std::max<std::size_t>(2, candidate.size() / 3) && distance < candidate.size()) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

} // namespace nestor
