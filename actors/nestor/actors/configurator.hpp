// CONFIGURATOR: walks one push_plan against one runtime, for one run, and ends with it. It decides nothing: the plan
// says what to send, the seam sends it, the reply goes back to the plan. One request is out at a time, always; asked
// to wind down, it waits for the one that is out before it ends.
#pragma once

#include <nestor/actors/messages.hpp>

#include <optional>

namespace nestor::actors {

/// What a CONFIGURATOR is born with.
struct configurator_task {
  run_number run = 0;
  bool asks_first = false; ///< waits for `let_write` before it writes anything
  nested::push_order order;
  std::shared_ptr<const providers::runtime> runtime;
  std::string traceparent{}; ///< sent along; empty: none
};

class configurator {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.configurator";

  configurator(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor, configurator_task task);
  caf::behavior make_behavior();

private:
  void proceed();
  void perform(nested::send_request& send);
  void perform(const nested::wait_for& wait);
  void perform(nested::confirmation& confirmed);
  void perform(nested::run_failed& failed);
  void report(supervision::any_event what, std::shared_ptr<const nested::confirmation> confirmed = nullptr);
  void report_step(step at, milliseconds silent_for);

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor_addr supervisor_;
  run_number run_;
  std::shared_ptr<const providers::runtime> runtime_;
  std::string traceparent_;
  nested::push_plan plan_;
  std::uint64_t ticket_ = 0; ///< of what is awaited: a reply or an alarm
  bool request_out_ = false;
  bool winding_down_ = false;
  bool wrote_ = false;
  bool asks_first_;
  std::optional<nested::send_request> held_; ///< the first write, while it waits for the word
  step reported_ = step::count_;
  std::uint32_t reported_tries_ = 0;
  instant heard_until_{}; ///< the supervisor expects no word before that
};

} // namespace nestor::actors
