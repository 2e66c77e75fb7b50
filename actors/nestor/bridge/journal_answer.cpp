#include <nestor/bridge/journal_answer.hpp>

#include <nestor/actors/messages.hpp>

namespace nestor::bridge {
namespace {

namespace op = journal::op;

/// What was asked decides what the answer looks like.
struct answering {
  const caf::actor& whom;
  const actors::reply_to& to;
  journal::result& got;

  void say(auto message) const { actors::tell_from_outside(whom, std::move(message)); }
  void operator()(const op::write&) const { say(actors::journal_done{to.ticket, got.done}); }
  void operator()(const op::want&) const { say(actors::journal_done{to.ticket, got.done}); }
  void operator()(const op::unwant&) const { say(actors::journal_done{to.ticket, got.done}); }
  void operator()(const op::read&) const { say(actors::wanted_loaded{to.ticket, std::move(got.wanted)}); }
  void operator()(const op::load&) const {
    std::optional<actors::sandbox_records> found;
    if (got.done)
      found = got.found.empty() ? actors::sandbox_records{} : std::move(got.found.front().second);
    say(actors::records_loaded{to.ticket, std::move(found)});
  }
  void operator()(const op::list&) const {
    say(actors::records_listed{to.ticket, std::move(got.found), std::move(got.why)});
  }
  void operator()(const op::close&) const {}
  void operator()(const op::forget&) const {}
};

} // namespace

void answer(const journal::operation& what, journal::result got, const actors::reply_to& to) {
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    std::visit(answering{whom, to, got}, what);
}

} // namespace nestor::bridge
