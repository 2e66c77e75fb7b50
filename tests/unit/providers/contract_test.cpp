// The provider contract's rules against every provider of the table. Nobody is special-cased: what a test needs to know
// of a provider, the table says. An answer that must be understood is each provider's own test's business.
#include "conversation.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

/// The same refusal in both tongues: as HTTP, and as gRPC's servers say it. 1, 2, 4, 13 and 14 leave it open what was
/// done.
struct refusal {
  std::uint16_t http;
  int rpc;
};
constexpr std::array<refusal, 15> refusals{{{302, 12},
                                            {400, 3},
                                            {401, 16},
                                            {402, 9},
                                            {403, 7},
                                            {404, 5},
                                            {408, 4},
                                            {409, 6},
                                            {418, 11},
                                            {422, 3},
                                            {429, 8},
                                            {500, 2},
                                            {502, 1},
                                            {503, 14},
                                            {504, 13}}};

/// What an exchange may bring, in the tongue of who asked.
struct weather {
  std::string name;
  io_reply by_http;
  io_reply by_rpc;
  std::uint16_t status = 0; ///< in HTTP's terms; 0: there was none

  [[nodiscard]] const io_reply& for_question(const ask& question) const {
    return std::holds_alternative<grpc_call>(question.request) ? by_rpc : by_http;
  }
};

/// What is no success of any API.
std::vector<weather> bad_weather() {
  std::vector<weather> all;
  for (auto [status, code] : refusals)
    for (std::string_view body : {"", "<html>bad gateway</html>", R"({"message":"no"})"})
      all.push_back({std::to_string(status) + " " + std::string{body}, replied(status, body),
                     said(code, {}, std::string{body}), status});
  for (std::size_t i = 0; i < static_cast<std::size_t>(http::transport_error::count_); ++i) {
    auto why = static_cast<http::transport_error>(i);
    all.push_back({std::string{http::name_of(why)}, broke(why), grpc_reply{why}});
  }
  for (std::string_view body : {"", "{}", "[]", "<html>welcome</html>"})
    all.push_back({"200 " + std::string{body}, replied(200, body), said(0, body), 200});
  all.push_back({"no process", process_refused{"no such thing"}, process_refused{"no such thing"}});
  return all;
}

bool goes_out(const ask& question) {
  return std::holds_alternative<http_call>(question.request) || std::holds_alternative<grpc_call>(question.request);
}

/// The create is what carries the labels (R4).
bool creates(const ask& question) {
  return text_of(question.request).find(test_labels().sandbox.text) != std::string::npos;
}

/// Did the request leave us, with an answer that does not say whether it was obeyed?
bool leaves_open(const weather& w) {
  if (const auto* exchange = std::get_if<http_reply>(&w.by_http); exchange && w.status == 0)
    return !http::never_sent(std::get<http::transport_error>(*exchange));
  return w.status >= 500 || w.status == 408 || w.status < 300; // an answer of another kind says nothing either
}

