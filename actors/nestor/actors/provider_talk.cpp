#include <nestor/actors/provider_talk.hpp>

namespace nestor::actors {
namespace {

// A provider bounds its own pages and polls; this one only keeps a mistake of ours from asking forever: ten minutes of
// polls every 100 ms, and then some.
constexpr std::uint32_t questions_max = 10'000;

} // namespace

std::optional<failure> provider_talk::objection(const providers::account& who, const providers::ask& question,
                                                std::uint32_t asked) {
  // After the first question something may have been created: then it must be looked for.
  auto code = asked == 0 ? errc::address_refused : errc::create_unknown;
  if (providers::carries_key_astray(who, question.request))
    return failure{code,
                   step::provision,
                   "providers." + who.name + ": its key would have gone to a host that is not the provider's",
                   0,
                   {}};
  if (asked >= questions_max)
    return failure{code, step::provision, "providers." + who.name + ": a conversation did not end", 0, {}};
  return std::nullopt;
}

void provider_talk::go_on(conversation held, const io_reply* reply) {
  auto elapsed = std::chrono::duration_cast<milliseconds>(around_->clock->now() - held.began);
  auto question = held.turn(providers::heard{held.at, reply, held.carried, held.asked, elapsed});
  if (!question)
    return;
  ++held.asked;
  held.at = question->at;
  held.carried = std::move(question->carried);
  auto ticket = ++ticket_;
  if (question->after > milliseconds{0}) {
    held.later = std::move(question->request);
    open_.emplace(ticket, std::move(held));
    return self_->tell(around_->timers, wake_at{around_->clock->now() + question->after, self_->address(), ticket});
  }
  open_.emplace(ticket, std::move(held));
  around_->io->perform(std::move(question->request), {self_->address(), ticket});
}

void provider_talk::hear(io_done& done) {
  if (auto found = open_.extract(done.ticket); !found.empty())
    go_on(std::move(found.mapped()), &done.reply);
}

void provider_talk::hear(const woken& alarm) {
  auto found = open_.find(alarm.ticket);
  if (found == open_.end() || !found->second.later)
    return;
  auto request = std::move(*found->second.later);
  found->second.later.reset();
  around_->io->perform(std::move(request), {self_->address(), alarm.ticket});
}

} // namespace nestor::actors
