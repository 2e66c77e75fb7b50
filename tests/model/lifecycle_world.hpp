// A world for the lifecycle machine that lies in every way a real one does: answers are lost, late, doubled or stale,
// creates take effect after their answer was given up, records vanish, children crash, servers restart empty, and the
// SUPERVISOR itself dies at any moment, with records on their way that may or may not become durable.
// It keeps the truth beside it and says, after every event, which promise was broken.
#pragma once

#include <nestor/supervision/lifecycle.hpp>
#include <nestor/supervision/resume.hpp>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace nestor::supervision::model {

/// Its success is a configuration that the server holds.
inline bool pushes(nested::purpose why) {
  return why == nested::purpose::configure || why == nested::purpose::update || why == nested::purpose::restore;
}

class world {
public:
  world(std::uint64_t seed, bool withdraws);

  /// One thing happens. False once the life is over.
  bool step();
  /// From now on everything succeeds; true when the machine comes to rest within `steps`.
  bool comes_to_rest(int steps);

  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] std::string transcript() const;
  using edge = std::tuple<phase, std::string_view, phase>;
  [[nodiscard]] const std::set<edge>& edges() const { return edges_; }
  [[nodiscard]] const std::set<phase>& resumed() const { return resumed_; }

private:
  struct create {
    attempt number = 0;
    std::optional<instant> takes_effect;
    bool answered = false;
  };
  struct run {
    run_number number = 0;
    nested::purpose why{};
    generation target = 0;
    bool may_write = true;
    bool told = false; // said `writing`
    bool wrote = false;
  };
  struct look_up {
    std::uint64_t look = 0;
    bool present = false;
  };
  struct pushes_alike {
    std::optional<command::start_run> made;
    attempt on = 0;
    std::uint32_t times = 0; // in a row, of the same generation, to the same runtime
  };
  struct pending_record {
    std::uint64_t revision = 0;
    memo kept;
    run_number run = 0;
  };

  std::uint64_t pick(std::uint64_t below) { return rng_() % below; }
  bool chance(unsigned percent) { return pick(100) < percent; }
  void feed(const any_event& e);
  void perform(const any_command& c);
  void check(const state& before, const any_event& e);
  void check_conversation(const command::start_run& asked);
  void check_truth();
  void check_resumed(const state& before);
  void broken(std::string what);
  void pass_time(instant to);

  bool answer_something();
  void answer_auth();
  void answer_create();
  void answer_look_up();
  void answer_destroy();
  void answer_switch();
  void answer_renewal();
  void answer_run();
  void answer_record();
  void answer_watch();
  void make_durable(const pending_record& record);
  void meddle();
  void crash();
  void lose_what_was_owed();
  failure some_failure();
  failure failure_of(const run& r);
  [[nodiscard]] std::uint32_t durable_losses_allowed() const { return losses_; }

  std::mt19937_64 rng_;
  policy p_;
  state s_;
  instant now_{1'000'000};
  bool kind_ = false;   // everything succeeds
  bool mortal_ = false; // its SUPERVISOR may die
  std::uint32_t lives_ = 0;
  std::vector<any_command> out_;
  std::string violation_;
  std::vector<std::string> log_;
  std::set<edge> edges_;
  std::set<phase> resumed_;

  // what is owed to the machine
  bool auth_owed_ = false;
  std::vector<create> creates_;
  std::optional<look_up> look_up_owed_;
  std::optional<attempt> destroy_owed_;
  std::optional<run> run_owed_;
  std::optional<bool> switch_owed_; // true: to sleep
  std::optional<attempt> renewal_owed_;
  std::vector<pending_record> records_;
  bool gone_owed_ = false; // a resumed SUPERVISOR will hear that its runtime is gone
  pushes_alike last_push_;
  std::vector<any_event> stale_;
  bool finished_ = false;

  // the truth
  std::set<attempt> alive_;
  std::set<attempt> intents_;        // durable
  std::optional<memo> durable_;      // of the latest durable record
  generation wanted_ = 1;            // durable
  bool requested_ = false;           // its end, durably
  attempt work_inside_ = 0;          // the latest create that was served
  generation durable_confirmed_ = 0; // of the latest durable confirmation on this runtime
  run_number durable_confirmed_run_ = 0;
  run_number confirmed_run_ = 0; // latest push that the server really took
  generation held_ = 0;          // what the server holds; 0 = nothing or a mixture
  std::uint32_t losses_ = 0;     // runtimes that ended by themselves
  bool asleep_ = false;          // the runtime
  bool rests_ = false;           // that it shall sleep is durable
  bool another_ = false;         // it restarted after it was configured
  bool told_ = false;            // the machine heard that its server is another one
  generation takes_away_ = 0;    // latest generation that takes something away
  bool written_ = false;         // something of ours is in the server
  std::set<attempt> conversed_;  // runtimes that were asked for a conversation
  std::set<attempt> started_;    // … and said that it runs
};

} // namespace nestor::supervision::model
