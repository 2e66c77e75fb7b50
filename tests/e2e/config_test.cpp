// `nestor config validate|view`: what is wrong before anything starts, and who said what is in force.
#include "support/run_program.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace nestor::tests;

TEST_CASE("a configuration that can be is told with its providers, and nobody is asked") {
  scratch_folder scratch;
  auto file =
    scratch.write("nestor.yaml", "listen: 127.0.0.1:0\nproviders:\n  e2b: {api_key: {$env: NOT_SET_ANYWHERE}}\n");
  auto end = run_program(scratch, {nestor_binary(), "config", "validate", "--config", file});
  CHECK(end.exit_code == 0);
  CHECK_THAT(end.out, Catch::Contains("e2b") && Catch::Contains("process") && Catch::Contains("static"));
  CHECK(end.err.empty());
}

TEST_CASE("every fault of a configuration is told with its line, and the exit code is 2") {
  scratch_folder scratch;
  auto file =
    scratch.write("nestor.yaml", "listen: localhost\nlimits:\n  per_tenant: many\naddresses:\n  deny: [10.0.0.1/8]\n"
                                 "swep: {every: 1s}\n");
  auto end = run_program(scratch, {nestor_binary(), "config", "validate", "--config", file});
  CHECK(end.exit_code == 2);
  for (const auto* part : {":1:", "listen", ":3:", "limits.per_tenant", "did you mean sweep?"})
    CHECK_THAT(end.err, Catch::Contains(part));
  file = scratch.write("nestor.yaml", "addresses:\n  allow: [127.0.0.0/8]\n  deny: [10.0.0.1/8]\n");
  for (const auto* verb : {"validate", "view"}) {
    auto range = run_program(scratch, {nestor_binary(), "config", verb, "--config", file});
    CHECK(range.exit_code == 2);
    CHECK_THAT(range.err, Catch::Contains("addresses.deny[0]") && Catch::Contains(":3:"));
    CHECK(range.out.empty());
  }
  auto flag = run_program(scratch, {nestor_binary(), "config", "validate", "--listen", "0.0.0.0:80"});
  CHECK(flag.exit_code == 2);
}

TEST_CASE("what is in force is told with who said it: a line, a variable, a flag or the default") {
  scratch_folder scratch;
  auto file =
    scratch.write("nestor.yaml", "state: /from/file\nlog:\n  level: debug\nproviders:\n  mine:\n    kind: e2b\n"
                                 "    api_key: {$literal: canary-of-a-key}\n");
  auto end =
    run_program(scratch, {"/usr/bin/env", "NESTOR_LOG_LEVEL=error", "NESTOR_LIMITS_PER_TENANT=7", nestor_binary(),
                          "config", "view", "--origin", "-o", "json", "--config", file, "--state", "/from/flag"});
  REQUIRE(end.exit_code == 0);
  CHECK_THAT(end.out, !Catch::Contains("canary"));
  auto all = nlohmann::json::parse(end.out);
  auto is = [&](const char* path, const std::string& value, const std::string& origin) {
    INFO(path << " " << all.dump(1));
    REQUIRE(all.contains(path));
    CHECK(all[path]["value"] == value);
    CHECK(all[path]["origin"] == origin);
  };
  is("state", "/from/flag", "flag --state");
  is("log.level", "error", "environment NESTOR_LOG_LEVEL");
  is("limits.per_tenant", "7", "environment NESTOR_LIMITS_PER_TENANT");
  is("listen", "127.0.0.1:7077", "default");
  is("providers.mine.kind", "e2b", file + ":6");
  is("providers.mine.api_key", "{$literal: …}", file + ":7");
}

TEST_CASE("a range that is denied is reached by nobody, though up allows its own machine's addresses") {
  scratch_folder scratch;
  auto config = scratch.write("nestor.yaml", "addresses: {deny: [127.0.0.0/8]}\n");
  auto spec = scratch.write("spec.yaml", "provider: static\nruntime: {url: \"http://127.0.0.1:1\", "
                                         "session_key: {$literal: key}}\n");
  auto end = run_program(scratch, {nestor_binary(), "up", "-f", spec, "--once", "--config", config});
  CHECK(end.exit_code == 1);
  CHECK_THAT(end.out + end.err, Catch::Contains("address_refused"));
}
