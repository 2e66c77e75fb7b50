// The provider contract's rules against every provider of the table. Nobody is special-cased: what a test needs to know
// of a provider, the table says. An answer that must be understood is each provider's own test's business.
#include "conversation.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

constexpr std::array bad_statuses{302, 400, 401, 402, 403, 404, 408, 409, 418, 422, 429, 500, 502, 503, 504};

/// What an exchange may bring that is no success of any API.
std::vector<std::pair<std::string, io_reply>> bad_weather() {
  std::vector<std::pair<std::string, io_reply>> all;
  for (auto status : bad_statuses)
    for (std::string_view body : {"", "<html>bad gateway</html>", R"({"message":"no"})"})
      all.emplace_back(std::to_string(status) + " " + std::string{body},
                       replied(static_cast<std::uint16_t>(status), body));
  for (std::size_t i = 0; i < static_cast<std::size_t>(http::transport_error::count_); ++i) {
    auto why = static_cast<http::transport_error>(i);
    all.emplace_back(std::string{http::name_of(why)}, broke(why));
  }
  all.emplace_back("200 nothing", replied(200));
  all.emplace_back("200 an empty object", replied(200, "{}"));
  all.emplace_back("200 an empty list", replied(200, "[]"));
  all.emplace_back("200 a page", replied(200, "<html>welcome</html>"));
  all.emplace_back("no process", process_refused{"no such thing"});
  return all;
}

bool speaks_http(const ask& question) {
  return std::holds_alternative<http_call>(question.request);
}

/// Did the request leave us, with an answer that does not say whether it was obeyed?
bool leaves_open(const io_reply& reply) {
  const auto* exchange = std::get_if<http_reply>(&reply);
  if (!exchange)
    return true; // an answer of another kind says nothing
  if (const auto* broken = std::get_if<http::transport_error>(exchange))
    return !http::never_sent(*broken);
  auto status = std::get<http::response>(*exchange).status;
  return status >= 500 || status == 408 || status < 300;
}

/// Every question of every operation under every weather.
template <class Use>
void every_question(const provider& kind, Use&& use) {
  auto who = account_of(kind);
  runtime rented;
  rented.ref = "some-ref";
  rented.process.emplace();
  for (const auto& [name, reply] : bad_weather()) {
    auto answer = [&reply = reply](const ask&, std::size_t) { return reply; };
    auto each = [&](const auto& conversation) {
      INFO(kind.kind << " under " << name);
      CHECK(conversation.ended);
      for (const auto& question : conversation.asked)
        use(who, question);
    };
    if (kind.authenticate)
      each(converse(kind.authenticate, who, no_order{}, answer));
    each(converse(kind.provision, who, order_for(kind), answer));
    each(converse(kind.observe, who, order_for(kind), answer));
    each(converse(kind.destroy, who, rented, answer));
    if (kind.twin)
      each(converse(kind.twin, who, test_labels(), answer));
    if (kind.list)
      each(converse(kind.list, who, list_order{test_labels().installation, {}}, answer));
  }
}

} // namespace

TEST_CASE("R1 a kind is found by its name, and the table's rows are whole") {
  for (const auto* kind : all()) {
    INFO(kind->kind);
    CHECK(of_kind(kind->kind) == kind);
    CHECK_FALSE(kind->summary.empty());
    CHECK((kind->validate && kind->provision && kind->observe && kind->destroy));
    CHECK(kind->can.enumerates == (kind->list != nullptr));
    CHECK((!kind->can.pauses || (kind->pause && kind->resume)));
    CHECK((!kind->can.leases || kind->renew));
    CHECK(kind->provision_within.count() > 0);
    CHECK(kind->destroy_within.count() > 0);
    for (const auto& field : kind->fields) {
      CHECK_FALSE(field.description.empty());
      CHECK((field.what != field_holds::secret || field.fallback.empty()));
    }
  }
}

TEST_CASE("R2 what a provider cannot honour it refuses by name") {
  for (const auto* kind : all()) {
    INFO(kind->kind);
    CHECK(kind->validate(*spec_for(*kind)));
    auto refuses = [&](auto change, std::string_view field) {
      auto spec = *spec_for(*kind);
      change(spec);
      auto valid = kind->validate(spec);
      INFO(field);
      REQUIRE_FALSE(valid);
      CHECK(valid.error().cause.find(field) != std::string::npos);
    };
    if (!kind->can.image)
      refuses([](auto& s) { s.image = "x"; }, "runtime.image");
    if (!kind->can.command)
      refuses([](auto& s) { s.command = {"x"}; }, "runtime.command");
    if (!kind->can.resources)
      refuses([](auto& s) { s.cpu = 2; }, "runtime.resources");
    if (kind->undo == compensation::destroy)
      refuses([](auto& s) { s.url = "http://a.test"; }, "runtime.url");
    refuses([](auto& s) { s.options = R"({"no_such_option":1})"; }, "runtime.options");
  }
}

