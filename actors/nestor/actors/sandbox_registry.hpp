// SANDBOX REGISTRY, the NODE's front door: knows every sandbox, spawns one SUPERVISOR for each, admits as many starts
// at once as the node can carry and each account may be asked for, and queues the rest. What it accepts is durable
// before it says so. A SUPERVISOR that dies without a last word is followed by another one, which goes on from the
// journal's records; meanwhile people read Unknown. Ended sandboxes stay readable, the latest ones.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/supervisor.hpp>
#include <nestor/supervision/admission.hpp>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

namespace nestor::actors {

/// Limits of a node. Each has its reason in system.hpp, where they are set.
struct registry_limits {
  std::size_t sandboxes_max = 100'000;
  std::size_t per_tenant_max = 100'000; ///< so that one tenant cannot have them all; a node of one tenant needs none
  std::size_t starting_max = 20'000;
  std::size_t ended_max = 10'000;
  milliseconds ended_for{24 * 3'600'000}; ///< how long a sandbox that has ended can be read
};

class sandbox_registry {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.sandbox-registry";

  sandbox_registry(self_ptr<> self, surroundings_ptr around, registry_limits limits);
  ~sandbox_registry();
  sandbox_registry(const sandbox_registry&) = delete;
  sandbox_registry& operator=(const sandbox_registry&) = delete;
  caf::behavior make_behavior();
  void handle_exit(const caf::exit_msg& msg);

private:
  /// Of a sandbox whose SUPERVISOR died at least once.
  struct crashes {
    std::uint32_t all = 0;
    std::uint32_t in_a_row = 0;
    std::uint64_t ticket = 0; ///< of the revival under way; 0 = none
    instant revived{};
    caf::actor configurator; ///< of the dead one: its last request may still be out
  };
  struct entry {
    caf::actor supervisor;
    std::shared_ptr<const belonging> whose;      ///< null: the default tenant's, without labels
    std::shared_ptr<const wanted_record> wanted; ///< until it is durable and its supervisor has it
    std::string name;
    std::string address; ///< `static`: its normalised URL
    status word = status::queued;
    generation number = 1;
    supervision::admission* line = nullptr;   ///< where it waits for its start
    bool starting = false;                    ///< holds one of the slots
    bool unwanted = false;                    ///< its end was requested, durably
    std::shared_ptr<const sandbox_view> last; ///< once it has ended
    std::unique_ptr<crashes> crashed;
    bool recovering = false; ///< of an earlier process; no SUPERVISOR has it yet
  };
  enum class matter { creates, configures, ends };
  struct pending_change {
    sandbox_id id;
    matter what = matter::creates;
    std::shared_ptr<const configure_sandbox> asked;
    std::shared_ptr<const wanted_record> wanted;
    std::optional<promise<accepted>> answer;
    std::vector<planned> plan{};
  };

  caf::result<accepted> on_create(create_sandbox& request);
  caf::result<accepted> on_configure(configure_sandbox& request);
  caf::result<accepted> on_destroy(const destroy_sandbox& request);
  caf::result<accepted> on_rest(const rest_sandbox& request);
  caf::result<sandbox_seen> on_get(const get_sandbox& request);
  [[nodiscard]] sandbox_seen seen_without_supervisor(const sandbox_id& id) const;
  caf::result<access> on_access(const get_access& request);
  caf::result<action_seen> on_action(const run_action& request);
  /// Why nobody can answer for it now; nothing when its SUPERVISOR can.
  static std::optional<failure> silence_of(const entry* found, const sandbox_id& id);
  sandbox_list on_find(const find_sandboxes& request) const;
  caf::result<drained> on_drain();
  void on_durable(const journal_done& done);
  void on_loaded(wanted_loaded& loaded);
  void on_status(const status_changed& now);
  void on_ended(life_ended& ended);
  void on_supervisor_down(const sandbox_id& id);
  void bury(const sandbox_id& id, entry& e);

  // -- after a crash (sandbox_registry_revival.cpp)
  void on_crash(const sandbox_id& id, entry& e);
  void on_child_left(child_left& left);
  void on_woken(const woken& alarm);
  void on_records(records_loaded& loaded);
  void revive(const sandbox_id& id, entry& e, sandbox_records records);
  [[nodiscard]] std::uint32_t lives_of(const entry& e, const sandbox_records& records) const;
  [[nodiscard]] std::shared_ptr<const sandbox_view> view_meanwhile(const sandbox_id& id, const entry& e) const;

  // -- after a start (sandbox_registry_recovery.cpp)
  caf::result<recovered> on_recover();
  void on_listed(records_listed& page);
  void get_to_know(const sandbox_id& id, const sandbox_records& records);
  void known_all();
  void list_next();
  void take_over(const sandbox_id& id, sandbox_records records);

  std::optional<failure> fault_of(const sandbox_spec& spec, std::string& address) const;
  std::optional<failure> fault_of_quota(const sandbox_spec& spec) const;
  /// Nothing when there is none, or none of that tenant's.
  entry* of_tenant(const sandbox_id& id, const std::string& tenant);
  static const std::string& tenant_of(const entry& e);
  static std::string unique_name(const std::string& tenant, const std::string& name);
  static void remember_whose(entry& e, const std::string& tenant, const std::map<std::string, std::string>& labels);
  void occupy(const entry& e);
  void release(const entry& e);
  void born(const sandbox_id& id);
  void supervise(const sandbox_id& id, life born);
  std::shared_ptr<const life_terms> shared_terms(life_terms terms);
  void start_next();
  void stand_in_line(const sandbox_id& id, const providers::account_source& account);
  bool start_from(supervision::admission& line);
  void wake_for(const supervision::admission& line);
  void free_slot(entry& e);
  void forget_oldest();
  std::uint64_t random();

  self_ptr<> self_;
  surroundings_ptr around_;
  registry_limits limits_;
  std::unordered_map<sandbox_id, entry> sandboxes_;
  /// With their tenant's. One of an ended sandbox may be known twice after a start: where its last record was refused,
  /// it is closed once more, and somebody else has had the name meanwhile.
  std::multiset<std::string> names_;
  std::map<std::string, std::size_t> per_tenant_;                            ///< alive
  std::multiset<std::string> addresses_;                                     ///< likewise
  std::map<const providers::account_source*, supervision::admission> lines_; ///< one for each account in use
  const providers::account_source* served_ = nullptr;                        ///< whose line had its turn last
  std::optional<instant> alarm_;                                             ///< the earliest that is set
  std::deque<std::pair<wall_time, sandbox_id>> ended_;                       ///< the oldest first
  std::size_t starting_ = 0;
  std::size_t alive_ = 0;                               ///< sandboxes that have not ended
  std::size_t supervised_ = 0;                          ///< … and have a SUPERVISOR
  std::deque<std::shared_ptr<const life_terms>> terms_; ///< of the latest kinds
  std::uint64_t ticket_ = 0;
  std::map<std::uint64_t, pending_change> pending_;
  std::map<std::uint64_t, sandbox_id> reviving_;
  /// Reads the journal twice: first all of it, so that nothing is begun when some of it cannot be read.
  struct recovery {
    std::uint64_t ticket = 0;
    bool acting = false;
    sandbox_id after; ///< the latest that was listed
    std::optional<promise<recovered>> answer;
    recovered known;
  };
  std::optional<recovery> recovery_;
  std::optional<promise<drained>> draining_;
  bool full_ = false;    ///< told to take nothing new
  bool closing_ = false; ///< told to end: it does when its last SUPERVISOR has
};

} // namespace nestor::actors
