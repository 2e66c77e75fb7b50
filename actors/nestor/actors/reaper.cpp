#include <nestor/actors/reaper.hpp>

#include <nestor/core/expected.hpp>

#include <utility>

namespace nestor::actors {

using supervision::explanation;
using supervision::swept;

/// One look at every account. It is over when nothing of it is out any more.
struct reaper::pass {
  bool dry_run = false;
  std::size_t out = 0;
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
    : self_(self), around_(std::move(around)), registry_(std::move(registry)), options_(std::move(options)) {}

caf::behavior reaper::make_behavior() {
  set_alarm();
  return {[this](const woken& alarm) {
            if (alarm.ticket == alarm_)
              begin(options_.limits.dry_run, [] {});
          },
          [this](const sweep_now& request) -> caf::result<sweeps_seen> {
            promise<sweeps_seen> answer{self_};
            begin(request.dry_run || options_.limits.dry_run, [this, answer]() mutable { answer.deliver(seen()); });
            return answer.result();
          },
          [this](look_at_sweeps) { return seen(); }};
}

void reaper::set_alarm() {
  if (options_.every.count() > 0)
    self_->tell(around_->timers, wake_at{around_->clock->now() + options_.every, self_->address(), ++alarm_});
}

void reaper::begin(bool dry_run, std::function<void()> over) {
  waiting_.push_back(std::move(over));
  if (running_)
    return; // what is asked for is under way
  running_ = std::make_shared<pass>(pass{dry_run, 1});
  for (const auto& [account, source] : *around_->accounts) {
    if (!source->plain.speaks->list)
      continue;
    ++running_->out;
    self_->ask_untimed(around_->desk, list_runtimes{account, around_->journal->installation()})
      .then([this, of = running_, name = account](runtimes_listed& listed) { on_listed(of, name, listed); },
            [this, of = running_](const caf::error&) { finish_one(of); });
  }
  finish_one(running_);
}

/// A list that is whole is judged when it is known who its sandboxes are; another one proves nothing.
void reaper::on_listed(const std::shared_ptr<pass>& of, const std::string& account, runtimes_listed& listed) {
  auto& latest = accounts_[account].latest;
  latest = {account, around_->clock->wall(), {}, listed.items.size(), std::move(listed.why)};
  if (latest.why)
    return finish_one(of);
  struct inquiry {
    std::vector<swept> list;
    std::map<std::string, explanation, std::less<>> known;
    std::size_t out = 1;
  };
  auto about = std::make_shared<inquiry>();
  for (auto& each : listed.items) {
    if (!each.sandbox.empty())
      about->known.try_emplace(each.sandbox, explanation{explanation::of_sandbox::silent, 0});
    about->list.push_back({std::move(each.ref), std::move(each.sandbox), each.number});
  }
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

void reaper::judge(const std::shared_ptr<pass>& of, const std::string& account, const std::vector<swept>& list,
                   const std::map<std::string, explanation, std::less<>>& known) {
  auto limits = options_.limits;
  limits.dry_run = of->dry_run;
  auto& book = accounts_[account];
  auto findings = book.memory.judge(list, limits, [&](std::string_view sandbox) {
    auto at = known.find(sandbox);
    return at == known.end() ? explanation{explanation::of_sandbox::silent, 0} : at->second;
  });
  for (auto& each : findings) {
    if (each.verdict == supervision::sweep_verdict::explained)
      continue;
    if (each.verdict == supervision::sweep_verdict::ends) {
      ++of->out;
      self_->ask_untimed(around_->desk, end_runtime{account, each.what.ref})
        .then(
          [this, of](const runtime_ended& end) {
            ++(end.why ? failed_ : ended_);
            finish_one(of);
          },
          [this, of](const caf::error&) {
            ++failed_;
            finish_one(of);
          });
    }
    book.latest.unexplained.push_back(std::move(each));
  }
  finish_one(of);
}

void reaper::finish_one(const std::shared_ptr<pass>& of) {
  if (--of->out != 0)
    return;
  running_.reset();
  ++passes_;
  for (const auto& over : std::exchange(waiting_, {}))
    over();
  set_alarm();
}

sweeps_seen reaper::seen() const {
  sweeps_seen all{{}, passes_, ended_, failed_};
  for (const auto& [account, book] : accounts_)
    all.accounts.push_back(book.latest);
  return all;
}

} // namespace nestor::actors
