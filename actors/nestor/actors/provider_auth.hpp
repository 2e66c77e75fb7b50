// PROVIDER_AUTH: this sandbox's only way to its provider. It proves the credential, then carries the provider's
// conversations (create, look up, destroy): the provider's pure functions say what to ask and what an answer means.
// Started for such work and ended with it.
#pragma once

#include <nestor/actors/messages.hpp>

#include <functional>
#include <unordered_map>

namespace nestor::actors {

class provider_auth {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.provider-auth";

  /// `child`: number that its reports carry.
  provider_auth(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                const providers::provider& provider, std::uint64_t child);
  caf::behavior make_behavior();

private:
  /// One exchange with the provider that is not over: what to do with the next reply, or what to ask when woken.
  struct conversation {
    std::function<void(const io_reply&)> on_reply;
    std::optional<io_request> later;
  };

  void converse(do_provision& work);
  void converse(do_look_up& work);
  void converse(do_destroy& work);
  void ask(providers::ask question, std::function<void(const io_reply&)> on_reply);
  void report(supervision::any_event what, std::shared_ptr<const providers::runtime> found = nullptr);

  void on_progress(providers::progress<providers::runtime> state,
                   const std::shared_ptr<const providers::provision_order>& order);
  void on_progress(providers::progress<providers::sighting> state,
                   const std::shared_ptr<const providers::provision_order>& order, std::uint64_t look);
  void on_progress(providers::progress<providers::absent> state, const std::shared_ptr<const providers::runtime>& gone,
                   attempt number);

  self_ptr<> self_;
  surroundings_ptr around_;
  caf::actor_addr supervisor_;
  const providers::provider& provider_;
  std::uint64_t child_;
  std::uint64_t ticket_ = 0;
  std::unordered_map<std::uint64_t, conversation> open_;
};

} // namespace nestor::actors
