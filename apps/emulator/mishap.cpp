#include <emulator/mishap.hpp>

#include <nested_server/faults.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::emulator {
namespace {

constexpr std::int64_t ms_max = 3'600'000; // an hour: longer than any client waits
using k = mishap_kind;

constexpr std::array table{
  mishap_row{k::reset, "reset", "", 0, 0, 0, "the connection is reset; the request has no effect"},
  mishap_row{k::hang, "hang", "", 0, 0, 0, "never answered; the request has no effect"},
  mishap_row{k::status, "status", "CODE", 500, 400, 599, "refused with that status in the provider's words; no effect"},
  mishap_row{k::page, "page", "CODE", 502, 200, 599, "a proxy's HTML page with that status; no effect"},
  mishap_row{k::throttled, "throttled", "SECONDS", 1, 1, 86'400, "429 with the provider's own headers; no effect"},
  mishap_row{k::slow, "slow", "MS", 1'000, 1, ms_max, "takes effect; answered so much later"},
  mishap_row{k::truncated, "truncated", "", 0, 0, 0, "takes effect; half of the body is sent as if it were all"},
  mishap_row{k::cut, "cut", "", 0, 0, 0, "takes effect; the connection ends in the middle of the body"},
  mishap_row{k::answer_lost, "answer-lost", "", 0, 0, 0, "takes effect; the connection is reset instead of an answer"},
  mishap_row{k::answer_hangs, "answer-hangs", "", 0, 0, 0, "takes effect; never answered"},
  mishap_row{k::late_effect, "late-effect", "MS", 1'000, 1, ms_max, "reset at once; takes effect so much later"},
  mishap_row{k::duplicate, "duplicate", "", 0, 0, 0, "carried out twice; the first answer is given"},
  mishap_row{k::late_listing, "late-listing", "MS", 1'000, 1, ms_max, "what it creates is in no list for so long"},
  mishap_row{k::late_boot, "late-boot", "MS", 1'000, 1, ms_max, "what it creates starts so much later"},
  mishap_row{k::never_ready, "never-ready", "", 0, 0, 0, "what it creates or starts stays on its way for ever"},
  mishap_row{k::wrong_state, "wrong-state", "", 0, 0, 0,
             "what it creates or starts ends in the provider's error state"},
};
static_assert(table.size() == static_cast<std::size_t>(k::count_));

failure wrong(std::string_view spec, std::string_view what) {
  failure f;
  f.code = errc::spec_invalid;
  f.cause = "fault '" + std::string{spec} + "': " + std::string{what} +
            "; the form is KIND[:ARGUMENT][@[METHOD ]PATH][#FIRST][xTIMES][%PERCENT]";
  return f;
}

/// A prefix with `*` for one segment and a final `$` for the end.
bool covers(std::string_view pattern, std::string_view path) {
  while (!pattern.empty()) {
    if (pattern == "$")
      return path.empty();
    if (pattern.front() == '*') {
      auto segment = path.substr(0, path.find('/'));
      if (segment.empty())
        return false;
      path.remove_prefix(segment.size());
    } else if (path.empty() || path.front() != pattern.front()) {
      return false;
    } else {
      path.remove_prefix(1);
    }
    pattern.remove_prefix(1);
  }
  return true;
}

} // namespace

std::span<const mishap_row> mishap_table() {
  return table;
}
std::string_view name_of(mishap_kind kind) {
  return table.at(static_cast<std::size_t>(kind)).name;
}

expected<mishap> parse_mishap(std::string_view spec) {
  auto name = spec.substr(0, spec.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"));
  auto row = std::ranges::find(table, name, &mishap_row::name);
  if (row == table.end())
    return wrong(spec, "there is no kind '" + std::string{name} + "'");
  mishap m;
  m.kind = row->kind;
  m.argument = row->fallback;
  auto rest = spec.substr(name.size());
  if (rest.starts_with(':')) {
    auto [end, failed] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), m.argument);
    if (row->argument.empty())
      return wrong(spec, "'" + std::string{name} + "' takes no argument");
    if (failed != std::errc{} || m.argument < row->least || m.argument > row->most)
      return wrong(spec, "the argument " + std::string{row->argument} + " is a number from " +
                           std::to_string(row->least) + " to " + std::to_string(row->most));
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  }
  // Which request is hit is written as for the nested server, and read by the same code under a kind of its own.
  auto place = nested_server::parse_fault("slow:1" + std::string{rest});
  if (!place)
    return wrong(spec, "which request it hits is not understood ('" + std::string{rest} + "')");
  m.verb = place->verb;
  m.path = place->path;
  m.first = place->first;
  m.times = place->times;
  m.percent = place->percent;
  return m;
}

std::string mishap_help() {
  std::string text = "Faults: --fault 'KIND[:ARGUMENT][@[METHOD ]PATH][#FIRST][xTIMES][%PERCENT]'\n";
  for (const auto& row : table) {
    std::string name{row.name};
    if (!row.argument.empty())
      name += ":" + std::string{row.argument};
    text += "  " + name + std::string(name.size() < 20 ? 20 - name.size() : 1, ' ') + std::string{row.summary} + "\n";
  }
  return text + "PATH is a prefix; * stands for one segment, a final $ for its end. FIRST counts matching requests\n"
                "from 1; TIMES (default 1, x* for all) follows #FIRST or a space. Examples:\n"
                "  --fault 'answer-lost@POST /api/sandbox$'   --fault 'throttled:5@POST /v2/sandboxes$ x3'\n";
}

mishap_plan::mishap_plan(std::vector<mishap> planned, std::uint64_t seed) : seed_(seed) {
  for (auto& m : planned)
    planned_.push_back({std::move(m)});
}

const mishap* mishap_plan::hit(http::method verb, std::string_view target) {
  auto all = all_hits(verb, target);
  return all.empty() ? nullptr : all.front();
}

std::vector<const mishap*> mishap_plan::all_hits(http::method verb, std::string_view target) {
  std::vector<const mishap*> all;
  auto path = target.substr(0, target.find('?'));
  for (auto& c : planned_) {
    const auto& m = c.what;
    if ((m.verb && *m.verb != verb) || !covers(m.path, path))
      continue;
    auto number = ++c.seen;
    bool in_turn = number >= m.first && (m.times == 0 || number - m.first < m.times);
    bool drawn = in_turn && (m.percent >= 100 || next_random(seed_) % 100 < m.percent);
    if (drawn)
      all.push_back(&m);
  }
  hits_ += all.empty() ? 0 : 1;
  return all;
}

} // namespace nestor::emulator
