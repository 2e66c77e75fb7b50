// The real node, killed at random instants over and over, between real clients and the real emulator's clouds, which
// misbehave. Then everything comes to rest, and the judge's truth is compared with what the node says and what the
// clients were promised: nothing is lost, nothing is left over, nothing is there twice, and what is Ready holds what
// was wanted, read back from the nested servers themselves.
#include "chaos/crowd.hpp"
#include "chaos/emulated_clouds.hpp"

#include "support/canary.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>

namespace nestor::tests {
namespace {

using clock = std::chrono::steady_clock;
using nlohmann::json;
using std::chrono::milliseconds;

struct storm_order {
  int kills = 20;
  std::uint64_t seed = 1;
  std::size_t clients = 3;
  std::size_t sandboxes = 6; ///< of one client, at a time
  milliseconds rests_within{60'000};
  bool real_servers = false; ///< nested servers are processes; else models in the emulator
};

// One request in ten or so: lost answers, requests that take effect after their client gave up, lists that lag,
// throttles, resets, refusals. All of it is over within `create_settles`.
const std::vector<std::string> weather{"answer-lost@POST / x*%4",      "reset x*%2",   "status:503 x*%2",
                                       "late-effect:400@POST / x*%1",  "cut x*%1",     "throttled:1@POST / x*%1",
                                       "late-listing:500@POST / x*%3", "slow:150 x*%3"};
const std::string account = "create_settles: 4s, ";
const std::string sweeps = "sweep: {every: 1s, looks: 2, kill_cap: {at_least: 100, percent: 100}}\n"
                           "limits: {per_tenant: 20000, sandboxes: 20000}\n";

std::string path_of(const std::string& url) {
  auto at = url.find('/', url.find("://") + 3);
  return at == std::string::npos ? "" : url.substr(at);
}

/// What the nested server itself answers to a GET, by the address and the headers that the node hands out.
std::string read_back(const json& access, const std::string& target) {
  auto url = access.value("url", "");
  auto begin = url.find("://") + 3;
  auto authority = url.substr(begin, url.find('/', begin) - begin);
  raw_connection to{static_cast<std::uint16_t>(std::stoi(authority.substr(authority.rfind(':') + 1)))};
  auto text = "GET " + path_of(url) + target + " HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n";
  for (const auto& [name, value] : access["headers"].items())
    text += name + ": " + value.get<std::string>() + "\r\n";
  to.send(text + "\r\n");
  return parse_answer(to.read_to_end()).body;
}

class storm {
public:
  explicit storm(const storm_order& order)
      : order_(order),
        clouds_(order.real_servers ? std::vector<std::string>{} : std::vector<std::string>{"--in-memory"}),
        random_(order.seed), people_({clouds_.names(), order.clients, order.sandboxes, order.seed}) {
    REQUIRE(clouds_.up());
    config_ = clouds_.configuration(scratch_, account) + sweeps;
    REQUIRE(clouds_.set_faults(weather, order.seed));
  }

