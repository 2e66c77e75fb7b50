#include "support/canary.hpp"

#include <nestor/sandbox/spec_fields.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;

namespace {

const std::string canary = "CANARY-5ecre7";

expected<secret> found(reference_kind kind, const std::string& name) {
  return secret::copy_of((kind == reference_kind::env ? "env:" : "file:") + name);
}

std::string text_of(const secret& s) {
  return s.expose([](std::string_view t) { return std::string{t}; });
}

std::string all_of(const std::vector<fault>& faults) {
  std::string text;
  for (const auto& f : faults)
    text += to_string(f) + "\n";
  return text;
}

sandbox_spec resolved(const std::string& json) {
  auto source = read_spec(json);
  INFO(all_of(source.faults));
  REQUIRE(source);
  auto spec = resolve(*source, found);
  INFO(all_of(spec.faults));
  REQUIRE(spec);
  return *spec;
}

std::string settings_of(const std::string& settings) {
  auto spec = resolved(R"({"runtime":{"command":["x"]},"configuration":{"settings":)" + settings + "}}");
  return std::string{spec.configuration->settings};
}

} // namespace

TEST_CASE("a specification is read with every field in its place") {
  auto spec = resolved(R"({"name":"fix","labels":{"team":"web"},"provider":"process","dialect":"openhands",
    "runtime":{"command":["srv","--x"],"port":3000,"port_env":"P","session_key_env":"","env":{"B":"2","A":"1"},
               "alive_path":"/healthz","actions":{"via":"action-server","port":9}},
    "configuration":{"settings":{"llm_model":"x"},
                     "git_providers":{"gitlab":{"token":{"$file":"/f"},"host":"h.example","user_id":"u"},
                                      "github":{"token":{"$env":"GH"},"host":null}},
                     "secrets":{"SZ":{"$literal":"z"},"SA":{"value":{"$env":"SA"},"description":"what for"}}},
    "conversation":{"say":"use {index} here"},
    "policy":{"on_failure":"keep","on_loss":"replace","ready_within":"90s","queue_within":"1m","step_timeout":"500ms",
              "probe_every":"5s","restarts":{"max":0,"within":"1h"},"max_lifetime":"24h"}})");
  CHECK(spec.name == "fix");
  CHECK(spec.labels.at("team") == "web");
  CHECK(spec.dialect == "openhands");
  CHECK(spec.runtime->command == std::vector<std::string>{"srv", "--x"});
  CHECK(spec.runtime->port == 3000);
  CHECK(spec.runtime->port_env == "P");
  CHECK(spec.runtime->session_key_env.empty());
  CHECK(spec.runtime->env.front() == std::pair<std::string, std::string>{"A", "1"});
  CHECK(spec.runtime->actions == actions_via::action_server);
  CHECK(spec.runtime->actions_port == 9);
  const auto& c = *spec.configuration;
  REQUIRE(c.git_providers.size() == 2);
  CHECK(c.git_providers[0].git_provider == "github");
  CHECK(text_of(c.git_providers[0].token) == "env:GH");
  CHECK_FALSE(c.git_providers[0].host);
  CHECK(text_of(c.git_providers[1].token) == "file:/f");
  CHECK(c.git_providers[1].user_id == "u");
  REQUIRE(c.secrets.size() == 2);
  CHECK(c.secrets[0].name == "SA");
  CHECK(c.secrets[0].description == "what for");
  CHECK(text_of(c.secrets[1].value) == "z");
  CHECK(spec.conversation == R"({"say":"use {index} here"})");
  CHECK(spec.policy.failing == on_failure::keep);
  CHECK(spec.policy.losing == on_loss::replace);
  CHECK(spec.policy.ready_within == 90s);
  CHECK(spec.policy.step_timeout == 500ms);
  CHECK(spec.policy.restarts.max == 0);
  CHECK(spec.policy.restarts.within == 1h);
  CHECK(spec.policy.max_lifetime == 24h);
}

