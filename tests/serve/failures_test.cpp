// Failures that a client of the API can make, each followed by what its remedy says: then it is not made any more.
#include "serve/serving.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace nestor::tests;
using nlohmann::json;

namespace {

const std::string patching = "Content-Type: application/merge-patch+json\r\n";
const std::string change = R"({"settings":{"llm_model":"z"}})";

std::string spec(const std::string& name) {
  return json{{"name", name}, {"runtime", {{"command", {server_binary()}}}}}.dump();
}

struct mended {
  std::string code;
  std::function<answer_seen()> provoked;
  std::function<answer_seen()> followed; ///< as the remedy says
};

void check(const serving_node& node, const scratch_folder& scratch, const mended& row) {
  auto seen = row.provoked();
  INFO(row.code << ": " << seen.head << seen.body);
  REQUIRE(seen.status >= 400);
  CHECK_THAT(seen.head, Catch::Contains("application/problem+json"));
  auto problem = seen.json();
  CHECK(problem.value("code", "") == row.code);
  CHECK(problem.value("status", 0) == seen.status);
  CHECK_FALSE(problem.value("title", "").empty());
  auto remedy = problem.value("remedy", "");
  CHECK_FALSE(remedy.empty());
  CHECK_THAT(node.cli(scratch, {"explain", row.code}).out, Catch::Contains(remedy));
  auto after = row.followed();
  INFO("then " << after.head << after.body);
  CHECK(after.status < 400);
}

} // namespace

TEST_CASE("a refused request names its code, and following its remedy works") {
  scratch_folder scratch;
  serving_node node{scratch, "limits: {per_tenant: 2}\n"};
  REQUIRE(node.port() != 0);
  const auto& admin = node.token();
  auto reader = node.token_for("default", "read");
  auto create = [&](const std::string& body, const std::string& key = {}) {
    return node.ask("POST", "/v1/sandboxes", admin, body, key.empty() ? "" : "Idempotency-Key: " + key + "\r\n");
  };
  auto list = [&](const std::string& token, const std::string& more = {}) {
    return node.ask("GET", "/v1/sandboxes", token, {}, more);
  };
  auto id = create(spec("one")).json().value("id", "");
  REQUIRE(settle(node, id, "Ready") == "Ready");
  auto path = "/v1/sandboxes/" + id;
  auto patch = [&](const std::string& more, const std::string& type = patching) {
    return node.ask("PATCH", path + "/configuration?dry_run=true", admin, change, type + more);
  };
  auto as_host = [&](const std::string& host) {
    raw_connection to{node.port()};
    to.send("GET /livez HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    return parse_answer(to.read_to_end());
  };
  auto wanted = [&] { return list(admin); };
  std::string second;
  const std::vector<mended> rows{
    {"token_missing", [&] { return list(""); }, wanted},
    {"token_refused", [&] { return list("nsk-none"); }, wanted},
    {"forbidden", [&] { return node.ask("DELETE", path, reader); }, [&] { return node.ask("GET", path, reader); }},
    {"not_found", [&] { return node.ask("GET", "/v1/sandboxes/nst-aaaaaaaaaaaaaaaaaaaaaaaaaa", admin); },
     [&] { return node.ask("GET", path, admin); }},
    {"route_unknown", [&] { return node.ask("GET", "/v1/sandbox", admin); },
     [&] { return node.ask("GET", "/openapi.json", admin); }},
    {"method_refused", [&] { return node.ask("PUT", "/v1/sandboxes", admin); }, wanted},
    {"origin_refused", [&] { return list(admin, "Origin: http://evil.example\r\n"); },
     [&] { return list(admin, "Origin: http://127.0.0.1\r\n"); }},
    {"host_refused", [&] { return as_host("evil.example"); }, [&] { return as_host("127.0.0.1"); }},
    {"request_invalid", [&] { return node.ask("GET", "/v1/sandboxes?limit=none", admin); },
     [&] { return node.ask("GET", "/v1/sandboxes?limit=1", admin); }},
    {"head_too_large", [&] { return list(admin, "X: " + std::string(20'000, 'x') + "\r\n"); }, wanted},
    {"media_type_refused", [&] { return patch("If-Match: \"1\"\r\n", "Content-Type: text/plain\r\n"); },
     [&] { return patch("If-Match: \"1\"\r\n"); }},
    {"generation_missing", [&] { return patch(""); }, [&] { return patch("If-Match: \"1\"\r\n"); }},
    {"generation_stale", [&] { return patch("If-Match: \"7\"\r\n"); }, [&] { return patch("If-Match: \"1\"\r\n"); }},
    {"spec_invalid", [&] { return create(R"({"runtime":{"comand":["a"]}})"); },
     [&] {
       auto made = create(spec("two"), "k");
       second = made.json().value("id", "");
       return made;
     }},
    {"key_reused", [&] { return create(spec("three"), "k"); }, [&] { return create(spec("two"), "k"); }},
    {"limit_reached", [&] { return create(spec("three")); },
     [&] {
       node.end_sandbox(second);
       auto made = create(spec("two"));
       second = made.json().value("id", "");
       return made;
     }},
    {"capability_missing",
     [&] { return node.ask("POST", path + "/actions", admin, R"({"action":"run","command":"echo hello"})"); },
     [&] { return node.ask("GET", path, admin); }},
    {"conflict",
     [&] {
       node.end_sandbox(second);
       second = create(R"({"name":"two","runtime":{"command":["/bin/sleep","600"]}})").json().value("id", "");
       return node.ask("POST", "/v1/sandboxes/" + second + "/access", admin);
     },
     [&] { return node.ask("POST", path + "/access", admin); }},
  };
  for (const auto& row : rows)
    check(node, scratch, row);
  node.end_sandbox(second);
  check(node, scratch, {"name_taken", [&] { return create(spec("one")); }, [&] { return create(spec("another")); }});
  node.ask("POST", "/v1/node/drain", admin);
  auto draining = create(spec("late"));
  CHECK(draining.json().value("code", "") == "node_stopping");
}
