// The world behind the io seam, in memory and on virtual time: nested servers as their real state models, processes as
// a table, every answer a message. The Nth io of a life can be made to fail in every way that a network, a proxy or a
// server has. Keeps the truth that judges read.
#pragma once

#include <support/deterministic_system.hpp>

#include <nested_server/model.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nestor::tests {

/// How one io fails. `none` for a world in order.
enum class fault : std::uint8_t {
  none,
  refused,
  reset,
  no_answer,
  server_error,
  rate_limited,
  truncated,
  proxy_page,
  no_effect,
  answer_lost,
  trickles,
  count_
};
std::string_view name_of(fault f);

class nested_world final : public actors::io_port, public std::enable_shared_from_this<nested_world> {
public:
  nested_world(deterministic_system& system, nested_server::model_options servers);

  // -- the seam
  void perform(io_request request, actors::reply_to to) override;
  void watch(const process_ref& process, actors::reply_to to) override;

  // -- bad weather
  /// The `nth` io from now on (0 = the next) fails like that, `times` in a row.
  void fail(std::size_t nth, fault how, std::size_t times = 1);
  /// Every call whose method and path (without prefix) begin like that fails.
  void fail_always(std::string what, fault how) { always_ = {std::move(what), how}; }
  void heal();
  [[nodiscard]] std::size_t performed() const { return performed_; }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

  // -- the truth
  nested_server::server_model& server(std::uint16_t port);
  [[nodiscard]] std::vector<std::uint16_t> running() const; ///< ports of processes that are alive
  void add_static(std::uint16_t port);
  void kill(std::uint16_t port);    ///< from outside: the process ends by itself
  void restart(std::uint16_t port); ///< the nested server inside restarts, empty
  [[nodiscard]] std::uint32_t most_in_flight() const { return most_in_flight_; }
  [[nodiscard]] std::size_t spawned() const { return spawned_; }
  /// Everything that was written to any server by method other than GET, in order, without bodies.
  [[nodiscard]] const std::vector<std::string>& writes() const { return writes_; }

private:
  struct place {
    std::unique_ptr<nested_server::server_model> model;
    process_ref process; ///< pid 0: not ours
    std::string marker;
    std::optional<actors::reply_to> watcher;
  };

  fault take_fault(const io_request& request);
  void exchange(http_call& call, actors::reply_to to, fault how);
  void spawn(process_spawn& request, actors::reply_to to, fault how);
  void end(process_end& request, actors::reply_to to, fault how);
  void answer(actors::reply_to to, io_reply reply, microseconds after = microseconds{0});
  void gone(std::uint16_t port);

  deterministic_system& system_;
  nested_server::model_options options_;
  std::map<std::uint16_t, place> places_;
  std::uint16_t next_port_ = 30'000;
  std::int64_t next_pid_ = 100;
  std::size_t performed_ = 0;
  std::size_t spawned_ = 0;
  std::optional<std::size_t> fail_at_;
  std::size_t fail_times_ = 0;
  fault fail_how_ = fault::none;
  std::pair<std::string, fault> always_;
  std::vector<std::string> log_;
  std::vector<std::string> writes_;
  std::uint32_t most_in_flight_ = 0;
  std::map<std::uint16_t, instant> now_out_; ///< until when the latest request of each server is out
  std::uint16_t answering_ = 0;

public:
  /// What else listens on loopback: asked about every call to a port where no nested server is. Nothing: nobody does.
  struct other_answer {
    http_reply reply;
    microseconds after{0};
  };
  std::function<std::optional<other_answer>(const http_call&)> elsewhere;
};

} // namespace nestor::tests
