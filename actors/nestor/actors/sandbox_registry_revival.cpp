// What the SANDBOX REGISTRY does when a SUPERVISOR died without a last word: another one, from the journal's records.
#include <nestor/actors/sandbox_registry.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>

namespace nestor::actors {

namespace {

// The first revival is at once-ish: most crashes do not repeat. One that does must not burn the node's core, nor its
// log, for ever: once a minute in the end. It is never given up while it may own a runtime.
constexpr backoff_policy revive_backoff{100ms, 60'000ms};
// A SUPERVISOR that lived that long had recovered: the next crash is a first one again.
constexpr milliseconds recovered_after{600'000};
// A sandbox that owns nothing, and whose SUPERVISOR dies that often in a row, would only go on dying.
constexpr std::uint32_t crashes_of_nothing_max = 10;
// The journal answers each load once; if it never does, it is asked again.
constexpr milliseconds load_within{10'000};

failure crash_of(std::uint32_t times) {
  return failure{
    errc::supervisor_crashed, step::queue, "its SUPERVISOR died " + std::to_string(times) + " times", 0, {}};
}

} // namespace

void sandbox_registry::on_crash(const sandbox_id& id, entry& e) {
  auto now = around_->clock->now();
  if (!e.crashed)
    e.crashed = std::make_unique<crashes>();
  auto& c = *e.crashed;
  c.in_a_row = now - c.revived >= recovered_after ? 1 : c.in_a_row + 1;
  ++c.all;
  c.ticket = ++ticket_;
  reviving_.emplace(c.ticket, id);
  auto jitter = random();
  self_->tell(around_->timers, wake_at{now + backoff(revive_backoff, c.in_a_row, jitter), self_->address(), c.ticket});
  e.word = status::unknown;
  if (around_->observer)
    self_->tell(around_->observer, status_changed{id, e.word, 0, 0, e.whose});
}

void sandbox_registry::on_child_left(child_left& left) {
  auto found = sandboxes_.find(left.id);
  if (found == sandboxes_.end() || found->second.last)
    return;
  if (!found->second.crashed)
    found->second.crashed = std::make_unique<crashes>();
  found->second.crashed->configurator = std::move(left.configurator);
}

void sandbox_registry::on_woken(const woken& alarm) {
  if (alarm.ticket == 0) {
    alarm_.reset();
    return start_next();
  }
  if (recovery_ && alarm.ticket == recovery_->ticket)
    return list_next();
  auto found = reviving_.find(alarm.ticket);
  if (found == reviving_.end())
    return;
  around_->journal->load(found->second, {self_->address(), alarm.ticket});
  self_->tell(around_->timers, wake_at{around_->clock->now() + load_within, self_->address(), alarm.ticket});
}

void sandbox_registry::on_records(records_loaded& loaded) {
  auto found = reviving_.find(loaded.ticket);
  if (found == reviving_.end() || closing_)
    return;
  auto id = found->second;
  auto& e = sandboxes_[id];
  if (!loaded.found || loaded.found->wanted.empty())
    return; // asked again in a while
  if (loaded.found->wanted.back()->number < e.number)
    return around_->journal->load(id, {self_->address(), loaded.ticket}); // a newer one became durable meanwhile
  reviving_.erase(found);
  revive(id, e, std::move(*loaded.found));
}

void sandbox_registry::revive(const sandbox_id& id, entry& e, sandbox_records records) {
  if (e.crashed) {
    e.crashed->ticket = 0;
    e.crashed->revived = around_->clock->now();
  }
  bool owns_nothing = !records.actual || !records.actual->kept.open;
  if (owns_nothing && e.crashed && e.crashed->in_a_row > crashes_of_nothing_max) {
    auto view = std::make_shared<sandbox_view>(*view_meanwhile(id, e));
    view->word = records.unwanted ? status::destroyed : status::failed;
    e.word = view->word;
    e.last = std::move(view);
    if (around_->observer)
      self_->tell(around_->observer, status_changed{id, e.word, 0, 0, e.whose});
    return bury(id, e);
  }
  bool anew = !records.actual && !records.unwanted;
  auto wanted = records.wanted.back();
  const auto* account = providers::account_named(*around_->accounts, wanted->spec->provider);
  auto lives = lives_of(e, records);
  auto before = std::make_shared<earlier_lives>(earlier_lives{std::move(records), lives, !e.crashed, nullptr});
  if (e.crashed)
    before->configurator = std::exchange(e.crashed->configurator, nullptr);
  supervise(id, life{id, std::move(wanted), account, random(), std::move(before)});
  if (!anew)
    return;
  e.word = status::queued; // it never got as far as an intent: from the start, in the slot it has or when it gets one
  if (e.starting)
    return self_->tell(e.supervisor, start_life{});
  stand_in_line(id, *account);
}

/// More than any earlier SUPERVISOR of it was told, in this process or before it.
std::uint32_t sandbox_registry::lives_of(const entry& e, const sandbox_records& records) const {
  constexpr unsigned crashes_of_one_start = 12; // in bits; a sandbox that crashes more often has an older record, too
  constexpr unsigned numbers_of_one_life = 32;  // in bits; see resume.cpp
  auto lives = (around_->journal->earlier_starts() << crashes_of_one_start) + (e.crashed ? e.crashed->all : 0);
  auto written = records.actual ? static_cast<std::uint32_t>(records.actual->revision >> numbers_of_one_life) : 0;
  return std::max(lives, written + 1);
}

/// What is honest while nobody watches it.
std::shared_ptr<const sandbox_view> sandbox_registry::view_meanwhile(const sandbox_id& id, const entry& e) const {
  auto shown = std::make_shared<sandbox_view>();
  shown->id = id;
  shown->name = e.name;
  shown->tenant = tenant_of(e);
  if (e.whose)
    shown->labels = e.whose->labels;
  shown->word = status::unknown;
  shown->wanted = e.number;
  shown->why = e.recovering ? failure{errc::recovering, step::queue, "the node was started again", 0, {}}
                            : crash_of(e.crashed ? e.crashed->all : 1);
  for (auto& c : conditions_of(supervision::state{}, supervision::policy{}))
    shown->conditions.push_back({c.type, truth::unknown, nestor::name_of(shown->why->code), to_string(*shown->why)});
  return shown;
}

} // namespace nestor::actors
