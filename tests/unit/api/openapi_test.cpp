// The served description: made from the rows that dispatch reads, whole, and referring to nothing that is missing.
#include <nestor/api/openapi.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <set>

using namespace nestor;
using nlohmann::json;

namespace {

void references_in(const json& node, std::set<std::string>& found) {
  if (node.is_object() && node.contains("$ref"))
    found.insert(node["$ref"].get<std::string>());
  if (node.is_structured())
    for (const auto& each : node)
      references_in(each, found);
}

} // namespace

TEST_CASE("the description has every route, with its statuses, body and parameters") {
  auto document = json::parse(api::openapi_document("1.2.3"));
  CHECK(document["openapi"] == "3.1.0");
  std::size_t operations = 0;
  for (const auto& path : document["paths"])
    operations += path.size();
  CHECK(operations == api::routes().size());
  const auto& patch = document["paths"]["/v1/sandboxes/{id}/configuration"]["patch"];
  CHECK(patch["operationId"] == "patch_configuration");
  CHECK(patch["requestBody"]["content"].contains("application/merge-patch+json"));
  for (auto status : {"200", "202", "401", "403", "404", "412", "428"})
    CHECK(patch["responses"].contains(status));
  CHECK(patch["parameters"][0]["in"] == "path");
  CHECK(document["paths"]["/livez"]["get"]["security"].empty());
}

TEST_CASE("the description refers to nothing that it does not hold") {
  auto document = json::parse(api::openapi_document("1"));
  std::set<std::string> found;
  references_in(document, found);
  CHECK(found.size() > 10);
  for (const auto& reference : found) {
    INFO(reference);
    CHECK(document.contains(json::json_pointer(reference.substr(1))));
  }
  auto text = document.dump();
  for (auto left : {"\"$status\"", "\"$step\"", "\"$code\""})
    CHECK(text.find(left) == std::string::npos);
}

TEST_CASE("the specification's schema has the fields of the specification's own table") {
  auto schemas = json::parse(api::openapi_document("1"))["components"]["schemas"];
  CHECK(schemas["SandboxSpec"]["properties"].contains("policy"));
  CHECK(schemas["SandboxSpec"]["properties"]["policy"]["properties"].contains("ready_within"));
  CHECK(schemas["SandboxSpec"]["additionalProperties"] == false);
  CHECK(schemas["Configuration"]["properties"].contains("git_providers"));
}

TEST_CASE("docs/api.md is what the routes say") {
  std::ifstream in{std::string{NESTOR_SOURCE_DIR} + "/docs/api.md", std::ios::binary};
  std::string page{std::istreambuf_iterator<char>{in}, {}};
  CHECK(page == api::api_page());
}
