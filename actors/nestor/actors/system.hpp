// The embedder's front door: a node inside any CAF actor system. Nothing is global: two nodes in one process are fine.
// The library reads no environment and no flags, installs no signal handler, prints nothing, never exits the process
// and starts no thread that it does not stop.
//
//   nestor::actors::register_messages();  // CAF 1.x: before the configuration is made
//   caf::actor_system_config cfg;
//   nestor::actors::prepare(cfg);         // or dedicate(cfg), when the node is all that the system carries
//   caf::actor_system system{cfg};
//   nestor::actors::node node{system, {}};
//   self->request(node.front(), 5s, create_sandbox{spec}).then(…)
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/reaper.hpp>
#include <nestor/actors/sandbox_registry.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nestor::bridge {
class reactor;
}

namespace nestor::actors {

struct node_options {
  registry_limits limits;
  /// Open connections to nested servers and providers at a time. 64 carried twice what 10,000 did; a slow network with
  /// many sandboxes in flight wants more.
  std::size_t connections_max = 256;
  std::size_t connections_per_origin = 8;
  std::size_t calls_waiting_max = 200'000;    ///< beyond it a call fails with `overloaded`
  std::vector<std::string> addresses_allowed; ///< CIDR ranges that specifications may name besides public ones
  std::vector<std::string> addresses_denied;  ///< CIDR ranges that nothing is connected to, whoever names them
  std::map<std::string, std::string> resolve; ///< fixed names, `*.` wildcards; name → address
  std::shared_ptr<const providers::account_book> accounts = providers::built_in_accounts();
  std::string guardian; ///< path of nestor-guardian; empty: beside the running binary
  std::string ca_file;  ///< PEM, trusted besides the system's
  /// Makes the actor that is told of status changes, at the node's home. None: nobody is told.
  std::function<caf::actor(caf::actor_system&, home*)> observer;
  bool detailed = false;                    ///< … and of every step
  std::shared_ptr<const trace_port> traces; ///< null: nothing is traced
  /// `sqlite://` and the path of a file, made when absent; or `postgresql://USER@HOST/DATABASE`. Empty: records are
  /// kept in memory, and everything ends with the process. With a durable one every sandbox that it knows is there
  /// again when the constructor returns (Unknown until it was probed), and processes of `process` outlive the node.
  std::string journal;
  std::string keys;     ///< path of the key ring that seals it, made (mode 0600) with a new one; empty: beside its file
  sweep_options sweeps; ///< with a durable journal; else there is nothing that a sweep could compare with
};

/// One node: its io thread, its seams, its registry. Destroying it without `drain` drops its sandboxes: processes end
/// through their guardians, servers of others keep what they have.
class node {
public:
  /// Throws std::invalid_argument for options that make no sense, std::runtime_error when the journal cannot be used:
  /// it says why and what to do.
  node(caf::actor_system& system, node_options options);
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Takes the messages of messages.hpp's first group.
  [[nodiscard]] const caf::actor& front() const;
  [[nodiscard]] const surroundings& around() const;
  [[nodiscard]] surroundings_ptr shared_around() const;
  /// The loop that it lives on, for servers that hand it requests. Gone with the node.
  [[nodiscard]] bridge::reactor& loop();
  /// Takes the messages of REAPER; invalid without a durable journal.
  [[nodiscard]] const caf::actor& reaper() const;
  /// Destroys every sandbox and waits for it, at most `within`. How many are left.
  std::size_t drain_now(milliseconds within);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::actors
