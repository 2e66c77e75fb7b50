// What the SANDBOX REGISTRY does first when its node was started over a journal that knows sandboxes: it reads all of
// it, and only when everything could be read does it act: every sandbox gets a SUPERVISOR that goes on from its
// records, as if the earlier one had crashed. Own open intents are looked for, what was Ready is Unknown until it was
// read back.
#include <nestor/actors/sandbox_registry.hpp>

#include <nestor/http/url.hpp>

#include <algorithm>

namespace nestor::actors {

namespace {

// Records of one page are in memory at a time, with their secrets; a page is decoded in a few milliseconds.
constexpr std::size_t page = 256;
// A disk that fails to be read is not asked again at once.
constexpr milliseconds read_again_after{1'000};

} // namespace

caf::result<recovered> sandbox_registry::on_recover() {
  recovery_.emplace();
  recovery_->ticket = ++ticket_;
  recovery_->answer.emplace(self_);
  auto answer = recovery_->answer->result();
  list_next();
  return answer;
}

void sandbox_registry::list_next() {
  around_->journal->list(recovery_->after, page, {self_->address(), recovery_->ticket});
}

void sandbox_registry::on_listed(records_listed& listed) {
  if (!recovery_ || listed.ticket != recovery_->ticket || closing_)
    return;
  if (listed.why && recovery_->acting) // it was readable a moment ago: what is left stays Unknown until it is again
    return self_->tell(around_->timers,
                       wake_at{around_->clock->now() + read_again_after, self_->address(), recovery_->ticket});
  for (const auto& [id, records] : listed.items)
    if (!recovery_->acting && records.actual && records.wanted.empty())
      listed.why = failure{errc::journal_corrupt, step::queue, "what is wanted of " + id.text + " is missing", 0, {}};
  if (listed.why) {
    recovery_->known.why = std::move(listed.why);
    recovery_->answer->deliver(std::move(recovery_->known));
    return recovery_.reset();
  }
  if (!listed.items.empty())
    recovery_->after = listed.items.back().first;
  bool more = listed.items.size() == page;
  for (auto& [id, records] : listed.items)
    recovery_->acting ? take_over(id, std::move(records)) : get_to_know(id, records);
  if (more)
    return list_next();
  if (recovery_->acting)
    return recovery_.reset();
  known_all();
}

/// What requests need to be judged by, before anything is done.
void sandbox_registry::get_to_know(const sandbox_id& id, const sandbox_records& records) {
  if (records.closed) {
    auto& e = sandboxes_[id];
    e.name = records.closed->last->name;
    e.word = records.closed->last->word;
    e.last = records.closed->last;
    remember_whose(e, e.last->tenant, e.last->labels);
    ended_.emplace_back(records.closed->ended, id);
    ++recovery_->known.ended;
    return;
  }
  if (records.wanted.empty())
    return around_->journal->forget(id); // its very first record was refused: nobody was promised anything
  const auto& wanted = *records.wanted.back();
  auto& e = sandboxes_[id];
  e.name = wanted.spec->name;
  e.word = status::unknown;
  e.number = wanted.number;
  e.unwanted = records.unwanted;
  e.recovering = true;
  if (auto url = http::parse_url(wanted.spec->runtime->url))
    e.address = http::to_string(*url);
  remember_whose(e, wanted.spec->tenant, wanted.spec->labels);
  occupy(e);
  ++recovery_->known.alive;
}

void sandbox_registry::known_all() {
  std::ranges::sort(ended_);
  forget_oldest();
  recovery_->answer->deliver(recovery_->known);
  recovery_->answer.reset();
  recovery_->acting = true;
  recovery_->after = {};
  list_next();
}

void sandbox_registry::take_over(const sandbox_id& id, sandbox_records records) {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end() || !found->second.recovering || records.wanted.empty())
    return; // it was made meanwhile, or it has ended
  const auto& spec = *records.wanted.back()->spec;
  if (!providers::account_named(*around_->accounts, spec.provider))
    return; // nobody can speak to its provider: it stays Unknown until the account is configured again
  found->second.recovering = false;
  revive(id, found->second, std::move(records));
}

} // namespace nestor::actors
