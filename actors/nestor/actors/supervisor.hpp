// SUPERVISOR: one sandbox. It feeds supervision/lifecycle with everything that happens and performs the commands that
// come out; it decides nothing itself. It owns two children, PROVIDER_AUTH and CONFIGURATOR, one at work at a time, and
// is the only writer of its sandbox's `actual` record. Idle, it is one actor without plaintext: what is wanted is read
// from the journal when it is needed.
//
// It may die at any moment, of an exception or of an exit message: its children end with it, and the REGISTRY starts
// another one with what the journal kept.
#pragma once

#include <nestor/actors/messages.hpp>

namespace nestor::actors {

/// What earlier SUPERVISORs of the sandbox left.
struct earlier_lives {
  sandbox_records records;
  std::uint32_t count = 1;
  bool restarted = false;  ///< they ended with an earlier process
  caf::actor configurator; ///< may still have a request out; ends by itself
};

/// What never changes about a sandbox, whatever its configuration. Those of one kind share it: it is a tenth of what an
/// idle one costs.
struct life_terms {
  supervision::policy policy;
  std::string alive_path;
  std::optional<milliseconds> step_timeout;
  actions_via actions = actions_via::none;
  std::uint16_t actions_port = 0;
  friend bool operator==(const life_terms&, const life_terms&) = default;
};
life_terms terms_of(const sandbox_spec& spec, const providers::account_source& with);

/// What a SUPERVISOR is born with.
struct life {
  sandbox_id id;
  std::shared_ptr<const wanted_record> wanted;
  const providers::account_source* account = nullptr; ///< of the node's book, which outlives it
  std::uint64_t seed = 1;                             ///< of its jitter
  std::shared_ptr<const earlier_lives> before;        ///< null: it is the first
  std::shared_ptr<const life_terms> terms{};
  std::shared_ptr<const belonging> whose{}; ///< null: the default tenant's, without labels
};

class supervisor {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.supervisor";

  supervisor(self_ptr<> self, surroundings_ptr around, caf::actor_addr registry, life born);
  ~supervisor();
  supervisor(const supervisor&) = delete;
  supervisor& operator=(const supervisor&) = delete;
  caf::behavior make_behavior();
  void handle_exit(const caf::exit_msg& msg);

private:
  // -- the machine
  void go_on(const earlier_lives& before);
  void feed(const supervision::any_event& e);
  void perform(const supervision::command::authenticate&);
  void perform(const supervision::command::release_auth&);
  void perform(const supervision::command::provision& c);
  void perform(const supervision::command::look_up& c);
  void perform(const supervision::command::destroy& c);
  void perform(const supervision::command::pause& c);
  void perform(const supervision::command::wake& c);
  void perform(const supervision::command::renew& c);
  void perform(const supervision::command::start_run& c);
  void perform(const supervision::command::let_write& c);
  void perform(const supervision::command::stop_run& c);
  void perform(const supervision::command::record& c);
  void perform(const supervision::command::finish&);
  void arm();

  // -- children
  void on_provider_report(provider_report& report);
  void on_run_report(run_report& report);
  void on_run_step(const run_step& word);
  void own(std::shared_ptr<const providers::runtime> found, attempt number);
  void launch_run();
  /// A run is to be launched at a runtime that did not answer: first it is asked where it is now. True: wait for that.
  bool finds_address();
  [[nodiscard]] std::uint64_t finder_number() const; ///< that the current one's report carries
  void watch_configurator();
  void configurator_down();
  [[nodiscard]] providers::provision_order order_for(attempt number);
  void begin_action(const run_action& asked);
  [[nodiscard]] std::optional<failure> objection_to(const run_action& asked) const;
  void end_action_of_another_runtime();
  [[nodiscard]] nested::push_order push_order_for(const supervision::command::start_run& run);
  void may_hold(const nested::configuration& written);

  // -- what is wanted, in memory only while it is needed
  bool have_wanted(generation number);
  void load_wanted(generation number);
  [[nodiscard]] const supervision::policy& policy() const { return terms_->policy; }
  void on_loaded(wanted_loaded& loaded);

  // -- what is shown
  void begin(step at, std::uint16_t tries = 1);
  void end(outcome result);
  void publish();
  [[nodiscard]] std::shared_ptr<sandbox_view> view() const;
  void on_process_gone(process_gone& gone);
  void on_access(promise<access> answer);
  caf::result<accepted> on_change_rest(const change_rest& wish);
  void answer_rest();
  void show_steps(supervision::phase before, const supervision::any_event& e);

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor_addr registry_;
  std::shared_ptr<const earlier_lives> before_; ///< until it has gone on from there
  sandbox_id id_;
  const providers::account_source* account_;
  std::shared_ptr<const life_terms> terms_;
  supervision::state machine_;

  caf::actor auth_;
  caf::actor renewer_; ///< a PROVIDER_AUTH on one errand
  caf::actor configurator_;
  std::uint64_t auth_child_ = 0; ///< number of the current PROVIDER_AUTH
  /// One action in the runtime.
  struct action_at_work {
    caf::actor runner; ///< ACTION RUNNER; asked to wind down, it may end long after
    std::uint64_t number = 0;
    attempt runtime = 0;
  };
  std::unique_ptr<action_at_work> acting_;
  std::uint64_t actions_ = 0;        ///< so many were begun
  caf::actor finder_;                ///< ADDRESS FINDER, while the next run waits for it
  std::uint32_t finders_ = 0;        ///< so many were started
  bool address_asked_ = false;       ///< for the next run
  bool configurator_ending_ = false; ///< asked to wind down; the next run waits for its end
  std::optional<supervision::command::start_run> next_run_;
  std::unique_ptr<promise<accepted>> rest_asked_; ///< answered once it is durable

  std::shared_ptr<const providers::runtime> runtime_;
  std::shared_ptr<const nested::delivery> holds_;        ///< what the nested server is known to hold or may hold
  std::shared_ptr<const nested::configuration> pushing_; ///< configuration of the run at work
  std::optional<instant> configured_since_;
  std::string dialect_;
  nested::evidence strength_ = nested::evidence::none;
  step weakest_ = step::settings; ///< whose evidence `strength_` is

  std::shared_ptr<const wanted_record> wanted_; ///< empty while idle
  std::string shown_name_;
  std::shared_ptr<const belonging> whose_;
  std::vector<supervision::any_command> deferred_; ///< wait for `wanted_`
  std::uint64_t load_ticket_ = 0;

  instant armed_ = supervision::never;
  std::uint64_t alarm_ = 0;
  wall_time provisioned_at_;
  std::vector<timeline_entry> timeline_;
  instant step_began_{};
  status told_word_ = status::queued;
  supervision::talk told_talk_{};
  generation told_observed_ = 0;
  incarnation told_fence_ = 0;
};

} // namespace nestor::actors
