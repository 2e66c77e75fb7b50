// Stands between the actors and the world, and makes the actors themselves fail: whoever asks for an io throws, or is
// never answered, or its SUPERVISOR dies while it is out. The product has no hook for this: an exception comes out of
// the seam, an end is an exit message.
#pragma once

#include <nestor/actors/seams.hpp>

#include <functional>
#include <memory>
#include <string>

namespace nestor::tests {

enum class mishap : std::uint8_t {
  none,
  throws,            ///< the actor that asks throws; the world never heard of it
  throws_after,      ///< … but the world did
  unanswered,        ///< the answer never comes, and the world never heard of it
  supervisor_killed, ///< by `kill`: it runs no handler any more
  supervisor_told    ///< by any other exit reason
};

/// Whose io: CONFIGURATORs speak HTTP, PROVIDER_AUTH handles processes.
enum class asker_kind : std::uint8_t { anyone, configurator, provider_auth };

class saboteur final : public actors::io_port {
public:
  explicit saboteur(std::shared_ptr<actors::io_port> world) : world_(std::move(world)) {}

  void perform(io_request request, actors::reply_to to) override;
  void watch(const process_ref& process, actors::reply_to to) override;

  /// The `nth` io of that kind from now on (0 = the next), and the ones after it, `times` in all.
  void strike(mishap how, std::size_t nth, std::size_t times = 1, asker_kind whose = asker_kind::anyone);
  /// Every io whose name contains that: method and path of an HTTP call; `spawn`, `find`, `end`.
  void strike_always(mishap how, std::string what);
  void stop() { how_ = mishap::none; }
  /// How often it struck.
  [[nodiscard]] std::size_t struck() const { return struck_; }

  std::function<void(mishap)> end_supervisor; ///< set by the node: ends the one under test

private:
  bool hits(const io_request& request);

  std::shared_ptr<actors::io_port> world_;
  mishap how_ = mishap::none;
  std::size_t to_go_ = 0;
  std::size_t times_ = 0;
  asker_kind whose_ = asker_kind::anyone;
  std::string what_;
  std::size_t struck_ = 0;
};

} // namespace nestor::tests
