// PROVIDER DESK: one for a node. It proves each account's credential once for everybody: who asks while a proof is
// being made waits for that one, who asks later gets it until it lapses, is doubted, or its source holds another
// credential. It also lists what an account holds, reads what a runtime printed, and ends what the REAPER says. It
// decides nothing itself.
#pragma once

#include <nestor/actors/provider_talk.hpp>

#include <map>

namespace nestor::actors {

class provider_desk {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.provider-desk";

  provider_desk(self_ptr<> self, surroundings_ptr around);
  caf::behavior make_behavior();

private:
  /// One account's books.
  struct ledger {
    const providers::account_source* source = nullptr;
    std::shared_ptr<const providers::account> read; ///< with the credential as it was last read; not proved
    instant read_until{};                           ///< not read again before
    std::shared_ptr<const providers::account> proven;
    instant proven_until{};
    std::optional<failure> refused; ///< of `read`: the provider says that this credential is no good
    instant refused_until{};
    bool proving = false;
    std::vector<std::function<void(const credential_proven&)>> waiting;
  };

  /// `use` gets the account with its proof, or why there is none; perhaps before this returns.
  void with_proof(const std::string& account, std::function<void(const credential_proven&)> use);
  caf::result<account_verified> on_verify(const verify_account& request);
  caf::result<runtimes_listed> on_list(list_runtimes& request);
  caf::result<output_read> on_read_output(read_output& request);
  caf::result<runtime_ended> on_end(const end_runtime& request);
  struct inventory; ///< a list on its way
  void next_page(const std::shared_ptr<inventory>& of);
  void on_doubt(const doubt_credential& doubt);
  /// The credential's source is looked at again when it may have changed. What was proved or refused of another one is
  /// forgotten.
  std::optional<failure> read_again(ledger& of);
  void prove(ledger& of);
  void on_outcome(ledger& of, const std::shared_ptr<const providers::account>& asked,
                  provider_talk::outcome_of<providers::proof> came);
  [[nodiscard]] bool good(const ledger& of) const;

  self_ptr<> self_;
  surroundings_ptr around_;
  provider_talk talk_;
  std::map<std::string, ledger> ledgers_;
};

} // namespace nestor::actors