TEST_CASE("the defaults that explain prints are the ones a short specification gets") {
  auto spec = resolved(R"({"runtime":{"command":["x"]}})");
  auto says = [](std::string_view path) { return std::string{spec_field_at(path)->default_text}; };
  CHECK(spec.provider == says("provider"));
  CHECK(spec.dialect == says("dialect"));
  CHECK(spec.runtime->port_env == says("runtime.port_env"));
  CHECK(spec.runtime->session_key_env == says("runtime.session_key_env"));
  CHECK(spec.runtime->alive_path == says("runtime.alive_path"));
  CHECK(std::to_string(spec.runtime->port) == says("runtime.port"));
  CHECK(spec.runtime->options == says("runtime.options"));
  CHECK(to_duration_text(spec.policy.queue_within) == says("policy.queue_within"));
  CHECK(spec.policy.ready_within == parse_duration(says("policy.ready_within")));
  CHECK(spec.policy.probe_every == parse_duration(says("policy.probe_every")));
  CHECK(std::to_string(spec.policy.restarts.max) == says("policy.restarts.max"));
  CHECK(spec.policy.restarts.within == parse_duration(says("policy.restarts.within")));
  for (auto path : {"policy.lease", "policy.max_lifetime", "policy.idle.after", "policy.step_timeout"})
    CHECK(says(path) == "null");
  CHECK(spec.configuration->settings == "{}");
  CHECK(spec.conversation.empty());
}

TEST_CASE("settings become canonical text with their secrets in place and pointed at") {
  CHECK(settings_of(R"({"b":1,"a":{"$env":"K"},"c":[true,null,1.50,-0.0,"é\n"]})") ==
        R"({"a":"env:K","b":1,"c":[true,null,1.5,-0.0,"é\n"]})");
  auto spec = resolved(R"({"runtime":{"command":["x"]},"configuration":{"settings":
    {"mcp":{"servers":[{"api_key":{"$env":"A"}}]},"a/b~c":{"$literal":"q\"q"},"llm_api_key":null}}})");
  CHECK(spec.configuration->secret_settings == std::vector<std::string>{"/a~1b~0c", "/mcp/servers/0/api_key"});
  CHECK(spec.configuration->settings ==
        R"({"a/b~c":"q\"q","llm_api_key":null,"mcp":{"servers":[{"api_key":"env:A"}]}})");
}

TEST_CASE("the order of members and the spelling of numbers do not change a configuration") {
  CHECK(settings_of(R"({"x":{"b":2,"a":1},"y":1e2})") == settings_of(R"({"y":100.0,"x":{"a":1,"b":2}})"));
  CHECK(settings_of(R"({"x":1})") != settings_of(R"({"x":1.0})"));
}

TEST_CASE("every fault of a document is listed, in its order") {
  auto read =
    read_spec(R"({"nam":"a","runtime":{"command":"x","port":-1,"env":{"A":1}},"policy":{"on_loss":"x","lease":5}})");
  CHECK_FALSE(read);
  std::vector<std::string> paths;
  for (const auto& f : read.faults)
    paths.push_back(f.path);
  CHECK(paths == std::vector<std::string>{"nam", "runtime.command", "runtime.port", "runtime.env.A", "policy.on_loss",
                                          "policy.lease"});
}

TEST_CASE("each field refuses what is of the wrong kind and names itself") {
  for (const auto& field : spec_fields()) {
    if (field.path.find('*') != std::string_view::npos)
      continue;
    std::string json = field.type.kind == field_kind::text || field.type.kind == field_kind::choice ? "[1]" : "true";
    for (std::string_view rest = field.path; !rest.empty();) {
      auto dot = rest.rfind('.');
      json = "{\"" + std::string{rest.substr(dot == rest.npos ? 0 : dot + 1)} + "\":" + json + "}";
      rest = dot == rest.npos ? std::string_view{} : rest.substr(0, dot);
    }
    auto read = read_spec(json);
    INFO(json << "\n" << all_of(read.faults));
    CHECK(std::ranges::any_of(read.faults,
                              [&](const fault& f) { return field.path.starts_with(f.path) && !f.path.empty(); }));
  }
}

