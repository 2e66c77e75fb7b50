// The node of the verbs that need none running: an actor system and a node in this process, what they report brought to
// the one thread that talks to a person. Knows no verb.
#pragma once

#include <nestor/actors/system.hpp>
#include <nestor/node/node_config.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

namespace nestor::cli {

/// What the node told its observer; or somebody pressed Ctrl-C (or sent TERM).
struct interrupted {};
using told = std::variant<actors::status_changed, actors::step_changed, interrupted>;

class local_node {
public:
  /// Blocks SIGINT and SIGTERM for the process: they arrive through `next`. Loopback and private addresses may be
  /// named: it is the user's own machine.
  explicit local_node(const node_config& config);
  ~local_node();
  local_node(const local_node&) = delete;
  local_node& operator=(const local_node&) = delete;

  /// The next thing that happened, or nothing within that time.
  std::optional<told> next(milliseconds within);

  /// Asks the node; throws std::runtime_error when it does not answer.
  template <class Response, class Request>
  Response ask(Request request) {
    return ask<Response>(node().front(), std::move(request), answer_within);
  }
  /// Asks the PROVIDER DESK, whose answer may take many requests to a provider.
  template <class Response, class Request>
  Response ask_desk(Request request) {
    return ask<Response>(node().around().desk, std::move(request), desk_within);
  }

  caf::actor_system& system();
  actors::node& node();

private:
  template <class Response, class Request>
  Response ask(const caf::actor& whom, Request request, std::chrono::seconds within) {
    std::optional<Response> got;
    caf::scoped_actor self{system()};
    actors::ask(self, whom, within, std::move(request))
      .receive([&](Response& r) { got = std::move(r); }, [](const caf::error&) {});
    if (!got)
      throw std::runtime_error{"the node did not answer"};
    return std::move(*got);
  }

  /// The node answers from memory; only a stuck machine takes longer.
  static constexpr std::chrono::seconds answer_within{30};
  /// A list of ten thousand sandboxes is a hundred pages.
  static constexpr std::chrono::seconds desk_within{300};
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// The folder of the running program, where its companions are.
std::string program_folder();

} // namespace nestor::cli
