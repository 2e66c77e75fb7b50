// RUNTIME CLIENT: how an embedder uses one sandbox's runtime: connect, act, wait until it can, close. It is bound to
// the incarnation that it was connected to: once another one is served, it says so and ends, because whatever was
// prepared in the runtime may be gone. Ask for another connection then.
//
//   auto client = nestor::actors::spawn<runtime_client>(self, node.front(), id, "");
//   self->ask(client, 5s, connect_runtime{}).then([](runtime_connected&) { … }, …);
//   self->ask(client, 125s, act{{action_kind::run, "make test"}}).then([](action_seen&) { … }, …);
//   self->tell(client, close_runtime{});
#pragma once

#include <nestor/actors/messages.hpp>

namespace nestor::actors {

class runtime_client {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.runtime-client";

  /// `front`: the NODE. `of`: the tenant whose sandbox it is; empty: whoever runs the node.
  runtime_client(self_ptr<> self, caf::actor front, sandbox_id id, std::string of);
  caf::behavior make_behavior();

private:
  caf::result<runtime_connected> on_connect();
  caf::result<action_seen> on_act(act& asked);

  self_ptr<> self_;
  caf::actor front_;
  sandbox_id id_;
  std::string of_;
  std::optional<incarnation> fence_;
};

} // namespace nestor::actors
