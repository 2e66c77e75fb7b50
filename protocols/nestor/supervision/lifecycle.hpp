// A sandbox's life as a pure machine: State × Event → Commands, State'.
//
// Theory of operation. A SUPERVISOR feeds it everything that happens and performs its commands; nothing else decides.
//
//   What it owns: whether a runtime exists or may exist (`open`), what was confirmed on it (`observed`), the budgets of
//   the ladder, and every deadline (`due`). Time is a parameter; the shell wakes it at `next_due`.
//
//   The journal is in the machine: an intent is durable before the create goes out, a confirmation is durable before
//   the sandbox is Ready, proven absence is durable before it is Destroyed; where a server is not ours, that something
//   of ours may be in it is durable before the first write. A record that fails is written again; nothing is acted on
//   meanwhile. Each record carries a `memo`: what `resume` needs when the machine is lost with its SUPERVISOR.
//
//   The ladder before the first Ready: the step is retried (inside the run) → the configuration is restarted → the
//   runtime is replaced after back-off → the sandbox is given up, its runtime destroyed. After the first Ready
//   someone's work lives in the runtime: a refused update restores the previous generation, what cannot be confirmed
//   is quarantined, a server that does not answer is asked without limit, and only a request or the provider's proof
//   ends the runtime.
//
//   Rest. A person may have it paused while it is served, and resumed. What was asked for is durable before it is done,
//   and is repeated until it is; what comes back is read back, like everything that was out of sight, before it is
//   served. A lease is renewed beside all that while there is a runtime that is awake.
//
//   A conversation, where one is wanted, is asked for once a generation is Ready that nothing newer is wanted over, and
//   never before. That it may have been asked for is durable first; an answer that was lost is looked for, and only a
//   dialect that can tell that nothing came of it asks again. Whatever comes of it, the sandbox stays as it is.
//
//   The races it exists to survive: a destroy while a create is out (the answer we are still owed may bring a runtime);
//   a create whose answer never comes (looked for until it settles, never created twice); answers of children that were
//   given up (fenced by run and attempt, ignored and counted); a configuration that changes at any moment; a runtime
//   that ends at any moment; a destroy that keeps failing (repeated without limit, never reported as done).
//
// It refuses to know: providers, dialects, actors, sockets, what a configuration contains.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/core/intensity.hpp>
#include <nestor/core/time.hpp>
#include <nestor/nested/push_plan.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace nestor::supervision {

enum class phase : std::uint8_t {
  queued,         ///< waits to be started
  authenticating, ///< PROVIDER_AUTH proves the credential
  intending,      ///< the intent to create is on its way to the journal
  provisioning,   ///< a create is out
  settling,       ///< whether the create did something is looked for
  configuring,    ///< the first push of a generation to this runtime, or a new push after its server restarted
  updating,       ///< a newer generation is being pushed to a sandbox that was Ready
  restoring,      ///< the previous generation is being pushed back
  confirming,     ///< everything is confirmed; that fact is on its way to the journal
  ready,
  unreachable, ///< was Ready; the server does not answer; asked without limit
  quarantined, ///< the runtime is kept, nothing is served
  pausing,     ///< a person wants it to rest: that is being recorded, then done
  paused,
  resuming,    ///< … and to wake up
  destroying,  ///< the runtime is being ended
  withdrawing, ///< what was written is being taken back (providers that do not own the server)
  backing_off, ///< absence is proven; the next attempt waits
  closing,     ///< absence is proven; that fact is on its way to the journal
  destroyed,
  count_
};
std::string_view name_of(phase p);

enum class child : std::uint8_t { provider_auth, configurator };

/// What the machine waits for, besides answers. One deadline each.
enum class timer : std::uint8_t {
  overall, ///< it must leave the queue, and then be Ready, by then
  work,    ///< the child at work must have been heard by then
  retry,   ///< do again what failed
  settle,  ///< an unknown create counts as absent after that, if it is still not found
  probe,   ///< look at a Ready sandbox
  lease,   ///< have the provider wait longer before it ends the runtime
  life,    ///< it has lived as long as it may
  count_
};

/// What a record says happened.
enum class note : std::uint8_t {
  intent,      ///< a create goes out once this is durable
  runtime,     ///< it brought a runtime
  touched,     ///< a server that is not ours is written to once this is durable
  confirmed,   ///< a generation is served once this is durable
  quarantined, ///< the runtime is kept, not served
  pausing,     ///< the runtime is paused once this is durable
  paused,      ///< it is
  resuming,    ///< the runtime is resumed once this is durable
  doomed,      ///< it was given up; its runtime ends
  absent,      ///< nothing is left of the latest create
  closed,      ///< … and no other follows
  conversing,  ///< a conversation is asked for once this is durable
  conversed,   ///< what came of that is known
  count_
};
std::string_view name_of(note n);

