// The sandbox object as text: written by appending, so it is held against a library's reading of it.
#include <nestor/sandbox/view.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace nestor;

TEST_CASE("a sandbox object is the JSON that a library would write") {
  sandbox_view view;
  view.id.text = "nst-aaaaaaaaaaaaaaaaaaaaaaaaaa";
  view.name = "quote \" slash \\ line\n \xc3\xa9 not UTF-8 \xff";
  view.labels = {{"a", "1"}, {"b", "\t"}};
  view.word = status::ready;
  view.conditions = {{"Ready", truth::yes, "configured", {}}, {"Alive", truth::unknown, "ready", "why \"so\""}};
  view.timeline = {{step::queue, outcome::ok, 1, {1}, {2}}, {step::settings, outcome::running, 3, {3}, {}}};
  auto bare = to_json(view);
  view.runtime_ref = "pid-1";
  view.why = failure{errc::git_token_refused, step::git_providers, "because \"it\" said so", 401, {}};
  for (const auto& text : {bare, to_json(view)}) {
    auto read = nlohmann::ordered_json::parse(text);
    CHECK(read.dump() == text);
    CHECK(read["labels"]["b"] == "\t");
    CHECK(read["conditions"][0].contains("evidence"));
    CHECK_FALSE(read["conditions"][1].contains("evidence"));
    CHECK(read["timeline"][1]["ended_at"].is_null());
    CHECK(read["timeline"][1]["attempts"] == 3);
  }
  CHECK(nlohmann::json::parse(bare)["runtime"].is_null());
  CHECK(nlohmann::json::parse(to_json(view, 2)) == nlohmann::json::parse(to_json(view)));
}

TEST_CASE("times are RFC 3339 in UTC with milliseconds") {
  CHECK(to_text(wall_time{0}) == "1970-01-01T00:00:00.000Z");
  CHECK(to_text(wall_time{951'782'399'999}) == "2000-02-28T23:59:59.999Z");
  CHECK(to_text(wall_time{951'782'400'000}) == "2000-02-29T00:00:00.000Z");
  CHECK(to_text(wall_time{4'102'444'799'007}) == "2099-12-31T23:59:59.007Z");
}
