// REAPER: one for a node with a durable journal. Every so often it has the PROVIDER DESK list what each account holds
// under this installation's label, asks the REGISTRY what it knows of the sandboxes that the labels name, and lets
// supervision/sweep judge. It ends what is judged so, and decides nothing itself. What sandboxes own is none of its
// business: their SUPERVISORs look after that. One pass at a time; audits and reaps wait their turn.
#pragma once

#include <nestor/actors/messages.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace nestor::actors {

struct sweep_options {
  /// Between two passes. A list of an account costs the provider a call for each hundred runtimes; what a sweep finds
  /// has been there for minutes anyway. 0: only when asked.
  milliseconds every{60'000};
  supervision::sweep_limits limits;
};

class reaper {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.reaper";

  reaper(self_ptr<> self, surroundings_ptr around, caf::actor registry, sweep_options options);
  caf::behavior make_behavior();

private:
  using known_sandboxes = std::map<std::string, supervision::explanation, std::less<>>;
  enum class purpose : std::uint8_t { sweep, audit, reap };
  struct books {
    supervision::sweep_memory memory;
    account_sweep latest;
  };
  struct pass;
  using pass_ptr = std::shared_ptr<pass>;

  void on_confirmed(const journal_done& done);
  void request(pass wanted, std::function<void(pass&)> over);
  void begin_next();
  void look(const pass_ptr& of);
  void on_listed(const pass_ptr& of, const std::string& account, runtimes_listed& listed);
  void judge(const pass_ptr& of, const std::string& account, const std::vector<supervision::swept>& list,
             const known_sandboxes& known);
  [[nodiscard]] std::vector<supervision::sweep_finding> verdicts(const pass& of, const std::string& account,
                                                                 const std::vector<supervision::swept>& list,
                                                                 const known_sandboxes& known);
  void end(const pass_ptr& of, const std::string& account, const std::string& ref);
  void note_down(const pass& of, const std::string& account, std::vector<supervision::sweep_finding> findings);
  void finish_one(const pass_ptr& of);
  void set_alarm();
  /// Nothing that is unexplained ends: told to, or the journal may be an older state of itself.
  [[nodiscard]] bool holds_back() const;
  [[nodiscard]] bool ours(const pass& of) const;
  [[nodiscard]] std::optional<wall_time> due(const supervision::sweep_finding& found) const;
  [[nodiscard]] sweeps_seen seen() const;

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor registry_;
  sweep_options options_;
  std::map<std::string, books, std::less<>> accounts_;
  pass_ptr running_;
  std::deque<pass_ptr> waiting_;
  sweeps_seen counted_;  ///< without accounts
  instant next_;         ///< when the next sweep is due
  bool doubted_ = false; ///< the journal is, and nobody confirmed it
  std::map<std::uint64_t, promise<restore_confirmed>> confirming_;
  std::uint64_t ticket_ = 0;
  std::uint64_t alarm_ = 0;
};

} // namespace nestor::actors