TEST_CASE("R3 an account with a secret has its credential proved, and a refusal says what to do") {
  for (const auto* kind : all()) {
    INFO(kind->kind);
    bool has_secret = std::ranges::any_of(kind->fields, [](auto& f) { return f.what == field_holds::secret; });
    CHECK((!has_secret || kind->authenticate));
    if (!kind->authenticate)
      continue;
    auto who = account_of(*kind);
    auto first = kind->authenticate(who, {}, {});
    if (!speaks_http(std::get<ask>(first)))
      continue;
    auto code_at = [&](std::uint16_t status) {
      auto held = converse(kind->authenticate, who, no_order{}, [&](auto&, auto) {
        return replied(status,
                       R"({"code":1,"message":"the provider's reason )" + std::string{test_key} + "-api_key\"}");
      });
      REQUIRE(held.why());
      if (has_secret) // else what was said is no key of ours
        CHECK(held.why()->cause.find("CANARY") == std::string::npos);
      CHECK(held.why()->cause.find("the provider's reason") != std::string::npos);
      CHECK(held.asked.size() == 1);
      return held.why()->code;
    };
    CHECK(code_at(401) == errc::auth_refused);
    CHECK(code_at(403) == errc::permission_missing);
    CHECK(code_at(429) == errc::rate_limited);
    CHECK(code_at(500) == errc::provider_unavailable);
    CHECK(code_at(503) == errc::provider_unavailable);
  }
}

TEST_CASE("R5 a create whose answer is open is unknown, one that never left is not") {
  for (const auto* kind : all())
    for (const auto& [name, reply] : bad_weather()) {
      INFO(kind->kind << " under " << name);
      auto held = converse(kind->provision, account_of(*kind), order_for(*kind),
                           [&reply = reply](const ask&, std::size_t) { return reply; });
      if (held.asked.empty() || !speaks_http(held.asked.front()))
        continue;
      REQUIRE(held.why());
      if (held.asked.size() == 1)
        CHECK((held.why()->code == errc::create_unknown) == leaves_open(reply));
      else
        CHECK(held.why()->code == errc::create_unknown);
    }
}

TEST_CASE("R5 the time of a refusal is passed on, however it is spelled") {
  for (const auto* kind : all())
    for (auto header : {"Retry-After", "retry-after", "Retry-After-sandbox-create"}) {
      auto held = converse(kind->provision, account_of(*kind), order_for(*kind), [&](const ask&, std::size_t) {
        return replied(429, "{}", {{header, "7"}});
      });
      if (held.asked.empty() || !speaks_http(held.asked.front()))
        continue;
      INFO(kind->kind << " " << header);
      REQUIRE(held.why());
      CHECK(held.why()->code == errc::rate_limited);
      CHECK(held.why()->retry_after == milliseconds{7'000});
    }
}

TEST_CASE("R6 absence is never concluded from an answer that shows nothing") {
  for (const auto* kind : all())
    for (const auto& [name, reply] : bad_weather()) {
      const auto* exchange = std::get_if<http_reply>(&reply);
      const auto* response = exchange ? std::get_if<http::response>(exchange) : nullptr;
      if (response && (response->status == 404 || response->status < 300))
        continue; // what those mean is the provider's own
      INFO(kind->kind << " under " << name);
      auto answer = [&reply = reply](const ask&, std::size_t) { return reply; };
      auto seen = converse(kind->observe, account_of(*kind), order_for(*kind), answer);
      runtime rented;
      rented.ref = "some-ref";
      rented.process.emplace();
      auto gone = converse(kind->destroy, account_of(*kind), rented, answer);
      if (!seen.asked.empty())
        CHECK(seen.why());
      if (!gone.asked.empty()) // R7
        CHECK(gone.why());
      if (kind->twin)
        CHECK(converse(kind->twin, account_of(*kind), test_labels(), answer).why());
    }
}

TEST_CASE("R9 keys go to the account's own hosts, and a session key to no control plane") {
  for (const auto* kind : all())
    every_question(*kind, [](const account& who, const ask& question) {
      CHECK_FALSE(carries_key_astray(who, question.request));
      const auto* call = std::get_if<http_call>(&question.request);
      if (call && text_of(question.request).find(test_key) != std::string::npos) {
        CHECK(key_may_go_to(who, call->to.host));
        CHECK(call->request.target.find(test_key) == std::string::npos);
      }
    });
}

TEST_CASE("R10 every conversation ends, in the time that the table says") {
  for (const auto* kind : all()) {
    every_question(*kind, [](const account&, const ask&) {}); // checks that each one ends
    for (const auto& [name, reply] : bad_weather()) {
      INFO(kind->kind << " under " << name);
      auto answer = [&reply = reply](const ask&, std::size_t) { return reply; };
      CHECK(converse(kind->provision, account_of(*kind), order_for(*kind), answer).took <= kind->provision_within);
      runtime rented;
      rented.ref = "some-ref";
      rented.process.emplace();
      CHECK(converse(kind->destroy, account_of(*kind), rented, answer).took <= kind->destroy_within);
    }
  }
}
