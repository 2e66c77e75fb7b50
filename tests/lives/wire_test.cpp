// What a life puts on the wire: which key goes where, and that it is what the provider's own SDK sends. The recordings
// in tests/sdk are what the official SDKs asked of the emulator.
#include "acting.hpp"

#include <nestor/providers/key_rule.hpp>

#include <catch2/catch.hpp>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <set>

using namespace nestor;
using namespace nestor::tests;
using nlohmann::json;

namespace {

constexpr std::string_view runtime_header = "X-Session-API-Key";

const wiped_string* header_of(const http::request& request, std::string_view name) {
  for (const auto& each : request.headers)
    if (http::same_header_name(each.name, name))
      return &each.value;
  return nullptr;
}

bool holds(std::string_view text, std::string_view key) {
  return text.find(key) != std::string_view::npos;
}

bool head_holds(const http::request& request, std::string_view key) {
  return holds(request.target, key) ||
         std::ranges::any_of(request.headers, [&](const auto& each) { return holds(each.value, key); });
}

std::string key_of_cloud(const std::string& kind) {
  return keys_of_clouds()(reference_kind::env, kind)->expose([](std::string_view key) { return std::string{key}; });
}

/// A life whose first answers are lost, so that it is also looked for, and in which something is run; `session_key`
/// gets its nested server's.
std::vector<exchange> exchanges_of_life(const std::string& kind, std::string& session_key) {
  renting_node here;
  here.clouds->keeps_exchanges = true;
  here.clouds->plan(kind, {"answer-lost@POST /", "duplicate@POST / #2x2"});
  bool acts = providers::of_kind(kind)->exec != nullptr;
  auto id = here.create(kind, acts ? acts_through_provider : std::function<void(sandbox_spec&)>{});
  REQUIRE(here.to_rest(id) == status::ready);
  if (acts) {
    auto came = act(here, id, "echo done");
    REQUIRE(came);
    CHECK(came->seen.output == "done\n");
  }
  for (const auto& each : here.clouds->rented(kind, id))
    if (auto* server = here.clouds->inside().server(each.id))
      session_key = server->model().options().session_key.expose([](std::string_view key) { return std::string{key}; });
  here.destroy(id);
  REQUIRE(here.to_end(id));
  REQUIRE(here.clouds->rented(kind).empty());
  return here.clouds->exchanges;
}

/// A segment that names one thing among many: an id, a name that somebody chose.
bool names_one(std::string_view segment, std::string_view before) {
  constexpr std::size_t id_length_min = 16;
  if (!segment.empty() && std::isupper(static_cast<unsigned char>(segment.front())) != 0)
    return false; // a method of gRPC
  bool digits = segment.find_first_of("0123456789") != std::string_view::npos;
  return before == "session" || (segment.size() >= id_length_min && digits);
}

std::string route_of(std::string_view method, std::string_view target) {
  auto path = target.substr(0, target.find('?'));
  std::string route{method};
  std::string before;
  route += ' ';
  while (!path.empty()) {
    path.remove_prefix(1);
    auto segment = std::string{path.substr(0, path.find('/'))};
    path.remove_prefix(segment.size());
    route += names_one(segment, before) ? "/*" : "/" + segment;
    before = segment;
  }
  return route;
}

struct recorded_route {
  std::set<std::string> auth;              ///< headers that say who asks, as the SDK sends them
  std::map<std::string, std::string> body; ///< top members of JSON bodies, with their types
  std::map<int, int> fields;               ///< of protobuf messages: number and wire type
};

const std::set<std::string>& auth_headers() {
  static const std::set<std::string> names{
    "authorization",        "x-api-key",          "x-access-token",      "connect-protocol-version", "x-modal-token-id",
    "x-modal-token-secret", "x-modal-auth-token", "x-modal-client-type", "x-modal-client-version"};
  return names;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Number and wire type of each field at a message's top.
std::map<int, int> fields_of(std::string_view bytes) {
  using google::protobuf::internal::WireFormatLite;
  std::map<int, int> fields;
  google::protobuf::io::CodedInputStream in{reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size())};
  while (auto tag = in.ReadTag()) {
    fields[WireFormatLite::GetTagFieldNumber(tag)] = WireFormatLite::GetTagWireType(tag);
    if (!WireFormatLite::SkipField(&in, tag))
      break;
  }
  return fields;
}

std::string bytes_of_hex(const std::string& text) {
  constexpr int sixteen = 16;
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, sixteen));
  return bytes;
}

