// Who is let in: every route for every role, and heads that no honest client sends.
#include <nestor/api/gate.hpp>
#include <nestor/api/openapi.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <set>

using namespace nestor;
using api::role;

namespace {

struct door {
  api::gate_rules rules{{"nestor.internal"}, false};
  api::token_book tokens;
  std::array<std::string, 4> texts; ///< by role; none for `anyone`

  door() {
    for (auto may : {role::read, role::write, role::admin}) {
      std::array<std::uint8_t, api::token_entropy_bytes> entropy{};
      entropy.fill(static_cast<std::uint8_t>(may));
      auto made = api::mint(entropy, "acme", may, "", {});
      made.text.expose([&](std::string_view text) { texts.at(static_cast<std::size_t>(may)) = text; });
      tokens.add(std::move(made.entry));
    }
  }

  /// A request as an honest client of that role sends it.
  http::request ask(http::method verb, std::string target, role as) const {
    http::request head{verb, std::move(target), {{"Host", "127.0.0.1:7077"}}, {}};
    if (as != role::anyone)
      head.headers.push_back({"Authorization", wiped_string{"Bearer " + texts.at(static_cast<std::size_t>(as))}});
    return head;
  }
  std::string verdict(const http::request& head) const {
    auto in = api::admit(head, rules, tokens);
    return in ? std::string{in->what.where->name} : std::string{name_of(in.error().code)};
  }
};

/// The row's path with its parameter filled in.
std::string path_of(const api::route& r) {
  std::string path{r.path};
  if (auto open = path.find('{'); open != path.npos)
    path.replace(open, path.find('}') - open + 1, "nst-aaaaaaaaaaaaaaaaaaaaaaaaaa");
  return path;
}

http::request honest(const door& d, const api::route& r, role as) {
  auto head = d.ask(r.verb, path_of(r), as);
  if (auto takes = api::words(r.takes); !takes.empty()) {
    head.headers.push_back({"Content-Type", wiped_string{takes.front()}});
    head.headers.push_back({"Content-Length", "2"});
  }
  return head;
}

} // namespace

TEST_CASE("every route lets in the roles that its row says, and no other") {
  door d;
  for (const auto& r : api::routes())
    for (auto as : {role::anyone, role::read, role::write, role::admin}) {
      INFO(r.name << " as " << api::name_of(as));
      auto expected_verdict = as >= r.needs        ? std::string{r.name}
                              : as == role::anyone ? std::string{"token_missing"}
                                                   : std::string{"forbidden"};
      CHECK(d.verdict(honest(d, r, as)) == expected_verdict);
    }
}

TEST_CASE("a token that is none opens nothing that needs one, and is not told apart from another one") {
  door d;
  for (const auto& r : api::routes())
    for (std::string text : {"Bearer nsk-0000", "Bearer ", "Basic YTpi", "bearer", ""}) {
      INFO(r.name << " with `" << text << "`");
      auto head = honest(d, r, role::anyone);
      head.headers.push_back({"Authorization", wiped_string{text}});
      CHECK(d.verdict(head) == (r.needs == role::anyone ? std::string{r.name} : "token_refused"));
    }
}

TEST_CASE("a revoked token is worth nothing at once") {
  door d;
  auto head = d.ask(http::method::get, "/v1/sandboxes", role::read);
  REQUIRE(d.verdict(head) == "list_sandboxes");
  std::string id{d.tokens.entries().front().id};
  CHECK(d.tokens.revoke(id));
  CHECK(d.verdict(head) == "token_refused");
  CHECK_FALSE(d.tokens.revoke(id));
}

