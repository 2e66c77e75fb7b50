// REAPER: one for a node with a durable journal. Every so often it has the PROVIDER DESK list what each account holds
// under this installation's label, asks the REGISTRY what it knows of the sandboxes that the labels name, and lets
// supervision/sweep judge. It ends what is judged so, and decides nothing itself. What sandboxes own is none of its
// business: their SUPERVISORs look after that.
#pragma once

#include <nestor/actors/messages.hpp>

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
  struct books {
    supervision::sweep_memory memory;
    account_sweep latest;
  };
  struct pass;
  void begin(bool dry_run, std::function<void()> over);
  void on_listed(const std::shared_ptr<pass>& of, const std::string& account, runtimes_listed& listed);
  void judge(const std::shared_ptr<pass>& of, const std::string& account, const std::vector<supervision::swept>& list,
             const std::map<std::string, supervision::explanation, std::less<>>& known);
  void finish_one(const std::shared_ptr<pass>& of);
  void set_alarm();
  [[nodiscard]] sweeps_seen seen() const;

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor registry_;
  sweep_options options_;
  std::map<std::string, books, std::less<>> accounts_;
  std::shared_ptr<pass> running_;
  std::vector<std::function<void()>> waiting_; ///< for the pass that is running
  std::uint64_t passes_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t alarm_ = 0;
};

} // namespace nestor::actors
