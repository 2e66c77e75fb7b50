// Fault rules: their text, their counting, and what each does to the server behind them.
#include "asking.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
using way = wire_reply::way;

namespace {

fault_rule rule_of(std::string_view spec) {
  auto rule = parse_fault(spec);
  INFO(spec);
  if (!rule)
    FAIL(rule.error().cause);
  return *rule;
}

/// Method, path, first, times, percent, argument.
std::string said(const fault_rule& r) {
  return std::string{name_of(r.kind)} + " " + std::to_string(r.argument) + " " +
         (r.verb ? std::string{http::name_of(*r.verb)} : "any") + " " + (r.path.empty() ? "anywhere" : r.path) + " " +
         std::to_string(r.first) + " " + std::to_string(r.times) + " " + std::to_string(r.percent);
}

struct faulty : faulty_server {
  explicit faulty(std::initializer_list<std::string_view> specs, std::string_view dialect = "openhands")
      : faulty_server(quick(dialect), plan_of(specs)) {}
  static model_options quick(std::string_view dialect) {
    auto options = options_of(dialect);
    options.rate_limit = false;
    return options;
  }
  static fault_plan plan_of(std::initializer_list<std::string_view> specs) {
    std::vector<fault_rule> rules;
    for (auto spec : specs)
      rules.push_back(rule_of(spec));
    return fault_plan{std::move(rules)};
  }
  wire_reply operator()(std::string_view asked, std::string_view body = {}) {
    return handle(ask(asked, body), now, "127.0.0.1");
  }
  std::size_t secrets() { return model().state_of("")->secrets.size(); }
  instant now{1'000'000};
};

constexpr auto new_secret = R"({"name":"A","value":"1"})";

} // namespace

TEST_CASE("a fault is written as kind, place and count") {
  CHECK(said(rule_of("reset")) == "reset 0 any anywhere 1 1 100");
  CHECK(said(rule_of("status:503@POST /api/settings")) == "status 503 POST /api/settings 1 1 100");
  CHECK(said(rule_of("status@/api")) == "status 500 any /api 1 1 100");
  CHECK(said(rule_of("answer-lost@POST /api/secrets#2")) == "answer-lost 0 POST /api/secrets 2 1 100");
  CHECK(said(rule_of("hang@/api/max3")) == "hang 0 any /api/max3 1 1 100");
  CHECK(said(rule_of("hang@/api/max3 x2")) == "hang 0 any /api/max3 1 2 100");
  CHECK(said(rule_of("hang@/api#3x2")) == "hang 0 any /api 3 2 100");
  CHECK(said(rule_of("hang@/api x*")) == "hang 0 any /api 1 0 100");
  CHECK(said(rule_of("hang#4x*")) == "hang 0 any anywhere 4 0 100");
  CHECK(said(rule_of("busy:30 x2")) == "busy 30 any anywhere 1 2 100");
  CHECK(said(rule_of("status:500@/api %5")) == "status 500 any /api 1 0 5");
  CHECK(said(rule_of("status:500@/api x3 %50")) == "status 500 any /api 1 3 50");
  CHECK(said(rule_of("hang@/api/secrets/a%20")) == "hang 0 any /api/secrets/a%20 1 1 100");
  CHECK(said(rule_of("git-unreachable")) == "git-unreachable 0 POST /api/add-git-providers 1 1 100");
  CHECK(said(rule_of("refuse x3")) == "refuse 0 any anywhere 1 3 100");
  for (const auto& row : fault_table())
    CHECK(rule_of(row.name).kind == row.kind);
}

TEST_CASE("a fault that cannot be read says why") {
  struct wrong {
    const char* spec;
    const char* because;
  };
  for (const auto& w : std::vector<wrong>{{"", "there is no kind ''"},
                                          {"explode", "there is no kind 'explode'"},
                                          {"status:abc", "CODE is a number from 200 to 599"},
                                          {"status:99", "CODE is a number from 200 to 599"},
                                          {"reset:1", "'reset' takes no argument"},
                                          {"reset@api", "a path begins with '/'"},
                                          {"reset@FETCH /api", "there is no method 'FETCH'"},
                                          {"reset#0", "FIRST counts from 1"},
                                          {"reset@/api %0", "PERCENT is a number from 1 to 100"},
                                          {"refuse@/api", "takes no path"}}) {
    auto rule = parse_fault(w.spec);
    CAPTURE(w.spec);
    REQUIRE_FALSE(rule);
    CHECK_THAT(rule.error().cause, Catch::Contains(w.because));
    CHECK_THAT(rule.error().cause, Catch::Contains("KIND[:ARGUMENT]"));
  }
}

TEST_CASE("every fault is explained in the help") {
  auto help = fault_help();
  for (const auto& row : fault_table())
    CHECK_THAT(help, Catch::Contains("  " + std::string{row.name}));
}