TEST_CASE("a document beyond a limit is refused by the limit's name") {
  CHECK_THAT(all_of(read_spec(std::string(spec_bytes_max + 1, ' ')).faults), Catch::Contains("at most 1 MiB"));
  CHECK_THAT(all_of(read_spec(R"({"name":")" + std::string(33'000, 'a') + "\"}").faults), Catch::Contains("32 KiB"));
  auto nested = [](std::size_t depth) { // the document itself is the first level
    return R"({"runtime":{"command":["x"]},"conversation":)" + [&] {
      std::string open, close;
      for (std::size_t i = 1; i < depth; ++i) {
        open += R"({"a":)";
        close += '}';
      }
      return open + "1" + close;
    }() + "}";
  };
  CHECK(read_spec(nested(spec_depth_max)));
  CHECK_FALSE(read_spec(nested(spec_depth_max + 1)));
  for (auto broken : {"", "nul", "{\"a\":\"\xff\"}", "{} {}", "{\"a\":1,\"a\":1}", "[]", "\"x\"", "null"})
    CHECK_FALSE(read_spec(broken));
}

TEST_CASE("a secret that cannot be resolved or sent is a fault that does not repeat it") {
  auto judge = [](const std::string& configuration, const secret_lookup& lookup) {
    auto source = read_spec(R"({"runtime":{"command":["x"],"env":{"PLAIN":"same-)" + canary +
                            R"("}},"configuration":)" + configuration + "}");
    INFO(all_of(source.faults));
    REQUIRE(source);
    auto spec = resolve(*source, lookup);
    CHECK_FALSE(spec);
    auto text = all_of(spec.faults);
    auto all = to_failure(spec.faults);
    CHECK(tests::canary_in(all.cause) == "");
    CHECK(tests::canary_in(text) == "");
    return text;
  };
  auto gives = [](std::string text) {
    return [text](reference_kind, const std::string&) -> expected<secret> { return secret::copy_of(text); };
  };
  secret_lookup nothing = [](reference_kind, const std::string& name) -> expected<secret> {
    return failure{errc::secret_unresolved, step::queue, "the environment variable " + name + " is not set", 0, {}};
  };
  std::string token = R"({"git_providers":{"github":{"token":{"$env":"GH"}}}})";
  std::string item = R"({"secrets":{"A":{"$env":"GH"}}})";
  CHECK_THAT(judge(token, nothing),
             Catch::Contains("configuration.git_providers.github.token: the environment variable GH is not set"));
  CHECK_THAT(judge(token, gives(canary + "\n")), Catch::Contains("control characters"));
  CHECK_THAT(judge(token, gives("")), Catch::Contains("not empty"));
  CHECK_THAT(judge(item, gives("")), Catch::Contains("not empty"));
  CHECK_THAT(judge(item, gives(canary + std::string(1, '\0'))), Catch::Contains("NUL"));
  CHECK_THAT(judge(item, gives(canary + "\xff")), Catch::Contains("UTF-8"));
  CHECK_THAT(judge(item, gives(canary + std::string(secret_bytes_max, 'x'))), Catch::Contains("64 KiB"));
  CHECK_THAT(judge(item, gives("same-" + canary)), Catch::Contains("runtime.env.PLAIN"));
}

TEST_CASE("a private key with its line breaks is a secret that can be sent") {
  auto source = read_spec(
    R"({"runtime":{"command":["x"]},"configuration":{"secrets":{"A":{"$literal":"-----BEGIN\nx\n-----END\n"}}}})");
  REQUIRE(source);
  CHECK(resolve(*source, found));
}

TEST_CASE("texts follow their rules to the letter") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("24h") == 24h);
  for (auto bad : {"", "s", "1", "-1s", "1.5h", "1 s", "1h30m", "1S", "99999999999999999999s", "9999999h"})
    CHECK_FALSE(parse_duration(bad));
  CHECK(parse_memory("4GiB") == 4ULL << 30U);
  for (auto bad : {"", "4", "4GB", "4gib", "-1MiB", "99999999999TiB"})
    CHECK_FALSE(parse_memory(bad));
  CHECK(obeys(text_rule::sandbox_name, std::string(63, 'a')));
  for (auto bad : {"", "-a", "a-", "A", "a.b", "a_b", "ä"})
    CHECK_FALSE(obeys(text_rule::sandbox_name, bad));
  CHECK(obeys(text_rule::secret_name, "_A1"));
  CHECK_FALSE(obeys(text_rule::secret_name, std::string(65, 'A')));
  CHECK(edit_distance("kitten", "sitting") == 3);
}
