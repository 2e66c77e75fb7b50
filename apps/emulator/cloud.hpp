// One emulated provider: its books, its routes, its errors, exactly as its own SDK meets them. A cloud is a model:
// requests in, answers out through the caller's door; time by a `clockwork`, life by `machines`; no socket, no thread.
// What goes wrong on the way (resets, lost answers, throttling) is put around it by `troubled_cloud`.
#pragma once

#include <emulator/clockwork.hpp>
#include <emulator/machines.hpp>

#include <nested_server/site.hpp>

#include <nestor/core/time.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::emulator {

using nested_server::reply_door;
using nested_server::wire_reply;

/// The way back to whoever asked: a whole answer, or one in parts. Used once.
using caller = std::shared_ptr<reply_door>;

/// What is wrong with the sandbox that a request creates or starts.
struct affliction {
  bool never_ready = false;   ///< it stays on its way for ever
  bool fails = false;         ///< it comes out in the provider's error state
  milliseconds unlisted{0};   ///< lists do not show it for so long; look-ups by id do
  milliseconds boots_late{0}; ///< it takes so much longer
};

/// How a provider is set up. Times are short, so that a test of a whole life is too; a real one takes seconds.
struct cloud_options {
  std::string key;                          ///< the account's only good credential
  std::string base = "http://127.0.0.1:80"; ///< how clients reach it: scheme, host, port
  std::string domain;                       ///< of the hosts of sandboxes' ports, with its port; empty: the usual one
  milliseconds boots_in{150};
  milliseconds stops_in{50};
  std::uint32_t creates_per_second = 0;      ///< more are throttled; 0: no limit
  std::size_t sandboxes_max = 0;             ///< at a time; 0: no limit
  std::uint64_t seed = 1;                    ///< of ids and tokens
  std::int64_t epoch_ms = 1'800'000'000'000; ///< wall time at the clockwork's moment 0
};

/// What a cloud works with. All of it outlives the cloud.
struct cloud_world {
  clockwork& time;
  machines& inside;
};

/// One line of the truth for judges: what exists, whatever lists and faults say.
struct rented {
  std::string id;
  std::string name;
  std::string state; ///< in the provider's words
  std::vector<std::pair<std::string, std::string>> labels;
  std::int64_t created_ms = 0;
};

class cloud {
public:
  virtual ~cloud() = default;
  /// `request` is valid during the call. The caller is answered once, during the call or later.
  virtual void serve(const http::request& request, const affliction& ill, caller back) = 0;
  /// Everything that costs money.
  [[nodiscard]] virtual std::vector<rented> truth() const = 0;
  /// This provider's own error with that status, as its own server would word it.
  [[nodiscard]] virtual http::response refusal(std::uint16_t status, const http::request& request) const = 0;
  /// 429 with this provider's own headers.
  [[nodiscard]] virtual http::response throttled(std::int64_t seconds, const http::request& request) const = 0;
};

struct cloud_row {
  std::string_view name; ///< also the option that gives its port
  std::string_view summary;
  std::string_view key; ///< the good credential unless told otherwise
  std::unique_ptr<cloud> (*make)(cloud_options, cloud_world);
  bool rpc = false; ///< its port speaks gRPC (grpc_front.hpp); sandboxes' ports are reached on another one
};
/// Every cloud of this build: one row makes a new one known to the command line, the admin routes and the tests.
std::vector<cloud_row> cloud_table();
/// Throws std::invalid_argument when there is none of that name.
std::unique_ptr<cloud> make_cloud(std::string_view name, cloud_options options, cloud_world world);

std::unique_ptr<cloud> make_daytona_cloud(cloud_options options, cloud_world world);
std::unique_ptr<cloud> make_e2b_cloud(cloud_options options, cloud_world world);
std::unique_ptr<cloud> make_runloop_cloud(cloud_options options, cloud_world world);
std::unique_ptr<cloud> make_modal_cloud(cloud_options options, cloud_world world);
std::unique_ptr<cloud> make_remote_cloud(cloud_options options, cloud_world world);

} // namespace nestor::emulator
