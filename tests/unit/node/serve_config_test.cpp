// The members of the node's configuration that concern `serve`: what wins, and what is refused with its place.
#include <nestor/node/config_fields.hpp>
#include <nestor/node/node_config.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <tuple>

using namespace nestor;

namespace {

using variables = std::map<std::string, std::string>;

checked<node_config> read(const std::string& json, const variables& environment = {}) {
  return read_node_config(json, [&](const std::string& name) -> std::optional<std::string> {
    auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional{found->second};
  });
}

} // namespace

TEST_CASE("without a document the node listens on loopback") {
  auto config = read("{}");
  REQUIRE(config);
  CHECK(config->serve.address == "127.0.0.1");
  CHECK(config->serve.port == 7077);
  CHECK(config->serve.per_tenant_max == 1000);
}

TEST_CASE("everything that is said is taken, and the environment wins") {
  auto document = R"({"state":"/var/lib/nestor","listen":"[::1]:0","hosts":["Nestor.Internal"],
    "limits":{"sandboxes":5,"per_tenant":2,"connections":9},"retention":{"events":7,"ended":"2h"},
    "sweep":{"every":"90s","looks":3,"kill_cap":{"at_least":4,"percent":9}},"http":{"head_within":"400ms"}})";
  auto config = read(document);
  REQUIRE(config);
  CHECK(config->serve.state == "/var/lib/nestor");
  CHECK(config->serve.address == "::1");
  CHECK(config->serve.port == 0);
  CHECK(config->serve.hosts == std::vector<std::string>{"nestor.internal"});
  CHECK(config->sandboxes_max == 5U);
  CHECK(config->serve.per_tenant_max == 2);
  CHECK(config->serve.connections_max == 9);
  CHECK(config->serve.events_kept == 7);
  CHECK(config->serve.ended_for == std::chrono::hours{2});
  CHECK(config->serve.sweep_every == std::chrono::seconds{90});
  CHECK(config->serve.sweeps.looks == 3);
  CHECK(config->serve.sweeps.at_least == 4);
  CHECK(config->serve.sweeps.percent == 9);
  CHECK(config->serve.head_within == milliseconds{400});
  auto other = read(document, {{"NESTOR_LISTEN", "127.0.0.2:1"}, {"NESTOR_STATE", "/elsewhere"}});
  REQUIRE(other);
  CHECK(other->serve.address == "127.0.0.2");
  CHECK(other->serve.port == 1);
  CHECK(other->serve.state == "/elsewhere");
}

TEST_CASE("a member that cannot be is refused with its place") {
  for (auto [document, path] :
       {std::pair{R"({"listen":"localhost:7077"})", "listen"}, std::pair{R"({"listen":"127.0.0.1"})", "listen"},
        std::pair{R"({"listen":"127.0.0.1:99999"})", "listen"},
        std::pair{R"({"listen":"0.0.0.0:7077"})", "listen"}, // others reach it, without TLS
        std::pair{R"({"tls":{"key":"k.pem"}})", "tls"}, std::pair{R"({"tls":{"cert":"k.pem"}})", "tls.cert"},
        std::pair{R"({"hosts":"a"})", "hosts"}, std::pair{R"({"limits":{"per_tenant":0}})", "limits.per_tenant"},
        std::pair{R"({"retention":{"events":"many"}})", "retention.events"},
        std::pair{R"({"sweep":{"looks":0}})", "sweep.looks"}, std::pair{R"({"sweep":{"every":"soon"}})", "sweep.every"},
        std::pair{R"({"sweep":{"kill_cap":{"most":1}}})", "sweep.kill_cap.most"},
        std::pair{R"({"http":{"head_within":10}})", "http.head_within"},
        std::pair{R"({"lisen":"127.0.0.1:1"})", "lisen"}}) {
    INFO(document);
    auto config = read(document);
    REQUIRE_FALSE(config);
    CHECK(config.faults.front().path == path);
  }
  CHECK(read(R"({"listen":"0.0.0.0:7077","tls":{"certificate":"c.pem","key":"k.pem"}})"));
  serve_config serve;
  CHECK(set_listen("127.0.0.1:0", serve));
  CHECK_FALSE(set_listen("10.0.0.1:0", serve));
  CHECK(serve.address == "127.0.0.1");
}

