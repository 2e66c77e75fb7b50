// One run against one nested server, as a pure machine: what to send next, what an answer means, when it is done.
//
// Theory of operation. A run has a purpose. `configure`, `update` and `restore` walk alive → (dialect) → settings →
// git providers → secrets → verify, one request at a time, and end `done` only with the strongest evidence the dialect
// has. `withdraw` takes back what was written and reads back that it is gone. `probe` and `deep_probe` look whether the
// same server still lives and (deep) still holds what was confirmed. `converse` looks the same way and then has the
// conversation started (conversation.hpp). Each step has its own budget of tries; a spent
// budget ends the run with a failure that says which higher rung of the ladder helps. The machine sends nothing and
// knows no clock: `next` is asked what to do, the answer of the world comes back through `on_reply`.
//
// It refuses to know: providers, actors, sockets, what happens after the run.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/time.hpp>
#include <nestor/nested/configuration.hpp>
#include <nestor/nested/evidence.hpp>
#include <nestor/seam/io_request.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace nestor::nested {

enum class purpose : std::uint8_t { configure, update, restore, withdraw, probe, deep_probe, converse };
std::string_view name_of(purpose p);

/// Limits of one run. Every number has its reason in push_plan.cpp or in the dialect.
struct push_limits {
  milliseconds alive_within{60'000};        ///< how long the server may take to answer `/alive`
  std::optional<milliseconds> step_timeout; ///< overrides the dialect's time-out of one request
  std::uint32_t tries = 4;                  ///< of one request, the first included
  std::uint32_t alive_ask_ms_max = 100;     ///< longest pause between two looks at `/alive`
};

/// What one run is to achieve. Immutable while it runs; shared so that 10,000 runs of one configuration hold one copy.
struct push_order {
  purpose why = purpose::configure;
  std::shared_ptr<const configuration> wanted; ///< null for `withdraw` and a plain `probe`
  /// What this runtime is known to hold, and every name that may have been written to it. Empty: nothing is known.
  std::shared_ptr<const delivery> before;
  std::string dialect = "auto"; ///< a dialect's name or "auto"
  bool refuse_existing = false; ///< `adopt: refuse`: end with already_configured when settings exist
  std::string alive_path = "/alive";
  std::string path_prefix;               ///< of the server's URL, without trailing '/'
  secret session_key;                    ///< empty: no header is sent
  std::shared_ptr<const digest_key> key; ///< for the delivery that `done` reports
  /// Probes: `alive_at` of the run that was confirmed. A server that started later is another one.
  std::optional<instant> configured_since;
  std::string conversation;    ///< `converse`: the dialect's own fields, a JSON object
  std::string conversation_id; ///< … its name where one may be chosen, 32 hexadecimal digits
  bool asked_before = false;   ///< … an earlier run may have asked for it
  push_limits limits;
  std::uint64_t seed = 1; ///< of the back-off's jitter
};

/// What a finished run knows.
struct confirmation {
  std::string dialect;
  evidence strength = evidence::none; ///< the weakest of the steps
  step weakest = step::settings;      ///< ... and the first step that has no stronger one
  delivery holds;                     ///< what the server holds now (empty after `withdraw`)
  bool another_server = false;        ///< probes: it started after `configured_since`
  bool drifted = false;               ///< deep probe: it does not hold what was confirmed
  std::string drift;                  ///< what differs, by name; empty unless `drifted`
  /// When `/alive` first answered in this run: what later probes take as `configured_since`. The run itself may have
  /// begun long before its server did.
  instant alive_at{};
};

/// Send this; feed the reply to `on_reply`.
struct send_request {
  http::request request;
  milliseconds timeout{};
  step at = step::alive;
  bool mutates = false; ///< from the first of these on, the server may hold something of ours
};
/// Nothing to send before that time has passed; then ask `next` again.
struct wait_for {
  milliseconds time{};
  step at = step::alive;
};
/// The run is over. `wrote`: something of ours may have reached the server.
struct run_failed {
  failure why;
  bool wrote = false;
};

class push_plan {
public:
  using action = std::variant<send_request, wait_for, confirmation, run_failed>;

  push_plan(push_order order, instant now);
  push_plan(push_plan&&) noexcept;
  push_plan& operator=(push_plan&&) noexcept;
  ~push_plan();

  /// What to do now. After `send_request` it must not be asked again before `on_reply`.
  action next(instant now);
  /// The one reply to the last `send_request`.
  void on_reply(const http_reply& reply, instant now);
  /// The step the run is at: what a timeline shows.
  [[nodiscard]] step at() const;
  /// The most tries that one request of the current step has taken so far, at least 1 once something was sent.
  [[nodiscard]] std::uint32_t tries() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::nested
