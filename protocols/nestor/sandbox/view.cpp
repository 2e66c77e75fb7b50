#include <nestor/sandbox/view.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <ctime>

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

json timeline_json(const std::vector<timeline_entry>& timeline) {
  auto out = json::array();
  for (const auto& entry : timeline)
    out.push_back({{"step", name_of(entry.at)},
                   {"started_at", to_text(entry.started)},
                   {"ended_at", entry.ended.ms == 0 ? json(nullptr) : json(to_text(entry.ended))},
                   {"outcome", name_of(entry.result)},
                   {"attempts", entry.attempts}});
  return out;
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

std::vector<condition> conditions_of(const supervision::state& s, const supervision::policy& p) {
  auto reason = reason_of(s);
  auto message = s.why ? to_string(*s.why) : std::string{};
  bool serving = supervision::serving(s);
  auto ready = s.now == phase::unreachable ? truth::unknown : as_truth(serving);
  auto updated = s.update_refused ? truth::no : s.wanted == s.observed ? truth::yes : truth::unknown;
  bool quarantined = status_of(s) == status::quarantined;
  return {
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
  auto seconds = static_cast<std::time_t>(at.ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(at.ms % 1000));
  return text.data();
}

std::string to_json(const failure& f) {
  return failure_json(f).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string to_json(const sandbox_view& view, int indent) {
  json conditions = json::array();
  for (const auto& c : view.conditions) {
    json item{{"type", c.type}, {"status", name_of(c.status)}, {"reason", c.reason}, {"message", c.message}};
    if (c.type == "Ready" && c.status == truth::yes) {
      item["evidence"] = nested::name_of(view.strength);
      item["evidence_step"] = name_of(view.weakest);
    }
    conditions.push_back(std::move(item));
  }
  json out{{"id", view.id.text},
           {"name", view.name.empty() ? json(nullptr) : json(view.name)},
           {"tenant", view.tenant},
           {"provider", view.provider},
           {"labels", view.labels},
           {"status", name_of(view.word)},
           {"generation", view.wanted},
           {"observed_generation", view.observed},
           {"conditions", std::move(conditions)},
           {"runtime", nullptr},
           {"timeline", timeline_json(view.timeline)},
           {"failure", view.why ? failure_json(*view.why) : json(nullptr)}};
  if (!view.runtime_ref.empty())
    out["runtime"] = {{"ref", view.runtime_ref},
                      {"attempt", view.number},
                      {"incarnation", view.fence},
                      {"dialect", view.dialect},
                      {"created_at", to_text(view.created)}};
  return out.dump(indent, ' ', false, json::error_handler_t::replace);
}

} // namespace nestor
