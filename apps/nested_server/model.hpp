// The nested server without a network: request in, answer out. No socket, no clock, no thread; cheap to make and to
// ask, so that a fault loop can run whole start-ups against thousands of them. Answers follow the contract page
// (nested-server.md §3 and §4, and architecture §1 for `generic`) where it says something, its oddities included.
#pragma once

#include <nested_server/state.hpp>

#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>
#include <nestor/http/message.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nestor::nested_server {

struct dialect_model;

struct model_options {
  std::string dialect = "openhands";              ///< of `dialect_names()`
  secret session_key;                             ///< empty: no authentication
  bool deferred_init = false;                     ///< agent-server: starts dormant, and POST /api/init wakes it
  secret init_key{};                              ///< agent-server: of that POST; empty: the session key
  bool rate_limit = true;                         ///< of dialects that have one
  bool reads = true;                              ///< generic: offer the optional GETs
  bool choose_conversation_id = true;             ///< accept `conversation_id` (ALLOW_SET_CONVERSATION_ID)
  std::vector<std::string> refused_tokens{"bad"}; ///< git tokens with one of these prefixes are refused
  milliseconds server_info_delay{100};            ///< openhands: it measures the CPU for that long
};

/// What is wrong with the world while one request is answered.
struct circumstances {
  bool git_hosts_unreachable = false;
};

struct model_reply {
  /// Without a Content-Type header the body is application/json.
  http::response response;
  milliseconds delay{0}; ///< to wait before it is sent
};

/// Path prefixes (`/s/NAME`) of one model; more are answered with 503.
inline constexpr std::size_t states_max = 250'000;
/// Characters of NAME, from [A-Za-z0-9._-].
inline constexpr std::size_t state_name_max = 64;

/// A request's target taken apart: `/s/NAME/api/x?y` is prefix `/s/NAME`, path `/api/x`, query `y`. Views into it.
struct target_parts {
  std::string_view prefix; ///< empty: the server at the root
  std::string_view path;
  std::string_view query;
};
target_parts parts_of(std::string_view target);

/// Every dialect that `model_options` may name, as users write them.
std::vector<std::string> dialect_names();

class server_model {
public:
  /// Throws std::invalid_argument when there is no such dialect.
  explicit server_model(model_options options, instant started = {});

  /// Answers like a server of this dialect. `client` is an address without port.
  model_reply handle(const http::request& request, instant now, std::string_view client,
                     const circumstances& around = {});

  // -- for judges; `prefix` is "" or "/s/NAME" ----------------------------------------------------------------------

  /// nullptr when nobody asked for that prefix yet.
  [[nodiscard]] const server_state* find(std::string_view prefix = {}) const;
  /// The stored settings in clear, as a JSON object's text; empty when there are none.
  [[nodiscard]] std::string settings_text(std::string_view prefix = {}) const;
  /// Requests by route ("POST /api/settings"); "other" is what matched none. Counted before authentication.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::uint32_t>> requests(std::string_view prefix = {}) const;
  [[nodiscard]] std::uint32_t requests_to(std::string_view label, std::string_view prefix = {}) const;
  /// Every prefix that was asked for.
  [[nodiscard]] std::vector<std::string> prefixes() const;
  [[nodiscard]] const model_options& options() const { return options_; }
  /// What this dialect answers when something inside has failed.
  [[nodiscard]] http::response failure_answer(std::uint16_t status) const;
  /// Does it carry the session key, or is none needed?
  [[nodiscard]] bool authorized(const http::request& request) const;

  // -- for faults and whoever carries requests ----------------------------------------------------------------------

  /// The state for that prefix, made when it is new; nullptr beyond `states_max`.
  server_state* state_of(std::string_view prefix);
  /// The counters for that prefix, made when new; stays where it is for the model's lifetime. nullptr as above.
  traffic* traffic_of(std::string_view prefix);
  /// The server behind `prefix` restarts: it holds nothing, and its uptime begins again.
  void reset(std::string_view prefix, instant now);
  /// All of them.
  void reset(instant now);

private:
  struct seat {
    server_state state;
    traffic carried;
  };
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  seat* seat_of(std::string_view prefix);
  [[nodiscard]] server_state fresh(instant now) const;

  model_options options_;
  const dialect_model* dialect_;
  instant started_;
  std::unordered_map<std::string, seat, text_hash, std::equal_to<>> seats_;
  seat* root_ = nullptr; ///< the seat of the empty prefix: no look-up for the common case
};

} // namespace nestor::nested_server
