// The action-execution API: an action server inside the runtime, beside its nested server, that runs commands and
// Python, one at a time. Conversations in the form of the providers' own (providers/provider.hpp), so that whoever
// carries those carries these. Facts of the API: the original's action-execution server and its client.
//
// An action goes out once. What was certainly not run is a failure; every other answer that tells no end is an
// observation whose verdict is `unknown`.
#pragma once

#include <nestor/providers/provider.hpp>

namespace nestor {

struct action_order {
  providers::runtime where; ///< of the action server; its session key is the runtime's
  action what;
};

/// Where the action server of a runtime is: on its host, at `port`, or, for 0, at the port after the nested server's.
providers::runtime action_server_of(const providers::runtime& nested, std::uint16_t port);

/// Runs it. No account is needed: its key is never sent.
providers::progress<observation> run_at_action_server(const providers::account& nobody, const action_order& order,
                                                      const providers::heard& so_far);

/// Asks until the server says that it can run actions, for `order.what.within` at most.
providers::progress<observation> await_action_server(const providers::account& nobody, const action_order& order,
                                                     const providers::heard& so_far);

} // namespace nestor
