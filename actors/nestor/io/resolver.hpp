// Host names to addresses: bounded, cached, concurrent. Knows no rule about which addresses are acceptable and opens
// no connection. Exists because getaddrinfo blocks for as long as a name server likes: here a stuck name delays only
// those who asked for that name.
#pragma once

#include <nestor/core/time.hpp>
#include <nestor/io/address_rules.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace nestor::io {

struct resolved {
  enum outcome : unsigned char { found, unknown, overloaded };
  outcome what = unknown;
  std::vector<ip_address> addresses; ///< in the order in which to try them; not empty when `found`
};

struct resolver_options {
  std::size_t lookups = 16;        ///< at a time, a thread each; a stuck name holds one until the system gives up
  std::size_t waiting = 1'024;     ///< names beyond these are `overloaded`
  std::size_t cached = 4'096;      ///< names remembered; the one that expires first makes room
  milliseconds found_for{30'000};  ///< getaddrinfo tells no TTL: short enough to follow a failover
  milliseconds unknown_for{2'000}; ///< short: a name that was just created must soon be found
  /// Fixed answers before any look-up: a name, or `*.` and a suffix (any depth), to a numeric address.
  std::vector<std::pair<std::string, std::string>> overrides;
  std::function<instant()> now; ///< null: the steady clock
  /// Replaces getaddrinfo; called on a thread of the pool, may block.
  std::function<std::vector<ip_address>(const std::string& name)> look_up;
};

/// Used from the io_context's one thread; answers come on it, never inside `resolve`. Destroying it answers nobody;
/// a look-up that is stuck then is left to its thread, which touches nothing of ours any more.
class resolver {
public:
  resolver(boost::asio::io_context& context, resolver_options options);
  ~resolver();
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  /// What is known without waiting: numeric addresses, overrides, cached names. Empty pointer: ask `resolve`.
  std::unique_ptr<resolved> known(const std::string& name);

  /// Answers once. Those who ask for a name while it is being looked up share one look-up.
  void resolve(const std::string& name, std::function<void(const resolved&)> done);

private:
  struct state;
  std::shared_ptr<state> state_;
};

/// The addresses the system gives for `name`; empty when there are none. Blocks.
std::vector<ip_address> look_up_by_system(const std::string& name);

} // namespace nestor::io
