// Changes of a configuration against what is stored: RFC 7396 with references as leaves, secrets kept by name, and the
// plan that is said before anything is done.
#include <nestor/sandbox/configuration_change.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace nestor;

namespace {

expected<secret> none(reference_kind, const std::string& name) {
  return failure{errc::secret_unresolved, step::queue, name, 0, {}};
}

sandbox_spec stored() {
  auto source =
    read_spec(R"({"provider":"process","runtime":{"command":["server"],"env":{"MODE":"loud-mode"}},"configuration":{
    "settings":{"llm_model":"x","llm_api_key":{"$literal":"key-1"},
    "mcp":{"servers":[{"api_key":{"$literal":"mcp-1"}}]}},
    "git_providers":{"github":{"token":{"$literal":"gh-1"},"host":"gh.example"}},
    "secrets":{"A":{"$literal":"a-1"},"B":{"value":{"$literal":"b-1"},"description":"the b"}}}})");
  REQUIRE(source);
  auto spec = resolve(*source, none);
  REQUIRE(spec);
  return std::move(*spec);
}

/// What is wanted afterwards, as canonical text with secrets in place; or the first fault.
std::string after(change_kind how, const std::string& document) {
  auto result = apply({how, wiped_string{document}}, stored());
  if (!result)
    return "fault: " + to_string(result.faults.front());
  std::string text{result->settings};
  for (const auto& g : result->git_providers)
    text += " " + g.git_provider + "=" + g.token.expose([](std::string_view t) { return std::string{t}; }) + "@" +
            g.host.value_or("-");
  for (const auto& s : result->secrets)
    text += " " + s.name + "=" + s.value.expose([](std::string_view t) { return std::string{t}; }) + "(" +
            s.description + ")";
  return text;
}

std::string merged(const std::string& document) {
  return after(change_kind::merge, document);
}

const std::string settings_before =
  R"({"llm_api_key":"key-1","llm_model":"x","mcp":{"servers":[{"api_key":"mcp-1"}]}})";
const std::string rest_before = " github=gh-1@gh.example A=a-1() B=b-1(the b)";

} // namespace

TEST_CASE("a merge patch keeps what it does not name") {
  CHECK(merged("{}") == settings_before + rest_before);
  CHECK(merged(R"({"settings":{"llm_model":"y"}})") ==
        R"({"llm_api_key":"key-1","llm_model":"y","mcp":{"servers":[{"api_key":"mcp-1"}]}})" + rest_before);
  CHECK(merged(R"({"secrets":{"A":{"$literal":"a-2"}}})") ==
        settings_before + " github=gh-1@gh.example A=a-2() B=b-1(the b)");
  CHECK(merged(R"({"secrets":{"B":{"$literal":"b-2"}}})") ==
        settings_before + " github=gh-1@gh.example A=a-1() B=b-2(the b)");
  CHECK(merged(R"({"git_providers":{"github":{"token":{"$literal":"gh-2"}}}})") ==
        settings_before + " github=gh-2@gh.example A=a-1() B=b-1(the b)");
}

TEST_CASE("null removes") {
  CHECK(merged(R"({"secrets":{"A":null}})") == settings_before + " github=gh-1@gh.example B=b-1(the b)");
  CHECK(merged(R"({"git_providers":null})") == settings_before + " A=a-1() B=b-1(the b)");
  CHECK(merged(R"({"settings":{"mcp":null,"llm_api_key":null}})") == R"({"llm_model":"x"})" + rest_before);
  CHECK(merged(R"({"git_providers":{"github":{"host":null}}})") ==
        settings_before + " github=gh-1@- A=a-1() B=b-1(the b)");
}

TEST_CASE("a secret is kept by name, in lists and in whole replacements, too") {
  CHECK(merged(R"({"settings":{"mcp":{"servers":[{"api_key":{"$keep":true}},{"api_key":{"$literal":"new"}}]}}})") ==
        R"({"llm_api_key":"key-1","llm_model":"x","mcp":{"servers":[{"api_key":"mcp-1"},{"api_key":"new"}]}})" +
          rest_before);
  CHECK(after(change_kind::replace,
              R"({"settings":{"llm_api_key":{"$keep":true}},"secrets":{"B":{"$keep":true},"C":{"$literal":"c"}}})") ==
        R"({"llm_api_key":"key-1"} B=b-1() C=c())");
  CHECK(after(change_kind::replace, "{}") == "{}");
}

TEST_CASE("what cannot be is refused with its place") {
  for (auto [document, fault] :
       {std::pair{R"({"secrets":{"NEW":{"$keep":true}}})", "configuration.secrets.NEW"},
        std::pair{R"({"settings":{"llm_model":{"$keep":true}}})", "configuration.settings.llm_model"},
        std::pair{R"({"secrets":{"A":{"$env":"HOME"}}})", "configuration.secrets.A"},
        std::pair{R"({"secrets":{"A":{"$file":"/etc/passwd"}}})", "configuration.secrets.A"},
        std::pair{R"({"secrets":{"A":"bare"}})", "configuration.secrets.A"},
        std::pair{R"({"secrets":{"A":{"$literal":"loud-mode"}}})", "runtime.env.MODE"},
        std::pair{R"({"setings":{}})", "configuration.setings"}, std::pair{"[]", "configuration"},
        std::pair{R"({"git_providers":{"gitlab":{"host":"x.example"}}})", "configuration.git_providers.gitlab"}}) {
    INFO(document);
    CHECK_THAT(merged(document), Catch::StartsWith(std::string{"fault: "} + fault));
  }
  CHECK_THAT(merged("{"), Catch::StartsWith("fault: "));
  CHECK_THAT(after(change_kind::replace, R"({"secrets":{"A":{"$env":"HOME"}}})"), Catch::StartsWith("fault: "));
}

TEST_CASE("the plan names what changes and when it takes effect, and no value") {
  auto before = *stored().configuration;
  auto result = apply({change_kind::merge, wiped_string{R"({"settings":{"llm_model":"y","new":1},"git_providers":null,
    "secrets":{"A":{"$literal":"a-2"},"B":null,"C":{"$literal":"c-1"}}})"}},
                      stored());
  REQUIRE(result);
  std::string text;
  for (const auto& each : plan_of(before, *result))
    text += each.path + " " + std::string{each.what} + " " + std::string{each.effect} + "\n";
  CHECK(text == "settings.llm_model changed next_conversation\n"
                "settings.new added next_conversation\n"
                "git_providers.github removed live\n"
                "secrets.A changed live\n"
                "secrets.C added live\n"
                "secrets.B removed live\n");
  CHECK(plan_of(before, before).empty());
}
