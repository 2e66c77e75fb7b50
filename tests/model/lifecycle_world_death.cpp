// Its SUPERVISOR dies, and another one goes on from what was durable.
#include <model/lifecycle_world.hpp>

#include <utility>

namespace nestor::supervision::model {

/// What a dead SUPERVISOR had asked for goes on without it, or not; nobody hears the answers.
void world::lose_what_was_owed() {
  while (!records_.empty() && chance(60)) {
    make_durable(records_.front());
    stale_.emplace_back(event::recorded{records_.front().revision});
    records_.erase(records_.begin());
  }
  records_.clear();
  auth_owed_ = gone_owed_ = false;
  if (switch_owed_ && chance(50))
    asleep_ = *switch_owed_;
  switch_owed_.reset();
  renewal_owed_.reset();
  if (!creates_.empty())
    creates_.back().answered = true;
  if (look_up_owed_)
    stale_.emplace_back(event::sighted{look_up_owed_->look, look_up_owed_->present});
  look_up_owed_.reset();
  if (destroy_owed_ && chance(50))
    alive_.erase(*destroy_owed_);
  destroy_owed_.reset();
  if (!run_owed_)
    return;
  auto r = *std::exchange(run_owed_, std::nullopt);
  stale_.emplace_back(event::run_confirmed{r.number, false, false});
  bool mutates = pushes(r.why) || r.why == nested::purpose::withdraw;
  if (mutates && r.may_write && (r.wrote || chance(50))) { // its last request still comes through
    written_ = true;
    held_ = r.wrote && pushes(r.why) && chance(30) ? r.target : 0;
  }
}

void world::crash() {
  lose_what_was_owed();
  if (chance(5))
    requested_ = true; // durable, and nobody was there to be told
  if (chance(10))
    ++wanted_;
  last_push_ = {};
  told_ = false; // whoever knew it is gone; a look tells
  pass_time(now_ + milliseconds{static_cast<std::int64_t>(pick(1'000))});
  state before = s_;
  s_ = resume(p_, {durable_, wanted_, requested_, ++lives_, rng_(), false, milliseconds{0}}, now_);
  log_.push_back(std::string{name_of(before.now)} + " + CRASH -> " + std::string{name_of(s_.now)});
  resumed_.insert(s_.now);
  if (s_.update_refused)
    takes_away_ = 0; // refused: what was to be taken away stays
  check_resumed(before);
  gone_owed_ = !p_.withdraws && s_.open && !s_.create_out && !alive_.contains(s_.number);
  if (s_.now == phase::queued)
    feed(event::started{}); // the REGISTRY has a slot for it
}

void world::answer_watch() {
  gone_owed_ = false;
  feed(event::runtime_gone{s_.number, failure{errc::runtime_exited, step::alive, "made up", 0, {}}});
}

} // namespace nestor::supervision::model
