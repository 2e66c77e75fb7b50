#include "judge.hpp"

#include <support/canary.hpp>
#include <support/held.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::simulation {
namespace {

bool resting(status word) {
  return word == status::ready || word == status::paused || word == status::quarantined;
}

/// In the words of any provider that can keep a runtime for no or little money.
bool rests(std::string_view state) {
  return state == "paused" || state == "stopped" || state == "suspended";
}

bool ends_something(std::string_view line) {
  if (line.find("/api/secrets") != std::string_view::npos || line.find("/api/settings") != std::string_view::npos)
    return false; // of a nested server
  return line.starts_with("DELETE ") || line.ends_with("/shutdown") || line.ends_with("remote.test/stop") ||
         line.find("SandboxTerminate") != std::string_view::npos;
}

} // namespace

judge::judge(const scenario& s, disk& records, tests::rented_world& clouds, const emulator::clockwork& time,
             transcript& told)
    : scenario_(s), records_(records), clouds_(clouds), time_(time), told_(told) {
  for (const auto& each : s.troubles)
    if (each.spec.starts_with("never-ready") || each.spec.starts_with("wrong-state"))
      ill_.insert(each.kind);
}

void judge::blame(const std::string& what) {
  if (!fault_.empty())
    return;
  fault_ = what;
  told_.say("JUDGE", what);
}

bool judge::excused(const known& k) const {
  return k.died || ill_.contains(k.kind);
}

void judge::on_text(std::string_view text) {
  if (text.find(tests::canary_mark) != std::string_view::npos)
    blame("a secret is told: " + std::string{text});
}

// -- what the node says -------------------------------------------------------------------------------------------

void judge::on_status(const actors::status_changed& now) {
  told_.say("node", told_.alias(now.id) + " is " + std::string{name_of(now.word)} + ", observed " +
                      std::to_string(now.observed) + ", fence " + std::to_string(now.fence >> 32U) + "." +
                      std::to_string(now.fence & 0xffffffffU));
  auto& k = of_[now.id];
  k.word = now.word;
  k.word_since = time_.now();
  if (ended(now.word))
    return check_over(now.id, now.word);
  if (now.word != status::ready)
    return;
  if (now.fence < k.fence)
    blame(told_.alias(now.id) + " goes back to an older incarnation");
  k.fence = now.fence;
  k.served = now.observed;
  if (k.end_promised && *k.end_promised < time_.now())
    blame(told_.alias(now.id) + " is Ready after its end was promised");
  check_served(now.id, k, now.observed, "is Ready");
  k.ready_since = time_.now();
  became_ready_ += k.was_ready ? 0 : 1;
  k.was_ready = true;
}

void judge::on_step(const actors::step_changed& now) {
  auto& k = of_[now.id];
  if (now.result == outcome::running && now.at == step::settings)
    k.run_began = time_.now();
  if (!now.why)
    return;
  auto text = to_string(*now.why);
  on_text(text);
  told_.say("node", told_.alias(now.id) + " at " + std::string{nestor::name_of(now.at)} + ": " + text);
}

void judge::on_crash() {
  for (auto& [id, k] : of_)
    k.word = status::unknown;
}

/// That it is over is durable before it is said.
void judge::check_over(const sandbox_id& id, status word) {
  const auto* records = records_.find(id);
  if (records && !records->closed && records->actual && records->actual->kept.open)
    blame(told_.alias(id) + " is said to be " + std::string{name_of(word)} + ", and its runtime is on record as open");
}

/// What the world is told is durable, and true.
void judge::check_served(const sandbox_id& id, const known& k, generation served, std::string_view when) {
  auto whose = told_.alias(id) + " " + std::string{when};
  const auto* records = records_.find(id);
  if (!records || !records->actual || records->closed || !records->actual->kept.open)
    return blame(whose + ", and no runtime is on record");
  if (records->actual->kept.observed != served)
    return blame(whose + " with generation " + std::to_string(served) + ", and " +
                 std::to_string(records->actual->kept.observed) + " is on record as confirmed");
  if (std::max(k.tampered, tampered_) >= k.run_began && std::max(k.tampered, tampered_).us != 0)
    return; // the node cannot know yet
  if (k.died)
    return;
  if (auto difference = difference_of(id, k, served); !difference.empty())
    blame(whose + " without what was wanted: " + difference);
}

