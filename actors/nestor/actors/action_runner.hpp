// ACTION RUNNER: carries one action to one runtime, and ends with its observation. It sends the action once; what it
// cannot learn is unknown. Before anything is sent it reads what secrets the runtime may hold: an observation goes out
// without them, or not at all.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/provider_talk.hpp>
#include <nestor/runtime/action_server.hpp>

namespace nestor::actors {

/// What an ACTION RUNNER is born with.
struct action_task {
  std::shared_ptr<const action> what;
  std::shared_ptr<const providers::runtime> runtime;
  const providers::account_source* account = nullptr; ///< of the node's book, which outlives it
  actions_via via = actions_via::action_server;
  std::uint16_t port = 0; ///< of the action server; 0: the one after the nested server's
  sandbox_id sandbox;
  std::vector<generation> may_hold; ///< generations whose secrets may be in there
  incarnation fence = 0;
  std::uint64_t number = 0; ///< of its last word to its SUPERVISOR
};

class action_runner {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.action-runner";

  action_runner(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor, action_task task);
  /// The `run_action` that it was spawned for is passed on to it.
  caf::behavior make_behavior();

private:
  caf::result<action_seen> on_asked();
  void on_loaded(wanted_loaded& loaded);
  void send();
  void converse(std::shared_ptr<const providers::account> who);
  /// `nonce`: random bytes, of this action alone: its name where names are the client's to choose.
  template <class Order>
  void begin(providers::operation<observation, Order> how, std::shared_ptr<const providers::account> who, Order order,
             wiped_string nonce = {});
  void came(provider_talk::outcome_of<observation> what);
  void refuse(failure why);
  /// Nobody waits for its answer any more.
  void give_up(std::string_view why);
  void finish(action_seen last);

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor_addr supervisor_;
  action_task task_;
  std::vector<secret> secrets_;
  std::size_t loading_ = 0; ///< generations still to be read
  bool sent_ = false;
  std::optional<promise<action_seen>> answer_;
  provider_talk talk_;
};

} // namespace nestor::actors
