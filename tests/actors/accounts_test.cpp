// Lives on a provider's account, on virtual time: the credential is proved once for everybody, starts wait in line, a
// lost create is found by its labels, and what the account holds in the end is nothing.
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;
using nlohmann::json;

namespace {

constexpr std::string_view good_key = "e2b_CANARY0123456789";
constexpr microseconds round_trip{300};

nested_server::model_options plain_options() {
  nested_server::model_options options;
  options.rate_limit = false;
  options.server_info_delay = milliseconds{0};
  return options;
}

/// An E2B of one team, with the nested servers of the world inside its sandboxes.
class small_cloud final : public actors::io_port {
public:
  small_cloud(deterministic_system& system, std::shared_ptr<nested_world> world)
      : system_(system), world_(std::move(world)) {}

  std::map<std::string, json> sandboxes; ///< what exists: the judge
  std::vector<instant> creates;
  std::size_t proofs = 0;
  std::size_t lose_answers = 0; ///< of that many creates, after they took effect

  void perform(io_request request, actors::reply_to to) override {
    auto* call = std::get_if<http_call>(&request);
    if (call && call->to.host == "api.e2b.test")
      return answer(to, control(*call));
    if (call && call->to.host.starts_with("49983-"))
      return answer(to, start(*call));
    if (call && call->to.host.starts_with("8000-"))
      call->to.port = port_of(call->to.host);
    world_->perform(std::move(request), std::move(to));
  }
  void watch(const process_ref& process, actors::reply_to to) override { world_->watch(process, std::move(to)); }

private:
  static std::uint16_t port_of(const std::string& host) {
    return static_cast<std::uint16_t>(20'000 + std::stoul(host.substr(host.find("-i") + 2)));
  }
  void answer(const actors::reply_to& to, http_reply reply) {
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      tell_later(whom, round_trip, actors::io_done{to.ticket, std::move(reply)});
  }
  static http_reply reply_of(std::uint16_t status, const json& body) {
    http::response response;
    response.status = status;
    response.body = wiped_string{body.dump()};
    return response;
  }
  static std::string_view key_of(const http_call& call) {
    for (const auto& header : call.request.headers)
      if (header.name == "X-API-Key")
        return header.value;
    return {};
  }

  http_reply control(const http_call& call) {
    const auto& target = call.request.target;
    if (target == "/v2/sandboxes?limit=1")
      ++proofs;
    if (key_of(call) != good_key)
      return reply_of(401, {{"code", 401}, {"message", "Invalid API key, please visit https://e2b.dev"}});
    if (target == "/v2/sandboxes")
      return create(json::parse(call.request.body));
    if (target.starts_with("/v2/sandboxes?")) {
      auto all = json::array();
      for (const auto& [id, each] : sandboxes)
        all.push_back(each);
      return reply_of(200, all);
    }
    auto begin = target.find("/sandboxes/") + 11;
    auto id = target.substr(begin, target.find('/', begin) - begin);
    if (!sandboxes.contains(id))
      return reply_of(404, {{"code", 404}, {"message", "there is none"}});
    if (call.request.verb != http::method::del)
      return reply_of(200, {{"sandboxID", id}, {"envdAccessToken", "ea_1"}});
    sandboxes.erase(id);
    return reply_of(204, nullptr);
  }

  http_reply create(const json& order) {
    creates.push_back(system_.now());
    auto id = "i" + std::to_string(creates.size());
    sandboxes[id] = {{"sandboxID", id}, {"metadata", order["metadata"]}, {"state", "running"}};
    if (lose_answers > 0)
      return --lose_answers, http_reply{http::transport_error::reset};
    return reply_of(201, {{"sandboxID", id}, {"envdAccessToken", "ea_1"}});
  }

  http_reply start(const http_call& call) {
    auto order = json::parse(std::string_view{call.request.body}.substr(5));
    process_spawn server;
    server.argv = {"nestor-nested-server"};
    auto key = order["process"]["envs"]["SESSION_API_KEY"].get<std::string>();
    server.secret_env.emplace_back("SESSION_API_KEY", secret{std::move(key)});
    server.port = port_of(call.to.host);
    if (auto running = world_->running(); std::ranges::find(running, server.port) == running.end())
      world_->perform(std::move(server), {});
    std::string_view end = R"({"event":{"end":{"exited":true}}})";
    http::response response;
    response.status = 200;
    response.body = wiped_string(4, '\0') + static_cast<char>(end.size()) + wiped_string{end};
    return response;
  }

  deterministic_system& system_;
  std::shared_ptr<nested_world> world_;
};

struct cloud_node {
  std::shared_ptr<small_cloud> cloud;
  std::shared_ptr<std::string> key = std::make_shared<std::string>(good_key);
  std::unique_ptr<test_node> node;

