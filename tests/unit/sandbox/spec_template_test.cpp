#include <nestor/sandbox/spec_template.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>

using namespace nestor;

namespace {

expected<secret> found(reference_kind, const std::string&) {
  return secret::copy_of("looked up, not {index}");
}

spec_template made(const std::string& json) {
  reading how;
  how.bench = true;
  auto source = read_spec(json, how);
  INFO((source.faults.empty() ? "" : to_string(source.faults.front())));
  REQUIRE(source);
  auto result = spec_template::of(*source, found);
  REQUIRE(result);
  return *result;
}

std::string text_of(const secret& s) {
  return s.expose([](std::string_view t) { return std::string{t}; });
}

} // namespace

TEST_CASE("a placeholder is filled, padded, added and wrapped") {
  auto filled = [](std::string_view text, std::uint64_t index) { return pattern::of(text)->text(index); };
  CHECK(filled("a{index}b{index}", 7) == "a7b7");
  CHECK(filled("{index:08}", 42) == "00000042");
  CHECK(filled("{11000+index}", 5) == "11005");
  CHECK(filled("{11000+index%64}/s/{index}", 130) == "11002/s/130");
  CHECK(filled("{11000+index%64:08}", 130) == "00011002");
  CHECK(filled(R"({"index": {"a": "{index}"}} {name} {})", 3) == R"({"index": {"a": "3"}} {name} {})");
  CHECK_FALSE(pattern::of("plain {text}")->counts());
  for (auto bad :
       {"{index+1}", "{index%0}", "{+index}", "{1+index+2}", "{ index }", "{index:8}", "{9999999999+index}"}) {
    CHECK(counts(bad));
    CHECK_FALSE(pattern::of(bad));
  }
}

TEST_CASE("each sandbox of a bench gets its own texts and secrets") {
  auto bench = made(R"({"name":"b-{index:08}","labels":{"n":"{index}"},"provider":"static",
    "runtime":{"url":"http://127.0.0.1:{11000+index%64}/s/{index}","session_key":{"$literal":"key-{index}"}},
    "configuration":{"settings":{"llm_api_key":{"$literal":"llm\"{index}"},"z":{"$env":"Z"},"t":"t{index}"},
      "git_providers":{"github":{"token":{"$literal":"gh{index}"},"host":"h{index}","user_id":"u{index}"}},
      "secrets":{"A":{"value":{"$literal":"a{index}"},"description":"d{index}"},"B":{"$env":"B"}}},
    "conversation":{"say":"{index}"}})");
  for (std::uint64_t index : {std::uint64_t{0}, std::uint64_t{65}, bench_index_max}) {
    auto n = std::to_string(index);
    auto spec = bench.expand(index);
    CHECK(spec.name == "b-" + std::string(8 - n.size(), '0') + n);
    CHECK(spec.labels.at("n") == n);
    CHECK(spec.runtime->url == "http://127.0.0.1:" + std::to_string(11000 + index % 64) + "/s/" + n);
    CHECK(text_of(spec.runtime->session_key) == "key-" + n);
    CHECK(spec.configuration->settings ==
          wiped_string{R"({"llm_api_key":"llm\")" + n + R"(","t":"t)" + n + R"(","z":"looked up, not {index}"})"});
    CHECK(text_of(spec.configuration->git_providers[0].token) == "gh" + n);
    CHECK(spec.configuration->git_providers[0].host == "h" + n);
    CHECK(spec.configuration->git_providers[0].user_id == "u" + n);
    CHECK(text_of(spec.configuration->secrets[0].value) == "a" + n);
    CHECK(spec.configuration->secrets[0].description == "d" + n);
    CHECK(text_of(spec.configuration->secrets[1].value) == "looked up, not {index}");
    CHECK(spec.conversation == "{\"say\":\"" + n + "\"}");
  }
}

TEST_CASE("what does not count is shared by all") {
  auto bench =
    made(R"({"name":"b-{index}","runtime":{"command":["x"]},"configuration":{"secrets":{"A":{"$literal":"a"}}}})");
  CHECK(bench.expand(1).runtime == bench.expand(2).runtime);
  CHECK(bench.expand(1).configuration == bench.expand(2).configuration);
  CHECK(bench.expand(1).name != bench.expand(2).name);
}

TEST_CASE("a bench is checked for its last sandbox, too") {
  reading how;
  how.bench = true;
  auto read = read_spec(R"({"name":")" + std::string(60, 'a') + R"({index}","runtime":{"command":["x"]}})", how);
  REQUIRE(read.faults.size() == 1);
  CHECK(read.faults[0].path == "name");
  CHECK_FALSE(read_spec(R"({"name":"a{index+1}","runtime":{"command":["x"]}})", how));
  CHECK_FALSE(read_spec(R"({"provider":"static","runtime":{"url":"http://h:{65530+index}"}})", how));
}

TEST_CASE("a placeholder outside of a bench is a fault wherever a text is used as it is") {
  for (auto json : {R"({"name":"a-{index}"})", R"({"runtime":{"command":["{index}"]}})",
                    R"({"runtime":{"env":{"A":"{index:08}"}}})", R"({"configuration":{"settings":{"a":["{index}"]}}})",
                    R"({"configuration":{"secrets":{"A":{"$literal":"{index}"}}}})",
                    R"({"runtime":{"options":{"a":"{index}"}}})", R"({"labels":{"a":"{index}"}})"}) {
    auto read = read_spec(json);
    INFO(json);
    CHECK(std::any_of(read.faults.begin(), read.faults.end(), [](const fault& f) { return f.got == "a placeholder"; }));
  }
}

TEST_CASE("giving a template its number costs microseconds", "[.long]") {
  auto bench = made(R"({"name":"b-{index:08}","provider":"static",
    "runtime":{"url":"http://127.0.0.1:{11000+index%64}/s/{index}"},
    "configuration":{"settings":{"llm_api_key":{"$literal":"llm"}},
    "git_providers":{"github":{"token":{"$literal":"g"}}}}})");
  constexpr int rounds = 200'000;
  auto start = std::chrono::steady_clock::now();
  std::size_t sum = 0;
  for (int i = 0; i < rounds; ++i)
    sum += bench.expand(static_cast<std::uint64_t>(i)).name.size();
  auto each = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / rounds;
  WARN("expand: " << each << " us");
  CHECK(sum > 0);
}
