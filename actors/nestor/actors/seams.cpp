// What a journal answers that keeps nothing for longer than the process lives: there is no older state, and no key.
#include <nestor/actors/messages.hpp>

namespace nestor::actors {
namespace {

void say(const reply_to& to, auto message) {
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    tell_from_outside(whom, std::move(message));
}

keys_seen no_keys(const reply_to& to) {
  return {to.ticket,
          {},
          failure{errc::capability_missing, step::queue, "this journal is in memory: nothing is sealed", 0, {}}};
}

} // namespace

void journal_port::confirm(reply_to to) {
  say(to, journal_done{to.ticket, true});
}
void journal_port::rotate(reply_to to) {
  say(to, no_keys(to));
}
void journal_port::look_at_keys(reply_to to) {
  say(to, no_keys(to));
}

} // namespace nestor::actors
