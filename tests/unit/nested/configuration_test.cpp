#include "support/nested_transcript.hpp"

#include <nestor/nested/configuration.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

TEST_CASE("configurations that differ anywhere differ in their canonical text") {
  auto base = canonical(usual());
  CHECK(base == canonical(usual()));
  auto differs = [&](auto change) {
    auto c = usual();
    change(c);
    return canonical(c) != base;
  };
  CHECK(differs([](auto& c) { c.settings = "{}"; }));
  CHECK(differs([](auto& c) { c.secret_settings.clear(); }));
  CHECK(differs([](auto& c) { c.git_providers[0].token = text_secret("other"); }));
  CHECK(differs([](auto& c) { c.git_providers[0].host = ""; }));
  CHECK(differs([](auto& c) { c.git_providers[0].user_id = ""; }));
  CHECK(differs([](auto& c) { c.git_providers[1].host.reset(); }));
  CHECK(differs([](auto& c) { c.secrets[0].description = "x"; }));
  CHECK(differs([](auto& c) { c.secrets.pop_back(); }));
}

TEST_CASE("moving a character from one field to the next changes the canonical text") {
  configuration a;
  a.secrets = {{"AB", text_secret("C"), "D"}};
  configuration b;
  b.secrets = {{"A", text_secret("BC"), "D"}};
  configuration c;
  c.secrets = {{"AB", text_secret("CD"), ""}};
  CHECK(canonical(a) != canonical(b));
  CHECK(canonical(a) != canonical(c));
}

TEST_CASE("digests are keyed, carry the key's id, and tell items of different kinds apart") {
  digest_key one{1, text_secret(std::string(32, 'a'))};
  digest_key two{2, text_secret(std::string(32, 'b'))};
  CHECK(digest_of("x", one) == digest_of("x", one));
  CHECK(digest_of("x", one).bytes != digest_of("x", two).bytes);
  CHECK(digest_of("x", two).key_id == 2);
  CHECK_THROWS_AS(digest_of("x", digest_key{3, text_secret("short")}), std::invalid_argument);
  CHECK_THROWS_AS(digest_of("x", digest_key{}), std::invalid_argument);
}

TEST_CASE("a delivery has one digest for the settings and one for every git provider and secret") {
  auto d = delivery_of(usual(), *some_key());
  REQUIRE(d.git_providers.size() == 2);
  REQUIRE(d.secrets.size() == 2);
  CHECK(d.settings_members == std::vector<std::string>{"agent", "llm_api_key", "llm_model"});
  auto changed = usual();
  changed.git_providers[1].user_id = "me";
  changed.secrets[1].description = "now something else";
  auto e = delivery_of(changed, *some_key());
  CHECK(e.settings == d.settings);
  CHECK(e.git_providers[0] == d.git_providers[0]);
  CHECK(e.git_providers[1] != d.git_providers[1]);
  CHECK(e.secrets[0] == d.secrets[0]);
  CHECK(e.secrets[1] != d.secrets[1]);
}

TEST_CASE("a change removes something when a name goes, and does not when a value changes") {
  auto before = delivery_of(usual(), *some_key());
  CHECK_FALSE(removes(before, usual()));
  auto change = [&](auto edit) {
    auto c = usual();
    edit(c);
    return removes(before, c);
  };
  CHECK_FALSE(change([](auto& c) { c.secrets[0].value = text_secret("new"); }));
  CHECK_FALSE(change([](auto& c) { c.settings = R"({"agent":"B","llm_api_key":"x","llm_model":"y"})"; }));
  CHECK_FALSE(change([](auto& c) { c.secrets.push_back({"NEW", text_secret("x"), ""}); }));
  CHECK(change([](auto& c) { c.secrets.pop_back(); }));
  CHECK(change([](auto& c) { c.git_providers.clear(); }));
  CHECK(change([](auto& c) { c.settings = R"({"agent":"B","llm_api_key":"x"})"; }));
  CHECK(change([](auto& c) { c.settings = R"({"agent":"B","llm_api_key":null,"llm_model":"y"})"; }));
  CHECK_FALSE(removes(delivery{}, usual()));
}

TEST_CASE("every secret of a configuration is collected, those inside the settings too") {
  configuration c;
  c.settings =
    R"({"agent":"A","llm_api_key":"k\"1","mcp":{"servers":[{"env":{"T":"k2","N":7},"url":"u"}]},"pin":1234})";
  c.secret_settings = {"/llm_api_key", "/mcp/servers/0/env", "/pin", "/llm", "/absent"};
  c.git_providers = {{"github", text_secret("k3"), std::nullopt, std::nullopt}};
  c.secrets = {{"A", text_secret("k4"), "said aloud"}};
  std::vector<std::string> plain;
  for (const auto& each : secrets_of(c))
    each.expose([&](std::string_view text) { plain.emplace_back(text); });
  std::sort(plain.begin(), plain.end());
  CHECK(plain == std::vector<std::string>{"1234", "7", "k\"1", "k2", "k3", "k4"});
  CHECK(secrets_of(configuration{}).empty());
}
