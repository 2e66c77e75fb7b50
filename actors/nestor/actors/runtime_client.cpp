#include <nestor/actors/runtime_client.hpp>

namespace nestor::actors {
namespace {

failure ended_before_it_answered() {
  return {errc::node_stopping, step::ready, "the node ended before it answered", 0, {}};
}

} // namespace

runtime_client::runtime_client(self_ptr<> self, caf::actor front, sandbox_id id, std::string of)
    : self_(self), front_(std::move(front)), id_(std::move(id)), of_(std::move(of)) {}

caf::behavior runtime_client::make_behavior() {
  return {[this](connect_runtime) { return on_connect(); }, [this](act& asked) { return on_act(asked); },
          [this](close_runtime) { self_->quit(); }};
}

caf::result<runtime_connected> runtime_client::on_connect() {
  promise<runtime_connected> answer{self_};
  auto over = [this, answer](runtime_connected what) mutable {
    if (!what.refused)
      fence_ = what.fence;
    bool refused = what.refused.has_value();
    answer.deliver(std::move(what));
    if (refused)
      self_->quit();
  };
  self_->ask_untimed(front_, get_access{id_, of_})
    .then(
      [over](access& granted) mutable {
        over({granted.fence, std::move(granted.refused)});
      },
      [over](const caf::error&) mutable {
        over({0, ended_before_it_answered()});
      });
  return answer.result();
}

/// The end of the incarnation is the client's end; any other refusal may pass.
caf::result<action_seen> runtime_client::on_act(act& asked) {
  if (!fence_)
    return action_seen{{}, 0, failure{errc::conflict, step::ready, "the client is not connected", 0, {}}};
  promise<action_seen> answer{self_};
  self_->ask_untimed(front_, run_action{id_, std::make_shared<const action>(std::move(asked.what)), fence_, of_})
    .then(
      [this, answer](action_seen& seen) mutable {
        bool replaced = seen.refused && seen.fence != *fence_;
        answer.deliver(std::move(seen));
        if (replaced)
          self_->quit();
      },
      [answer](const caf::error&) mutable {
        answer.deliver(action_seen{lost_answer(ended_before_it_answered().cause), 0, std::nullopt});
      });
  return answer.result();
}

} // namespace nestor::actors
