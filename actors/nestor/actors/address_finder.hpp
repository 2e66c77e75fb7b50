// ADDRESS FINDER: asks a provider anew where a runtime is reached, and tells its SUPERVISOR, once. Tokens and ports
// change when somebody restarts a runtime behind our back, and nobody tells us: a runtime that does not answer may only
// have moved. Ends with the answer.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/provider_talk.hpp>

namespace nestor::actors {

class address_finder {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.address-finder";

  /// `child`: number that its report carries. The account's provider has `address`.
  address_finder(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor,
                 const providers::account_source& account, std::shared_ptr<const providers::runtime> sought,
                 std::uint64_t child);
  caf::behavior make_behavior();

private:
  void ask(std::shared_ptr<const providers::account> who);
  void found(std::shared_ptr<const providers::runtime> where);

  self_ptr<> self_;
  caf::actor_addr supervisor_;
  const providers::account_source& account_;
  std::shared_ptr<const providers::runtime> sought_;
  std::uint64_t child_;
  provider_talk talk_;
};

} // namespace nestor::actors
