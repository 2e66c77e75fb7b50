#include "conversation.hpp"

#include <nestor/node/node_config.hpp>
#include <nestor/providers/rest.hpp>
#include <nestor/providers/session_key.hpp>
#include <nestor/providers/start.hpp>
#include <nestor/supervision/admission.hpp>

#include <catch2/catch.hpp>

#include <map>

using namespace nestor;
using namespace nestor::tests;

namespace {

checked<node_config> read(std::string_view json, std::map<std::string, std::string> variables = {}) {
  return read_node_config(json, [&](const std::string& name) -> std::optional<std::string> {
    auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional{at->second};
  });
}

std::string first_fault(std::string_view json) {
  auto config = read(json);
  return config.faults.empty() ? std::string{} : to_string(config.faults.front());
}

} // namespace

TEST_CASE("a session key follows from the labels and the node's secret alone") {
  auto node = secret::copy_of("0123456789abcdef0123456789abcdef");
  auto key = session_key_of(test_labels(), node);
  CHECK(key == session_key_of(test_labels(), node));
  key.expose([](std::string_view text) { CHECK(text.size() == 43); });
  auto other = test_labels();
  other.number = 4;
  CHECK_FALSE(key == session_key_of(other, node));
  CHECK_FALSE(key == session_key_of(test_labels(), secret::copy_of("1123456789abcdef0123456789abcdef")));
}

TEST_CASE("a key may go to configured hosts and what lies below an allowed ending") {
  auto who = account_of(*of_kind("e2b"));
  who.key_hosts = {".toolbox.test", "exact.test"};
  CHECK(key_may_go_to(who, "api.e2b.test"));
  CHECK(key_may_go_to(who, "a.toolbox.test"));
  CHECK(key_may_go_to(who, "exact.test"));
  CHECK_FALSE(key_may_go_to(who, "toolbox.test"));
  CHECK_FALSE(key_may_go_to(who, "eviltoolbox.test"));
  CHECK_FALSE(key_may_go_to(who, "a.exact.test"));
  http_call astray;
  astray.to.host = "evil.test";
  astray.request.headers.push_back({"Authorization", wiped_string{"Bearer "} + wiped_string{test_key} + "-api_key"});
  CHECK(carries_key_astray(who, astray));
  astray.to.host = "exact.test";
  CHECK_FALSE(carries_key_astray(who, astray));
}

TEST_CASE("a command line survives a shell") {
  CHECK(shell_line({"a", "b c", "", "it's", "$HOME", "A=b"}) == R"(a 'b c' '' 'it'\''s' '$HOME' 'A=b')");
}

TEST_CASE("times of RFC 3339, with fractions and offsets") {
  CHECK(parse_time("1970-01-01T00:00:00Z")->ms == 0);
  CHECK(parse_time("2026-11-21T19:44:34.408Z")->ms == 1'795'290'274'000);
  CHECK(parse_time("2026-11-21T20:44:34+01:00") == parse_time("2026-11-21T19:44:34Z"));
  for (auto bad : {"", "2026-11-21", "2026-13-21T19:44:34Z", "yesterday at noon, or so"})
    CHECK_FALSE(parse_time(bad));
}

TEST_CASE("a configuration's accounts: the document's word, else the environment's, else the kind's") {
  auto config = read(R"({"providers":{"e2b":{"creates_per_second":5},
                         "e2b-us":{"kind":"e2b","api_key":{"$file":"/key"},"domain":"us.test","ca_file":"/ca.pem"}}})",
                     {{"E2B_API_KEY", "x"}, {"E2B_DOMAIN", "eu.test"}});
  REQUIRE(config);
  const auto& plain = account_named(*config->accounts, "e2b")->plain;
  CHECK(plain.text("api_url") == "https://api.eu.test");
  CHECK(plain.limits.creates_per_second == 5);
  const auto* us = account_named(*config->accounts, "e2b-us");
  CHECK(us->plain.text("api_url") == "https://api.us.test");
  CHECK(us->plain.ca_file == "/ca.pem");
  CHECK(us->secrets.at(0).second.name == "/key");
  CHECK(account_named(*config->accounts, "process"));
  CHECK(account_named(*config->accounts, "static"));
}

TEST_CASE("a kind whose variable is set needs no document") {
  CHECK(account_named(*read("{}", {{"E2B_API_KEY", "x"}})->accounts, "e2b"));
  CHECK_FALSE(account_named(*read("{}", {{"E2B_DOMAIN", "x.test"}})->accounts, "e2b"));
}

TEST_CASE("faults of a configuration name the place and what belongs there") {
  CHECK(first_fault(R"({"providers":{"e2c":{}}})").find("did you mean kind: e2b?") != std::string::npos);
  CHECK(first_fault(R"({"providers":{"e2b":{"apikey":"x"}}})").find("did you mean api_key?") != std::string::npos);
  CHECK(first_fault(R"({"providers":{"e2b":{"api_key":"x"}}})").find("{$env: NAME}") != std::string::npos);
  CHECK(first_fault(R"({"providers":{"e2b":{"api_url":"ftp://x"}}})").starts_with("providers.e2b.api_url"));
  CHECK(first_fault(R"({"providers":{"remote":{}}})").starts_with("providers.remote.api_url"));
  CHECK(first_fault(R"({"providers":{"e2b":{"creates_per_second":0}}})").find("from 0.001 to 10000") !=
        std::string::npos);
  CHECK(first_fault(R"({"limts":{}})").find("did you mean limits?") != std::string::npos);
}

TEST_CASE("a credential that is set nowhere is missing, by the name of its field") {
  auto config = read(R"({"providers":{"e2b":{}}})");
  REQUIRE(config);
  auto who = resolve(*account_named(*config->accounts, "e2b"), {});
  REQUIRE_FALSE(who);
  CHECK(who.error().code == errc::credential_missing);
  CHECK(who.error().cause == "providers.e2b.api_key: not set, and neither is E2B_API_KEY");
}

TEST_CASE("a line at an account moves in order, evenly, and no faster than it may") {
  supervision::admission line{{5, 2}};
  auto anyone = [](const sandbox_id&) { return true; };
  for (int i = 0; i < 6; ++i)
    line.enqueue({std::to_string(i)});
  instant now{1'000'000};
  CHECK(line.admit(now, anyone)->text == "0");
  CHECK_FALSE(line.admit(now, anyone));
  CHECK(line.due() == now + 200ms);
  now = now + 200ms;
  CHECK(line.admit(now, [](const sandbox_id& id) { return id.text != "1"; })->text == "2");
  now = now + 200ms;
  CHECK_FALSE(line.admit(now, anyone)); // two are starting
  CHECK_FALSE(line.due());
  line.finished();
  CHECK(line.admit(now, anyone)->text == "3");
  CHECK(line.waiting() == 2);
}
