#include <nestor/actors/reaper.hpp>

#include <nestor/core/expected.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace nestor::actors {

using supervision::explanation;
using supervision::sweep_finding;
using supervision::sweep_verdict;
using supervision::swept;

/// One look at every account, or for a reap as many as a verdict takes. It is over when nothing of it is out any more.
struct reaper::pass {
  purpose what = purpose::sweep;
  bool dry_run = false;
  std::string account{}; ///< empty: all
  leaks_found found{};   ///< what is told of it; its installation is the one that is looked for
  std::vector<std::function<void(pass&)>> over{};
  std::size_t out = 0;
  std::uint32_t looks = 0;

  [[nodiscard]] bool same(const pass& other) const {
    return what == other.what && dry_run == other.dry_run && account == other.account &&
           found.installation == other.found.installation;
  }
  leaks_found::of_account& book_of(const std::string& name) {
    auto at = std::ranges::find(found.accounts, name, &leaks_found::of_account::account);
    return at != found.accounts.end() ? *at : found.accounts.emplace_back(leaks_found::of_account{name, {}, {}});
  }
};

namespace {

/// What the REGISTRY's answer tells about the sandbox that a label names.
explanation explained_by(const sandbox_seen& seen) {
  if (!seen.view)
    return {seen.refused && seen.refused->code == errc::not_found ? explanation::of_sandbox::unknown
                                                                  : explanation::of_sandbox::silent,
            0};
  if (ended(seen.view->word))
    return {explanation::of_sandbox::ended, 0};
  if (seen.view->number == 0) // nobody watches it at the moment, or it never asked for a runtime
    return {explanation::of_sandbox::silent, 0};
  return {explanation::of_sandbox::alive, seen.view->number};
}

} // namespace

reaper::reaper(self_ptr<> self, surroundings_ptr around, caf::actor registry, sweep_options options)
    : self_(self), around_(std::move(around)), registry_(std::move(registry)), options_(std::move(options)),
      doubted_(!around_->journal->doubt().empty()) {}

caf::behavior reaper::make_behavior() {
  set_alarm();
  return {[this](const woken& alarm) {
            if (alarm.ticket == alarm_)
              request({.what = purpose::sweep, .dry_run = holds_back()}, [](pass&) {});
          },
          [this](const sweep_now& wish) -> caf::result<sweeps_seen> {
            promise<sweeps_seen> answer{self_};
            request({.what = purpose::sweep, .dry_run = wish.dry_run || holds_back()},
                    [this, answer](pass&) mutable { answer.deliver(seen()); });
            return answer.result();
          },
          [this](find_leaks& wish) -> caf::result<leaks_found> {
            promise<leaks_found> answer{self_};
            pass audit{.what = purpose::audit, .dry_run = true, .account = std::move(wish.account)};
            audit.found.installation = std::move(wish.installation);
            request(std::move(audit), [answer](pass& of) mutable { answer.deliver(of.found); });
            return answer.result();
          },
          [this](const reap_leaks& wish) -> caf::result<leaks_found> {
            promise<leaks_found> answer{self_};
            request({.what = purpose::reap, .dry_run = wish.dry_run || doubted_},
                    [answer](pass& of) mutable { answer.deliver(of.found); });
            return answer.result();
          },
          [this](confirm_restore) -> caf::result<restore_confirmed> {
            auto& answer = confirming_.try_emplace(++ticket_, self_).first->second;
            around_->journal->confirm({self_->address(), ticket_});
            return answer.result();
          },
          [this](const journal_done& done) { on_confirmed(done); },
          [this](look_at_sweeps) { return seen(); }};
}

void reaper::on_confirmed(const journal_done& done) {
  auto waits = confirming_.extract(done.ticket);
  if (waits.empty())
    return;
  restore_confirmed answer;
  if (done.durable)
    doubted_ = false;
  else
    answer.why = failure{errc::journal_unavailable, step::queue, "it could not be made durable", 0, {}};
  waits.mapped().deliver(std::move(answer));
}

bool reaper::holds_back() const {
  return options_.limits.dry_run || doubted_;
}

void reaper::set_alarm() {
  next_ = around_->clock->now() + options_.every;
  if (options_.every.count() > 0)
    self_->tell(around_->timers, wake_at{next_, self_->address(), ++alarm_});
}