TEST_CASE("the log and the traces are as the document says, or as OpenTelemetry's own variables do") {
  auto config = read(R"({"log":{"format":"json","level":"warning"},
    "traces":{"endpoint":"https://otlp.example:4318/v1/traces","headers":{"X-Key":{"$env":"OTLP_KEY"}}}})");
  REQUIRE(config);
  CHECK(config->serve.log_as == log_format::json);
  CHECK(config->serve.log_from == log_level::warning);
  REQUIRE(config->serve.traces);
  CHECK(http::to_string(config->serve.traces->collector) == "https://otlp.example:4318/v1/traces");
  REQUIRE(config->serve.traces->headers.size() == 1);
  CHECK(config->serve.traces->headers.front().second.name == "OTLP_KEY");
  auto base = read("{}", {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"}});
  REQUIRE(base);
  CHECK(base->serve.traces->collector.path == "/v1/traces");
  CHECK_FALSE(read("{}")->serve.traces);
  for (const std::string bad :
       {R"({"log":{"level":"loud"}})", R"({"traces":{"endpoint":"ftp://x"}})", R"({"traces":{"headers":{}}})",
        R"({"traces":{"endpoint":"http://x/","headers":{"X-Key":"bare"}}})",
        R"({"traces":{"endpoint":"http://x/","headers":{"X Key":{"$env":"A"}}}})"}) {
    INFO(bad);
    CHECK_FALSE(read(bad));
  }
}

TEST_CASE("every default that the table names is the one in force") {
  std::string document;
  std::map<std::string, std::string> inside; // by object
  for (const auto& field : config_fields()) {
    bool said = !field.default_text.empty() && field.default_text != "{}" && field.default_text != "null";
    if (!said || field.path.find('*') != field.path.npos)
      continue;
    bool quoted = field.type.kind != field_kind::integer && field.type.kind != field_kind::texts;
    auto value = std::string(quoted ? "\"" : "") + std::string{field.default_text} + (quoted ? "\"" : "");
    auto& of = inside[std::string{field.parent()}];
    of += (of.empty() ? "\"" : ",\"") + std::string{field.name()} + "\":" + value;
  }
  document = "{" + inside[""];
  for (const auto& [object, members] : inside)
    if (!object.empty() && object != "sweep.kill_cap")
      document += ",\"" + object + "\":{" + members +
                  (object == "sweep" ? ",\"kill_cap\":{" + inside["sweep.kill_cap"] + "}" : "") + "}";
  document += "}";
  INFO(document);
  auto said = read(document);
  auto unsaid = read("{}");
  REQUIRE(said);
  REQUIRE(unsaid);
  CHECK(said->told.size() > 15);
  CHECK(unsaid->told.empty());
  auto values = [](const serve_config& c) {
    return std::tuple{c.address,     c.port,         c.per_tenant_max,  c.connections_max, c.events_kept, c.ended_for,
                      c.sweep_every, c.sweeps.looks, c.sweeps.at_least, c.sweeps.percent,  c.head_within, c.body_within,
                      c.idle_within, c.write_within, c.log_as,          c.log_from,        c.hosts};
  };
  CHECK(values(said->serve) == values(unsaid->serve));
}

TEST_CASE("every example of the table can be written") {
  for (const auto& field : config_fields()) {
    if (field.path.find('*') != field.path.npos || field.type.kind == field_kind::object ||
        field.type.kind == field_kind::map || field.type.kind == field_kind::texts)
      continue;
    INFO(field.path);
    auto name = variable_of(field);
    REQUIRE_FALSE(name.empty());
    auto config = read("{}", {{name, std::string{field.example}}});
    bool one_of_two = field.parent() == "tls"; // the other is missing
    CHECK(config.faults.size() == (one_of_two ? 1U : 0U));
    if (config) {
      REQUIRE(config->told.size() == 1);
      CHECK(config->told.front().path == field.path);
      CHECK(config->told.front().from == name);
    }
  }
}

TEST_CASE("a variable wins over the document, and a fault in it names it") {
  auto config = read(R"({"limits":{"per_tenant":5},"log":{"level":"debug"}})",
                     {{"NESTOR_LIMITS_PER_TENANT", "7"}, {"NESTOR_LOG_FORMAT", "json"}});
  REQUIRE(config);
  CHECK(config->serve.per_tenant_max == 7);
  CHECK(config->serve.log_as == log_format::json);
  CHECK(config->serve.log_from == log_level::debug);
  REQUIRE(config->told.size() == 3);
  for (auto [name, value] : {std::pair{"NESTOR_LIMITS_PER_TENANT", "many"}, std::pair{"NESTOR_LOG_LEVEL", "loud"},
                             std::pair{"NESTOR_SWEEP_EVERY", "60"}, std::pair{"NESTOR_LISTEN", "0.0.0.0:1"}}) {
    auto refused = read("{}", {{name, value}});
    REQUIRE(refused.faults.size() == 1);
    CHECK(refused.faults.front().path == name);
  }
}

TEST_CASE("what was said shows references instead of secrets, and no password of a database") {
  auto config =
    read(R"({"journal":"postgresql://nestor:canary-1@db/nestor?password=canary-2","resolve":{"*.a.test":"::1"},
    "providers":{"e2b":{"api_key":{"$literal":"canary-3"},"creates_per_second":5}},
    "traces":{"endpoint":"http://x/","headers":{"K":{"$env":"OTLP_KEY"}}}})");
  REQUIRE(config);
  std::string all;
  for (const auto& each : config->told)
    all += each.path + "=" + each.value + "\n";
  CHECK_THAT(all, !Catch::Contains("canary"));
  for (const auto* part :
       {"providers.e2b.api_key={$literal: …}\n", "providers.e2b.creates_per_second=5\n",
        "traces.headers.K={$env: OTLP_KEY}\n", "resolve[\"*.a.test\"]=::1\n", "journal=postgresql://…\n"})
    CHECK_THAT(all, Catch::Contains(part));
}

TEST_CASE("the tables of fields share no path, so that one name explains one thing") {
  for (const auto& field : config_fields())
    CHECK(field_at(spec_fields(), field.path) == nullptr);
}
