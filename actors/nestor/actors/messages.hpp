// Every message of the system, grouped by conversation. All of them are node-local: they carry secrets, handles or
// shared values, and CAF is told never to serialise them.
#pragma once

#include <nestor/actors/seams.hpp>
#include <nestor/sandbox/planned.hpp>
#include <nestor/sandbox/view.hpp>
#include <nestor/seam/http_exchange.hpp>
#include <nestor/supervision/sweep.hpp>

#include <map>
#include <string>
#include <vector>

namespace nestor {
struct configuration_change;
}

namespace nestor::actors {

// -- anyone → NODE (the SANDBOX REGISTRY) ---------------------------------------------------------
// `of`: the tenant who asks, to whom the sandboxes of others do not exist; empty: whoever runs the node.
//
/// Brings up one sandbox. Answered by `accepted` once what is wanted is durable.
struct create_sandbox {
  std::shared_ptr<const sandbox_spec> spec;
  std::shared_ptr<const journal::replay_mark> mark{}; ///< becomes durable with it; its sandbox is filled in
};
/// Wants another configuration of it. Answered by `accepted` once that is durable.
struct configure_sandbox {
  sandbox_id id;
  std::shared_ptr<const nested::configuration> configuration; ///< null: see `change`
  std::shared_ptr<const configuration_change> change{};       ///< against what is wanted now
  std::optional<generation> expected{};                       ///< refused unless that is wanted now
  bool dry_run = false;                                       ///< only says what it would do
  std::string of{};
};
/// Wants it gone. Answered by `accepted` once that is durable; again and again, too.
struct destroy_sandbox {
  sandbox_id id;
  std::string of{};
};
/// Wants it paused, or awake again. Answered by `accepted` once that is durable; refused while it is something else.
struct rest_sandbox {
  sandbox_id id;
  bool rests = true;
  std::string of{};
};
/// Answered by `sandbox_seen`.
struct get_sandbox {
  sandbox_id id;
  std::string of{};
};
/// Answered by `sandbox_list`.
struct list_sandboxes {};
/// Those that fit, by id; answered by `sandbox_list`.
struct find_sandboxes {
  std::string after{}; ///< only ids beyond it
  std::size_t limit = 0;
  std::optional<status> word{};
  std::map<std::string, std::string> labels{}; ///< all of them
  std::string of{};
};
/// Answered by `access`; only while it may be served.
struct get_access {
  sandbox_id id;
  std::string of{};
};
/// Runs one action in its runtime, while it is served and no other one runs. Answered by `action_seen`.
struct run_action {
  sandbox_id id;
  std::shared_ptr<const action> what;
  std::optional<incarnation> expected{}; ///< refused unless that is served
  std::string of{};
};
/// Takes nothing new from now on; what is there goes on. Answered by `drained`.
struct stop_creating {};
/// Destroys everything, then ends. Answered by `drained`.
struct drain {};
/// Takes over every sandbox that the journal knows; the node asks itself, before anyone else can. Answered by
/// `recovered` when all of them are there: Unknown until they were probed, those that have ended as they ended.
struct recover {};

struct accepted {
  sandbox_id id;
  generation number = 0;
  std::optional<failure> refused;
  std::vector<planned> plan{}; ///< of a change
  std::size_t room = 0;        ///< of a create: how many more its tenant may have
};
struct sandbox_seen {
  std::shared_ptr<const sandbox_view> view;
  std::optional<failure> refused;
};
struct sandbox_list {
  std::vector<std::pair<sandbox_id, status>> items;
  bool more = false; ///< there are others beyond the limit
};
struct access {
  std::string url;
  std::vector<http::header> headers;
  incarnation fence = 0;
  std::optional<failure> refused;
};
struct action_seen {
  observation seen;
  incarnation fence = 0;
  std::optional<failure> refused; ///< then nothing was run
};
struct recovered {
  std::size_t alive = 0;
  std::size_t ended = 0;
  std::optional<failure> why; ///< the journal could not be read; nothing was begun with what was read before
};
struct drained {
  std::size_t left = 0;
};

/// Whose a sandbox is and how it is labelled: known for as long as it is, unlike the rest of what is wanted.
struct belonging {
  std::string tenant;
  std::map<std::string, std::string> labels;
};

// -- SANDBOX REGISTRY → SUPERVISOR ----------------------------------------------------------------
struct start_life {};
struct new_configuration {
  generation number = 0;
  std::shared_ptr<const sandbox_spec> spec;
};
struct end_life {};
/// Answered by `accepted`.
struct change_rest {
  sandbox_id id;
  bool rests = true;
};
struct look_at_it {};
struct hand_out_access {};

// -- an embedder → RUNTIME CLIENT -----------------------------------------------------------------
/// Answered by `runtime_connected`.
struct connect_runtime {};
struct runtime_connected {
  incarnation fence = 0;
  std::optional<failure> refused; ///< then the client has ended
};
/// Answered by `action_seen`.
struct act {
  action what;
};
/// Ends the client. What it has under way goes on, and nobody hears of it.
struct close_runtime {};

// -- ACTION RUNNER → SUPERVISOR -------------------------------------------------------------------
/// The action of that number is over; its answer is on its way.
struct action_over {
  std::uint64_t number = 0;
};

// -- SUPERVISOR → SANDBOX REGISTRY and observer ---------------------------------------------------
struct status_changed {
  sandbox_id id;
  status word{};
  generation observed = 0;
  incarnation fence = 0;
  std::shared_ptr<const belonging> whose{}; ///< null: the default tenant's, without labels
  attempt number = 0;                       ///< of its runtime
  supervision::talk spoken{};               ///< how far its conversation is
};
/// The last word of a sandbox: its supervisor ends after it.
struct life_ended {
  std::shared_ptr<const sandbox_view> view;
};
/// The last word of a SUPERVISOR that dies with a CONFIGURATOR at work: its successor waits until that one has ended.
struct child_left {
  sandbox_id id;
  caf::actor configurator;
};
/// `result` running: it began; else it ended. `why` only with `failed`.
struct step_changed {
  sandbox_id id;
  step at{};
  outcome result{};
  std::uint16_t attempts = 1;
  milliseconds took{};
  std::optional<failure> why;
  std::shared_ptr<const belonging> whose{}; ///< null: the default tenant's, without labels
  attempt number = 0;                       ///< of its runtime
};

// -- SUPERVISOR ↔ PROVIDER_AUTH -------------------------------------------------------------------
struct do_provision {
  providers::provision_order order;
};
struct do_look_up {
  providers::provision_order order;
  std::uint64_t look = 0;
};
struct do_destroy {
  std::shared_ptr<const providers::runtime> gone;
  providers::labels stamp; ///< that it was created with
};
struct do_switch {
  std::shared_ptr<const providers::runtime> what;
  attempt number = 0;
  bool rests = true;
};
struct do_renew {
  providers::renew_order order;
  attempt number = 0;
};
/// What came of it, as the lifecycle's event; `found` with `provisioned`, `woke` and a present `sighted`.
struct provider_report {
  std::uint64_t child = 0;
  supervision::any_event what;
  std::shared_ptr<const providers::runtime> found;
};

// -- PROVIDER_AUTH ↔ PROVIDER DESK ----------------------------------------------------------------
/// Asks for the account with its credential proved. Answered by `credential_proven`.
struct prove_credential {
  std::string account;
  caf::actor_addr whom;
};
struct credential_proven {
  std::shared_ptr<const providers::account> who; ///< null: see `why`
  std::optional<failure> why;
};
/// A call of `who` was refused: its proof is worth nothing any more.
struct doubt_credential {
  std::shared_ptr<const providers::account> who;
};

// -- anyone → PROVIDER DESK -----------------------------------------------------------------------
/// Proves an account's credential now, whatever was proved before. Answered by `account_verified`.
struct verify_account {
  std::string account;
};
struct account_verified {
  std::optional<failure> why; ///< empty: it is good, or there is nothing to prove
};
/// Everything at the account that carries that installation's label. Answered by `runtimes_listed`.
struct list_runtimes {
  std::string account;
  installation_id installation;
};
struct runtimes_listed {
  std::vector<providers::listed> items;
  std::optional<failure> why; ///< then `items` is what the pages before it held, and proves nothing
};

/// What a runtime has printed lately. Answered by `output_read`, secrets still in it.
struct read_output {
  std::string account;
  std::shared_ptr<const providers::runtime> of;
};
struct output_read {
  providers::printed what;
  std::optional<failure> why;
};

/// Ends one runtime that no sandbox has: only a sweep asks for it. Answered by `runtime_ended`.
struct end_runtime {
  std::string account;
  std::string ref; ///< the provider's name for it
};
struct runtime_ended {
  std::optional<failure> why; ///< empty: its absence was observed
};

// -- anyone → REAPER ------------------------------------------------------------------------------
/// Answered by `sweeps_seen`.
struct look_at_sweeps {};
/// Sweeps now, whatever the time. Answered by `sweeps_seen` when every account was looked at.
struct sweep_now {
  bool dry_run = false;
};
/// Lists what carries an installation's label, changes nothing and counts as no look of a sweep. Answered by
/// `leaks_found`.
struct find_leaks {
  std::string account{};          ///< empty: all
  installation_id installation{}; ///< empty: ours; of another one nothing is judged
};
/// Looks as often as a sweep has to, one list after the other, and ends what nobody can explain, without the cap of
/// sweeps: somebody has seen what would go. `dry_run`: only says what that would be. Answered by `leaks_found`.
struct reap_leaks {
  bool dry_run = false;
};
struct leak {
  supervision::sweep_finding found; ///< of an audit: the next sweep's verdict, if it sees the same
  std::optional<wall_time> due;     ///< of what a sweep will end: when, at the earliest
  bool ended = false;               ///< now, and its absence was observed
  std::optional<failure> why;       ///< it should have ended and has not; tried again by the next one
};
struct leaks_found {
  struct of_account {
    std::string account;
    std::vector<leak> items;
    std::optional<failure> why; ///< its list failed or is partial: `items` is what there was of it, judged by nobody
  };
  installation_id installation;
  std::vector<of_account> accounts;
  std::vector<std::string> not_covered; ///< accounts whose provider cannot list what carries a label
  bool dry_run = true;
};
/// The original of this journal is gone for good: what is unexplained may end from now on. Answered by
/// `restore_confirmed`.
struct confirm_restore {};
struct restore_confirmed {
  std::optional<failure> why; ///< it could not be made durable: nothing has changed
};
/// What the latest sweep of one account came to.
struct account_sweep {
  std::string account;
  wall_time at;                                        ///< of the latest list that was whole
  std::vector<supervision::sweep_finding> unexplained; ///< without those that are in service
  std::size_t listed = 0;
  std::optional<failure> why; ///< the list failed or is partial: nothing was judged
};
struct sweeps_seen {
  std::vector<account_sweep> accounts;
  std::uint64_t passes = 0;
  std::uint64_t ended = 0;  ///< runtimes, since the start
  std::uint64_t failed = 0; ///< ends that did not succeed; tried again by later passes
  std::uint64_t lists_failed = 0;
  std::uint64_t held_back = 0; ///< verdicts, since the start
  microseconds leaked{};       ///< time of runtimes that were unexplained in two lists in a row, between these
};

// -- SUPERVISOR ↔ CONFIGURATOR --------------------------------------------------------------------
/// End, but first let the request that is out come back: one request in flight per runtime, always.
struct wind_down {};
/// What it is about to write is durable as something that may be there.
struct let_write {};
struct run_report {
  run_number run = 0;
  supervision::any_event what;
  std::shared_ptr<const nested::confirmation> confirmed;
};
/// The run is at this step; `tries` of its current request.
struct run_step {
  run_number run = 0;
  step at{};
  std::uint16_t tries = 1;
  milliseconds silent_for{};
};

// -- the world → API DESK -------------------------------------------------------------------------
struct surroundings_known {
  std::shared_ptr<const surroundings> around;
  caf::actor front;  ///< the SANDBOX REGISTRY
  caf::actor reaper; ///< of a node with a durable journal
};
/// A request that was let in.
struct api_call {
  std::shared_ptr<http_exchange> exchange;
};
/// A reader of events has taken what it was given.
struct reader_drained {
  std::uint64_t reader = 0;
};
/// The host names that the node answers to have changed.
struct hosts_changed {
  std::vector<std::string> hosts;
};

// -- the seams ------------------------------------------------------------------------------------
struct io_done {
  std::uint64_t ticket = 0;
  io_reply reply;
};
struct process_gone {
  std::uint64_t ticket = 0;
  process_absent how;
};
struct journal_done {
  std::uint64_t ticket = 0;
  bool durable = false;
};
struct wanted_loaded {
  std::uint64_t ticket = 0;
  std::shared_ptr<const wanted_record> wanted;
};

/// `found` is empty when the journal could not be read.
struct records_loaded {
  std::uint64_t ticket = 0;
  std::optional<sandbox_records> found;
};

/// The key ring, and how much is sealed with which of its keys.
struct keys_seen {
  std::uint64_t ticket = 0;
  journal::key_census keys;
  std::optional<failure> why{}; ///< it could not be read, or a rotation not begun
};

/// `items` in the order of their ids; fewer than asked for: those were the last.
struct records_listed {
  std::uint64_t ticket = 0;
  std::vector<std::pair<sandbox_id, sandbox_records>> items;
  std::optional<failure> why; ///< it could not be read; nothing is known then
};

// -- TIMER WHEEL ----------------------------------------------------------------------------------
struct wake_at {
  instant when;
  caf::actor_addr whom;
  std::uint64_t ticket = 0;
};
struct woken {
  std::uint64_t ticket = 0;
};
struct wheel_turns {
  std::uint64_t epoch = 0;
};

/// Makes these types known to CAF. 1.x wants it before the first actor_system_config is constructed.
void register_messages();
/// The same for 0.17, where a configuration holds them. Call both, in this order.
void prepare(caf::actor_system_config& cfg);
/// `prepare`, for a system that carries a node and nothing else: CAF's scheduler is reduced to what little it has to do
/// then (caf_scheduler.hpp says what that saves). A system with actors of its own keeps the scheduler it chose.
void dedicate(caf::actor_system_config& cfg);

} // namespace nestor::actors