TEST_CASE("hosts and origins that are not the node's are refused, whatever token comes with them") {
  struct row {
    std::string host, origin, site, verdict;
  };
  const std::vector<row> rows{
    {"127.0.0.1:7077", "", "", "list_sandboxes"},
    {"localhost", "", "", "list_sandboxes"},
    {"LOCALHOST:7077", "", "", "list_sandboxes"},
    {"[::1]:7077", "", "", "list_sandboxes"},
    {"nestor.internal:7077", "", "", "list_sandboxes"},
    {"evil.example", "", "", "host_refused"},
    {"127.0.0.1.evil.example", "", "", "host_refused"},
    {"127.0.0.1:70777777", "", "", "host_refused"},
    {"127.0.0.1:80@evil.example", "", "", "host_refused"},
    {"evil.example:127.0.0.1", "", "", "host_refused"},
    {"", "", "", "host_refused"},
    {"[::1", "", "", "host_refused"},
    {"127.0.0.1:7077", "http://127.0.0.1:7077", "same-origin", "list_sandboxes"},
    {"127.0.0.1:7077", "http://evil.example", "", "origin_refused"},
    {"127.0.0.1:7077", "https://127.0.0.1:7077", "", "origin_refused"},
    {"127.0.0.1:7077", "http://127.0.0.1:7078", "", "origin_refused"},
    {"127.0.0.1:7077", "null", "", "origin_refused"},
    {"127.0.0.1:7077", "", "cross-site", "origin_refused"},
    {"127.0.0.1:7077", "", "same-site", "origin_refused"},
    {"127.0.0.1:7077", "", "none", "list_sandboxes"},
  };
  door d;
  for (const auto& r : rows) {
    INFO(r.host << " | " << r.origin << " | " << r.site);
    auto head = d.ask(http::method::get, "/v1/sandboxes", role::admin);
    head.headers.front().value = wiped_string{r.host};
    if (!r.origin.empty())
      head.headers.push_back({"Origin", wiped_string{r.origin}});
    if (!r.site.empty())
      head.headers.push_back({"Sec-Fetch-Site", wiped_string{r.site}});
    CHECK(d.verdict(head) == r.verdict);
  }
}

TEST_CASE("a head that two readers could understand in two ways is refused") {
  door d;
  for (const std::string twice : {"Host", "Authorization", "Content-Length", "Transfer-Encoding", "Content-Type"}) {
    INFO(twice);
    auto head = d.ask(http::method::post, "/v1/sandboxes", role::admin);
    if (twice != "Host" && twice != "Authorization")
      head.headers.push_back({twice, "2"});
    head.headers.push_back({twice, "2"});
    CHECK(d.verdict(head) == "request_invalid");
  }
  auto both = d.ask(http::method::post, "/v1/sandboxes", role::admin);
  both.headers.push_back({"Content-Length", "2"});
  both.headers.push_back({"Transfer-Encoding", "chunked"});
  CHECK(d.verdict(both) == "request_invalid");
  auto odd = d.ask(http::method::post, "/v1/sandboxes", role::admin);
  odd.headers.push_back({"Transfer-Encoding", "gzip, chunked"});
  CHECK(d.verdict(odd) == "request_invalid");
  http::request hostless{http::method::get, "/livez", {}, {}};
  CHECK(d.verdict(hostless) == "request_invalid");
}

TEST_CASE("targets are paths of routes, or refused") {
  const std::vector<std::pair<std::string, std::string>> rows{
    {"/livez", "livez"},
    {"/livez?", "livez"},
    {"/livez/", "route_unknown"},
    {"//livez", "route_unknown"},
    {"/./livez", "route_unknown"},
    {"/v1/../livez", "route_unknown"},
    {"/%2e%2e/livez", "route_unknown"},
    {"/v1%2Fsandboxes", "route_unknown"},
    {"/v1/sandboxes/a%2Fb", "get_sandbox"}, // one segment; no sandbox has such an id
    {"/LIVEZ", "route_unknown"},
    {"http://127.0.0.1/livez", "request_invalid"},
    {"*", "request_invalid"},
    {"", "request_invalid"},
    {"/livez#x", "request_invalid"},
    {"/livez%", "request_invalid"},
    {"/livez%0", "request_invalid"},
    {"/livez%zz", "request_invalid"},
    {"/livez%00", "request_invalid"},
    {"/%ff%fe", "request_invalid"},
    {"/%c0%ae", "request_invalid"},
    {"/livez?limit=1", "request_invalid"},
    {"/v1/sandboxes?limit=1&limit=2", "request_invalid"},
    {"/v1/sandboxes?label=a%3Db&label=c%3Dd", "list_sandboxes"},
    {"/v1/sandboxes?nope=1", "request_invalid"},
    {"/v1/sandboxes?limit=%ff", "request_invalid"},
  };
  door d;
  for (const auto& [target, verdict] : rows) {
    INFO(target);
    CHECK(d.verdict(d.ask(http::method::get, target, role::admin)) == verdict);
  }
}