/// How far the conversation is that the specification wants, on this runtime.
enum class talk : std::uint8_t {
  none,     ///< nobody was asked for it
  asked,    ///< that it may be asked for is durable
  doubtful, ///< it was, perhaps, and no answer was heard: it is looked for
  started,
  failed,  ///< certainly not; asked for again with the next generation
  unknown, ///< for good: it may run, and is not asked for again
  count_
};
std::string_view name_of(talk t);

/// What one record keeps of the machine: enough to go on after its SUPERVISOR died at any moment. See resume.hpp.
struct memo {
  note what{};
  attempt number = 0;
  bool open = false;                  ///< that create may have brought a runtime that is not proven absent
  bool create_out = false;            ///< … whether it did is not known
  bool touched = false;               ///< its nested server, which is not ours, may hold something of ours
  bool doomed = false;                ///< it will end and not come back
  bool refused = false;               ///< `wanted` was refused; `observed` was restored
  bool rests = false;                 ///< a person wants it paused
  std::uint8_t replaced = 0;          ///< replacements spent
  generation wanted = 0;              ///< when this was written
  generation observed = 0;            ///< confirmed on this runtime; 0 = none
  talk spoken = talk::none;           ///< how far its conversation is
  std::optional<errc> unspoken;       ///< why it failed, or is doubtful
  std::shared_ptr<const failure> why; ///< only of what was refused, quarantined or doomed
};

// -- events ---------------------------------------------------------------------------------------
namespace event {
struct enqueued {}; ///< it exists and waits to be started
struct started {};  ///< it left the queue
struct authenticated {};
struct auth_failed {
  failure why;
};
struct recorded {
  std::uint64_t revision;
};
struct record_failed {
  std::uint64_t revision;
};
struct provisioned {
  attempt of;
};
struct provision_failed {
  attempt of;
  failure why;
};
struct sighted {
  std::uint64_t look;
  bool present;
};
struct look_up_failed {
  std::uint64_t look;
  failure why;
};
struct absence_proven {
  attempt of;
};
struct destroy_failed {
  attempt of;
  failure why;
};
struct runtime_gone {
  attempt of;
  failure why;
}; ///< the provider proves, unasked, that it ended
struct pause_requested {};
struct resume_requested {};
struct rested {
  attempt of;
};
struct woke {
  attempt of;
};
struct switch_failed {
  attempt of;
  failure why;
}; ///< pausing or resuming it did not work
struct renewed {
  attempt of;
};
struct renewal_failed {
  attempt of;
  failure why;
};
struct progressed {
  run_number of;
  step at;
  milliseconds silent_for;
}; ///< the run is alive; next word within that time
struct writing {
  run_number of;
}; ///< the server may hold something of ours from now on, or from `let_write` on
struct run_confirmed {
  run_number of;
  bool another_server;
  bool drifted;
};
struct run_failed {
  run_number of;
  failure why;
};
struct child_lost {
  child who;
}; ///< it ended without having answered
struct configuration_changed {
  generation to;
  bool removes;
};
struct destroy_requested {};
struct tick {}; ///< some deadline passed
} // namespace event

using any_event =
  std::variant<event::enqueued, event::started, event::authenticated, event::auth_failed, event::recorded,
               event::record_failed, event::provisioned, event::provision_failed, event::sighted, event::look_up_failed,
               event::absence_proven, event::destroy_failed, event::runtime_gone, event::pause_requested,
               event::resume_requested, event::rested, event::woke, event::switch_failed, event::renewed,
               event::renewal_failed, event::progressed, event::writing, event::run_confirmed, event::run_failed,
               event::child_lost, event::configuration_changed, event::destroy_requested, event::tick>;

// -- commands -------------------------------------------------------------------------------------
namespace command {
struct authenticate {}; ///< start PROVIDER_AUTH
struct release_auth {}; ///< its work is done, or it is given up
struct provision {
  attempt number;
};
struct look_up {
  attempt number;
  std::uint64_t look;
}; ///< `look` fences its answer
struct destroy {
  attempt number;
};
struct pause {
  attempt number;
};
struct wake {
  attempt number;
};
struct renew {
  attempt number;
}; ///< on its own: whatever PROVIDER_AUTH is at work with goes on
struct start_run {
  nested::purpose why;
  run_number number;
  generation target;
  bool asks_first; ///< before its first write it says `writing` and waits for `let_write`
};
struct let_write {
  run_number number;
};
struct stop_run {
  bool hung; ///< it missed its deadline: there is nothing left to wait for
};
struct record {
  std::uint64_t revision;
  memo kept;
};
struct finish {}; ///< nothing is left to do, ever
} // namespace command