std::string judge::difference_of(const sandbox_id& id, const known& k, generation served) const {
  auto wanted = k.wanted.find(served);
  if (wanted == k.wanted.end())
    return "nobody wanted generation " + std::to_string(served);
  auto rented = clouds_.rented(k.kind, id);
  std::string difference = "nothing is rented";
  for (const auto& each : rented) { // a create that was carried out twice left two; one of them is ours
    auto* server = clouds_.inside().server(each.id);
    difference = server ? tests::difference(server->model(), *wanted->second) : "no server listens";
    if (difference.empty())
      return difference;
  }
  return difference;
}

// -- what clients are told ----------------------------------------------------------------------------------------

void judge::on_created(const actors::accepted& answer, const std::string& name) {
  told_.say("client", told_.alias(answer.id) + " is accepted, " + name);
  auto& k = of_[answer.id];
  k.promised = true;
  if (k.wanted.empty())
    return blame(told_.alias(answer.id) + " was accepted, and is not durable");
  for (const auto& [id, other] : of_)
    if (id != answer.id && other.name == name) {
      const auto* records = records_.find(id);
      // What is on record as closed has ended, also where the record that replaces all others could not be stored yet.
      bool ended = records && records->actual && records->actual->kept.what == supervision::note::closed;
      if (records && !records->closed && !ended && !records->wanted.empty() && other.promised)
        blame("there are two sandboxes of the name " + name);
    }
}

void judge::on_configured(const actors::accepted& answer) {
  told_.say("client", told_.alias(answer.id) + " generation " + std::to_string(answer.number) + " is accepted");
  if (!of_[answer.id].wanted.contains(answer.number))
    blame(told_.alias(answer.id) + " generation " + std::to_string(answer.number) +
          " was accepted, and is not durable");
}

void judge::on_unwanted(const sandbox_id& id) {
  told_.say("client", "the end of " + told_.alias(id) + " is promised");
  auto& k = of_[id];
  if (!k.end_promised)
    k.end_promised = time_.now();
  const auto* records = records_.find(id);
  if (records && !records->closed && !records->unwanted)
    blame("the end of " + told_.alias(id) + " was promised, and is not durable");
}

unsigned judge::on_rest_asked(const sandbox_id& id) {
  auto& k = of_[id];
  k.asked_to_rest.reset();
  return ++k.rests_asked;
}

void judge::on_rest(const sandbox_id& id, unsigned number, bool rests) {
  auto& k = of_[id];
  if (k.rests_asked != number) // another wish came after it
    return;
  k.asked_to_rest = rests;
  const auto* records = records_.find(id);
  if (records && !records->closed && records->actual && records->actual->kept.open &&
      records->actual->kept.rests != rests)
    blame("that " + told_.alias(id) + (rests ? " rests" : " is awake") + " was accepted, and is not durable");
}

void judge::on_access(const sandbox_id& id, const actors::access& granted) {
  const auto& k = of_[id];
  told_.say("client", "access to " + told_.alias(id) + (granted.refused ? " is refused" : " is granted"));
  if (granted.refused)
    return on_text(to_string(*granted.refused));
  if (granted.fence < k.fence)
    blame("access to " + told_.alias(id) + " is of an older incarnation");
  if (k.word != status::ready && k.word != status::updating && k.word_since < time_.now())
    return blame("access to " + told_.alias(id) + " is granted while it is " + std::string{name_of(k.word)});
  const auto* records = records_.find(id);
  bool in_change = records && !records->wanted.empty() && records->wanted.back()->number != k.served;
  if (k.word == status::ready && !in_change)
    check_served(id, k, k.served, "is served");
}

// -- what the world does ------------------------------------------------------------------------------------------

void judge::on_wanted(const journal::wanted_record& record) {
  told_.name(record.sandbox);
  auto& k = of_[record.sandbox];
  k.kind = record.spec->provider;
  k.name = record.spec->name;
  k.wanted[record.number] = record.spec->configuration;
}

