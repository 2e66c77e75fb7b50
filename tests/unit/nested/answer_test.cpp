#include "support/canary.hpp"
#include "support/nested_transcript.hpp"

#include <nestor/nested/answer.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;

namespace {

using kind = outcome::kind;

struct row {
  std::string_view what;
  topic about;
  http::response said;
  kind is;
  errc code; // when not good
  bool ambiguous;
};

question about(topic t) {
  question q;
  q.about = t;
  q.subject = "NAME";
  q.mutates = t >= topic::write_settings;
  q.success = t == topic::write_secret ? 201 : 200;
  return q;
}

std::vector<row> rows() {
  constexpr auto none = errc::internal;
  constexpr std::string_view invalid_token =
    R"({"error":"Invalid token. Please make sure it is a valid github token."})";
  return {
    {"settings stored", topic::write_settings, answer(200, stored), kind::good, none, false},
    {"git providers stored", topic::write_git_provider, answer(200, git_stored), kind::good, none, false},
    {"secret created", topic::write_secret, answer(201, created), kind::good, none, false},
    {"secret 200 is not 201", topic::write_secret, answer(200, created), kind::again, errc::nested_protocol, true},
    {"duplicate in message", topic::write_secret, answer(400, R"({"message":"Secret N already exists"})"), kind::exists,
     errc::not_confirmed, false},
    {"duplicate in error", topic::write_secret, answer(400, R"({"error":"Secret N already exists"})"), kind::exists,
     errc::not_confirmed, false},
    {"another 400", topic::write_secret, answer(400, R"({"message":"bad"})"), kind::refused,
     errc::configuration_refused, false},
    {"wrong session key", topic::write_settings, answer(401, R"({"detail":"Unauthorized"})"), kind::refused,
     errc::session_key_refused, false},
    {"wrong session key at git", topic::write_git_provider, answer(401, R"({"detail":"Unauthorized"})"), kind::refused,
     errc::session_key_refused, false},
    {"action server's refusal", topic::read_settings, answer(403, R"({"detail":"Invalid API Key"})"), kind::refused,
     errc::session_key_refused, false},
    {"git token refused", topic::write_git_provider, answer(401, invalid_token), kind::again, errc::git_token_refused,
     false},
    {"settings broke inside", topic::read_settings, answer(401, R"({"error":"Invalid token"})"), kind::again,
     errc::nested_error, false},
    {"conflict", topic::write_settings, answer(409, R"({"detail":"x"})"), kind::again, errc::nested_error, false},
    {"too large", topic::write_settings, answer(413, "{}"), kind::refused, errc::configuration_refused, false},
    {"not valid", topic::write_secret, answer(422, R"({"detail":[{"input":"CANARY"}]})"), kind::refused,
     errc::configuration_refused, false},
    {"too fast", topic::write_settings, answer(429, R"({"message":"Too many requests"})", {{"retry-after", "1"}}),
     kind::again, errc::nested_busy, false},
    {"500 text", topic::write_settings, answer(500, "Internal Server Error"), kind::again, errc::nested_error, true},
    {"500 json", topic::write_secret, answer(500, R"({"error":"Something went wrong creating secret"})"), kind::again,
     errc::nested_error, true},
    {"502", topic::write_git_provider, answer(502, "<html>"), kind::again, errc::nested_error, true},
    {"503", topic::read_secrets, answer(503, ""), kind::again, errc::nested_error, true},
    {"504", topic::write_git_provider, answer(504, ""), kind::again, errc::nested_error, true},
    {"truncated", topic::write_settings, answer(200, R"({"message":"Sett)"), kind::again, errc::nested_protocol, true},
    {"a proxy's page", topic::write_settings, answer(200, "<!doctype html><p>hi"), kind::again, errc::nested_protocol,
     true},
    {"empty", topic::write_settings, answer(200, ""), kind::again, errc::nested_protocol, true},
    {"200 with an error inside", topic::write_settings, answer(200, R"({"error":"no"})"), kind::again,
     errc::nested_error, true},
    {"200 with a null error", topic::write_settings, answer(200, R"({"error":null})"), kind::good, none, false},
    {"a bare string", topic::write_settings, answer(200, R"("ok")"), kind::again, errc::nested_protocol, true},
    {"redirect", topic::read_settings, answer(307, "", {{"Location", "http://elsewhere"}}), kind::again,
     errc::nested_protocol, false},
    {"no such route", topic::write_settings, answer(404, R"({"detail":"Not Found"})"), kind::again,
     errc::nested_protocol, false},
    {"no settings yet", topic::read_settings, answer(404, no_settings), kind::missing, errc::not_confirmed, false},
    {"deleted already", topic::delete_secret, answer(404, R"({"error":"Secret with ID N not found"})"), kind::missing,
     errc::not_confirmed, false},
    {"no route to delete", topic::delete_secret, answer(404, R"({"detail":"Not Found"})"), kind::again,
     errc::nested_protocol, false},
    {"accepted is not done", topic::write_settings, answer(202, "{}"), kind::again, errc::nested_protocol, true},
    {"teapot", topic::write_settings, answer(418, "{}"), kind::again, errc::nested_protocol, false},
  };
}

} // namespace

TEST_CASE("every answer of a nested server is classified as the contract says") {
  for (const auto& r : rows()) {
    auto result = judge(about(r.about), r.said);
    INFO(r.what);
    CHECK(result.is == r.is);
    CHECK(result.ambiguous == r.ambiguous);
    if (r.is != kind::good) {
      CHECK(name_of(result.why.code) == name_of(r.code));
      CHECK(result.why.status == r.said.status);
      CHECK(tests::canary_in(result.why.cause) == "");
    }
  }
}

TEST_CASE("Retry-After is a lower bound of at most a minute") {
  auto wait = [](std::string_view value) {
    return judge(about(topic::write_settings), answer(429, "{}", {{"Retry-After", std::string{value}}}))
      .why.retry_after;
  };
  CHECK(wait("1") == milliseconds{1'000});
  CHECK(wait("0.5") == milliseconds{500});
  CHECK(wait("3600") == milliseconds{60'000});
  CHECK_FALSE(wait("soon"));
  CHECK_FALSE(wait("-1"));
}

TEST_CASE("a refusal names the git provider or secret and nothing that the server sent") {
  auto why = judge(about(topic::write_git_provider), answer(422, R"({"detail":[{"input":"ghp_x"}]})")).why;
  CHECK(why.cause == "the git provider 'NAME': not valid for the nested server (422)");
}

TEST_CASE("no answer is ambiguous exactly when the request may have arrived") {
  for (int i = 0; i < static_cast<int>(http::transport_error::count_); ++i) {
    auto e = static_cast<http::transport_error>(i);
    INFO(http::name_of(e));
    auto result = judge(about(topic::write_secret), e);
    CHECK(result.ambiguous == !http::never_sent(e));
    CHECK(result.is == (e == http::transport_error::address_refused ? kind::refused : kind::again));
  }
}
