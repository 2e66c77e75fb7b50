// A whole node on virtual time: the real registry, supervisors and children over the in-memory world. What a test asks
// it is answered after everything that can happen now has happened.
#pragma once

#include <support/held.hpp>
#include <support/nested_world.hpp>
#include <support/saboteur.hpp>
#include <support/seeded_entropy.hpp>

#include <nestor/bridge/memory_journal.hpp>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace nestor::tests {

/// Every secret of a test's configuration starts with this: it may appear in request bodies and nowhere else.
inline constexpr std::string_view canary = "CANARY-7f3a";

/// settings with an LLM key, github and gitlab, two secrets; every secret a canary. `variant` changes the values.
std::shared_ptr<const nested::configuration> canary_configuration(int variant = 1);

struct spec_choice {
  std::string provider = "process"; ///< or static: then a server is there, on port `static_port`
  std::string dialect = "openhands";
  std::string speaks = "openhands"; ///< what the nested server is; a dormant one: "dormant agent-server"
};
inline constexpr std::uint16_t static_port = 3000;
sandbox_spec canary_spec(const spec_choice& choice);

/// Servers that answer at once and limit nothing.
nested_server::model_options quick_servers();

/// Who supervises which sandbox at the moment, as far as its SUPERVISOR was heard of.
using supervisors = std::map<sandbox_id, caf::actor_addr>;

/// The journal of the tests: in memory, and it can refuse, or throw at its writer.
class moody_journal final : public actors::journal_port {
public:
  explicit moody_journal(actors::entropy_port& entropy) : inner_(entropy) {}
  [[nodiscard]] const installation_id& installation() const override { return inner_.installation(); }
  [[nodiscard]] std::shared_ptr<const nested::digest_key> key() const override { return inner_.key(); }
  [[nodiscard]] const secret& node_secret() const override { return inner_.node_secret(); }
  [[nodiscard]] std::uint32_t earlier_starts() const override { return inner_.earlier_starts(); }
  void write(actors::actual_record record, actors::reply_to to) override;
  void want(actors::wanted_record record, actors::reply_to to) override {
    inner_.want(std::move(record), std::move(to));
  }
  void read(const sandbox_id& s, generation g, actors::reply_to to) override { inner_.read(s, g, std::move(to)); }
  void unwant(const sandbox_id& s, actors::reply_to to) override { inner_.unwant(s, std::move(to)); }
  void load(const sandbox_id& s, actors::reply_to to) override { inner_.load(s, std::move(to)); }
  void list(const sandbox_id& after, std::size_t most, actors::reply_to to) override {
    inner_.list(after, most, std::move(to));
  }
  void close(actors::closed_record record) override { inner_.close(std::move(record)); }
  void forget(const sandbox_id& s) override { inner_.forget(s); }
  [[nodiscard]] std::size_t bytes_held() const override { return inner_.bytes_held(); }

  int refuse_next = 0;                                           ///< writes that fail
  std::vector<std::pair<supervision::note, generation>> written; ///< durable, in order
  std::optional<std::size_t> throw_in;                           ///< at the write after that many; counts down
  std::size_t throws_left = 1;
  bool throw_when_durable = false;
  std::shared_ptr<supervisors> writers = std::make_shared<supervisors>();

private:
  bridge::memory_journal inner_;
};

/// Asks once, keeps the answer, ends.
template <class Response, class Request>
struct asker {
  using handle_type = caf::actor;
  static constexpr const char* name = "asker";
  asker(actors::self_ptr<> self, const caf::actor& whom, Request what, std::shared_ptr<std::optional<Response>> into) {
    self->ask(whom, std::chrono::seconds{3600}, std::move(what))
      .then([into, self](Response& r) { *into = std::move(r), self->quit(); },
            [self](const caf::error&) { self->quit(); });
  }
  caf::behavior make_behavior() {
    return {[](const actors::woken&) {}};
  }
};

/// What a node may have besides: accounts with their secrets, and a world of providers around the nested servers.
struct test_surroundings {
  std::shared_ptr<const providers::account_book> accounts = providers::built_in_accounts();
  secret_lookup secrets;
  std::function<std::shared_ptr<actors::io_port>(deterministic_system&, std::shared_ptr<nested_world>)> io;
  std::uint64_t entropy = 42; ///< another number, another installation
};

class test_node {
public:
  explicit test_node(nested_server::model_options servers, test_surroundings besides = {});
  ~test_node();

  deterministic_system system;
  std::shared_ptr<nested_world> world;
  std::shared_ptr<saboteur> sabotage;
  std::shared_ptr<moody_journal> journal;

  template <class Response, class Request>
  Response ask(Request request, int milliseconds_at_most = 100) {
    auto got = std::make_shared<std::optional<Response>>();
    actors::spawn<asker<Response, Request>>(system.system(), nullptr, front_, std::move(request), got);
    system.settle();
    for (int i = 0; i < milliseconds_at_most && !*got; ++i)
      system.advance(1ms);
    if (!*got)
      throw std::runtime_error{"the node did not answer"};
    return std::move(**got);
  }

  sandbox_id create(sandbox_spec spec);
  std::shared_ptr<const sandbox_view> see(const sandbox_id& id);
  /// Lets time pass until `done` says so, at most `within` of virtual time.
  bool run_until(const std::function<bool()>& done, microseconds within);
  /// Until it is Ready, Quarantined, Unknown or ended and nothing moves.
  std::shared_ptr<const sandbox_view> run_to_rest(const sandbox_id& id, microseconds within = std::chrono::hours{1});
  [[nodiscard]] const caf::actor& front() const { return front_; }
  /// Ends the SUPERVISOR of that sandbox, if it was heard of; with one sandbox, an empty id will do.
  void end_supervisor(const sandbox_id& id, mishap how = mishap::supervisor_killed);
  [[nodiscard]] const caf::actor& desk() const { return desk_; }
  /// Everything that was told to the observer, printed by CAF itself: searched for canaries.
  [[nodiscard]] const std::string& told() const { return *told_; }

private:
  caf::actor front_;
  caf::actor desk_;
  caf::actor timers_;
  std::shared_ptr<std::string> told_ = std::make_shared<std::string>();
};

/// Empty when the server holds nothing of ours any more.
std::string remains(nested_server::server_model& server);

} // namespace nestor::tests