std::map<std::string, recorded_route> recording_of(const std::string& kind) {
  std::map<std::string, recorded_route> routes;
  std::ifstream file{std::string{NESTOR_SOURCE_DIR} + "/tests/sdk/recordings/" + kind + ".json"};
  if (!file)
    return routes;
  for (const auto& each : json::parse(file)) {
    auto& route = routes[route_of(each["method"].get<std::string>(), each["target"].get<std::string>())];
    for (const auto& [name, value] : each["headers"].items())
      if (auth_headers().contains(lower(name)))
        route.auth.insert(lower(name));
    if (each.contains("json") && each["json"].is_object())
      for (const auto& [name, value] : each["json"].items())
        route.body[name] = value.type_name();
    if (each.contains("message"))
      route.fields.merge(fields_of(bytes_of_hex(each["message"].get<std::string>())));
  }
  return routes;
}

/// What no SDK asks, and why we do.
const std::set<std::string>& of_our_own() {
  static const std::set<std::string> routes{
    "GET /api/api-keys/current", // the cheapest proof of a key, and what it may do: the SDK proves none
    "GET /api/sandbox/*/toolbox-proxy-url",
    "GET /toolbox/*/process/session/*", // was the server started, when the answer to its start was lost?
  };
  return routes;
}

} // namespace

TEST_CASE("the account's key and the session's key go their own ways, at every provider", "[lives]") {
  for (const auto& kind : rented_kinds()) {
    INFO(kind);
    std::string session_key;
    auto all = exchanges_of_life(kind, session_key);
    auto account_key = key_of_cloud(kind);
    REQUIRE(session_key.size() >= 16);
    std::size_t of_control = 0, of_runtime = 0;
    for (const auto& each : all) {
      INFO(http::name_of(each.request.verb) << " https://" << each.host << each.request.target);
      bool with_account_key = head_holds(each.request, account_key);
      bool to_runtime = header_of(each.request, runtime_header) != nullptr;
      of_control += with_account_key ? 1 : 0;
      of_runtime += to_runtime ? 1 : 0;
      CHECK_FALSE(holds(each.request.body, account_key));
      if (to_runtime) {
        CHECK_FALSE(with_account_key);
        CHECK(each.from == address_source::spec);
      }
      if (with_account_key) {
        CHECK_FALSE(head_holds(each.request, session_key));
        // Only in what becomes the runtime's own environment.
        CHECK((!holds(each.request.body, session_key) || holds(each.request.body, "SESSION_API_KEY")));
      }
    }
    CHECK(of_control > 2);
    CHECK(of_runtime > 4);
  }
}

TEST_CASE("a redirect is no answer, and nobody follows it", "[lives]") {
  for (const auto& kind : rented_kinds()) {
    INFO(kind);
    renting_node here;
    here.clouds->keeps_exchanges = true;
    here.clouds->plan(kind, {"page:302 x*"});
    auto id = here.create(kind);
    CHECK(ended(here.to_rest(id)));
    CHECK(here.clouds->rented(kind).empty());
    for (const auto& each : here.clouds->exchanges)
      CHECK(each.host == "api." + kind + ".test");
  }
}

TEST_CASE("what we ask of a provider is what its own SDK asks", "[lives]") {
  std::size_t compared = 0;
  for (const auto& kind : rented_kinds()) {
    auto recorded = recording_of(kind);
    if (recorded.empty())
      continue; // it has no SDK
    ++compared;
    std::string session_key;
    for (const auto& each : exchanges_of_life(kind, session_key)) {
      const auto& request = each.request;
      auto route = route_of(http::name_of(request.verb), request.target);
      if (header_of(request, runtime_header) || route.ends_with(" /alive") || of_our_own().contains(route))
        continue;
      INFO(kind << ": " << route);
      auto at = recorded.find(route);
      if (at == recorded.end()) {
        FAIL_CHECK("its SDK never asks that");
        continue;
      }
      std::set<std::string> auth;
      for (const auto& header : request.headers)
        if (auth_headers().contains(lower(header.name)))
          auth.insert(lower(header.name));
      CHECK(auth == at->second.auth);
      for (const auto& [number, type] : at->second.fields.empty() ? std::map<int, int>{} : fields_of(request.body))
        if (at->second.fields.contains(number)) {
          INFO("field " << number);
          CHECK(type == at->second.fields.at(number));
        }
      auto body = json::parse(request.body.begin(), request.body.end(), nullptr, false);
      if (!body.is_object() || at->second.body.empty())
        continue;
      bool common = body.empty();
      for (const auto& [name, type] : at->second.body)
        if (body.contains(name)) {
          common = true;
          INFO(name);
          CHECK(body[name].type_name() == type);
        }
      CHECK(common);
    }
  }
  CHECK(compared >= 4);
}
