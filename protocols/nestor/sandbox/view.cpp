#include <nestor/sandbox/view.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace nestor {
namespace {

using supervision::phase;
using json = nlohmann::ordered_json;

// A withdrawal that failed that often is shown as Quarantined: the server may hold something of ours.
constexpr std::uint32_t withdraw_tries_shown = 3;

std::string_view reason_of(const supervision::state& s) {
  if (s.why && (s.now != phase::ready || s.update_refused))
    return name_of(s.why->code);
  return supervision::name_of(s.now);
}

truth as_truth(bool yes) {
  return yes ? truth::yes : truth::no;
}

truth alive_of(const supervision::state& s) {
  if (s.now == phase::unreachable)
    return truth::unknown;
  return as_truth(s.was_ready || s.now == phase::confirming);
}

truth absent_of(const supervision::state& s) {
  if (s.now == phase::closing || s.now == phase::destroyed)
    return truth::yes;
  return s.create_out ? truth::unknown : truth::no;
}

truth paused_of(const supervision::state& s) {
  if (s.now == phase::pausing || s.now == phase::resuming)
    return truth::unknown;
  return as_truth(s.now == phase::paused);
}

truth leased_of(const supervision::state& s, const supervision::policy& p) {
  if (!p.lease || !s.open)
    return truth::no;
  return s.leased ? truth::yes : truth::unknown;
}

std::string_view lease_reason(const supervision::state& s, const supervision::policy& p) {
  if (p.withdraws)
    return "not_ours";
  if (!p.lease)
    return "no_lease";
  return s.leased ? "renewed" : "renewal_failed";
}

json failure_json(const failure& f) {
  json out{{"code", name_of(f.code)}, {"step", name_of(f.at)},     {"message", row_of(f.code).title},
           {"cause", f.cause},        {"retryable", retryable(f)}, {"remedy", row_of(f.code).remedy}};
  if (f.retry_after)
    out["retry_after_ms"] = f.retry_after->count();
  return out;
}

/// As a JSON string. Most are plain words; what needs an escape is the library's to write.
void append_text(std::string& out, std::string_view text) {
  bool plain =
    std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
  if (plain)
    out.append("\"").append(text).append("\"");
  else
    out.append(json(std::string{text}).dump(-1, ' ', false, json::error_handler_t::replace));
}

/// `lead` is what stands before the value: punctuation and the member's name.
void append_member(std::string& out, std::string_view lead, std::string_view text) {
  out.append(lead);
  append_text(out, text);
}

void append_member(std::string& out, std::string_view lead, std::uint64_t number) {
  out.append(lead).append(std::to_string(number));
}

void append_conditions(std::string& out, const sandbox_view& view) {
  for (std::size_t i = 0; i < view.conditions.size(); ++i) {
    const auto& c = view.conditions[i];
    append_member(out, i == 0 ? R"({"type":)" : R"(,{"type":)", c.type);
    append_member(out, R"(,"status":)", name_of(c.status));
    append_member(out, R"(,"reason":)", c.reason);
    append_member(out, R"(,"message":)", c.message);
    if (c.type == "Ready" && c.status == truth::yes) {
      append_member(out, R"(,"evidence":)", nested::name_of(view.strength));
      append_member(out, R"(,"evidence_step":)", name_of(view.weakest));
    }
    out += '}';
  }
}

void append_runtime(std::string& out, const sandbox_view& view) {
  if (view.runtime_ref.empty()) {
    out += "null";
    return;
  }
  append_member(out, R"({"ref":)", view.runtime_ref);
  append_member(out, R"(,"attempt":)", view.number);
  append_member(out, R"(,"incarnation":)", view.fence);
  append_member(out, R"(,"dialect":)", view.dialect);
  append_member(out, R"(,"created_at":)", to_text(view.created));
  out += '}';
}

void append_timeline(std::string& out, const std::vector<timeline_entry>& timeline) {
  for (std::size_t i = 0; i < timeline.size(); ++i) {
    const auto& entry = timeline[i];
    append_member(out, i == 0 ? R"({"step":)" : R"(,{"step":)", name_of(entry.at));
    append_member(out, R"(,"started_at":)", to_text(entry.started));
    if (entry.ended.ms == 0)
      out += R"(,"ended_at":null)";
    else
      append_member(out, R"(,"ended_at":)", to_text(entry.ended));
    append_member(out, R"(,"outcome":)", name_of(entry.result));
    append_member(out, R"(,"attempts":)", entry.attempts);
    out += '}';
  }
}

} // namespace

status status_of(const supervision::state& s) {
  switch (s.now) { // no default: a new phase must be given a word
    case phase::queued: return status::queued;
    case phase::authenticating:
    case phase::intending:
    case phase::provisioning:
    case phase::backing_off: return s.doomed ? status::destroying : status::starting;
    case phase::settling: return status::unknown;
    case phase::configuring:
    case phase::confirming:
    case phase::updating:
    case phase::restoring: {
      if (!s.was_ready)
        return s.doomed ? status::destroying : status::starting;
      return s.lapsed ? status::starting : status::updating;
    }
    case phase::ready: return status::ready;
    case phase::unreachable: return status::unknown;
    case phase::quarantined: return status::quarantined;
    case phase::pausing: return status::updating;
    case phase::paused: return status::paused;
    case phase::resuming: return status::starting;
    case phase::withdrawing: return s.tries >= withdraw_tries_shown ? status::quarantined : status::destroying;
    case phase::destroying:
    case phase::closing: return status::destroying;
    case phase::destroyed:
    case phase::count_: break;
  }
  return s.requested ? status::destroyed : status::failed;
}

