// `nestor explain` and the pages that are generated from it.
#include "support/run_program.hpp"

#include <nestor/core/failure.hpp>
#include <nestor/node/config_fields.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

using namespace nestor::tests;

TEST_CASE("every error code is explained: title, blame, what helps, status and remedy") {
  scratch_folder scratch;
  for (const auto& row : nestor::errc_table()) {
    auto end = run_program(scratch, {nestor_binary(), "explain", std::string{row.name}});
    CHECK(end.exit_code == 0);
    for (auto part : {row.name, row.title, row.remedy, std::string_view{"fault of"}, std::string_view{"what helps"}})
      CHECK_THAT(end.out, Catch::Contains(std::string{part}));
    CHECK_THAT(end.out, Catch::Contains(std::to_string(row.http_status)));
  }
}

TEST_CASE("every field of a specification is explained: path, type, default, description and example") {
  scratch_folder scratch;
  for (const auto& field : nestor::spec_fields()) {
    auto end = run_program(scratch, {nestor_binary(), "explain", std::string{field.path}});
    CHECK(end.exit_code == 0);
    for (auto part :
         {std::string{field.path}, std::string{field.description}, to_string(field.type), std::string{field.example}})
      CHECK_THAT(end.out, Catch::Contains(part));
  }
}

TEST_CASE("a field inside a map is explained by any name, and the list holds everything") {
  scratch_folder scratch;
  auto end = run_program(scratch, {nestor_binary(), "explain", "configuration.git_providers.github.token"});
  CHECK_THAT(end.out, Catch::Contains("configuration.git_providers.*.token"));
  auto list = run_program(scratch, {nestor_binary(), "explain"});
  for (const auto& row : nestor::errc_table())
    CHECK_THAT(list.out, Catch::Contains(std::string{row.name}));
  for (const auto& field : nestor::spec_fields())
    CHECK_THAT(list.out, Catch::Contains(std::string{field.path}));
}

TEST_CASE("every field of the node's configuration is explained, with the variable that stands for it") {
  scratch_folder scratch;
  for (const auto& field : nestor::config_fields()) {
    INFO(field.path);
    auto end = run_program(scratch, {nestor_binary(), "explain", std::string{field.path}});
    CHECK(end.exit_code == 0);
    for (auto part : {std::string{field.path}, std::string{field.description}, to_string(field.type),
                      std::string{field.example}, nestor::variable_of(field)})
      CHECK_THAT(end.out, Catch::Contains(part));
  }
}

TEST_CASE("the generated pages are what explain generates") {
  scratch_folder scratch;
  CHECK(run_program(scratch, {nestor_binary(), "explain", "--markdown", "errors"}).out ==
        contents_of(NESTOR_SOURCE_DIR "/docs/errors.md"));
  CHECK(run_program(scratch, {nestor_binary(), "explain", "--markdown", "fields"}).out ==
        contents_of(NESTOR_SOURCE_DIR "/docs/spec.md"));
  CHECK(run_program(scratch, {nestor_binary(), "explain", "--markdown", "config"}).out ==
        contents_of(NESTOR_SOURCE_DIR "/docs/config.md"));
}

TEST_CASE("every verb has help with an example, and the version is JSON when asked") {
  scratch_folder scratch;
  for (auto verb : {"up", "demo", "bench", "version", "explain", "provider", "doctor", "leak", "config"}) {
    auto end = run_program(scratch, {nestor_binary(), verb, "--help"});
    CHECK(end.exit_code == 0);
    CHECK_THAT(end.out, Catch::Contains(std::string{"nestor "} + verb));
    CHECK_THAT(end.out, Catch::Contains("Example"));
  }
  auto version = run_program(scratch, {nestor_binary(), "version", "-o", "json"});
  CHECK(nlohmann::json::parse(version.out)["name"] == "nestor");
}