  void kill_again_and_again() {
    for (int i = 0; i < order_.kills; ++i) {
      INFO("kill " << i << " of seed " << order_.seed);
      if (i > 0 && random_() % 4 == 0)
        die_while_starting();
      serving_node node{scratch_, config_};
      node.leaves_sandboxes = true;
      REQUIRE(node.port() != 0);
      people_.node_is(node.port(), node.token());
      people_.await(random_() % (8 * order_.clients), milliseconds{2'000});
      node.program().shows("nothing that it says", static_cast<int>(random_() % 60)); // a moment after an answer
      node.program().kill();
      nothing_is_told(node.program().shown());
    }
  }

  void judge() {
    auto began = clock::now();
    serving_node node{scratch_, config_};
    node.leaves_sandboxes = true;
    REQUIRE(node.port() != 0);
    auto served = clock::now() - began;
    auto [requests, faults] = clouds_.traffic();
    CHECK(faults * 20 > requests); // one in twenty at least: it was a storm
    CHECK(clouds_.set_faults({}));
    people_.node_is(node.port(), node.token());
    CHECK(people_.come_to_rest(order_.rests_within)); // every question has its answer
    CHECK(converges(node));
    auto converged = clock::now() - began;
    CHECK(agrees(node));
    auto agreed = clock::now() - began;
    for (const auto& each : people_.wrongs()) {
      INFO(each);
      CHECK(false);
    }
    for (const auto& each : people_.all())
      compare(node, each);
    auto ms = [](auto d) { return std::chrono::duration_cast<milliseconds>(d).count(); };
    std::printf(
      "{\"kills\":%d,\"answered\":%zu,\"provider_requests\":%llu,\"faults\":%llu,\"promised\":%zu,\"ready\":%zu,"
      "\"quarantined\":%zu,\"failed\":%zu,\"ended\":%zu,\"serving_ms\":%lld,\"converged_ms\":%lld,"
      "\"agreed_ms\":%lld}\n",
      order_.kills, people_.answered(), static_cast<unsigned long long>(requests),
      static_cast<unsigned long long>(faults), people_.all().size(), ready_, quarantined_, failed_, ended_,
      static_cast<long long>(ms(served)), static_cast<long long>(ms(converged)), static_cast<long long>(ms(agreed)));
    node.end_sandboxes();
    CHECK(clouds_.rented().empty());
    CHECK(node.end_by(SIGTERM) == 0);
    nothing_is_told(node.program().shown());
  }

private:
  void die_while_starting() {
    background_program early{{nestor_binary(), "serve", "--config", scratch_.write("node.yaml", config_), "--listen",
                              "127.0.0.1:0", "--state", scratch_.file("state")}};
    early.shows("token is in", static_cast<int>(random_() % 60));
    early.kill();
    nothing_is_told(early.shown());
  }

  void nothing_is_told(const std::string& said) const {
    CHECK(canary_in(said).empty());
    for (const auto& entry : std::filesystem::directory_iterator{scratch_.file("state")})
      if (entry.is_regular_file())
        CHECK(canary_in(contents_of(entry.path().string())).empty());
  }

  /// Every sandbox of the node by its id.
  static std::map<std::string, json> everything(const serving_node& node) {
    std::map<std::string, json> all;
    std::string cursor;
    do {
      auto answer = node.ask("GET", "/v1/sandboxes?limit=200" + cursor, node.token());
      INFO(answer.status << " " << answer.body);
      auto page = answer.json();
      REQUIRE(page.is_object());
      for (auto& each : page["items"])
        all[each["id"].get<std::string>()] = each;
      cursor = page["next_cursor"].is_string() ? "&cursor=" + page["next_cursor"].get<std::string>() : "";
    } while (!cursor.empty());
    return all;
  }

  static bool has_ended(const json& sandbox) {
    return sandbox["status"] == "Destroyed" || sandbox["status"] == "Failed";
  }

  /// Until something happens, a second at most.
  void await_event(const serving_node& node) {
    auto page = node.ask("GET", "/v1/events?limit=200&wait=1&after=" + std::to_string(seen_), node.token()).json();
    if (page.is_object())
      seen_ = page.value("last_id", seen_);
  }

  bool converges(const serving_node& node) {
    std::string last;
    for (auto until = clock::now() + order_.rests_within; clock::now() < until; await_event(node)) {
      last.clear();
      for (const auto& [id, sandbox] : everything(node)) {
        bool ready = sandbox["status"] == "Ready" && sandbox["observed_generation"] == sandbox["generation"];
        if (sandbox["status"] == "Paused")
          node.ask("POST", "/v1/sandboxes/" + id + "/resume", node.token());
        if (!ready && !has_ended(sandbox) && sandbox["status"] != "Quarantined")
          last = sandbox.dump();
      }
      if (last.empty())
        return true;
    }
    UNSCOPED_INFO(last);
    return false;
  }

  /// What is rented is what the node has, one for one: orphans go by two looks of its sweep.
  bool agrees(const serving_node& node) {
    std::string difference;
    for (auto until = clock::now() + order_.rests_within; clock::now() < until; await_event(node)) {
      difference.clear();
      auto rented = clouds_.rented();
      for (const auto& [id, sandbox] : everything(node)) {
        auto count = rented.contains(id) ? rented[id].size() : 0;
        if (count != (has_ended(sandbox) ? 0 : 1))
          difference += std::to_string(count) + " runtimes of " + sandbox.dump() + "\n";
        rented.erase(id);
      }
      for (const auto& [id, refs] : rented)
        difference += "nobody's: " + id + " " + refs.front() + "\n";
      if (difference.empty())
        return true;
    }
    UNSCOPED_INFO(difference << node.ask("GET", "/v1/leaks", node.token()).body);
    return false;
  }

  void compare(const serving_node& node, const promised& what) {
    auto seen = node.ask("GET", "/v1/sandboxes/" + what.id, node.token());
    INFO(what.name << " " << what.id << " " << seen.status << " " << seen.body);
    CHECK(seen.status == 200); // nothing that was promised is lost
    auto sandbox = seen.json();
    if (!sandbox.is_object())
      return;
    CHECK(sandbox["name"] == what.name);
    if (what.ends)
      CHECK(has_ended(sandbox));
    if (!what.models.empty())
      CHECK(sandbox["generation"].get<std::uint64_t>() >= what.models.rbegin()->first);
    ready_ += sandbox["status"] == "Ready" ? 1 : 0;
    quarantined_ += sandbox["status"] == "Quarantined" ? 1 : 0;
    failed_ += sandbox["status"] == "Failed" ? 1 : 0;
    ended_ += has_ended(sandbox) ? 1 : 0;
    auto access = node.ask("POST", "/v1/sandboxes/" + what.id + "/access", node.token());
    CHECK((access.status == 200) == (sandbox["status"] == "Ready"));
    if (access.status != 200)
      return;
    auto settings = read_back(access.json(), "/api/settings");
    INFO(settings);
    auto held = json::parse(settings, nullptr, false);
    REQUIRE(held.is_object());
    auto wanted = what.models.find(sandbox["generation"].get<std::uint64_t>());
    auto model = held.value("llm_model", "");
    CHECK((wanted != what.models.end() ? model == wanted->second : what.unsure.contains(model)));
    CHECK(held["provider_tokens_set"].contains("github"));
    CHECK(held["llm_api_key_set"] == true);
    CHECK(read_back(access.json(), "/api/secrets").find("TOKEN") != std::string::npos);
  }

  storm_order order_;
  scratch_folder scratch_;
  emulated_clouds clouds_;
  std::string config_;
  std::mt19937_64 random_;
  crowd people_;
  std::uint64_t seen_ = 0;
  std::size_t ready_ = 0, quarantined_ = 0, failed_ = 0, ended_ = 0;
};

} // namespace

TEST_CASE("a node that is killed 20 times under load loses nothing at any cloud and leaves nothing there") {
  storm s{{.kills = 20, .seed = 1}};
  s.kill_again_and_again();
  s.judge();
}

TEST_CASE("a node that is killed 300 times with a thousand sandboxes loses nothing and leaves nothing", "[.long]") {
  storm s{{.kills = 300, .seed = 2, .clients = 4, .sandboxes = 250, .rests_within = milliseconds{300'000}}};
  s.kill_again_and_again();
  s.judge();
}

TEST_CASE("the same with nested servers that are processes", "[.long]") {
  storm s{{.kills = 100, .seed = 3, .clients = 3, .sandboxes = 15, .real_servers = true}};
  s.kill_again_and_again();
  s.judge();
}

} // namespace nestor::tests