namespace {

condition conversation_of(const supervision::state& s) {
  using supervision::talk;
  bool served = s.now == phase::ready;
  bool told = s.unspoken && s.why && s.why->code == *s.unspoken;
  auto message = told ? to_string(*s.why) : s.unspoken ? std::string{row_of(*s.unspoken).title} : std::string{};
  auto reason = s.unspoken ? name_of(*s.unspoken) : std::string_view{"starting"};
  switch (s.spoken) { // no default: a new state must be told
    case talk::none: return {"Conversation", truth::no, served ? "starting" : "not_started", {}};
    case talk::asked:
    case talk::doubtful: return {"Conversation", truth::unknown, reason, std::move(message)};
    case talk::started: return {"Conversation", truth::yes, "started", {}};
    case talk::failed: return {"Conversation", truth::no, reason, std::move(message)};
    case talk::unknown: return {"Conversation", truth::unknown, reason, std::move(message)};
    case talk::count_: break;
  }
  return {"Conversation", truth::unknown, reason, {}};
}

} // namespace

std::vector<condition> conditions_of(const supervision::state& s, const supervision::policy& p) {
  auto reason = reason_of(s);
  auto message = s.why ? to_string(*s.why) : std::string{};
  bool serving = supervision::serving(s);
  auto ready = s.now == phase::unreachable ? truth::unknown : as_truth(serving);
  auto updated = s.update_refused ? truth::no : s.wanted == s.observed ? truth::yes : truth::unknown;
  bool quarantined = status_of(s) == status::quarantined;
  std::vector<condition> all{
    {"Authenticated", as_truth(s.number > 0), reason, {}},
    {"Provisioned", s.create_out ? truth::unknown : as_truth(s.open), reason, {}},
    {"Alive", alive_of(s), reason, {}},
    {"Configured", s.doubted ? truth::unknown : as_truth(s.observed != 0 && !s.lapsed && !s.dirty), reason, {}},
    {"Ready", ready, ready == truth::yes ? std::string_view{"configured"} : reason, serving ? std::string{} : message},
    {"Updated", updated, s.update_refused ? reason : supervision::name_of(s.now),
     s.update_refused ? message : std::string{}},
    {"Paused", paused_of(s), s.rests || s.now == phase::resuming ? reason : std::string_view{"not_paused"}, {}},
    {"Leased", leased_of(s, p), lease_reason(s, p), {}},
    {"Quarantined", as_truth(quarantined), reason, quarantined ? message : std::string{}},
    {"Absent", absent_of(s), s.obstacle ? name_of(*s.obstacle) : supervision::name_of(s.now), {}},
  };
  if (p.converses)
    all.push_back(conversation_of(s));
  return all;
}

std::string_view name_of(truth t) {
  constexpr std::array<std::string_view, 3> names{"False", "True", "Unknown"};
  return names.at(static_cast<std::size_t>(t));
}

std::string_view name_of(outcome o) {
  constexpr std::array<std::string_view, 3> names{"running", "ok", "failed"};
  return names.at(static_cast<std::size_t>(o));
}

std::string to_text(wall_time at) {
  namespace calendar = std::chrono;
  calendar::sys_time<calendar::milliseconds> when{calendar::milliseconds{at.ms}};
  auto day = calendar::floor<calendar::days>(when);
  calendar::year_month_day date{day};
  calendar::hh_mm_ss time{when - day};
  std::string text = "0000-00-00T00:00:00.000Z";
  auto put = [&](std::size_t place, std::size_t digits, std::int64_t value) {
    for (; digits > 0; --digits, value /= 10)
      text[place + digits - 1] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, std::max(0, static_cast<int>(date.year())));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, time.hours().count());
  put(14, 2, time.minutes().count());
  put(17, 2, time.seconds().count());
  put(20, 3, time.subseconds().count());
  return text;
}

std::string to_json(const failure& f) {
  return failure_json(f).dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Written by appending: a tree of it costs ten times as much, and it is what clients ask for most.
std::string to_json(const sandbox_view& view, int indent) {
  constexpr std::size_t usual_size = 2560; // bytes, of one that is Ready
  std::string out;
  out.reserve(usual_size);
  append_member(out, R"({"id":)", view.id.text);
  if (view.name.empty())
    out += R"(,"name":null)";
  else
    append_member(out, R"(,"name":)", view.name);
  append_member(out, R"(,"tenant":)", view.tenant);
  append_member(out, R"(,"provider":)", view.provider);
  out += R"(,"labels":{)";
  for (const auto& [key, value] : view.labels) {
    append_member(out, key == view.labels.begin()->first ? "" : ",", key);
    append_member(out, ":", value);
  }
  append_member(out, R"(},"status":)", name_of(view.word));
  append_member(out, R"(,"generation":)", view.wanted);
  append_member(out, R"(,"observed_generation":)", view.observed);
  out += R"(,"conditions":[)";
  append_conditions(out, view);
  out += R"(],"runtime":)";
  append_runtime(out, view);
  out += R"(,"timeline":[)";
  append_timeline(out, view.timeline);
  out += R"(],"failure":)";
  out += view.why ? to_json(*view.why) : "null";
  out += '}';
  return indent < 0 ? out : json::parse(out).dump(indent);
}

} // namespace nestor
