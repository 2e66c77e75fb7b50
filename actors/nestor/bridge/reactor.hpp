// The io thread: one io_context that sockets, processes and timers complete on, and at the same time the `home` of the
// actors that use them. A completion and the actor that it concerns run on the same thread, so nothing is handed over.
#pragma once

#include <nestor/actors/caf.hpp>

#include <memory>

namespace boost::asio {
class io_context;
}

namespace nestor::bridge {

class reactor final : public actors::home {
public:
  /// Starts the thread.
  explicit reactor(caf::actor_system& system);
  /// Stops it. Actors that live here must have ended.
  ~reactor() override;
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;

  boost::asio::io_context& context();
  /// The caller is the reactor's own thread.
  [[nodiscard]] bool here() const;
  /// Runs `work` on the reactor's thread and waits until it is done.
  void run_here(const std::function<void()>& work);
  /// Waits until no actor that lives here has anything to do. Not from the reactor's own thread.
  void settle();
  /// Ends the loop and its thread; what is still out is dropped. Idempotent.
  void shut_down();

protected:
  void enqueue(caf::resumable* job) override;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::bridge