TEST_CASE("methods that a path does not know are refused, and those that it knows are said") {
  door d;
  CHECK(d.verdict(d.ask(http::method::put, "/v1/sandboxes", role::admin)) == "method_refused");
  CHECK(d.verdict(d.ask(http::method::head, "/livez", role::anyone)) == "livez");
  auto target = api::parse_target("/v1/sandboxes");
  REQUIRE(target);
  CHECK(api::methods_of(*target) == "POST, GET, HEAD");
}

TEST_CASE("bodies are of the type that the route takes, and there is none where it takes none") {
  door d;
  auto create = d.ask(http::method::post, "/v1/sandboxes", role::write);
  create.headers.push_back({"Content-Length", "2"});
  CHECK(d.verdict(create) == "media_type_refused");
  for (auto [type, verdict] :
       {std::pair{"application/json", "create_sandbox"}, std::pair{"Application/JSON; charset=utf-8", "create_sandbox"},
        std::pair{"text/plain", "media_type_refused"},
        std::pair{"application/x-www-form-urlencoded", "media_type_refused"},
        std::pair{"application/jsonp", "media_type_refused"}}) {
    auto typed = create;
    typed.headers.push_back({"Content-Type", type});
    INFO(type);
    CHECK(d.verdict(typed) == verdict);
  }
  auto drain = d.ask(http::method::post, "/v1/node/drain", role::admin);
  CHECK(d.verdict(drain) == "drain_node");
  drain.headers.push_back({"Content-Length", "2"});
  CHECK(d.verdict(drain) == "request_invalid");
}

TEST_CASE("every refusal that the gate can speak is documented for every route") {
  for (const auto& r : api::routes()) {
    auto documented = api::statuses_of(r);
    std::vector<errc> refusals{errc::request_invalid, errc::host_refused, errc::origin_refused, errc::request_timeout,
                               errc::head_too_large,  errc::overloaded,   errc::node_stopping};
    if (r.needs != role::anyone)
      refusals.insert(refusals.end(), {errc::token_missing, errc::token_refused, errc::forbidden});
    if (!r.takes.empty())
      refusals.insert(refusals.end(), {errc::media_type_refused, errc::request_too_large});
    for (auto code : refusals) {
      INFO(r.name << " " << name_of(code));
      CHECK(std::ranges::find(documented, row_of(code).http_status) != documented.end());
    }
  }
}

TEST_CASE("a book of tokens survives being written, and a bad one is refused with its reason") {
  door d;
  auto back = api::read_token_book(api::to_json(d.tokens));
  REQUIRE(back);
  REQUIRE(back->entries().size() == 3);
  CHECK(back->find(d.texts[3]) != nullptr);
  CHECK(back->find(d.texts[3])->may == role::admin);
  CHECK(back->find(d.texts[3] + "0") == nullptr);
  for (std::string bad : {"", "[]", "{}", R"({"tokens":[1]})", R"({"tokens":[{"id":"x","tenant":"a","role":"king"}]})"})
    CHECK_FALSE(api::read_token_book(bad));
  auto text = api::to_json(d.tokens);
  for (const auto& secret_text : d.texts)
    CHECK((secret_text.empty() || text.find(secret_text) == text.npos));
}