// clang-format off
#define NESTOR_LOCAL_MESSAGES(X) \
  X(create_sandbox) \
  X(configure_sandbox) \
  X(destroy_sandbox) \
  X(rest_sandbox) \
  X(get_sandbox) \
  X(list_sandboxes) \
  X(find_sandboxes) \
  X(get_access) \
  X(stop_creating) \
  X(drain) \
  X(accepted) \
  X(sandbox_seen) \
  X(sandbox_list) \
  X(access) \
  X(drained) \
  X(start_life) \
  X(new_configuration) \
  X(end_life) \
  X(change_rest) \
  X(look_at_it) \
  X(hand_out_access) \
  X(status_changed) \
  X(life_ended) \
  X(child_left) \
  X(step_changed) \
  X(do_provision) \
  X(do_look_up) \
  X(do_destroy) \
  X(do_switch) \
  X(provider_report) \
  X(prove_credential) \
  X(credential_proven) \
  X(doubt_credential) \
  X(verify_account) \
  X(account_verified) \
  X(list_runtimes) \
  X(runtimes_listed) \
  X(surroundings_known) \
  X(api_call) \
  X(reader_drained) \
  X(hosts_changed) \
  X(read_output) \
  X(output_read) \
  X(end_runtime) \
  X(runtime_ended) \
  X(look_at_sweeps) \
  X(sweep_now) \
  X(sweeps_seen) \
  X(find_leaks) \
  X(reap_leaks) \
  X(leaks_found) \
  X(confirm_restore) \
  X(restore_confirmed) \
  X(wind_down) \
  X(let_write) \
  X(run_report) \
  X(run_step) \
  X(io_done) \
  X(process_gone) \
  X(journal_done) \
  X(wanted_loaded) \
  X(records_loaded) \
  X(records_listed) \
  X(keys_seen) \
  X(recover) \
  X(recovered) \
  X(wake_at) \
  X(woken) \
  X(wheel_turns) \
  X(run_action) \
  X(action_seen) \
  X(connect_runtime) \
  X(runtime_connected) \
  X(act) \
  X(close_runtime) \
  X(action_over)
// clang-format on

/// First id of Nestor's message types; a larger CAF system may move it.
#ifndef NESTOR_FIRST_TYPE_ID
#  define NESTOR_FIRST_TYPE_ID (caf::first_custom_type_id + 600)
#endif

CAF_BEGIN_TYPE_ID_BLOCK(nestor, NESTOR_FIRST_TYPE_ID)
#define NESTOR_ADD_TYPE_ID(message) CAF_ADD_TYPE_ID(nestor, (nestor::actors::message))
NESTOR_LOCAL_MESSAGES(NESTOR_ADD_TYPE_ID)
#undef NESTOR_ADD_TYPE_ID
CAF_END_TYPE_ID_BLOCK(nestor)

#define NESTOR_ALLOW_LOCAL(message) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(nestor::actors::message)
NESTOR_LOCAL_MESSAGES(NESTOR_ALLOW_LOCAL)
#undef NESTOR_ALLOW_LOCAL