bool reaper::ours(const pass& of) const {
  return of.found.installation == around_->journal->installation();
}

// -- passes ---------------------------------------------------------------------------------------

/// The same as one that waits is answered with it, so that impatience makes no queue.
void reaper::request(pass wanted, std::function<void(pass&)> over) {
  if (wanted.found.installation.text.empty())
    wanted.found.installation = around_->journal->installation();
  wanted.found.dry_run = wanted.dry_run;
  auto same = std::ranges::find_if(waiting_, [&](const pass_ptr& each) { return each->same(wanted); });
  if (same == waiting_.end())
    same = waiting_.insert(same, std::make_shared<pass>(std::move(wanted)));
  (*same)->over.push_back(std::move(over));
  if (!running_)
    begin_next();
}

void reaper::begin_next() {
  if (waiting_.empty())
    return;
  running_ = std::move(waiting_.front());
  waiting_.pop_front();
  for (const auto& [account, source] : *around_->accounts)
    if (!source->plain.speaks->list && (running_->account.empty() || running_->account == account))
      running_->found.not_covered.push_back(account);
  auto begun = running_; // which is none any more when nothing had to be asked
  look(begun);
}

void reaper::look(const pass_ptr& of) {
  ++of->looks;
  of->out = 1;
  for (const auto& [account, source] : *around_->accounts) {
    if (!source->plain.speaks->list || (!of->account.empty() && of->account != account))
      continue;
    ++of->out;
    self_->ask_untimed(around_->desk, list_runtimes{account, of->found.installation})
      .then([this, of, name = account](runtimes_listed& listed) { on_listed(of, name, listed); },
            [this, of, name = account](const caf::error&) {
              of->book_of(name).why =
                failure{errc::node_stopping, step::provision, "the node ended before the provider answered", 0, {}};
              finish_one(of);
            });
  }
  finish_one(of);
}

/// A list that is whole is judged when it is known who its sandboxes are; another one proves nothing.
void reaper::on_listed(const pass_ptr& of, const std::string& account, runtimes_listed& listed) {
  struct inquiry {
    std::vector<swept> list;
    known_sandboxes known;
    std::size_t out = 1;
  };
  auto about = std::make_shared<inquiry>();
  for (auto& each : listed.items)
    about->list.push_back(
      {std::move(each.ref), std::move(each.sandbox), each.number, std::move(each.state), std::move(each.created_at)});
  auto& book = of->book_of(account);
  book.why = listed.why;
  if (of->what == purpose::sweep) {
    auto& latest = accounts_[account].latest;
    latest.account = account;
    latest.why = listed.why;
    latest.unexplained.clear();
  }
  if (listed.why || !ours(*of)) {
    counted_.lists_failed += listed.why && of->what == purpose::sweep ? 1 : 0;
    auto verdict = ours(*of) ? sweep_verdict::explained : sweep_verdict::foreign;
    auto reason = ours(*of) ? "the list is not whole" : "another installation's";
    if (of->what == purpose::audit)
      for (auto& each : about->list)
        book.items.push_back({{std::move(each), verdict, reason, 0, {}}, {}, false, {}});
    return finish_one(of);
  }
  for (const auto& each : about->list)
    if (!each.sandbox.empty())
      about->known.try_emplace(each.sandbox, explanation{explanation::of_sandbox::silent, 0});
  auto heard = [this, of, account, about] {
    if (--about->out == 0)
      judge(of, account, about->list, about->known);
  };
  for (auto& [id, what] : about->known) {
    ++about->out;
    self_->ask_untimed(registry_, get_sandbox{sandbox_id{id}})
      .then(
        [heard, about, &what = what](const sandbox_seen& seen) {
          what = explained_by(seen);
          heard();
        },
        [heard](const caf::error&) { heard(); });
  }
  heard();
}