using any_command = std::variant<command::authenticate, command::release_auth, command::provision, command::look_up,
                                 command::destroy, command::pause, command::wake, command::renew, command::start_run,
                                 command::let_write, command::stop_run, command::record, command::finish>;

// -- policy and state -----------------------------------------------------------------------------
/// Fixed for a sandbox. The machine's own limits are in internal/turn.hpp.
struct policy {
  milliseconds queue_within{1'800'000};
  milliseconds ready_within{120'000};
  milliseconds probe_every{60'000};
  milliseconds create_settles{0}; ///< the provider's
  milliseconds provision_within{10'000};
  milliseconds destroy_within{10'000};
  std::optional<milliseconds> lease;         ///< the provider ends the runtime that much after the latest renewal
  std::optional<milliseconds> lives_at_most; ///< from its first runtime on
  intensity_limit replacements{};
  std::uint8_t reconfigures = 2; ///< restarts of the configuration on one runtime
  bool keep_failed = false;      ///< policy.on_failure: keep
  bool replace_lost = false;     ///< policy.on_loss: replace
  bool withdraws = false;        ///< the provider's compensation is `withdraw`
  bool pauses = false;           ///< the provider can
  bool converses = false;        ///< a conversation is wanted
  friend bool operator==(const policy&, const policy&) = default;
};

constexpr instant never{std::numeric_limits<std::int64_t>::max()};

struct state {
  phase now = phase::queued;

  // what is wanted
  generation wanted = 1;
  bool requested = false; ///< a person asked for its end
  bool doomed = false;    ///< it will end and not come back
  bool rests = false;     ///< a person wants it paused

  // what we own, or may come to own
  attempt number = 0;      ///< the latest create, counted from 1
  bool open = false;       ///< that create may have brought a runtime that is not proven absent
  bool create_out = false; ///< … and its answer is still owed
  bool touched = false;    ///< its nested server, which is not ours, may hold something of ours

  // fences
  incarnation fence = 0;
  run_number run = 0;                     ///< number of the latest run
  std::optional<nested::purpose> running; ///< a CONFIGURATOR is at work
  generation run_target = 0;              ///< … pushing this generation
  step run_at = step::alive;              ///< … and was last heard of at this step
  enum class auth_state : std::uint8_t { none, asked, held } auth = auth_state::none;
  bool provider_asked = false; ///< a look-up or destroy awaits its answer
  std::uint64_t look = 0;      ///< number of the latest look-up
  bool last_look = false;      ///< … it was asked late enough to prove absence
  std::uint64_t revision = 0;  ///< latest record written
  std::uint64_t awaited = 0;   ///< record that must be durable before going on; 0 = none
  std::uint64_t touch = 0;     ///< record that must be durable before the run may write; 0 = none
  bool leased = false;         ///< the latest renewal was granted

  // what was confirmed
  generation observed = 0;     ///< confirmed and durable; 0 = none
  bool was_ready = false;      ///< on this runtime
  bool dirty = false;          ///< a push began after the last confirmation: the server may hold a mixture
  bool lapsed = false;         ///< the server is known not to hold `observed` any more
  bool doubted = false;        ///< not watched for a while: read back before it is served again
  bool update_refused = false; ///< `wanted` was refused; `observed` was restored
  bool removing = false;       ///< the running update takes something away

  // its conversation
  talk spoken = talk::none;
  std::optional<errc> unspoken; ///< why it failed, or is doubtful

  // budgets
  intensity replacements{};
  std::uint8_t reconfigures = 0; ///< spent on this runtime and generation
  std::uint32_t tries = 0;       ///< of what `retry` repeats
  std::uint32_t probes = 0;
  std::uint64_t seed = 1;
  std::uint64_t ignored = 0; ///< events that came too late or made no sense

  std::array<instant, static_cast<std::size_t>(timer::count_)> due{never, never, never, never, never, never, never};
  std::optional<failure> why;   ///< the latest failure that matters to a person
  std::optional<errc> obstacle; ///< what keeps what is repeated from succeeding
};

/// Feeds one event. Appends what to do to `out`. Never throws; unknown and stale events are counted in `ignored`.
void feed(const policy& p, state& s, const any_event& e, instant now, std::vector<any_command>& out);

/// When `event::tick` must be fed at the latest; `never` when nothing is due.
instant next_due(const state& s);

/// Fields that contradict one another; empty when consistent. Checked by the model test after every event.
std::string_view inconsistency(const state& s);

/// Why it cannot be paused or resumed now; empty when it can, or is already.
std::string_view objection_to_rest(const policy& p, const state& s);
std::string_view objection_to_wake(const policy& p, const state& s);

/// Access may be handed out now.
bool serving(const state& s);

} // namespace nestor::supervision
