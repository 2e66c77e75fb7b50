// What must hold of a node whatever happens to it, judged by the truth: what the disk holds, what the clouds hold,
// what the nested servers hold. It looks whenever the world has moved and whenever the node says something, and
// remembers the first thing that is wrong.
#pragma once

#include "disk.hpp"
#include "scenario.hpp"
#include "transcript.hpp"

#include <lives/rented_world.hpp>

#include <nestor/actors/messages.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>

namespace nestor::simulation {

class judge {
public:
  judge(const scenario& s, disk& records, tests::rented_world& clouds, const emulator::clockwork& time,
        transcript& told);

  [[nodiscard]] const std::string& fault() const { return fault_; }
  void blame(const std::string& what);
  [[nodiscard]] std::size_t became_ready() const { return became_ready_; }

  // -- what the node says
  void on_status(const actors::status_changed& now);
  void on_step(const actors::step_changed& now);
  void on_crash();
  /// Any text that a person may read.
  void on_text(std::string_view text);

  // -- what clients are told
  void on_created(const actors::accepted& answer, const std::string& name);
  void on_configured(const actors::accepted& answer);
  void on_unwanted(const sandbox_id& id);
  /// Until that is accepted, nobody knows what counts. Gives the wish its number.
  unsigned on_rest_asked(const sandbox_id& id);
  void on_rest(const sandbox_id& id, unsigned number, bool rests);
  void on_access(const sandbox_id& id, const actors::access& granted);

  // -- what the world does
  void on_wanted(const journal::wanted_record& record);
  void on_change(std::string_view line, std::string_view body);
  void on_crowd(std::string_view line) { blame("two requests at a time are inside one runtime: " + std::string{line}); }
  /// Somebody else changed what some server holds.
  void on_tampered() { tampered_ = time_.now(); }
  void on_empties(const sandbox_id& id) { of_[id].tampered = time_.now(); }
  void on_dies(const sandbox_id& id);
  void world_moved();
  /// What is rented now belongs to somebody else.
  void meet_neighbour();

  // -- in the end
  /// Empty when everything came to rest; else what has not.
  [[nodiscard]] std::string unrest() const;
  void check_as_wanted();
  void check_listed(const actors::sandbox_list& list);
  void check_nothing_left();
  [[nodiscard]] std::vector<sandbox_id> not_ended() const;

private:
  struct known {
    std::map<generation, std::shared_ptr<const nested::configuration>> wanted;
    std::string kind, name;
    status word = status::unknown;
    instant word_since, ready_since, run_began, tampered;
    incarnation fence = 0;
    generation served = 0;
    std::optional<instant> end_promised;
    std::set<attempt> seen;            ///< of its runtimes
    std::optional<bool> asked_to_rest; ///< and that was accepted, last
    unsigned rests_asked = 0;
    bool promised = false, was_ready = false, died = false;
  };
  struct runtime {
    std::string kind, ref;
    sandbox_id sandbox;
    attempt number = 0;
    instant since;
  };
  [[nodiscard]] bool excused(const known& k) const;
  void check_served(const sandbox_id& id, const known& k, generation served, std::string_view when);
  [[nodiscard]] std::string difference_of(const sandbox_id& id, const known& k, generation served) const;
  void check_over(const sandbox_id& id, status word);
  void check_at_rest(const sandbox_id& id, const known& k);
  void check_fair_weather(const sandbox_id& id, const known& k);
  void check_runtime(const runtime& r);
  void check_end_of(const runtime& r);
  std::optional<runtime> read(const std::string& kind, const emulator::rented& r) const;

  const scenario& scenario_;
  disk& records_;
  tests::rented_world& clouds_;
  const emulator::clockwork& time_;
  transcript& told_;
  std::string fault_;
  std::map<sandbox_id, known> of_;
  std::map<std::string, runtime> alive_; ///< by kind and ref
  std::set<std::string> neighbours_;
  std::set<std::string> ill_; ///< kinds whose runtimes may never come back
  instant tampered_;
  std::size_t became_ready_ = 0;
};

} // namespace nestor::simulation
