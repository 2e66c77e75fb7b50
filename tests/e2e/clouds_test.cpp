// Every fault of the emulator at every provider that it emulates, with the real binaries and real sockets: whole lives
// under one node whose accounts are each at an emulator of one fault. In the end the emulator's judge and the node say
// the same: what is Ready is rented, what has ended is not, and what the node cannot know it calls Unknown.
#include "support/emulator_program.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <iostream>
#include <map>
#include <sstream>

using namespace nestor::tests;
using nlohmann::json;

namespace {

/// How an account at that cloud is configured, and where its sandboxes begin and end.
struct cloud_row {
  std::string kind;
  std::string fields; ///< {file}: of the key, {url}: the emulator's, {port}: of that
  std::string create, end;
};
const std::array<cloud_row, 5>& clouds() {
  static const std::array<cloud_row, 5> rows{{
    {"daytona", "api_key: {$file: '{file}'}, api_url: '{url}/api'", "POST /api/sandbox$", "DELETE /api/sandbox/"},
    {"e2b", "api_key: {$file: '{file}'}, api_url: '{url}', sandbox_url: '{url}'", "POST /v2/sandboxes$",
     "DELETE /sandboxes/"},
    {"runloop", "api_key: {$file: '{file}'}, base_url: '{url}', tunnel_url: 'http://{port}-{key}.tunnel.localhost{at}'",
     "POST /v1/devboxes$", "POST /v1/devboxes/*/shutdown"},
    {"modal", "token_id: {$file: '{file}'}, token_secret: {$file: '{file}'}, server_url: '{url}'",
     "POST /modal.client.ModalClient/SandboxCreate", "POST /modal.client.ModalClient/SandboxTerminate"},
    {"remote", "api_key: {$file: '{file}'}, api_url: '{url}'", "POST /start", "POST /stop"},
  }};
  return rows;
}

std::string filled(std::string text, const std::string& word, const std::string& value) {
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + value.size()))
    text.replace(at, word.size(), value);
  return text;
}

/// An emulator of all clouds with one kind of fault, and what is asked of its judge.
class emulator {
public:
  explicit emulator(std::string fault) : fault_(std::move(fault)), program_({"--in-memory", "--boot-ms", "50"}) {}

  bool started() { return program_.started(); }
  [[nodiscard]] const std::string& fault() const { return fault_; }

  /// Its accounts' lines in a node's configuration, named by fault and kind.
  std::string accounts(const scratch_folder& scratch, const std::string& settles) const {
    std::string lines;
    for (const auto& row : clouds()) {
      auto url = program_.url_of(row.kind);
      auto key = scratch.write("key-" + row.kind, program_.key_of(row.kind));
      auto fields = filled(filled(row.fields, "{file}", key), "{url}", url);
      lines += "  " + account(row) + ": {kind: " + row.kind + ", " + settles +
               filled(fields, "{at}", url.substr(url.rfind(':'))) + "}\n";
    }
    return lines;
  }
  [[nodiscard]] std::string account(const cloud_row& row) const { return filled(fault_, ":", "-") + "-" + row.kind; }
  /// The fault at the `number`-th request of that kind from now on, at each cloud.
  void plan(std::string cloud_row::*where, int number) {
    auto specs = json::array();
    for (const auto& row : clouds())
      specs.push_back(fault_ + "@" + row.*where + "#" + std::to_string(number));
    set(specs);
  }
  void plan_anywhere(int number) { set(json::array({fault_ + "#" + std::to_string(number)})); }
  void set(const json& specs) {
    auto answer = program_.admin("POST", "/admin/faults", json{{"faults", specs}}.dump());
    INFO(answer.body);
    CHECK(answer.status == 200);
  }
  /// What is rented, by cloud, whatever its lists say.
  [[nodiscard]] json rented() const { return program_.rented(); }
  std::size_t hits(const std::string& kind) {
    return program_.admin("GET", "/admin/clouds").json()[kind].value("faults_hit", std::size_t{0});
  }

private:
  std::string fault_;
  emulator_program program_;
};

bool rests(const std::string& word) {
  return word == "Ready" || word == "Quarantined" || word == "Failed" || word == "Destroyed";
}
bool has_ended(const std::string& word) {
  return word == "Failed" || word == "Destroyed";
}

/// One emulator for each fault, and one node that rents at all of them.
struct many_clouds {
  using patience = std::chrono::seconds;
  scratch_folder scratch;
  std::deque<emulator> emulators;
  std::optional<serving_node> node;
  struct life {
    std::string id;
    emulator* at;
    const cloud_row* cloud;
  };
  std::vector<life> lives;

  /// `settles`: of every account, how long a create of unknown outcome is looked for; empty: as each kind has it.
  explicit many_clouds(const std::string& settles = {}) {
    // The emulator says itself which faults there are.
    auto help = run_program(scratch, {emulator_binary(), "--help"}).out;
    std::istringstream lines{help.substr(help.find("Faults: --fault"))};
    for (std::string line; std::getline(lines, line) && !line.starts_with("PATH");)
      if (line.starts_with("  ") && line.size() > 2 && std::isalpha(static_cast<unsigned char>(line[2])) != 0)
        emulators.emplace_back(line.substr(2, line.find_first_of(": ", 2) - 2));
    REQUIRE(emulators.size() >= 16);
    std::string config = "providers:\n";
    for (auto& each : emulators) {
      REQUIRE(each.started());
      config += each.accounts(scratch, settles);
    }
    config += "addresses: {allow: [127.0.0.0/8]}\nresolve: {\"*.localhost\": 127.0.0.1}\n";
    node.emplace(scratch, config);
    REQUIRE(node->port() != 0);
    node->leaves_sandboxes = true; // what it cannot know yet is not waited for
  }