void judge::on_dies(const sandbox_id& id) {
  of_[id].died = true;
}

std::optional<judge::runtime> judge::read(const std::string& kind, const emulator::rented& r) const {
  if (neighbours_.contains(kind + " " + r.id))
    return std::nullopt;
  runtime found{kind, r.id, {}, 0, time_.now()};
  auto number = [&](std::string_view text) { std::from_chars(text.data(), text.data() + text.size(), found.number); };
  for (const auto& [label, value] : r.labels) {
    if (label.find("attempt") != std::string::npos)
      number(value);
    else if (value.starts_with("nst-"))
      found.sandbox.text = value;
  }
  if (found.sandbox.text.empty()) { // where there are no labels the name tells
    auto dash = r.name.rfind('-');
    found.sandbox.text = r.name.substr(0, dash);
    number(std::string_view{r.name}.substr(dash + 1));
  }
  return found;
}

void judge::check_runtime(const runtime& r) {
  auto whose = r.kind + " " + r.ref + " of " + told_.alias(r.sandbox) + ", attempt " + std::to_string(r.number) + ", ";
  const auto* records = records_.find(r.sandbox);
  if (!records)
    return blame(whose + "is in no record");
  if (records->closed)
    return blame(whose + "is alive, and on record as ended");
  if (!records->actual || records->actual->kept.number < r.number)
    return blame(whose + "was created without an intent");
  const auto& kept = records->actual->kept;
  if (!kept.open)
    return blame(whose + "is alive, and on record as absent");
  if (kept.number > r.number)
    blame(whose + "is alive beside a later one");
}

void judge::world_moved() {
  std::map<std::string, runtime> now;
  std::set<sandbox_id> owners;
  for (const auto& kind : scenario_.kinds)
    for (const auto& each : clouds_.rented(kind))
      if (auto r = read(kind, each)) {
        owners.insert(r->sandbox);
        auto key = kind + " " + each.id;
        if (auto before = alive_.find(key); before != alive_.end())
          r->since = before->second.since;
        else
          told_.say("cloud",
                    key + " of " + told_.alias(r->sandbox) + " is there, attempt " + std::to_string(r->number));
        of_[r->sandbox].seen.insert(r->number);
        check_runtime(*r);
        now.emplace(std::move(key), std::move(*r));
      }
  for (const auto& [key, r] : alive_)
    if (!now.contains(key))
      told_.say("cloud", key + " of " + told_.alias(r.sandbox) + " is gone");
  alive_ = std::move(now);
  if (owners.size() > scenario_.sandboxes_max)
    blame("more is rented than the quota allows");
}

void judge::check_end_of(const runtime& r) {
  const auto& k = of_[r.sandbox];
  if (!k.was_ready || k.ready_since < r.since || excused(k) || records_.unwanted.contains(r.sandbox))
    return;
  blame("the runtime of " + told_.alias(r.sandbox) + " is ended, and nobody wanted that");
}

void judge::on_change(std::string_view line, std::string_view body) {
  bool inside = line.find("/runtimes/") != std::string_view::npos;
  bool control = line.starts_with('/') || line.find(" api.") != std::string_view::npos;
  if (control && !inside && body.find(tests::canary_mark) != std::string_view::npos)
    blame("a secret is sent to a control plane: " + std::string{line});
  if (!ends_something(line))
    return;
  auto about = [&](const std::string& key) { // a kind and a ref
    auto kind = key.substr(0, key.find(' '));
    auto ref = std::string_view{key}.substr(kind.size() + 1);
    bool there = line.find(kind + ".test") != std::string_view::npos || line.starts_with("/" + kind + ".");
    return there && (line.find(ref) != std::string_view::npos || body.find(ref) != std::string_view::npos);
  };
  for (const auto& key : neighbours_)
    if (about(key))
      blame("what belongs to somebody else is ended");
  for (const auto& [key, r] : alive_)
    if (about(key))
      check_end_of(r);
}

void judge::meet_neighbour() {
  for (const auto& kind : scenario_.kinds)
    for (const auto& each : clouds_.rented(kind))
      neighbours_.insert(kind + " " + each.id);
  alive_.clear();
  of_.clear();
}