  explicit cloud_node(double creates_per_second = 0) {
    auto book = std::make_shared<providers::account_book>();
    auto source = std::make_shared<providers::account_source>();
    source->plain.name = "team";
    source->plain.speaks = providers::of_kind("e2b");
    source->plain.settings = {{"domain", "e2b.test"}, {"api_url", "https://api.e2b.test"}};
    source->plain.limits.creates_per_second = creates_per_second;
    source->secrets.emplace_back("api_key", secret_reference{reference_kind::env, "E2B_API_KEY", {}, {}});
    book->emplace("team", std::move(source));
    test_surroundings besides;
    besides.accounts = std::move(book);
    besides.secrets = [set = key](reference_kind, const std::string&) { return secret::copy_of(*set); };
    besides.io = [this](deterministic_system& system, std::shared_ptr<nested_world> world) {
      return cloud = std::make_shared<small_cloud>(system, std::move(world));
    };
    node = std::make_unique<test_node>(plain_options(), std::move(besides));
  }

  sandbox_id create() {
    auto spec = canary_spec({});
    auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
    runtime->port = 8'000;
    spec.runtime = std::move(runtime);
    spec.provider = "team";
    return node->create(std::move(spec));
  }
  void destroy(const sandbox_id& id) { (void)node->ask<actors::accepted>(actors::destroy_sandbox{id}); }
  bool ended_all(const std::vector<sandbox_id>& ids) {
    return node->run_until(
      [&] { return std::ranges::all_of(ids, [&](const auto& id) { return ended(node->see(id)->word); }); }, 1h);
  }
};

} // namespace

TEST_CASE("a sandbox on an account becomes Ready and leaves nothing", "[accounts]") {
  cloud_node here;
  auto id = here.create();
  auto seen = here.node->run_to_rest(id);
  REQUIRE(seen->word == status::ready);
  CHECK(seen->provider == "team");
  CHECK(here.cloud->sandboxes.size() == 1);
  here.destroy(id);
  CHECK(here.ended_all({id}));
  CHECK(here.cloud->sandboxes.empty());
}

TEST_CASE("a create whose answer was lost is found by its labels and spoken to with the derived key", "[accounts]") {
  cloud_node here;
  here.cloud->lose_answers = 1;
  auto id = here.create();
  CHECK(here.node->run_to_rest(id)->word == status::ready);
  CHECK(here.cloud->creates.size() == 1); // never a second one while the first may be there
  here.destroy(id);
  CHECK(here.ended_all({id}));
  CHECK(here.cloud->sandboxes.empty());
}

TEST_CASE("a credential is proved once for everybody", "[accounts]") {
  cloud_node here;
  std::vector<sandbox_id> ids;
  for (int i = 0; i < 50; ++i)
    ids.push_back(here.create());
  for (const auto& id : ids)
    CHECK(here.node->run_to_rest(id)->word == status::ready);
  CHECK(here.cloud->proofs == 1);
}

TEST_CASE("a wrong key fails before anything is created, in the provider's words, and once for everybody",
          "[accounts]") {
  cloud_node here;
  *here.key = "e2b_CANARY9999999999";
  std::vector<sandbox_id> ids;
  for (int i = 0; i < 50; ++i)
    ids.push_back(here.create());
  CHECK(here.ended_all(ids));
  for (const auto& id : ids) {
    auto seen = here.node->see(id);
    REQUIRE(seen->why);
    CHECK(seen->why->code == errc::auth_refused);
    CHECK(seen->why->cause.find("Invalid API key") != std::string::npos);
  }
  CHECK(here.cloud->proofs == 1);
  CHECK(here.cloud->creates.empty());
  CHECK(here.node->told().find("CANARY") == std::string::npos);

  *here.key = good_key; // rotated outside: seen by the next proof
  here.node->system.advance(2s);
  CHECK(here.node->run_to_rest(here.create())->word == status::ready);
}

TEST_CASE("a revoked key is noticed by the first refused call, and a new one is taken", "[accounts]") {
  cloud_node here;
  auto id = here.create();
  REQUIRE(here.node->run_to_rest(id)->word == status::ready);
  auto proofs = here.cloud->proofs;
  auto verified = [&] {
    auto got = std::make_shared<std::optional<actors::account_verified>>();
    actors::spawn<asker<actors::account_verified, actors::verify_account>>(
      here.node->system.system(), nullptr, here.node->desk(), actors::verify_account{"team"}, got);
    here.node->run_until([&] { return got->has_value(); }, 10s);
    return **got;
  };
  CHECK_FALSE(verified().why);
  CHECK(here.cloud->proofs == proofs + 1);
  *here.key = "e2b_CANARY9999999999";
  CHECK(verified().why->code == errc::auth_refused);
}

TEST_CASE("a thousand sandboxes at five creates a second: an even line, no refusal, no time-out of its making",
          "[accounts]") {
  cloud_node here{5};
  constexpr std::size_t count = 1'000;
  std::vector<sandbox_id> ids;
  for (std::size_t i = 0; i < count; ++i)
    ids.push_back(here.create());
  for (microseconds passed{0}; here.cloud->creates.size() < count && passed < 5min; passed += 20ms)
    here.node->system.advance(20ms); // finer than the line's own step, which a longer one would stretch
  for (const auto& id : ids)
    CHECK(here.node->run_to_rest(id, 1min)->word == status::ready);
  const auto& at = here.cloud->creates;
  CHECK(at.size() == count);
  for (std::size_t i = 5; i < at.size(); ++i)
    CHECK(at[i] - at[i - 5] >= 900ms); // the wheel's grain, and a round trip to prove
}
