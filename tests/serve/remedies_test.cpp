// Failures that a person meets with real programs, each followed by what its remedy says: then the same thing works.
#include "serve/serving.hpp"
#include "support/emulator_program.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <functional>

using namespace nestor::tests;
using nlohmann::json;

namespace {

// What fails is given little time to; what works, as much as it may need beside other tests.
const json fails_soon{{"ready_within", "2s"}, {"restarts", {{"max", 0}}}};
const json has_time{{"policy", {{"ready_within", "60s"}}}};
const json git_token{{"github", {{"token", {{"$literal", "bad-token"}}}}}};

json renting(std::vector<std::string> more = {}) {
  more.insert(more.begin(), server_binary());
  return {{"runtime", {{"command", more}}}, {"dialect", "openhands"}, {"policy", fails_soon}};
}
json adopting(const std::string& url, const std::string& key) {
  return {{"provider", "static"},
          {"runtime", {{"url", url}, {"session_key", {{"$literal", key}}}}},
          {"dialect", "openhands"},
          {"policy", fails_soon}};
}
json with(json spec, const json& changes) {
  spec.merge_patch(changes);
  return spec;
}

/// `nestor up --once`, with a specification and a node's configuration.
struct attempt {
  json spec;
  std::string config = "{}";
};

struct mended {
  std::string code;
  std::function<attempt()> provoked;
  std::function<attempt()> followed; ///< as the remedy says
};

program_end up(const scratch_folder& scratch, const attempt& what) {
  return run_program(scratch, {nestor_binary(), "up", "--once", "-f", scratch.write("spec.json", what.spec.dump()),
                               "--config", scratch.write("up.yaml", what.config)});
}

void check(const scratch_folder& scratch, const mended& row) {
  auto seen = up(scratch, row.provoked());
  INFO(row.code << ": " << seen.out << seen.err);
  CHECK(seen.exit_code != 0);
  CHECK_THAT(seen.out + seen.err, Catch::Contains(row.code));
  auto explained = run_program(scratch, {nestor_binary(), "explain", row.code});
  CHECK(explained.exit_code == 0);
  auto remedy = explained.out.substr(explained.out.find("remedy"));
  remedy = remedy.substr(remedy.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
  remedy = remedy.substr(0, remedy.find('\n'));
  CHECK_FALSE(remedy.empty());
  auto tried_until_time_was_out = "last failure: " + row.code;
  CHECK_THAT(seen.out + seen.err, Catch::Contains(remedy) || Catch::Contains(tried_until_time_was_out));
  auto mended = row.followed();
  mended.spec = with(mended.spec, has_time);
  auto after = up(scratch, mended);
  INFO("then " << after.out << after.err);
  CHECK(after.exit_code == 0);
}

/// A nested server that somebody else runs.
class running_server {
public:
  explicit running_server(const std::string& key)
      : program_({server_binary(), "--port", "0"}, {.env = {{"SESSION_API_KEY", key}}}), key_(key) {
    REQUIRE(program_.shows("\n"));
    auto at = program_.shown().find("127.0.0.1:");
    REQUIRE(at != std::string::npos);
    port_ = static_cast<std::uint16_t>(std::stoi(program_.shown().substr(at + 10)));
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void is_configured_by_others() const {
    raw_connection to{port_};
    std::string body = R"({"llm_model":"theirs"})";
    to.send("POST /api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Session-API-Key: " + key_ +
            "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    REQUIRE(parse_answer(to.read_to_end()).status == 200);
  }

private:
  background_program program_;
  std::string key_;
  std::uint16_t port_ = 0;
};

/// `nestor serve` over that journal, with what it says until `text`.
struct start {
  background_program program;
  bool shown = false;

  start(const std::string& state, const std::string& config, const std::string& text)
      : program({nestor_binary(), "serve", "--config", config, "--listen", "127.0.0.1:0", "--state", state}),
        shown(program.shows(text)) {}
};

} // namespace

TEST_CASE("a sandbox of a local process that fails names its code, and following its remedy works") {
  scratch_folder scratch;
  auto settings = json{{"configuration", {{"settings", {{"llm_model", "x"}}}}}};
  const std::vector<mended> rows{
    {"runtime_exited",
     [] {
       return attempt{with(renting(), {{"runtime", {{"command", {"/bin/false"}}}}})};
     },
     [] { return attempt{renting()}; }},
    {"provision_refused",
     [] {
       return attempt{with(renting(), {{"runtime", {{"command", {"/nowhere/server"}}}}})};
     },
     [] { return attempt{renting()}; }},
    {"git_token_refused",
     [] {
       return attempt{with(renting(), {{"configuration", {{"git_providers", git_token}}}})};
     },
     [] {
       auto token = json{{"github", {{"token", {{"$literal", "good-token"}}}}}};
       return attempt{with(renting(), {{"configuration", {{"git_providers", token}}}})};
     }},
    {"configuration_refused",
     [&] {
       return attempt{with(renting({"--fault", "status:422@POST /api/settings x*"}), settings)};
     },
     [&] { return attempt{with(renting(), settings)}; }},
    {"deadline_exceeded",
     [&] {
       return attempt{with(renting({"--fault", "slow:3000@POST /api/settings x*"}), settings)};
     },
     [&] {
       return attempt{with(renting({"--fault", "slow:3000@POST /api/settings x*"}), settings)};
     }},
    {"dialect_unknown",
     [] {
       return attempt{with(renting({"--dialect", "generic", "--no-reads"}), {{"dialect", "auto"}})};
     },
     [] {
       return attempt{with(renting({"--dialect", "generic", "--no-reads"}), {{"dialect", "generic"}})};
     }},
  };
  for (const auto& row : rows)
    check(scratch, row);
}

TEST_CASE("a server of somebody's own that cannot be configured names its code, and following its remedy works") {
  scratch_folder scratch;
  running_server server{"CANARY-remedies-session"};
  auto theirs = [&] { return adopting(server.url(), "CANARY-remedies-session"); };
  // What is withdrawn leaves settings there, emptied.
  auto once_more = [&] { return with(theirs(), {{"runtime", {{"adopt", "overwrite"}}}}); };
  const std::vector<mended> rows{
    {"session_key_refused", [&] { return attempt{adopting(server.url(), "another-key")}; },
     [&] { return attempt{theirs()}; }},
    {"alive_timeout", [&] { return attempt{adopting("http://127.0.0.1:1", "any-key")}; },
     [&] { return attempt{once_more()}; }},
    {"address_refused",
     [&] {
       return attempt{theirs(), "addresses: {deny: [127.0.0.0/8]}\n"};
     },
     [&] {
       return attempt{once_more(), "addresses: {allow: [127.0.0.0/8]}\n"};
     }},
    {"already_configured",
     [&] {
       server.is_configured_by_others();
       return attempt{theirs()};
     },
     [&] { return attempt{once_more()}; }},
  };
  for (const auto& row : rows)
    check(scratch, row);
}

TEST_CASE("an account that cannot rent names its code, and following its remedy works") {
  scratch_folder scratch;
  emulator_program emulator{{"--in-memory", "--boot-ms", "50"}};
  REQUIRE(emulator.started());
  auto url = emulator.url_of("e2b");
  json spec{{"provider", "e2b"},
            {"runtime", {{"image", "bare-agent"}, {"command", {"nestor-nested-server"}}, {"port", 3000}}},
            {"policy", fails_soon}};
  auto with_key = [&](const std::string& reference, const std::string& at) {
    return attempt{spec, "providers:\n  e2b: {api_key: {" + reference + "}, api_url: '" + at + "', sandbox_url: '" +
                           at + "'}\naddresses: {allow: [127.0.0.0/8]}\n"};
  };
  auto key = "$file: '" + scratch.write("key", emulator.key_of("e2b")) + "'";
  const std::vector<mended> rows{
    {"credential_missing", [&] { return with_key("$env: NESTOR_TEST_NOT_SET", url); },
     [&] { return with_key(key, url); }},
    {"auth_refused", [&] { return with_key("$literal: e2b_another", url); }, [&] { return with_key(key, url); }},
    {"provider_unavailable", [&] { return with_key(key, "http://127.0.0.1:1"); }, [&] { return with_key(key, url); }},
  };
  for (const auto& row : rows)
    check(scratch, row);
  CHECK(emulator.rented()["e2b"].empty());
}

TEST_CASE("a node that cannot have its journal names the code, and following its remedy works") {
  namespace fs = std::filesystem;
  scratch_folder scratch;
  auto state = scratch.file("state");
  auto config = scratch.write("node.yaml", "{}\n");
  auto elsewhere =
    scratch.write("other.yaml", "journal: sqlite://" + state + "/journal.db\nkeys: {file: " + state + "/keys}\n");
  auto ready = "listening on";
  {
    start first{state, config, ready};
    REQUIRE(first.shown);
    CHECK(start{scratch.file("other"), elsewhere, "journal_locked"}.shown);
    CHECK(start{scratch.file("other"), config, ready}.shown); // a state folder of its own
  }
  fs::copy(state, scratch.file("backup"));
  fs::rename(state + "/keys", scratch.file("keys"));
  fs::copy(scratch.file("other") + "/keys", state + "/keys");
  CHECK(start{state, config, "keys_refused"}.shown);
  fs::rename(scratch.file("keys"), state + "/keys");
  CHECK(start{state, config, ready}.shown);

  std::ofstream{state + "/journal.db", std::ios::binary} << std::string(8'192, 'x');
  CHECK(start{state, config, "journal_corrupt"}.shown);
  for (const auto* each : {"journal.db", "journal.db-wal", "journal.db.witness"}) {
    fs::remove(state + "/" + each);
    if (fs::exists(scratch.file("backup") + "/" + each))
      fs::copy(scratch.file("backup") + "/" + each, state + "/" + each);
  }
  CHECK(start{state, config, ready}.shown);

  auto nowhere = scratch.write("nowhere.yaml", "journal: sqlite://" + scratch.file("folder") + "/journal.db\n");
  CHECK(start{scratch.file("third"), nowhere, "journal_unavailable"}.shown);
  fs::create_directory(scratch.file("folder"));
  CHECK(start{scratch.file("third"), nowhere, ready}.shown);
}
