// One life of a node: the real registry, supervisors, children, desk, timers and reaper, on an actor system of its own.
// It ends by being dropped: its seams are closed first, so that whatever runs while its actors are taken apart reaches
// nobody.
#pragma once

#include "disk.hpp"
#include "planted.hpp"
#include "wire.hpp"

#include <support/deterministic_system.hpp>
#include <support/seeded_entropy.hpp>

#include <nestor/actors/messages.hpp>

#include <functional>
#include <memory>

namespace nestor::simulation {

/// What everybody may hear of a node.
struct heard_of {
  std::function<void(const actors::status_changed&)> status;
  std::function<void(const actors::step_changed&)> step;
  std::function<void(const actors::recovered&)> recovered;
};

struct life_options {
  emulator::virtual_clockwork& time;
  std::function<wall_time()> wall;
  std::shared_ptr<paper_journal> journal;
  std::shared_ptr<wire> io;
  disk& records;
  std::shared_ptr<tests::seeded_entropy> entropy;
  actors::registry_limits limits;
  const std::vector<std::string>& kinds; ///< of the accounts it has
  const planted* broken = nullptr;
  heard_of ears;
};

class node_life {
public:
  /// Begins to recover; `recovered` is told how that went, and only then may clients come.
  explicit node_life(life_options options);
  /// As `kill -9`.
  ~node_life();
  node_life(const node_life&) = delete;
  node_life& operator=(const node_life&) = delete;

  tests::deterministic_system system;

  /// Lets a client ask; `then` gets nothing when the node ended before it answered or the answer is an error.
  template <class Response, class Request>
  void ask(Request what, std::function<void(Response*)> then) {
    actors::spawn<client<Response, Request>>(system.system(), nullptr, front_, std::move(what), std::move(then));
  }
  void sweep(std::function<void(actors::sweeps_seen*)> then);
  /// Before it is dropped.
  void close_seams(unsigned survives);

private:
  /// Asks once, and ends.
  template <class Response, class Request>
  struct client {
    using handle_type = caf::actor;
    static constexpr const char* name = "client";
    client(actors::self_ptr<> self, const caf::actor& whom, Request what, std::function<void(Response*)> then) {
      self->ask_untimed(whom, std::move(what))
        .then([then, self](Response& r) { then(&r), self->quit(); },
              [then, self](const caf::error&) { then(nullptr), self->quit(); });
    }
    caf::behavior make_behavior() {
      return {[](const actors::woken&) {}};
    }
  };
  void begin_sweeps();

  life_options options_;
  std::shared_ptr<actors::surroundings> around_;
  caf::actor front_, reaper_;
};

} // namespace nestor::simulation