/// Every question of every operation under every weather.
template <class Use>
void every_question(const provider& kind, Use&& use) {
  auto who = account_of(kind);
  runtime rented;
  rented.ref = "some-ref";
  rented.process.emplace();
  for (const auto& w : bad_weather()) {
    auto answer = [&w](const ask& question, std::size_t) { return w.for_question(question); };
    auto each = [&](const auto& conversation) {
      INFO(kind.kind << " under " << w.name);
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

TEST_CASE("R2 a provider that cannot carry actions as they are wanted says who can") {
  for (const auto* kind : all()) {
    INFO(kind->kind);
    auto verdict = [&](actions_via via, std::uint16_t port) {
      auto spec = *spec_for(*kind);
      spec.actions = via;
      spec.actions_port = port;
      return accepts(*kind, spec);
    };
    CHECK(verdict(actions_via::none, 0));
    CHECK_FALSE(verdict(actions_via::none, 9)); // it would mean nothing
    CHECK(bool{verdict(actions_via::provider_exec, 0)} == (kind->exec != nullptr));
    CHECK(bool{verdict(actions_via::action_server, 9)} == kind->action_server);
    if (kind->exec)
      CHECK(carriers_of(actions_via::provider_exec).find(kind->kind) != std::string::npos);
    for (auto refused : {verdict(actions_via::provider_exec, 9), verdict(actions_via::action_server, 8000)})
      if (kind->undo == compensation::destroy) { // a static server's port is its URL's
        REQUIRE_FALSE(refused);
        CHECK(refused.error().cause.starts_with("runtime.actions."));
      }
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
    if (!goes_out(std::get<ask>(first)))
      continue;
    auto code_at = [&](std::uint16_t status) {
      auto words =
        "the provider's reason " +
        (who.secrets.empty() ? "" : who.secrets.front().second.expose([](auto key) { return std::string{key}; }));
      auto code = std::ranges::find(refusals, status, &refusal::http)->rpc;
      weather refused{{}, replied(status, R"({"code":1,"message":")" + words + "\"}"), said(code, {}, words)};
      auto held = converse(kind->authenticate, who, no_order{},
                           [&](const ask& question, auto) { return refused.for_question(question); });
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
    for (const auto& w : bad_weather()) {
      INFO(kind->kind << " under " << w.name);
      auto held = converse(kind->provision, account_of(*kind), order_for(*kind),
                           [&w](const ask& question, std::size_t) { return w.for_question(question); });
      if (held.asked.empty() || !goes_out(held.asked.front()))
        continue;
      REQUIRE(held.why());
      bool unknown = held.why()->code == errc::create_unknown;
      auto create = std::ranges::find_if(held.asked, creates);
      if (create == held.asked.end())
        CHECK_FALSE(unknown); // it asked for what a create needs, and did not get that far
      else if (create == std::prev(held.asked.end()))
        CHECK(unknown == leaves_open(w));
      else
        CHECK(unknown);
    }
}

TEST_CASE("R5 the time of a refusal is passed on, however it is spelled") {
  // The detail that a throttled call of gRPC carries in its trailers: seven seconds, as a float in a policy.
  constexpr std::string_view policy{"\x08\x08\x12\x09slow down\x1a\x33\x0a\x2atype.modal.com/"
                                    "modal.client.RPCRetryPolicy\x12\x05\x0d\x00\x00\xe0\x40",
                                    66};
  for (const auto* kind : all())
    for (auto header : {"Retry-After", "retry-after", "Retry-After-sandbox-create"}) {
      weather busy{{},
                   replied(429, "{}", {{header, "7"}}),
                   said(8, {}, "slow down", {{"grpc-status-details-bin", std::string{policy}}})};
      auto held = converse(kind->provision, account_of(*kind), order_for(*kind),
                           [&](const ask& question, std::size_t) { return busy.for_question(question); });
      if (held.asked.empty() || !goes_out(held.asked.front()))
        continue;
      INFO(kind->kind << " " << header);
      REQUIRE(held.why());
      CHECK(held.why()->code == errc::rate_limited);
      CHECK(held.why()->retry_after == milliseconds{7'000});
    }
}

TEST_CASE("R6 absence is never concluded from an answer that shows nothing") {
  for (const auto* kind : all())
    for (const auto& w : bad_weather()) {
      if (w.status == 404 || w.status == 200)
        continue; // what those mean is the provider's own
      INFO(kind->kind << " under " << w.name);
      auto answer = [&w](const ask& question, std::size_t) { return w.for_question(question); };
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
      if (!goes_out(question) || text_of(question.request).find(test_key) == std::string::npos)
        return;
      const auto* call = std::get_if<http_call>(&question.request);
      const auto* rpc = std::get_if<grpc_call>(&question.request);
      CHECK(key_may_go_to(who, call ? call->to.host : rpc->to.host));
      CHECK((call ? call->request.target : rpc->method).find(test_key) == std::string::npos);
    });
}

TEST_CASE("R11 a command is sent once, whatever is answered, and is run for certain or not or nobody knows") {
  constexpr std::string_view command = "echo run-this-once";
  for (const auto* kind : all())
    for (const auto& w : bad_weather()) {
      if (!kind->exec)
        continue;
      INFO(kind->kind << " under " << w.name);
      exec_order order;
      order.where.ref = "some-ref";
      order.command = command;
      order.within = milliseconds{10'000};
      auto held = converse(kind->exec, account_of(*kind), order,
                           [&w](const ask& question, std::size_t) { return w.for_question(question); });
      CHECK(held.ended);
      auto carries = [&](const ask& question) { return text_of(question.request).find(command) != std::string::npos; };
      CHECK(std::ranges::count_if(held.asked, carries) <= 1);
      CHECK((held.why() || held.result()->came == verdict::unknown));
      if (!leaves_open(w))
        CHECK(held.why());
    }
}

TEST_CASE("R10 every conversation ends, in the time that the table says") {
  for (const auto* kind : all()) {
    every_question(*kind, [](const account&, const ask&) {}); // checks that each one ends
    for (const auto& w : bad_weather()) {
      INFO(kind->kind << " under " << w.name);
      auto answer = [&w](const ask& question, std::size_t) { return w.for_question(question); };
      CHECK(converse(kind->provision, account_of(*kind), order_for(*kind), answer).took <= kind->provision_within);
      runtime rented;
      rented.ref = "some-ref";
      rented.process.emplace();
      CHECK(converse(kind->destroy, account_of(*kind), rented, answer).took <= kind->destroy_within);
    }
  }
}
