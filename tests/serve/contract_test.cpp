// The served document against the node that serves it: every route for every role with one's own, another tenant's and
// an absent sandbox; and thousands of requests made from the document, bad ones included. Whatever is answered must be
// documented, and what is documented must fit.
#include "serve/serving.hpp"
#include "support/canary.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>

using namespace nestor::tests;
using nlohmann::json;

namespace {

struct operation {
  std::string method, path, role, media;
  json described;
};

std::vector<operation> operations_of(const json& document) {
  std::vector<operation> all;
  for (const auto& [path, methods] : document["paths"].items())
    for (const auto& [verb, what] : methods.items()) {
      std::string method = verb;
      std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::toupper(c); });
      std::string media;
      if (what.contains("requestBody"))
        media = what["requestBody"]["content"].begin().key();
      all.push_back({method, path, what["x-role"], media, what});
    }
  return all;
}

std::string filled(std::string path, const std::string& argument) {
  if (auto open = path.find('{'); open != std::string::npos)
    path.replace(open, path.find('}') - open + 1, argument);
  return path;
}

/// What an honest client would send along.
std::string headers_for(const operation& op) {
  auto lines = op.media.empty() ? std::string{} : "Content-Type: " + op.media + "\r\n";
  for (const auto& p : op.described["parameters"])
    if (p["name"] == "If-Match")
      lines += "If-Match: *\r\n";
  return lines;
}

/// True when `value` fits as far as types, required members and enumerations go.
bool fits(const json& value, const json& schema, const json& document) {
  if (schema.contains("$ref"))
    return fits(value, document[json::json_pointer(schema["$ref"].get<std::string>().substr(1))], document);
  if (schema.contains("oneOf"))
    return std::any_of(schema["oneOf"].begin(), schema["oneOf"].end(),
                       [&](const json& each) { return fits(value, each, document); });
  auto is = [&](const std::string& type) {
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "integer" && value.is_number_integer()) ||
           (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean()) ||
           (type == "null" && value.is_null());
  };
  if (schema.contains("type")) {
    auto types = schema["type"].is_array() ? schema["type"] : json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const json& t) { return is(t.get<std::string>()); }))
      return false;
  }
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return false;
  if (value.is_array() && schema.contains("items"))
    return std::all_of(value.begin(), value.end(), [&](const json& v) { return fits(v, schema["items"], document); });
  if (!value.is_object())
    return true;
  for (const auto& name : schema.value("required", json::array()))
    if (!value.contains(name.get<std::string>()))
      return false;
  auto properties = schema.value("properties", json::object());
  for (const auto& [name, member] : value.items())
    if (properties.contains(name) && !fits(member, properties[name], document))
      return false;
  return true;
}

/// Empty when the answer is one that the document promises.
std::string objection(const operation& op, const answer_seen& seen, const json& document) {
  auto responses = op.described["responses"];
  auto status = std::to_string(seen.status);
  if (!responses.contains(status))
    return "status " + status + " is not documented";
  if (!responses[status].contains("content") || op.method == "HEAD")
    return {};
  auto content = responses[status]["content"];
  for (const auto& [type, what] : content.items())
    if (seen.has("Content-Type: " + type)) {
      bool text = type.starts_with("text/");
      return text || fits(seen.json(), what["schema"], document) ? ""
                                                                 : "the body does not fit its schema: " + seen.body;
    }
  return "the content type is not documented: " + seen.head;
}

std::string spec_of(const std::string& name) {
  return json{{"name", name}, {"runtime", {{"command", {server_binary()}}}}, {"labels", {{"a", "b"}}}}.dump();
}

const std::string absent = "nst-aaaaaaaaaaaaaaaaaaaaaaaaaa";

} // namespace