  void create_everywhere() {
    lives.clear();
    for (auto& at : emulators)
      for (const auto& row : clouds()) {
        json spec{
          {"provider", at.account(row)},
          {"runtime", {{"image", "bare-agent"}, {"command", {"nestor-nested-server"}}, {"port", 3000}}},
          {"configuration",
           {{"settings", {{"llm_model", "x"}}}, {"secrets", {{"DEPLOY_KEY", {{"$literal", "CANARY-clouds-value"}}}}}}}};
        auto made = node->ask("POST", "/v1/sandboxes", node->token(), spec.dump());
        INFO(made.body);
        REQUIRE(made.status == 202);
        lives.push_back({made.json().value("id", ""), &at, &row});
      }
  }
  void end_all() {
    for (const auto& each : lives)
      CHECK(node->ask("DELETE", "/v1/sandboxes/" + each.id, node->token()).status == 202);
  }
  std::map<std::string, std::string> words() const {
    std::map<std::string, std::string> all;
    std::string query = "?limit=200";
    for (std::string cursor = query; !cursor.empty();) {
      auto page = node->ask("GET", "/v1/sandboxes" + cursor, node->token()).json();
      for (const auto& each : page["items"])
        all[each.value("id", "")] = each.value("status", "");
      cursor = page["next_cursor"].is_string() ? query + "&cursor=" + page["next_cursor"].get<std::string>() : "";
    }
    return all;
  }
  /// Until `enough` says so of every sandbox's word, or as long as that.
  std::map<std::string, std::string> await(bool (*enough)(const std::string&), patience within) {
    auto until = std::chrono::steady_clock::now() + within;
    std::uint64_t seen = 0;
    for (;;) {
      auto all = words();
      bool done = std::ranges::all_of(lives, [&](const auto& each) { return enough(all[each.id]); });
      if (done || std::chrono::steady_clock::now() >= until)
        return all;
      auto page = node->ask("GET", "/v1/events?wait=1&limit=200&after=" + std::to_string(seen), node->token()).json();
      seen = page.is_object() ? page.value("last_id", seen) : seen;
    }
  }
  /// Asks the judges about what the node says; how many of those are Ready.
  std::size_t judge(const std::map<std::string, std::string>& words) {
    std::size_t ready = 0;
    for (auto& at : emulators) {
      auto rented = at.rented();
      for (const auto& each : lives) {
        if (each.at != &at)
          continue;
        const auto& word = words.at(each.id);
        auto count = rented[each.cloud->kind].size();
        INFO(at.fault() << " at " << each.cloud->kind << ": " << each.id << " is " << word << ", and rented are "
                        << count);
        ready += word == "Ready" ? 1 : 0;
        if (word == "Ready")
          CHECK((count == 1 || (count == 2 && at.fault() == "duplicate")));
        if (has_ended(word))
          CHECK(count == 0);
        CHECK(count <= (at.fault() == "duplicate" ? 2U : 1U)); // also while it is under way, or Unknown
      }
    }
    return ready;
  }
  std::size_t ended_of(const std::map<std::string, std::string>& words) const {
    return static_cast<std::size_t>(
      std::ranges::count_if(lives, [&](const auto& each) { return has_ended(words.at(each.id)); }));
  }
};

} // namespace

TEST_CASE("every fault at a create, and at an end, at every emulated provider: the node and the judges agree") {
  many_clouds all;
  for (auto& each : all.emulators)
    each.plan(&cloud_row::create, 1);
  all.create_everywhere();
  auto words = all.await(rests, many_clouds::patience{15});
  auto ready = all.judge(words);
  for (const auto& each : all.lives)
    CHECK(each.at->hits(each.cloud->kind) >= 1);
  INFO(ready << " of " << all.lives.size() << " are Ready");
  CHECK(ready >= all.lives.size() / 2); // the others wait for an answer that never comes, or for what was slow

  for (auto& each : all.emulators)
    each.plan(&cloud_row::end, 1);
  all.end_all();
  auto last = all.await(has_ended, many_clouds::patience{15});
  all.judge(last);
  CHECK(all.ended_of(last) >= ready / 2);
  std::cout << ready << " of " << all.lives.size() << " Ready, " << all.ended_of(last) << " ended\n";
}

TEST_CASE("every fault at every request of a life, until all is known", "[.long]") {
  constexpr int requests = 12;
  constexpr many_clouds::patience until_known{600};
  many_clouds all{"create_settles: 15s, "}; // what the emulator does late, it does within that
  for (int n = 1; n <= requests; ++n) {
    for (auto& each : all.emulators)
      each.plan_anywhere(n);
    all.create_everywhere();
    auto words = all.await(rests, until_known);
    all.judge(words);
    for (const auto& each : all.lives)
      CHECK(rests(words[each.id]));
    all.end_all();
    auto last = all.await(has_ended, until_known);
    all.judge(last);
    CHECK(all.ended_of(last) == all.lives.size());
  }
}
