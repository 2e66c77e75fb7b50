// Idempotency keys, events, metrics and the small readers of requests: pure, on a clock of the test's own.
#include <nestor/api/answer.hpp>
#include <nestor/api/event_ring.hpp>
#include <nestor/api/metrics.hpp>
#include <nestor/api/replay_book.hpp>
#include <nestor/api/sandbox_query.hpp>
#include <nestor/providers/provider.hpp>

#include <catch2/catch.hpp>

using namespace nestor;

namespace {

std::string verdict_of(const api::replay_book::verdict& v) {
  if (std::holds_alternative<api::replay_book::fresh>(v))
    return "fresh";
  if (const auto* no = std::get_if<failure>(&v))
    return std::string{name_of(no->code)};
  return "answer " + std::to_string(std::get<std::shared_ptr<const http::response>>(v)->status);
}

constexpr instant start{1'000'000};

api::event event_of(std::string sandbox, std::string tenant) {
  return {0, {}, "status", std::move(sandbox), std::move(tenant), "\"status\":\"Ready\""};
}

} // namespace

TEST_CASE("a key is done once, answered again, and refused with another body") {
  api::replay_book book;
  CHECK(verdict_of(book.begin("acme create", "k", "{}", start)) == "fresh");
  CHECK(verdict_of(book.begin("acme create", "k", "{}", start)) == "key_in_progress");
  CHECK(verdict_of(book.begin("acme create", "k", "{ }", start)) == "key_reused");
  CHECK(verdict_of(book.begin("other create", "k", "{ }", start)) == "fresh");
  book.finish("acme create", "k", api::json_answer(202, "{}"));
  CHECK(verdict_of(book.begin("acme create", "k", "{}", start)) == "answer 202");
  CHECK(verdict_of(book.begin("acme create", "k", "{ }", start)) == "key_reused");
  CHECK(verdict_of(book.begin("acme create", "k", "{}", start + std::chrono::hours{23})) == "answer 202");
  CHECK(verdict_of(book.begin("acme create", "k", "{}", start + std::chrono::hours{24})) == "fresh");
}

TEST_CASE("a key whose request was refused is free again") {
  api::replay_book book;
  CHECK(verdict_of(book.begin("a", "k", "1", start)) == "fresh");
  book.give_up("a", "k");
  CHECK(verdict_of(book.begin("a", "k", "2", start + microseconds{1})) == "fresh");
  book.finish("a", "k", api::json_answer(202, "{}"));
  // What was given up must not take the later one with it when its day is over.
  CHECK(verdict_of(book.begin("a", "k", "2", start + std::chrono::hours{24})) == "answer 202");
}

TEST_CASE("keys are 1 to 128 printable characters") {
  api::replay_book book;
  for (const auto& key : {std::string{}, std::string(129, 'k'), std::string{"a b"}, std::string{"a\tb"}})
    CHECK(verdict_of(book.begin("a", key, "", start)) == "request_invalid");
  CHECK(book.size() == 0);
}

TEST_CASE("the number of keys is bounded, the oldest goes first") {
  api::replay_book book;
  for (std::size_t i = 0; i < api::replay_book::keys_max + 10; ++i)
    REQUIRE(verdict_of(book.begin("a", "k" + std::to_string(i), "", start)) == "fresh");
  CHECK(book.size() <= api::replay_book::keys_max);
  CHECK(verdict_of(book.begin("a", "k0", "", start)) == "fresh");
}

TEST_CASE("events are numbered without gaps, and a reader of forgotten ones is told") {
  api::event_ring ring{3};
  CHECK(ring.oldest() == 1);
  CHECK(ring.latest() == 0);
  CHECK_FALSE(ring.since(0, {}, 10).gap);
  for (auto name : {"a", "b", "a", "b", "a"})
    ring.add(event_of(name, name == std::string{"a"} ? "acme" : "other"));
  CHECK(ring.oldest() == 3);
  auto all = ring.since(2, {}, 10);
  CHECK_FALSE(all.gap);
  REQUIRE(all.items.size() == 3);
  CHECK(all.items.front()->id == 3);
  CHECK(all.last_seen == 5);
  auto late = ring.since(1, {}, 10);
  CHECK(late.gap);
  CHECK(late.items.size() == 3);
  CHECK(ring.since(17, {}, 10).gap); // of another life of the node
  auto some = ring.since(2, {"acme", {}}, 1);
  REQUIRE(some.items.size() == 1);
  CHECK(some.last_seen == 3);
  CHECK(ring.since(2, {"acme", "b"}, 10).items.empty());
  CHECK(ring.since(5, {}, 10).items.empty());
}

TEST_CASE("an event is one line of a stream's data, whatever its names hold") {
  api::event_ring ring{8};
  auto e = ring.add(event_of("a\nb\"c", "acme"));
  auto text = api::to_stream(*e);
  CHECK(text == "id: 1\nevent: status\ndata: " + api::to_json(*e) + "\n\n");
  CHECK(api::to_json(*e).find('\n') == std::string::npos);
}

