#include <nested_server/faults.hpp>
#include <nested_server/model.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::nested_server {
namespace {

constexpr std::int64_t ms_max = 3'600'000; // an hour: longer than any client waits
constexpr std::string_view git_path = "/api/add-git-providers";

constexpr std::array table{
  fault_row{fault_kind::refuse, "refuse", "", 0, 0, 0, "",
            "the connection is closed before anything is read (counts connections, takes no path)"},
  fault_row{fault_kind::reset, "reset", "", 0, 0, 0, "", "the connection is reset; the request has no effect"},
  fault_row{fault_kind::hang, "hang", "", 0, 0, 0, "", "never answered; the request has no effect"},
  fault_row{fault_kind::slow, "slow", "MS", 1'000, 1, ms_max, "", "answered after MS milliseconds"},
  fault_row{fault_kind::status, "status", "CODE", 500, 200, 599, "", "answered with that status; no effect"},
  fault_row{fault_kind::busy, "busy", "SECONDS", 1, 0, 86'400, "", "429 with Retry-After; no effect"},
  fault_row{fault_kind::truncated, "truncated", "", 0, 0, 0, "",
            "takes effect; half of the JSON is sent as if it were all"},
  fault_row{fault_kind::cut, "cut", "", 0, 0, 0, "", "takes effect; the connection ends in the middle of the body"},
  fault_row{fault_kind::page, "page", "CODE", 502, 200, 599, "", "a proxy's HTML page with that status; no effect"},
  fault_row{fault_kind::no_effect, "no-effect", "", 0, 0, 0, "", "answered with success and forgotten"},
  fault_row{fault_kind::wrong_effect, "wrong-effect", "", 0, 0, 0, "",
            "answered with success, and what it wrote to is emptied"},
  fault_row{fault_kind::answer_lost, "answer-lost", "", 0, 0, 0, "",
            "takes effect; the connection is reset instead of an answer"},
  fault_row{fault_kind::answer_hangs, "answer-hangs", "", 0, 0, 0, "", "takes effect; never answered"},
  fault_row{fault_kind::trickle, "trickle", "MS", 10, 1, ms_max, "",
            "the body is sent byte by byte, MS milliseconds apart"},
  fault_row{fault_kind::git_unreachable, "git-unreachable", "", 0, 0, 0, git_path,
            "no git provider's host can be reached: tokens are refused"},
  fault_row{fault_kind::restart, "restart", "", 0, 0, 0, "", "the server restarts empty before it answers"},
  fault_row{fault_kind::die, "die", "", 0, 0, 0, "", "the process ends; the request has no effect"},
  fault_row{fault_kind::die_after, "die-after", "", 0, 0, 0, "", "takes effect; the process ends before it answers"},
};
static_assert(table.size() == static_cast<std::size_t>(fault_kind::count_));

constexpr std::string_view form = "KIND[:ARGUMENT][@[METHOD ]PATH][#FIRST][xTIMES][%PERCENT]";

failure wrong(std::string_view spec, std::string_view what) {
  failure f;
  f.code = errc::spec_invalid;
  f.cause = "fault '" + std::string{spec} + "': " + std::string{what} + "; the form is " + std::string{form};
  return f;
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

void trim(std::string_view& text) {
  while (text.ends_with(' '))
    text.remove_suffix(1);
  while (text.starts_with(' '))
    text.remove_prefix(1);
}

/// Takes `mark` and the number behind it off the end of `text`. What follows is no number: nothing is taken.
bool take_number(std::string_view& text, char mark, std::uint32_t& out) {
  auto at = text.rfind(mark);
  std::uint32_t value = 0;
  if (at == std::string_view::npos || !read_number(text.substr(at + 1), value))
    return false;
  out = value;
  text = text.substr(0, at);
  trim(text);
  return true;
}

/// `%5` at the end, after a space or another count: a path may hold percent signs of its own.
bool take_percent(std::string_view& text, std::uint32_t& percent) {
  auto at = text.rfind('%');
  bool apart =
    at != std::string_view::npos && at > 0 &&
    (text[at - 1] == ' ' || text[at - 1] == '*' || text.find('@') == std::string_view::npos || text.find('#') < at);
  return apart && take_number(text, '%', percent);
}

/// `x3` or `x*` at the end, after '#FIRST' or a space.
bool take_times(std::string_view& text, std::uint32_t& times) {
  auto at = text.rfind('x');
  if (at == std::string_view::npos || at == 0)
    return false;
  std::uint32_t value = 0;
  auto amount = text.substr(at + 1);
  auto hash = text.rfind('#', at);
  std::uint32_t first = 0;
  bool after_first = hash != std::string_view::npos && read_number(text.substr(hash + 1, at - hash - 1), first);
  bool after_kind = text.find('@') == std::string_view::npos && text[at - 1] >= '0' && text[at - 1] <= '9';
  bool apart = text[at - 1] == ' ' || after_first || after_kind;
  if (!apart || !(amount == "*" || (read_number(amount, value) && value > 0)))
    return false;
  times = value;
  text = text.substr(0, at);
  trim(text);
  return true;
}

std::optional<failure> read_kind(std::string_view spec, std::string_view text, fault_rule& rule) {
  auto colon = text.find(':');
  auto name = text.substr(0, colon);
  auto row = std::ranges::find(table, name, &fault_row::name);
  if (row == table.end())
    return wrong(spec, "there is no kind '" + std::string{name} + "'");
  rule.kind = row->kind;
  rule.argument = row->fallback;
  rule.path = row->path;
  if (rule.kind == fault_kind::git_unreachable)
    rule.verb = http::method::post;
  if (colon == std::string_view::npos)
    return std::nullopt;
  if (row->argument.empty())
    return wrong(spec, "'" + std::string{name} + "' takes no argument");
  if (!read_number(text.substr(colon + 1), rule.argument) || rule.argument < row->least || rule.argument > row->most)
    return wrong(spec, "the argument " + std::string{row->argument} + " is a number from " +
                         std::to_string(row->least) + " to " + std::to_string(row->most));
  return std::nullopt;
}

std::optional<failure> read_place(std::string_view spec, std::string_view text, fault_rule& rule) {
  trim(text);
  rule.verb.reset();
  auto space = text.find(' ');
  if (space != std::string_view::npos) {
    rule.verb = http::method_named(text.substr(0, space));
    if (!rule.verb)
      return wrong(spec, "there is no method '" + std::string{text.substr(0, space)} + "'");
    text = text.substr(space + 1);
  }
  if (!text.starts_with('/'))
    return wrong(spec, "a path begins with '/'");
  rule.path = text;
  return std::nullopt;
}

} // namespace

std::span<const fault_row> fault_table() {
  return table;
}
std::string_view name_of(fault_kind kind) {
  return table.at(static_cast<std::size_t>(kind)).name;
}

expected<fault_rule> parse_fault(std::string_view spec) {
  fault_rule rule;
  auto text = spec;
  trim(text);
  bool chance = take_percent(text, rule.percent);
  if (rule.percent == 0 || rule.percent > 100)
    return wrong(spec, "PERCENT is a number from 1 to 100");
  bool counted = take_times(text, rule.times);
  if (chance && !counted)
    rule.times = 0;
  if (take_number(text, '#', rule.first) && rule.first == 0)
    return wrong(spec, "FIRST counts from 1");
  auto at = text.find('@');
  auto kind = text.substr(0, at);
  trim(kind);
  if (auto failed = read_kind(spec, kind, rule))
    return *failed;
  if (at == std::string_view::npos)
    return rule;
  if (rule.kind == fault_kind::refuse)
    return wrong(spec, "'refuse' happens before a request is read and takes no path");
  if (auto failed = read_place(spec, text.substr(at + 1), rule))
    return *failed;
  return rule;
}

std::string fault_help() {
  std::string text = "Faults: --fault '" + std::string{form} + "'\n";
  for (const auto& row : table) {
    std::string name{row.name};
    if (!row.argument.empty())
      name += ":" + std::string{row.argument};
    text += "  " + name + std::string(name.size() < 16 ? 16 - name.size() : 1, ' ') + std::string{row.summary} + "\n";
  }
  text +=
    "PATH is a prefix, without the state prefix unless it begins with /s/. FIRST counts matching requests from 1;\n"
    "TIMES (default 1, x* for all) follows #FIRST or a space; %PERCENT hits by a seeded draw. Examples:\n"
    "  --fault 'status:503@POST /api/settings'   --fault 'answer-lost@POST /api/secrets#2'\n"
    "  --fault 'reset@/api x*'                   --fault 'status:500@/api %5'\n";
  return text;
}

fault_plan::fault_plan(std::vector<fault_rule> rules, std::uint64_t seed) : seed_(seed) {
  for (auto& rule : rules)
    counted_.push_back({std::move(rule)});
}

bool fault_plan::fires(counted_rule& c) {
  auto number = ++c.seen;
  if (number < c.rule.first || (c.rule.times != 0 && number - c.rule.first >= c.rule.times))
    return false;
  return c.rule.percent >= 100 || next_random(seed_) % 100 < c.rule.percent;
}

bool fault_plan::refuses_connection() {
  bool refused = false;
  for (auto& c : counted_)
    if (c.rule.kind == fault_kind::refuse && fires(c))
      refused = true;
  hits_ += refused ? 1 : 0;
  return refused;
}

const fault_rule* fault_plan::hit(http::method verb, std::string_view target) {
  const fault_rule* first = nullptr;
  for (auto& c : counted_) {
    if (c.rule.kind == fault_kind::refuse || (c.rule.verb && *c.rule.verb != verb))
      continue;
    auto path = c.rule.path.starts_with("/s/") ? target : parts_of(target).path;
    if (path.starts_with(c.rule.path) && fires(c) && !first)
      first = &c.rule;
  }
  hits_ += first ? 1 : 0;
  return first;
}

} // namespace nestor::nested_server