TEST_CASE("every route for every role, with one's own, another's and an absent sandbox, as documented") {
  scratch_folder scratch;
  serving_node node{scratch, "providers: {local: {kind: process, tenants: [acme, other]}}\n"};
  REQUIRE(node.port() != 0);
  auto document = node.ask("GET", "/openapi.json", "").json();
  std::map<std::string, std::string> tokens{{"anyone", ""}, {"admin", node.token()}};
  for (const std::string role : {"read", "write"})
    tokens[role] = node.token_for("acme", role);
  auto others = node.token_for("other", "write");
  const std::vector<std::string> order{"anyone", "read", "write", "admin"};
  auto rank = [&](const std::string& role) { return std::find(order.begin(), order.end(), role) - order.begin(); };
  auto create = [&](const std::string& token) {
    auto body = json::parse(spec_of(""));
    body["provider"] = "local";
    body.erase("name");
    auto made = node.ask("POST", "/v1/sandboxes", token, body.dump());
    INFO(made.body);
    REQUIRE(made.status == 202);
    return made.json()["id"].get<std::string>();
  };
  // Enough to be understood: what nobody understands is refused before anybody looks whose it is.
  auto body_of = [](const auto& op) -> std::string {
    if (op.media.empty())
      return "";
    return op.path.ends_with("/actions") ? R"({"action":"run","command":"true"})" : "{}";
  };
  std::size_t looked = 0;
  for (const auto& op : operations_of(document)) {
    bool of_sandbox = op.path.find("/v1/sandboxes/{id}") == 0;
    if (op.path == "/v1/node/drain")
      continue; // the others need a node that takes new ones
    for (const auto& role : order) {
      auto own = of_sandbox ? create(tokens["write"]) : std::string{};
      auto foreign = of_sandbox ? create(others) : std::string{};
      for (const auto& whose :
           of_sandbox ? std::vector<std::string>{own, foreign, absent} : std::vector<std::string>{"x"}) {
        auto seen = node.ask(op.method, filled(op.path, whose), tokens[role], body_of(op), headers_for(op));
        INFO(op.method << " " << op.path << " as " << role << ", "
                       << (whose == own       ? "own"
                           : whose == foreign ? "foreign"
                                              : "absent")
                       << ": " << seen.status << " " << seen.body);
        ++looked;
        CHECK(objection(op, seen, document) == "");
        if (rank(role) < rank(op.role))
          CHECK(seen.status == (role == "anyone" ? 401 : 403));
        else if (whose == absent || (whose == foreign && role != "admin" && of_sandbox))
          CHECK(seen.status == 404);
        else if (of_sandbox)
          CHECK(seen.status != 404);
        CHECK(seen.status < 500);
      }
    }
  }
  CHECK(looked > 120);
}

TEST_CASE("tenants neither see nor guess each other's sandboxes") {
  scratch_folder scratch;
  serving_node node{scratch, "providers: {local: {kind: process, tenants: [acme, other]}}\nlimits: {per_tenant: 2}\n"};
  REQUIRE(node.port() != 0);
  auto acme = node.token_for("acme", "write"), other = node.token_for("other", "write");
  auto create = [&](const std::string& token, const std::string& name, const std::string& provider) {
    auto body = json::parse(spec_of(name));
    body["provider"] = provider;
    return node.ask("POST", "/v1/sandboxes", token, body.dump());
  };
  CHECK(create(acme, "mine", "process").status == 403); // the node's own machine
  auto mine = create(acme, "mine", "local");
  REQUIRE(mine.status == 202);
  CHECK(mine.json()["tenant"] == "acme");
  CHECK(create(other, "mine", "local").status == 202); // names are each tenant's own
  CHECK(create(acme, "mine", "local").status == 409);
  CHECK(create(acme, "more", "local").status == 202);
  auto full = create(acme, "most", "local");
  CHECK(full.status == 429);
  CHECK(full.has("Retry-After: "));
  CHECK(full.has("RateLimit-Remaining: 0"));
  CHECK(node.ask("GET", "/v1/sandboxes", acme).json()["items"].size() == 2);
  CHECK(node.ask("GET", "/v1/sandboxes", other).json()["items"].size() == 1);
  CHECK(node.ask("GET", "/v1/sandboxes", node.token()).json()["items"].size() == 3);
  auto first = node.ask("GET", "/v1/sandboxes?limit=1", acme).json();
  auto second = node.ask("GET", "/v1/sandboxes?limit=1&cursor=" + first["next_cursor"].get<std::string>(), acme).json();
  CHECK(second["items"][0]["id"] != first["items"][0]["id"]);
  CHECK(second["next_cursor"].is_null());
  auto id = mine.json()["id"].get<std::string>();
  auto foreign = node.ask("GET", "/v1/sandboxes/" + id, other),
       nobody = node.ask("GET", "/v1/sandboxes/" + absent, other);
  CHECK(foreign.status == nobody.status);
  CHECK(foreign.json()["title"] == nobody.json()["title"]);
  for (const auto& each : node.ask("GET", "/v1/events", other).json()["items"])
    CHECK(each["tenant"] == "other");
  CHECK(node.ask("GET", "/v1/providers", other).body.find("local") != std::string::npos);
  CHECK(node.ask("GET", "/v1/tokens", other).status == 403);
}