// -- in the end ---------------------------------------------------------------------------------------------------

std::vector<sandbox_id> judge::not_ended() const {
  std::vector<sandbox_id> ids;
  for (const auto& [id, records] : records_.all()) {
    auto at = of_.find(id);
    // A last record that the disk refused is written by the next node, which finds that nothing is open.
    bool over = at != of_.end() && ended(at->second.word) && (!records.actual || !records.actual->kept.open);
    if (!records.closed && !records.wanted.empty() && !over)
      ids.push_back(id);
  }
  return ids;
}

std::string judge::unrest() const {
  for (const auto& id : not_ended()) {
    auto at = of_.find(id);
    if (at == of_.end())
      return told_.alias(id) + " was never heard of";
    const auto& k = at->second;
    const auto& records = *records_.find(id);
    bool newest = k.word != status::ready || k.served == records.wanted.back()->number ||
                  (records.actual && records.actual->kept.refused);
    if (!excused(k) && (!resting(k.word) || !newest))
      return told_.alias(id) + " is " + std::string{name_of(k.word)} +
             (newest ? "" : " with an older generation than is wanted");
  }
  return {};
}

/// What rests costs little, and is what a client asked for.
void judge::check_at_rest(const sandbox_id& id, const known& k) {
  if (k.word != status::paused || excused(k))
    return;
  auto rented = clouds_.rented(k.kind, id); // a create that was carried out twice left two; one of them is ours
  if (!rented.empty() && std::ranges::none_of(rented, [](const auto& each) { return rests(each.state); }))
    blame(told_.alias(id) + " is Paused, and its runtime is " + rented.front().state);
}

/// Nothing but the node itself can have been in the way.
void judge::check_fair_weather(const sandbox_id& id, const known& k) {
  if (!scenario_.troubles.empty() || k.died || records_.unwanted.contains(id))
    return;
  const auto* records = records_.find(id);
  bool over = ended(k.word) || (records && records->closed); // of one that ended in an earlier life nothing is told
  if (over && !k.was_ready && !scenario_.strikes.empty())
    return; // some providers keep a create that a crash left in doubt open for longer than a sandbox may start
  if (k.seen.size() > 1)
    return blame(told_.alias(id) + " was given another runtime, and nothing was wrong with the first");
  if (k.word != status::ready && k.word != status::paused)
    return blame(told_.alias(id) + " is " + std::string{name_of(k.word)} + ", and no provider did anything wrong");
  if (k.asked_to_rest && *k.asked_to_rest != (k.word == status::paused))
    blame(told_.alias(id) + " is " + std::string{name_of(k.word)} + ", and something else was accepted last");
}

void judge::check_as_wanted() {
  for (auto& [id, k] : of_) {
    const auto* records = records_.find(id);
    if (k.promised && !records)
      blame(told_.alias(id) + " was promised, and is in no record");
    if (!records || (records->wanted.empty() && !records->closed))
      continue;
    check_fair_weather(id, k);
    check_at_rest(id, k);
    if (records->closed) {
      if (k.was_ready && !records_.unwanted.contains(id) && !excused(k))
        blame(told_.alias(id) + " was in service and has ended, and nobody wanted that");
      continue;
    }
    if (k.word != status::ready || k.died)
      continue;
    if (auto difference = difference_of(id, k, k.served); !difference.empty())
      blame(told_.alias(id) + " is Ready for long without what was wanted: " + difference);
  }
}

void judge::check_listed(const actors::sandbox_list& list) {
  for (const auto& id : not_ended())
    if (std::ranges::none_of(list.items, [&](const auto& each) { return each.first == id; }))
      blame(told_.alias(id) + " is on record, and the node does not know it");
}

void judge::check_nothing_left() {
  for (const auto& [key, r] : alive_)
    blame(key + " of " + told_.alias(r.sandbox) + " is left");
  std::set<std::string> there;
  for (const auto& kind : scenario_.kinds)
    for (const auto& each : clouds_.rented(kind))
      there.insert(kind + " " + each.id);
  for (const auto& key : neighbours_)
    if (!there.contains(key))
      blame("what belongs to somebody else is gone");
}

} // namespace nestor::simulation