std::vector<sweep_finding> reaper::verdicts(const pass& of, const std::string& account, const std::vector<swept>& list,
                                            const known_sandboxes& known) {
  auto limits = options_.limits;
  auto explain = [&](std::string_view sandbox) {
    auto at = known.find(sandbox);
    return at == known.end() ? explanation{explanation::of_sandbox::silent, 0} : at->second;
  };
  auto& memory = accounts_[account].memory;
  auto now = around_->clock->wall();
  if (of.what == purpose::sweep) {
    limits.dry_run = of.dry_run;
    return memory.judge(list, limits, explain, now);
  }
  auto copy = memory;
  if (of.what == purpose::audit) {
    limits.dry_run = holds_back();
    return copy.judge(list, limits, explain, now);
  }
  limits.at_least = std::numeric_limits<std::size_t>::max();
  limits.dry_run = false;
  if (of.dry_run)
    limits.looks = 1;
  return (of.dry_run ? copy : memory).judge(list, limits, explain, now);
}

void reaper::judge(const pass_ptr& of, const std::string& account, const std::vector<swept>& list,
                   const known_sandboxes& known) {
  auto findings = verdicts(*of, account, list, known);
  auto& told = of->book_of(account).items;
  std::erase_if(told, [](const leak& each) { return !each.ended; }); // of the look before this one
  for (const auto& each : findings) {
    bool ends = each.verdict == sweep_verdict::ends;
    told.push_back({each, of->what == purpose::audit ? due(each) : std::nullopt, false, {}});
    if (of->what == purpose::audit && each.looks > 0)
      --told.back().found.looks; // this one does not count
    if (ends && !of->dry_run)
      end(of, account, each.what.ref);
  }
  if (of->what == purpose::sweep)
    note_down(*of, account, std::move(findings));
  finish_one(of);
}

void reaper::end(const pass_ptr& of, const std::string& account, const std::string& ref) {
  ++of->out;
  auto done = [this, of, account, ref](std::optional<failure> why) {
    ++(why ? counted_.failed : counted_.ended);
    for (auto& each : of->book_of(account).items)
      if (each.found.what.ref == ref) {
        each.ended = !why;
        each.why = why;
      }
    finish_one(of);
  };
  self_->ask_untimed(around_->desk, end_runtime{account, ref})
    .then([done](const runtime_ended& end) { done(end.why); },
          [done](const caf::error&) {
            done(failure{errc::node_stopping, step::destroy, "the node ended before the provider answered", 0, {}});
          });
}

void reaper::note_down(const pass& of, const std::string& account, std::vector<sweep_finding> findings) {
  auto& latest = accounts_[account].latest;
  auto now = around_->clock->wall();
  auto before = std::exchange(latest.at, now);
  latest.listed = findings.size();
  for (auto& each : findings) {
    if (each.verdict == sweep_verdict::explained)
      continue;
    if (each.looks > 1)
      counted_.leaked += milliseconds{std::max<std::int64_t>(0, now.ms - std::max(before, *each.since).ms)};
    counted_.held_back += each.verdict == sweep_verdict::held_back && !of.dry_run ? 1 : 0;
    latest.unexplained.push_back(std::move(each));
  }
}

void reaper::finish_one(const pass_ptr& of) {
  if (--of->out != 0)
    return;
  bool suspects = false;
  for (const auto& book : of->found.accounts)
    for (const auto& each : book.items)
      suspects = suspects || each.found.verdict == sweep_verdict::suspected;
  if (of->what == purpose::reap && suspects && of->looks < options_.limits.looks)
    return look(of);
  running_.reset();
  if (of->what == purpose::sweep) {
    ++counted_.passes;
    set_alarm();
  }
  for (const auto& over : std::exchange(of->over, {}))
    over(*of);
  begin_next();
}

// -- told -----------------------------------------------------------------------------------------

/// When a sweep would end it that sees it unexplained each time, and with nobody before it under the cap.
std::optional<wall_time> reaper::due(const sweep_finding& found) const {
  bool ends = found.verdict == sweep_verdict::ends || found.verdict == sweep_verdict::suspected;
  if (!ends || options_.every.count() == 0 || holds_back())
    return std::nullopt;
  auto more = options_.limits.looks > found.looks ? options_.limits.looks - found.looks : 0U;
  auto wait = std::max(next_ - around_->clock->now(), microseconds{0}) + more * options_.every;
  return wall_time{around_->clock->wall().ms + wait.count() / 1'000};
}

sweeps_seen reaper::seen() const {
  auto all = counted_;
  for (const auto& [account, book] : accounts_)
    all.accounts.push_back(book.latest);
  return all;
}

} // namespace nestor::actors
