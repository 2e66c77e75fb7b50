// What must be so when a conversation is asked for, whatever happened before.
#include <model/lifecycle_world.hpp>

namespace nestor::supervision::model {

/// Before it is sent anything.
void world::check_conversation(const command::start_run& asked) {
  if (!p_.converses || s_.now != phase::ready || asked.target != s_.observed || s_.observed != s_.wanted ||
      durable_confirmed_ != s_.observed)
    broken("a conversation is asked for before the wanted generation is Ready");
  if (!durable_ || durable_->number != s_.number || durable_->spoken == talk::none)
    broken("a conversation is asked for before that was durable");
  if (s_.spoken != talk::doubtful && !conversed_.insert(s_.number).second)
    broken("a conversation is asked for again as if it never had been");
  if (s_.spoken != talk::doubtful && started_.contains(s_.number)) // else it is looked for
    broken("a conversation is asked for that is known to run");
}

/// Nobody is told that a conversation certainly does not run which does.
failure world::failure_of(const run& r) {
  auto why = some_failure();
  if (r.why == nested::purpose::converse && started_.contains(s_.number) && helps(why) != rung::retry_step)
    why.code = errc::conversation_unknown;
  return why;
}

} // namespace nestor::supervision::model
