// The real binary on files that must be refused: exit 2, the place and the remedy on standard error, nothing on
// standard output, nothing started, no secret repeated.
#include "support/canary.hpp"
#include "support/malformed_specs.hpp"
#include "support/run_program.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <sstream>

using namespace nestor::tests;

TEST_CASE("every malformed specification is refused before anything starts") {
  auto specs = malformed_specs();
  CHECK(specs.size() >= 60);
  scratch_folder scratch;
  for (const auto& spec : specs) {
    INFO(spec.what);
    auto file = scratch.write("spec.yaml", spec.text);
    auto end = run_program(scratch, {nestor_binary(), "up", "-f", file, "--once"});
    CHECK(end.exit_code == 2);
    CHECK(end.out.empty());
    CHECK_THAT(end.err, Catch::StartsWith("nestor: " + file + ":"));
    CHECK_THAT(end.err, Catch::Contains(": " + spec.path));
    CHECK_THAT(end.err, Catch::Contains(spec.says));
    CHECK(canary_in(end.err) == "");
  }
}

TEST_CASE("a fault anywhere keeps the command from being started") {
  scratch_folder scratch;
  auto trace = scratch.file("started");
  auto file =
    scratch.write("spec.yaml", "runtime: {command: [/usr/bin/touch, " + trace + "]}\npolicy: {probe_evry: 60s}\n");
  CHECK(run_program(scratch, {nestor_binary(), "up", "-f", file}).exit_code == 2);
  CHECK_FALSE(std::filesystem::exists(trace));
}

TEST_CASE("the example specifications are right in all but the secrets of this machine") {
  scratch_folder scratch;
  for (const auto& entry : std::filesystem::directory_iterator{NESTOR_SOURCE_DIR "/docs/examples"}) {
    auto file = entry.path().string();
    bool bench = file.ends_with("bench.yaml"); // its placeholders are all that `up` may object to
    std::vector<std::string> command{"/usr/bin/env", "-i", nestor_binary(), "up", "-f", file};
    if (file.ends_with("/nestor.yaml")) { // a node's, not a sandbox's
      command.back() = NESTOR_SOURCE_DIR "/docs/examples/static.yaml";
      command.insert(command.end(), {"--config", file});
    }
    auto end = run_program(scratch, command);
    CHECK(end.exit_code != 0);
    CHECK(end.out.empty());
    std::istringstream lines{end.err};
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK((line.find("is not set") != line.npos || line.find("cannot be read") != line.npos ||
             (bench && line.find("is for `nestor bench` only") != line.npos)));
    }
  }
}

TEST_CASE("a fault is shown at its line and column") {
  scratch_folder scratch;
  auto file = scratch.write("spec.yaml", "name: a\npolicy:\n  ready_within: 120s\n  probe_evry: 60s\n");
  auto yaml = run_program(scratch, {nestor_binary(), "up", "-f", file});
  CHECK_THAT(yaml.err, Catch::Contains("spec.yaml:4:3: policy.probe_evry: unknown field; did you mean probe_every?"));
  file = scratch.write("spec.json", "{\n  \"policy\": {\n    \"probe_evry\": \"60s\"}}");
  auto json = run_program(scratch, {nestor_binary(), "up", "-f", file});
  CHECK_THAT(json.err, Catch::Contains("spec.json:3:5: policy.probe_evry: unknown field"));
}

TEST_CASE("all faults of a file are shown at once") {
  scratch_folder scratch;
  auto file = scratch.write("spec.yaml", "nam: a\nruntime: {command: x, port: 70000}\npolicy: {on_loss: x}\n");
  auto end = run_program(scratch, {nestor_binary(), "up", "-f", file});
  for (auto path : {" nam: ", " runtime.command: ", " runtime.port: ", " policy.on_loss: "})
    CHECK_THAT(end.err, Catch::Contains(path));
}

TEST_CASE("a file that is not there, and a folder, are bad files") {
  scratch_folder scratch;
  for (const auto& file : {scratch.file("none.yaml"), std::filesystem::temp_directory_path().string()}) {
    auto end = run_program(scratch, {nestor_binary(), "up", "-f", file});
    CHECK(end.exit_code == 2);
    CHECK(end.out.empty());
    CHECK_THAT(end.err, Catch::Contains(file));
  }
}

TEST_CASE("a mistyped verb, option and number are usage errors with a suggestion") {
  scratch_folder scratch;
  auto refused = [&](std::vector<std::string> arguments, const std::string& says) {
    arguments.insert(arguments.begin(), nestor_binary());
    auto end = run_program(scratch, arguments);
    CHECK(end.exit_code == 2);
    CHECK(end.out.empty());
    CHECK_THAT(end.err, Catch::Contains(says));
  };
  refused({"upp"}, "did you mean `up`?");
  refused({"explan", "name"}, "did you mean `explain`?");
  refused({"xyzzyxyzzy"}, "there are up");
  refused({}, "--help");
  refused({"up"}, "--file");
  refused({"up", "-f", "x", "--onec"}, "did you mean --once?");
  refused({"bench", "--spec", "x", "--count", "0", "--concurrency", "1"}, "--count");
  refused({"bench", "--spec", "x", "--count", "1", "--concurrency", "2"}, "larger than --count");
  refused({"explain", "policy.probe_evry"}, "did you mean `policy.probe_every`?");
  refused({"explain", "port"}, "did you mean `runtime.port`?");
}
