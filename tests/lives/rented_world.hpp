// The emulated clouds behind the io seam of one node or of several, in memory and on virtual time: every provider that
// both the product and the emulator know, with the nested servers' real models in what it rents. What a test asks the
// judge is the clouds' own truth, whatever their lists and faults say.
#pragma once

#include <support/deterministic_system.hpp>

#include <emulator/memory_machines.hpp>
#include <emulator/troubled_cloud.hpp>

#include <nestor/actors/seams.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::tests {

/// The clouds' clock is the actor system's: an actor is told when something is due.
class system_clockwork final : public emulator::clockwork {
public:
  explicit system_clockwork(deterministic_system& system);
  /// Nothing happens any more. Before the actor system ends: it waits for its actors.
  void stop();
  [[nodiscard]] instant now() const override { return system_.now(); }
  void after(milliseconds delay, std::function<void()> what) override;

private:
  void run_due();

  deterministic_system& system_;
  std::multimap<instant, std::function<void()>> to_come_;
  caf::actor hand_;
};

/// What was asked, of which cloud, and what came back.
struct exchange {
  std::string cloud;
  std::string host;
  http::request request;
  address_source from{};
};

class rented_world final : public actors::io_port, public std::enable_shared_from_this<rented_world> {
public:
  /// `seed`: of ids, tokens and draws.
  rented_world(deterministic_system& system, std::uint64_t seed);
  /// On a clock of its own, for clouds that outlive actor systems; only of these kinds.
  rented_world(emulator::clockwork& time, const std::vector<std::string>& kinds, std::uint64_t seed);

  /// Hears one answer, later, and not within the call that asks.
  using ear = std::function<void(io_reply)>;
  void ask(io_request request, ear to);
  void perform(io_request request, actors::reply_to to) override;
  void watch(const process_ref&, actors::reply_to) override {}

  /// Before the actor system ends.
  void stop() { clockwork_->stop(); }
  /// The mishaps of one cloud from now on; none: it works as it should.
  void plan(std::string_view cloud, const std::vector<std::string>& specs, std::uint64_t seed = 1);
  emulator::troubled_cloud& cloud(std::string_view name) { return *clouds_.at(std::string{name}); }
  emulator::memory_machines& inside() { return inside_; }
  /// Everything that costs money at that cloud.
  [[nodiscard]] std::vector<emulator::rented> rented(std::string_view cloud) const;
  /// … and belongs to that sandbox.
  [[nodiscard]] std::vector<emulator::rented> rented(std::string_view cloud, const sandbox_id& of) const;
  [[nodiscard]] std::size_t asked(std::string_view cloud) const;
  /// The most that one sandbox ever had at a time.
  [[nodiscard]] std::size_t most_at_a_time() const { return most_at_a_time_; }

  bool keeps_exchanges = false;
  std::vector<exchange> exchanges;

private:
  void build(const std::vector<std::string>& kinds, std::uint64_t seed);
  void look(std::string_view cloud);

  std::unique_ptr<system_clockwork> clockwork_; ///< when it is of an actor system
  emulator::clockwork& time_;
  emulator::memory_machines inside_;
  std::map<std::string, std::unique_ptr<emulator::troubled_cloud>> clouds_;
  std::map<std::string, std::size_t> asked_;
  std::size_t most_at_a_time_ = 0;
};

/// The kinds that the product rents from and the emulator emulates.
std::vector<std::string> rented_kinds();
/// An account at each of them, under the kind's own name, with the good key; each URL of its table leads to the cloud.
std::shared_ptr<const providers::account_book> accounts_of_clouds();
/// The good keys, by kind.
secret_lookup keys_of_clouds();

} // namespace nestor::tests