namespace {

class request_maker {
public:
  explicit request_maker(std::uint32_t seed) : chance_(seed) {}

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(chance_); }
  bool now_and_then() { return below(4) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }
  std::string odd_text() {
    return one_of<std::string>({"",
                                "x",
                                "0",
                                "-1",
                                "null",
                                "%00",
                                "%ff",
                                "..",
                                "%2e%2e%2f",
                                "a=b",
                                "\"1\"",
                                "*",
                                std::string(300, 'z'),
                                "18446744073709551616",
                                "true",
                                "Ready",
                                absent,
                                "tok-0",
                                "process",
                                "%F0%9F%98%80"});
  }
  json odd_json(int depth = 0) {
    switch (below(depth > 3 ? 6 : 8)) {
      case 0: return nullptr;
      case 1: return true;
      case 2: return -1;
      case 3: return 1e300;
      case 4: return odd_text();
      case 5: return "120s";
      case 6: return json::array({odd_json(depth + 1), odd_json(depth + 1)});
      default:
        return {{one_of<std::string>({"$literal", "$env", "$keep", "name", "value", "token"}), odd_json(depth + 1)}};
    }
  }
  /// Something of that schema, or nearly.
  json from(const json& schema, const json& document, int depth = 0) {
    if (now_and_then() && depth > 0)
      return odd_json();
    if (schema.contains("$ref"))
      return from(document[json::json_pointer(schema["$ref"].get<std::string>().substr(1))], document, depth);
    if (schema.contains("enum"))
      return schema["enum"][below(schema["enum"].size())];
    auto properties = schema.value("properties", json::object());
    if (properties.empty())
      return odd_json(2);
    json made = json::object();
    for (const auto& [name, inner] : properties.items())
      if (below(3) == 0)
        made[name] = from(inner, document, depth + 1);
    return made;
  }

private:
  std::mt19937 chance_;
};

/// Nothing is answered that the document does not promise, and nothing fails.
void ask_at_random(int times, std::uint32_t seed) {
  scratch_folder scratch;
  serving_node node{scratch, "limits: {per_tenant: 20}\n"};
  REQUIRE(node.port() != 0);
  auto document = node.ask("GET", "/openapi.json", "").json();
  auto all = operations_of(document);
  std::erase_if(all, [](const operation& op) { return op.path == "/v1/node/drain"; });
  const std::vector<std::string> tokens{
    node.token(), node.token(), node.token_for("acme", "write"), node.token_for("acme", "read"), "", "nsk-none"};
  auto made = node.ask("POST", "/v1/sandboxes", node.token(), spec_of("one"));
  REQUIRE(made.status == 202);
  auto id = made.json()["id"].get<std::string>();
  request_maker maker{seed};
  std::map<int, int> statuses;
  for (int i = 0; i < times; ++i) {
    const auto& op = maker.one_of(all);
    auto path = filled(op.path, maker.below(2) == 0 ? id : maker.odd_text());
    auto lines = maker.now_and_then() ? std::string{} : headers_for(op);
    std::string query;
    for (const auto& p : op.described["parameters"])
      if (p["in"] == "query" && maker.now_and_then() && p["name"] != "wait")
        query += (query.empty() ? "?" : "&") + p["name"].get<std::string>() + "=" + maker.odd_text();
    std::string body;
    if (!op.media.empty() && maker.below(8) != 0) {
      auto schema = op.described["requestBody"]["content"][op.media]["schema"];
      body = maker.from(schema, document).dump(-1, ' ', false, json::error_handler_t::replace);
      if (maker.now_and_then())
        body.resize(maker.below(body.size() + 1));
    }
    auto seen = node.ask(op.method, path + query, maker.one_of(tokens), body, lines);
    INFO(i << ": " << op.method << " " << path << query << "\n"
           << lines << body << "\n-> " << seen.status << " " << seen.body);
    ++statuses[seen.status];
    REQUIRE(objection(op, seen, document) == "");
    REQUIRE(seen.status < 500);
  }
  std::string found;
  for (auto [status, count] : statuses)
    found += std::to_string(status) + ": " + std::to_string(count) + "\n";
  INFO(found);
  for (int expected : {200, 202, 400, 401, 403, 404})
    CHECK(statuses[expected] > 0);
}

} // namespace

TEST_CASE("thousands of requests made from the document find no undocumented status, no 5xx and no misfit") {
  ask_at_random(3'000, 20'261'127);
}

TEST_CASE("tens of thousands do not, either", "[.long]") {
  ask_at_random(20'000, 1);
}