TEST_CASE("a rule hits from its first match on, as often as it says") {
  faulty server{"status:503@POST /api/secrets#2x2"};
  std::string seen;
  for (int i = 0; i < 5; ++i) {
    server("GET /api/secrets"); // does not count
    seen += std::to_string(
              server("POST /api/secrets", "{\"name\":\"" + std::to_string(i) + "\",\"value\":\"v\"}").response.status) +
            " ";
  }
  CHECK(seen == "201 503 503 201 201 ");
  CHECK(server.faults().hits() == 2);
}

TEST_CASE("a path is meant within any state, or within one when it says so") {
  faulty any{"status:503@/api/settings x*"};
  CHECK(any("GET /s/a/api/settings").response.status == 503);
  CHECK(any("GET /api/settings").response.status == 503);
  faulty one{"status:503@/s/a/api x*"};
  CHECK(one("GET /s/a/api/secrets").response.status == 503);
  CHECK(one("GET /s/b/api/secrets").response.status == 200);
}

TEST_CASE("a percentage is drawn from the seed: the same every time") {
  auto hits = [](std::uint64_t seed) {
    fault_plan plan{{rule_of("status:500@/api %20")}, seed};
    std::vector<bool> drawn;
    for (int i = 0; i < 1000; ++i)
      drawn.push_back(plan.hit(http::method::get, "/api/settings") != nullptr);
    return drawn;
  };
  auto first = hits(7);
  CHECK(first == hits(7));
  CHECK(first != hits(8));
  auto count = std::count(first.begin(), first.end(), true);
  CHECK(count > 150);
  CHECK(count < 250);
}

TEST_CASE("faults without effect leave the server as it was") {
  for (auto kind : {"reset", "hang", "die", "status:500", "busy:7", "page:200", "page:502", "no-effect"}) {
    faulty server{kind};
    CAPTURE(kind);
    auto r = server("POST /api/secrets", new_secret);
    CHECK(server.secrets() == 0);
    CHECK(server("POST /api/secrets", new_secret).response.status == 201);
    if (std::string_view{kind} == "no-effect")
      CHECK(r.response.status == 201);
    if (std::string_view{kind} == "busy:7") {
      CHECK(r.response.status == 429);
      CHECK(*r.response.find("Retry-After") == "7");
    }
    if (std::string_view{kind}.starts_with("page"))
      CHECK(r.response.body.starts_with("<html>"));
  }
}

TEST_CASE("faults after the effect leave it in place") {
  struct after {
    const char* kind;
    way how;
  };
  for (const auto& a : std::vector<after>{{"answer-lost", way::reset},
                                          {"answer-hangs", way::hang},
                                          {"die-after", way::die},
                                          {"slow:300", way::answer},
                                          {"trickle:5", way::answer},
                                          {"truncated", way::answer},
                                          {"cut", way::answer}}) {
    faulty server{a.kind};
    CAPTURE(a.kind);
    auto r = server("POST /api/secrets", new_secret);
    CHECK(r.how == a.how);
    CHECK(server.secrets() == 1);
    auto whole = std::string_view{R"({"message":"Secret created successfully"})"};
    std::string_view kind{a.kind};
    CHECK(r.delay == (kind == "slow:300" ? 300ms : 0ms));
    CHECK(r.per_byte == (kind == "trickle:5" ? 5ms : 0ms));
    if (kind == "truncated")
      CHECK(std::string_view{r.response.body} == whole.substr(0, whole.size() / 2));
    if (kind == "cut")
      CHECK(r.body_sent == whole.size() / 2);
  }
}

TEST_CASE("a wrong effect answers with success and empties what it wrote to") {
  faulty server{"wrong-effect@POST /api/settings", "wrong-effect@POST /api/secrets#2", "wrong-effect@POST /api/add"};
  server("POST /api/secrets", new_secret);
  CHECK(server("POST /api/secrets", R"({"name":"B","value":"2"})").response.status == 201);
  CHECK(server.secrets() == 0);
  CHECK(server("POST /api/settings", R"({"agent":"a"})").response.status == 200);
  CHECK(server.model().settings_text() == "{}");
  CHECK(server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})").response.status ==
        200);
  CHECK(server.model().find()->git_providers.empty());
}

TEST_CASE("a restart empties the server and turns its uptime back") {
  faulty server{"restart@GET /alive"};
  server("POST /api/secrets", new_secret);
  CHECK(server("GET /alive").response.status == 200);
  CHECK(server.secrets() == 0);
  CHECK(server.model().find()->started == server.now);
}

TEST_CASE("unreachable git hosts are the default place of that fault") {
  faulty server{"git-unreachable"};
  CHECK(server("POST /api/settings", "{}").response.status == 200);
  CHECK(server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})").response.status ==
        401);
  CHECK(server("POST /api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})").response.status ==
        200);
}

TEST_CASE("refused connections are counted by connection") {
  faulty server{"refuse#2"};
  CHECK(server.accepts_connection());
  CHECK_FALSE(server.accepts_connection());
  CHECK(server.accepts_connection());
}