TEST_CASE("a page's query is read, or refused naming its parameter") {
  auto read = [](const std::string& query) {
    return api::read_sandbox_query(*api::parse_target("/v1/sandboxes" + query));
  };
  auto plain = read("");
  REQUIRE(plain);
  CHECK(plain->limit == 50);
  auto full = read("?limit=200&cursor=nst-aaaaaaaaaaaaaaaaaaaaaaaaaa&label=team%3Dweb&label=x%3D&status=Ready");
  REQUIRE(full);
  CHECK(full->limit == 200);
  CHECK(full->after == "nst-aaaaaaaaaaaaaaaaaaaaaaaaaa");
  CHECK(full->labels == std::map<std::string, std::string>{{"team", "web"}, {"x", ""}});
  CHECK(full->word == status::ready);
  for (const std::string bad : {"limit=0", "limit=201", "limit=", "limit=1e1", "limit=-1", "limit=18446744073709551616",
                                "cursor=x", "label=a", "label=%3Db", "status=ready", "status="}) {
    INFO(bad);
    auto refused = read("?" + bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().cause.find(bad.substr(0, bad.find('='))) == 0);
  }
}

TEST_CASE("If-Match is a generation in quotes, or any") {
  auto read = [](std::optional<std::string> value) {
    http::request head;
    if (value)
      head.headers.push_back({"If-Match", wiped_string{*value}});
    return api::read_if_match(head);
  };
  CHECK(read(std::nullopt).error().code == errc::generation_missing);
  REQUIRE(read("\"3\""));
  CHECK(*read("\"3\"") == std::optional<generation>{3});
  CHECK(*read("*") == std::nullopt);
  for (const std::string bad : {"3", "\"\"", "\"x\"", "W/\"3\"", "\"3\", \"4\"", ""})
    CHECK(read(bad).error().code == errc::request_invalid);
}

TEST_CASE("the node's own machine is rented out to its admins only, unless tenants are listed") {
  providers::account account;
  account.name = "local";
  for (const auto* kind : providers::all()) {
    account.speaks = kind;
    account.tenants.clear();
    bool local = kind->kind == "process" || kind->kind == "docker";
    INFO(kind->kind);
    CHECK(api::forbidden_here(account, {"t", "acme", api::role::write}).has_value() == local);
    CHECK_FALSE(api::forbidden_here(account, {"t", "acme", api::role::admin}));
    account.tenants = {"acme"};
    CHECK_FALSE(api::forbidden_here(account, {"t", "acme", api::role::write}));
    CHECK_FALSE(api::may_use(account, {"t", "other", api::role::write}));
  }
}

TEST_CASE("refusals say when to come back, and what would help") {
  auto quota = api::problem_answer({errc::limit_reached, step::queue, "full", 0, {}});
  CHECK(quota.status == 429);
  REQUIRE(quota.find("Retry-After"));
  auto exact = api::problem_answer({errc::rate_limited, step::provision, "slow", 429, milliseconds{1'500}});
  CHECK(*exact.find("Retry-After") == "2");
  auto who = api::problem_answer({errc::token_missing, step::queue, "none", 0, {}}, "/v1/node");
  CHECK(who.find("WWW-Authenticate"));
  CHECK_FALSE(who.find("Retry-After"));
  CHECK(*who.find("Content-Type") == "application/problem+json");
  CHECK(*who.find("Cache-Control") == "no-store");
}

TEST_CASE("durations are counted in the bucket that holds them, cumulated, in seconds") {
  api::metrics counted;
  counted.step_done(step::alive, milliseconds{5}, false);
  counted.step_done(step::alive, milliseconds{6}, true);
  counted.step_done(step::alive, std::chrono::hours{1}, false);
  counted.answered("get_sandbox", 200, milliseconds{1});
  counted.ended(true, errc::git_token_refused);
  auto text = counted.text({}, "1.2.3");
  for (const std::string line : {"nestor_build_info{version=\"1.2.3\"} 1\n",
                                 "nestor_sandbox_step_duration_seconds_bucket{step=\"alive\",le=\"0.005\"} 1\n",
                                 "nestor_sandbox_step_duration_seconds_bucket{step=\"alive\",le=\"0.01\"} 2\n",
                                 "nestor_sandbox_step_duration_seconds_bucket{step=\"alive\",le=\"300\"} 2\n",
                                 "nestor_sandbox_step_duration_seconds_bucket{step=\"alive\",le=\"+Inf\"} 3\n",
                                 "nestor_sandbox_step_duration_seconds_count{step=\"alive\"} 3\n",
                                 "nestor_sandbox_step_failures_total{step=\"alive\"} 1\n",
                                 "nestor_sandboxes_failed_total{code=\"git_token_refused\"} 1\n",
                                 "nestor_http_requests_total{route=\"get_sandbox\",status=\"200\"} 1\n"}) {
    INFO(line);
    CHECK(text.find(line) != std::string::npos);
  }
}
