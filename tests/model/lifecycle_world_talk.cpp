// What must be so when a conversation is asked for, whatever happened before.
#include <model/lifecycle_world.hpp>

namespace nestor::supervision::model {

/// Before it is sent anything.
void world::check_conversation(const command::start_run& run) {
  if (!p_.converses || s_.now != phase::ready || run.target != s_.observed || s_.observed != s_.wanted ||
      durable_confirmed_ != s_.observed)
    broken("a conversation is asked for before the wanted generation is Ready");
  if (!durable_ || durable_->number != s_.number || durable_->spoken == talk::none)
    broken("a conversation is asked for before that was durable");
  if (s_.spoken != talk::doubtful && !conversed_.insert(s_.number).second)
    broken("a conversation is asked for again as if it never had been");
  if (started_.contains(s_.number))
    broken("a conversation is asked for that is known to run");
}

} // namespace nestor::supervision::model
