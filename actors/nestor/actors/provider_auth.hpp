// PROVIDER_AUTH: this sandbox's only way to its provider. It has the credential proved, then carries the provider's
// conversations (create, look up, pause, renew, destroy): the provider's pure functions say what to ask and what an
// answer means. Started for such work and ended with it.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/provider_talk.hpp>

namespace nestor::actors {

class provider_auth {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.provider-auth";

  /// `child`: number that its reports carry. With an `errand` it does that alone and reports what came of it; else it
  /// reports what became of the credential, and takes work.
  provider_auth(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                const providers::account_source& account, std::uint64_t child, std::optional<do_renew> errand);
  caf::behavior make_behavior();

private:
  void authenticate();
  void on_proven(credential_proven& proven);
  void begin_work();
  void converse(do_provision& work);
  void converse(do_look_up& work);
  void converse(do_destroy& work);
  void provision_failed(const providers::labels& stamp, failure why);
  /// What else carries these labels is destroyed; then `over` is told nothing, or what kept us from it.
  void end_twins(const providers::labels& stamp, std::function<void(std::optional<failure>)> over);
  void converse(do_switch& work);
  void converse(const do_renew& work);
  /// A refusal in the middle of work: whoever comes next must not rely on the same proof.
  void doubt(const failure& why);
  void report(supervision::any_event what, std::shared_ptr<const providers::runtime> found = nullptr);

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor_addr supervisor_;
  const providers::account_source& account_;
  std::uint64_t child_;
  std::shared_ptr<const providers::account> who_; ///< with its proof; null before
  std::optional<do_renew> errand_;
  provider_talk talk_;
};

} // namespace nestor::actors
