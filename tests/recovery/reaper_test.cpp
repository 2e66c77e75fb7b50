// REAPER between a scripted PROVIDER DESK and a scripted REGISTRY: what it asks, what it ends, what it leaves alone.
#include <nestor/actors/reaper.hpp>
#include <nestor/bridge/memory_journal.hpp>

#include <catch2/catch.hpp>

#include <set>

namespace nestor::tests {
namespace {

using namespace std::chrono_literals;
using supervision::sweep_verdict;

struct world {
  std::map<std::string, std::vector<providers::listed>> at; ///< by account
  std::set<std::string> failing;                            ///< accounts whose list breaks off after its first page
  std::set<std::string> stubborn;                           ///< refs that cannot be ended
  std::vector<std::string> ended;
  std::map<std::string, std::shared_ptr<sandbox_view>> sandboxes;
  installation_id asked_for;
};

struct desk {
  using handle_type = caf::actor;
  static constexpr const char* name = "desk";
  std::shared_ptr<world> w;
  desk(actors::self_ptr<>, std::shared_ptr<world> of) : w(std::move(of)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::list_runtimes& request) {
              w->asked_for = request.installation;
              actors::runtimes_listed listed{w->at[request.account], std::nullopt};
              if (w->failing.contains(request.account)) {
                listed.items.resize(listed.items.size() / 2);
                listed.why = failure{errc::provider_unavailable, step::provision, "page 2", 500, {}};
              }
              return listed;
            },
            [this](const actors::end_runtime& request) {
              if (w->stubborn.contains(request.ref))
                return actors::runtime_ended{failure{errc::destroy_failed, step::destroy, "no", 500, {}}};
              w->ended.push_back(request.ref);
              std::erase_if(w->at[request.account], [&](const auto& each) { return each.ref == request.ref; });
              return actors::runtime_ended{};
            }};
  }
};

struct registry {
  using handle_type = caf::actor;
  static constexpr const char* name = "registry";
  std::shared_ptr<world> w;
  registry(actors::self_ptr<>, std::shared_ptr<world> of) : w(std::move(of)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::get_sandbox& request) {
      auto at = w->sandboxes.find(request.id.text);
      if (at == w->sandboxes.end())
        return actors::sandbox_seen{nullptr, failure{errc::not_found, step::queue, "", 0, {}}};
      return actors::sandbox_seen{at->second, std::nullopt};
    }};
  }
};

struct counting final : actors::entropy_port {
  std::uint8_t next = 0;
  void fill(std::span<std::uint8_t> bytes) override {
    for (auto& b : bytes)
      b = next++;
  }
};
struct still final : actors::clock_port {
  [[nodiscard]] instant now() const override { return {1'000'000}; }
  [[nodiscard]] wall_time wall() const override { return {1'800'000'000'000}; }
};

struct prepared : caf::actor_system_config {
  prepared() {
    actors::register_messages();
    actors::prepare(*this);
  }
};

class sweeping {
public:
  std::shared_ptr<world> w = std::make_shared<world>();
  std::shared_ptr<actors::surroundings> around = std::make_shared<actors::surroundings>();

