// The io seam of one node: what it asks takes a moment to arrive, and the answer a moment to come back. When the node
// is gone, what was on its way may still arrive.
#pragma once

#include "transcript.hpp"

#include <lives/rented_world.hpp>

#include <nestor/actors/seams.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nestor::simulation {

class wire final : public actors::io_port, public std::enable_shared_from_this<wire> {
public:
  struct surroundings {
    tests::rented_world& clouds;
    emulator::clockwork& time;
    transcript& told;
    std::function<std::uint64_t()> draw;
    /// A request changes something although nobody waits for its answer any more.
    std::function<void()> on_late_change;
    /// A request that changes something arrives: `METHOD target`, and its body.
    std::function<void(std::string_view line, std::string_view body)> on_change;
    /// Something is asked inside a runtime while an answer from there is still owed.
    std::function<void(std::string_view line)> on_crowd;
  };
  explicit wire(surroundings around) : around_(std::move(around)) {}

  void perform(io_request request, actors::reply_to to) override;
  void watch(const process_ref&, actors::reply_to) override {}
  /// The node is gone. Of the requests on their way, `survives` of 100 had left the machine: they arrive.
  void crash(unsigned survives);

private:
  struct flight {
    io_request request;
    actors::reply_to to;
    std::string door; ///< of the runtime that is asked; empty: a control plane
    bool arrived = false;
    bool dropped = false;
    bool answered = false;
  };
  void arrive(const std::shared_ptr<flight>& f);
  void answer(const std::shared_ptr<flight>& f, io_reply reply);

  surroundings around_;
  std::vector<std::weak_ptr<flight>> on_their_way_;
  std::map<std::string, unsigned> owed_; ///< answers, by door
  bool open_ = true;
};

/// `METHOD target` of a request.
std::string line_of(const io_request& request);
/// Where it enters a runtime: its host, or as much of its path as names the runtime. Empty: it is for a control plane.
std::string door_of(const io_request& request);

} // namespace nestor::simulation