  explicit sweeping(supervision::sweep_limits limits = {}) {
    auto entropy = std::make_shared<counting>();
    around->entropy = entropy;
    around->clock = std::make_shared<still>();
    around->journal = std::make_shared<bridge::memory_journal>(*entropy);
    auto book = std::make_shared<providers::account_book>(*providers::built_in_accounts());
    for (const char* name : {"cloud", "other"}) {
      auto source = std::make_shared<providers::account_source>();
      source->plain.name = name;
      source->plain.speaks = providers::of_kind("e2b");
      (*book)[name] = std::move(source);
    }
    around->accounts = book;
    desk_ = around->desk = actors::spawn<desk>(system_, nullptr, w);
    registry_ = actors::spawn<registry>(system_, nullptr, w);
    reaper_ = actors::spawn<actors::reaper>(system_, nullptr, actors::surroundings_ptr{around}, registry_,
                                            actors::sweep_options{0ms, limits});
  }
  ~sweeping() {
    for (auto* each : {&reaper_, &registry_, &desk_})
      caf::anon_send_exit(*each, caf::exit_reason::kill), *each = nullptr;
    around->desk = nullptr;
  }
  actors::sweeps_seen sweep(bool dry_run = false) {
    std::optional<actors::sweeps_seen> got;
    caf::scoped_actor self{system_};
    actors::ask(self, reaper_, 30s, actors::sweep_now{dry_run})
      .receive([&](actors::sweeps_seen& seen) { got = std::move(seen); }, [](const caf::error&) {});
    REQUIRE(got);
    return std::move(*got);
  }
  std::string sandbox(int number, status word, attempt latest) {
    std::vector<std::uint8_t> bytes(id_entropy_bytes, static_cast<std::uint8_t>(number));
    auto id = make_sandbox_id(bytes);
    auto view = std::make_shared<sandbox_view>();
    view->id = id;
    view->word = word;
    view->number = latest;
    w->sandboxes[id.text] = view;
    return id.text;
  }

private:
  prepared config_;
  caf::actor_system system_{config_};
  caf::actor desk_, registry_, reaper_;
};

} // namespace

TEST_CASE("a sweep ends what nobody can explain at the second look, and nothing else") {
  sweeping s;
  auto mine = s.sandbox(1, status::ready, 2);
  auto gone = s.sandbox(2, status::destroyed, 1);
  auto quiet = s.sandbox(3, status::unknown, 0);
  s.w->at["cloud"] = {{"in-service", mine, 2, "", ""},
                      {"left-behind", mine, 1, "", ""},
                      {"of-ended", gone, 1, "", ""},
                      {"of-unknown", quiet, 1, "", ""},
                      {"no-label", "", 0, "", ""}};
  auto first = s.sweep();
  CHECK(s.w->ended.empty());
  CHECK(s.w->asked_for == s.around->journal->installation());
  CHECK(first.passes == 1);
  auto second = s.sweep();
  CHECK(std::set<std::string>(s.w->ended.begin(), s.w->ended.end()) ==
        std::set<std::string>{"left-behind", "of-ended"});
  CHECK(second.ended == 2);
  s.sweep();
  s.sweep();
  CHECK(s.w->ended.size() == 2);
}

TEST_CASE("a list that breaks off ends nothing, and keeps no other account from being swept") {
  sweeping s;
  auto gone = s.sandbox(1, status::failed, 1);
  s.w->at["cloud"] = {{"a", gone, 1, "", ""}, {"b", gone, 1, "", ""}};
  s.w->at["other"] = {{"c", gone, 1, "", ""}};
  s.w->failing = {"cloud"};
  for (int pass = 0; pass < 5; ++pass)
    s.sweep();
  CHECK(s.w->ended == std::vector<std::string>{"c"});
  auto seen = s.sweep();
  REQUIRE(seen.accounts.size() == 2);
  CHECK(seen.accounts[0].why);
  s.w->failing.clear();
  s.sweep();
  CHECK(s.w->ended.size() == 1);
  s.sweep();
  CHECK(s.w->ended.size() == 3);
}

TEST_CASE("a dry run says what would end, and one that cannot be ended starves nobody") {
  sweeping s{{1, 1, 0, false}};
  auto gone = s.sandbox(1, status::destroyed, 1);
  s.w->at["cloud"] = {{"stubborn", gone, 1, "", ""}, {"b", gone, 1, "", ""}};
  auto dry = s.sweep(true);
  CHECK(s.w->ended.empty());
  CHECK(std::ranges::count(dry.accounts[0].unexplained, sweep_verdict::held_back,
                           &supervision::sweep_finding::verdict) == 2);
  s.w->stubborn = {"stubborn"};
  actors::sweeps_seen seen;
  for (int pass = 0; pass < 6; ++pass)
    seen = s.sweep();
  CHECK(seen.failed > 0);
  CHECK(s.w->ended == std::vector<std::string>{"b"});
}

} // namespace nestor::tests
