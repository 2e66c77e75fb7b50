// Modal as transcripts: what is asked, what is answered, what that comes to. Each trap of its API has its test.
#include "conversation.hpp"

#include <nestor/node/node_config.hpp>
#include <nestor/providers/account_book.hpp>

#include <nestor_messages/modal.pb.h>

#include <catch2/catch.hpp>

#include <map>

using namespace nestor;
using namespace nestor::tests;
namespace message = nestor::modal;

namespace {

const std::string newer = "sb-01JABCDEFGHJKMNPQRSTVWXYZ0";
const std::string older = "sb-aBcDeFgHiJkLmNoPqRsTuV";
const std::string service = "/modal.client.ModalClient/";

const provider& self() {
  return *of_kind("modal");
}

account some_account() {
  auto who = account_of(self());
  who.proven.tokens = {{"auth_token", secret::copy_of("jwt-CANARY-0123456789")}};
  return who;
}

template <class Message>
io_reply is(const Message& answer) {
  return said(0, answer.SerializeAsString());
}
io_reply app() {
  message::App answer;
  answer.set_app_id("ap-1");
  return is(answer);
}
io_reply environment() {
  message::Environment answer;
  answer.mutable_metadata()->mutable_settings()->set_image_builder_version("2025.06");
  return is(answer);
}
io_reply image(int status, std::string exception = {}) {
  message::Image answer;
  answer.set_image_id("im-1");
  answer.mutable_result()->set_status(status);
  answer.mutable_result()->set_exception(std::move(exception));
  return is(answer);
}
void add_tunnel(google::protobuf::RepeatedPtrField<message::Tunnel>& to, std::uint32_t container_port) {
  auto& tunnel = *to.Add();
  tunnel.set_host("ta-1-8000.wo-1.w.modal.host");
  tunnel.set_port(443);
  tunnel.set_container_port(container_port);
}
io_reply created(const std::string& id, bool with_tunnel = true) {
  message::Created answer;
  answer.set_sandbox_id(id);
  if (with_tunnel)
    add_tunnel(*answer.mutable_tunnels(), 8000);
  return is(answer);
}
io_reply tunnels(int status = 0, std::uint32_t container_port = 8000) {
  message::Tunnels answer;
  answer.mutable_result()->set_status(status);
  if (status == 0)
    add_tunnel(*answer.mutable_tunnels(), container_port);
  return is(answer);
}
io_reply waited(int status) {
  message::Waited answer;
  if (status != 0)
    answer.mutable_result()->set_status(status);
  return is(answer);
}

void add_info(message::Page& to, const std::string& id, double created_at, const std::string& sandbox, int number) {
  auto& info = *to.add_sandboxes();
  info.set_id(id);
  info.set_created_at(created_at);
  auto tag = [&](std::string_view name, std::string value) {
    auto& made = *info.add_tags();
    made.set_name(std::string{name});
    made.set_value(std::move(value));
  };
  tag(label_installation, test_labels().installation.text);
  tag(label_sandbox, sandbox);
  tag(label_attempt, std::to_string(number));
  add_tunnel(*info.mutable_tunnels(), 8000);
}
const std::string other_sandbox = "nst-cccccccccccccccccccccccccc";

struct turn {
  std::string method;
  io_reply reply;
};

/// The methods that must be asked, in order; the last answers all that follows.
template <class Result, class Order>
held<Result> hold(operation<Result, Order> what, const Order& order, std::vector<turn> script,
                  const account& who = some_account()) {
  auto story = converse(what, who, order, [&](const ask& question, std::size_t n) {
    const auto& now = script.at(std::min(n, script.size() - 1));
    const auto& call = std::get<grpc_call>(question.request);
    INFO("question " << n);
    CHECK(call.method == service + now.method);
    CHECK_FALSE(carries_key_astray(who, question.request));
    return now.reply;
  });
  CHECK(story.asked.size() >= script.size());
  return story;
}

template <class Message>
Message sent(const ask& question) {
  Message read;
  const auto& bytes = std::get<grpc_call>(question.request).message;
  CHECK(read.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return read;
}
std::string metadata_of(const ask& question, std::string_view name) {
  for (const auto& each : std::get<grpc_call>(question.request).metadata)
    if (each.name == name)
      return std::string{std::string_view{each.value}};
  return {};
}

/// An order whose image is built already, so that three questions lead to the create.
std::vector<turn> up_to_create(std::vector<turn> rest) {
  std::vector<turn> script{
    {"AppGetOrCreate", app()}, {"EnvironmentGetOrCreate", environment()}, {"ImageGetOrCreate", image(1)}};
  script.insert(script.end(), rest.begin(), rest.end());
  return script;
}
auto provisioned(std::vector<turn> rest) {
  return hold(self().provision, order_for(self()), up_to_create(std::move(rest)));
}

runtime rented(const std::string& id = newer) {
  runtime what;
  what.ref = id;
  return what;
}

std::string policy_detail(float seconds) {
  message::RetryPolicy policy;
  policy.set_retry_after_secs(seconds);
  message::StatusDetails details;
  auto& detail = *details.add_details();
  detail.set_type_url("type.modal.com/modal.client.RPCRetryPolicy");
  detail.set_value(policy.SerializeAsString());
  return details.SerializeAsString();
}

proof proof_from(const std::string& jwt) {
  message::AuthToken given;
  given.set_token(jwt);
  auto story = hold(self().authenticate, no_order{}, {{"AuthTokenGet", is(given)}});
  REQUIRE(story.result());
  return *story.result();
}

} // namespace

TEST_CASE("modal: the token is proved by asking for another one, which all later calls carry") {
  auto proven = proof_from("a.e30.c");
  CHECK(proven.tokens.at(0).second == secret::copy_of("a.e30.c"));
  auto who = some_account();
  auto proving = hold(self().authenticate, no_order{}, {{"AuthTokenGet", said(16, {}, "Token ID is malformed")}});
  REQUIRE(proving.why());
  CHECK(proving.why()->code == errc::auth_refused);
  CHECK(proving.why()->cause.find("Token ID is malformed") != std::string::npos);
  CHECK(metadata_of(proving.asked[0], "x-modal-token-id") == std::string{test_key} + "-token_id");
  CHECK(metadata_of(proving.asked[0], "x-modal-token-secret") == std::string{test_key} + "-token_secret");
  CHECK(metadata_of(proving.asked[0], "x-modal-auth-token").empty());
  auto later = hold(self().destroy, rented(), {{"SandboxTerminateV2", said(5)}});
  CHECK(metadata_of(later.asked[0], "x-modal-auth-token") == "jwt-CANARY-0123456789");
  CHECK(metadata_of(later.asked[0], "x-modal-client-version") == "1.0.0");
  CHECK(metadata_of(later.asked[0], "x-modal-host") == "api.modal.test");
}

TEST_CASE("modal: token refresh: a proof ends half way through its token's life") {
  // {"iat":1800000000,"exp":1800001200} and {"exp":1800001200}
  CHECK(proof_from("h.eyJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMTIwMH0.s").until->ms == 1'800'000'600'000);
  CHECK(proof_from("h.eyJleHAiOjE4MDAwMDEyMDB9.s").until->ms == 1'800'001'140'000);
  for (auto odd : {"a.e30.c", "a.b", "no dots", "a.!!!.c", "h.eyJleHAiOi0xfQ.s"})
    CHECK_FALSE(proof_from(odd).until);
}

TEST_CASE("modal: token refresh: whoever ends a sandbox with a token that is too old is told another") {
  message::AuthToken given;
  given.set_token("new.token.CANARY");
  auto story = hold(self().destroy, rented(),
                    {{"SandboxTerminateV2", said(16, {}, "Auth token is expired")},
                     {"AuthTokenGet", is(given)},
                     {"SandboxTerminateV2", is(message::Terminated{})},
                     {"SandboxWaitV2", waited(3)}});
  CHECK(story.result());
  CHECK(metadata_of(story.asked[1], "x-modal-auth-token").empty());
  for (std::size_t later : {2, 3})
    CHECK(metadata_of(story.asked[later], "x-modal-auth-token") == "new.token.CANARY");
  auto again = hold(self().destroy, rented(),
                    {{"SandboxTerminateV2", said(16)}, {"AuthTokenGet", is(given)}, {"SandboxTerminateV2", said(16)}});
  REQUIRE(again.why());
  CHECK(again.why()->code == errc::auth_refused);
}

TEST_CASE("modal: a build without gRPC says so when the account is verified") {
  auto story = hold(self().authenticate, no_order{},
                    {{"AuthTokenGet", said(12, {}, "this build of Nestor has no gRPC (NESTOR_GRPC=OFF)")}});
  REQUIRE(story.why());
  CHECK(story.why()->code == errc::capability_missing);
  CHECK(story.why()->cause.find("has no gRPC") != std::string::npos);
}

TEST_CASE("modal: V1 and V2 ids: the shape of an id selects the calls") {
  auto is_gone = [](const std::string& id, const std::string& suffix) {
    auto story = hold(self().destroy, rented(id),
                      {{"SandboxTerminate" + suffix, is(message::Terminated{})}, {"SandboxWait" + suffix, waited(3)}});
    CHECK(story.result());
    CHECK(sent<message::OfSandbox>(story.asked[0]).sandbox_id() == id);
  };
  is_gone(newer, "V2");
  is_gone(older, "");
  is_gone(older + "0", "V2");                 // one letter more
  is_gone("sb-aBcDeFgHiJkLmNoPqRsTu-", "V2"); // no letter
  auto met =
    hold(self().provision, order_for(self()),
         up_to_create(
           {{"SandboxCreateV2", created(older, false)}, {"SandboxGetTunnels", tunnels()}, {"SandboxWait", waited(0)}}));
  CHECK(met.result());
}

TEST_CASE("modal: throttle detail: only an error that carries the retry policy says when to ask again") {
  auto refused = [](int status, std::vector<std::pair<std::string, std::string>> trailers) {
    auto story = provisioned({{"SandboxCreateV2", said(status, {}, "slow down", std::move(trailers))}});
    REQUIRE(story.why());
    return *story.why();
  };
  auto throttled = refused(8, {{"grpc-status-details-bin", policy_detail(2.5F)}});
  CHECK(throttled.code == errc::rate_limited);
  CHECK(throttled.retry_after == milliseconds{2'500});
  auto full = refused(8, {});
  CHECK(full.code == errc::rate_limited);
  CHECK_FALSE(full.retry_after);
  CHECK(refused(14, {{"grpc-status-details-bin", policy_detail(0)}}).retry_after == milliseconds{100});
  CHECK_FALSE(refused(8, {{"grpc-status-details-bin", "no message \xff\xff"}}).retry_after);
  CHECK_FALSE(refused(8, {{"retry-after", "7"}}).retry_after);
}

TEST_CASE("modal: page until empty: a page is the last only when nothing is on it") {
  message::Page first, second;
  add_info(first, "sb-first", 1'800'000'002.125, other_sandbox, 1);
  add_info(second, newer, 1'800'000'001.0, test_labels().sandbox.text, 3);
  auto seen = hold(self().observe, order_for(self()),
                   {{"AppGetOrCreate", app()}, {"SandboxListV2", is(first)}, {"SandboxListV2", is(second)}});
  REQUIRE(seen.result());
  CHECK(std::get<runtime>(*seen.result()).ref == newer);
  CHECK(sent<message::ListRequest>(seen.asked[1]).before_timestamp() == 0);
  CHECK(sent<message::ListRequest>(seen.asked[2]).before_timestamp() == 1'800'000'002.125);
  CHECK(sent<message::ListRequest>(seen.asked[1]).tags().size() == 3);
  auto none = hold(self().observe, order_for(self()),
                   {{"AppGetOrCreate", app()}, {"SandboxListV2", is(first)}, {"SandboxListV2", is(message::Page{})}});
  REQUIRE(none.result());
  CHECK(std::holds_alternative<absent>(*none.result()));
  message::Page endless;
  add_info(endless, "sb-first", 5, other_sandbox, 1);
  auto lost = hold(self().observe, order_for(self()), {{"AppGetOrCreate", app()}, {"SandboxListV2", is(endless)}});
  REQUIRE(lost.why());
  CHECK(lost.why()->code == errc::provider_unavailable);
}

TEST_CASE("modal: a list is page after page of what carries the installation's tag") {
  message::Page page;
  add_info(page, newer, 1'800'000'001.0625, other_sandbox, 7);
  page.add_sandboxes()->set_id("sb-stranger");
  page.mutable_sandboxes(1)->set_created_at(1'800'000'000.1);
  auto begun = hold(self().list, list_order{test_labels().installation, {}},
                    {{"AppGetOrCreate", app()}, {"SandboxListV2", is(page)}});
  REQUIRE(begun.result());
  REQUIRE(begun.result()->items.size() == 1);
  CHECK(begun.result()->items[0].sandbox == other_sandbox);
  CHECK(begun.result()->items[0].number == 7);
  auto rest = hold(self().list, list_order{test_labels().installation, begun.result()->next},
                   {{"SandboxListV2", is(message::Page{})}});
  REQUIRE(rest.result());
  CHECK(rest.result()->next.empty());
  auto asked = sent<message::ListRequest>(rest.asked[0]);
  CHECK(asked.before_timestamp() == 1'800'000'000.1);
  CHECK(asked.app_id() == "ap-1");
  CHECK(hold(self().list, list_order{test_labels().installation, {}}, {{"AppGetOrCreate", said(5)}}).result());
}

TEST_CASE("modal: the create carries name, tags, environment, command, port and lifetime") {
  auto order = order_for(self());
  auto spec = std::make_shared<runtime_spec>(*order.spec);
  spec->session_key_env = "SESSION_API_KEY";
  spec->cpu = 0.5;
  spec->memory_bytes = 2'147'483'648;
  spec->options = R"({"workdir":"/work","region":"eu"})";
  order.spec = spec;
  order.max_lifetime = milliseconds{3'600'000};
  auto story =
    hold(self().provision, order, up_to_create({{"SandboxCreateV2", created(newer)}, {"SandboxWaitV2", waited(0)}}));
  REQUIRE(story.result());
  CHECK(story.result()->ref == newer);
  CHECK(story.result()->where == endpoint{true, "ta-1-8000.wo-1.w.modal.host", 443, {}});
  CHECK(story.result()->session_key == order.session_key);
  auto asked = sent<message::CreateRequest>(story.asked[3]);
  CHECK(asked.app_id() == "ap-1");
  CHECK(asked.definition().image_id() == "im-1");
  CHECK(asked.definition().name() == test_labels().sandbox.text + "-3");
  CHECK(asked.definition().entrypoint_args(0) == "nestor-nested-server");
  CHECK(asked.definition().open_ports().ports(0).port() == 8000);
  CHECK(asked.definition().timeout_secs() == 4'200); // ten minutes longer than our own end
  CHECK(asked.definition().workdir() == "/work");
  CHECK(asked.definition().placement().regions(0) == "eu");
  CHECK(asked.definition().resources().milli_cpu() == 500);
  CHECK(asked.definition().resources().memory_mb() == 2'048);
  CHECK(asked.tags(0).name() == "nestor-installation");
  CHECK(asked.tags(2).value() == "3");
  const auto& environment_sent = asked.secret_sources(0).env().contents();
  CHECK(environment_sent.at("LOG_LEVEL") == "info");
  CHECK(environment_sent.at("SESSION_API_KEY") == test_session_key);
  auto key = metadata_of(story.asked[3], "x-idempotency-key");
  CHECK(key.size() == 36);
  CHECK(key[14] == '4');
  order.stamp.number = 4;
  auto again = hold(self().provision, order, up_to_create({{"SandboxCreateV2", said(3)}}));
  CHECK(metadata_of(again.asked[3], "x-idempotency-key") != key);
}

TEST_CASE("modal: what is open after a create is unknown, what is refused is not") {
  auto code = [](io_reply reply) {
    auto story = provisioned({{"SandboxCreateV2", std::move(reply)}});
    REQUIRE(story.why());
    return story.why()->code;
  };
  for (int open : {1, 2, 4, 13, 14, 15})
    CHECK(code(said(open)) == errc::create_unknown);
  CHECK(code(grpc_reply{http::transport_error::too_large}) == errc::create_unknown);
  CHECK(code(said(0, "\xff")) == errc::create_unknown);
  CHECK(code(said(0)) == errc::create_unknown); // names no sandbox
  CHECK(code(grpc_reply{http::transport_error::refused}) == errc::provider_unavailable);
  for (int refused : {3, 9})
    CHECK(code(said(refused)) == errc::provision_refused);
  CHECK(code(said(16)) == errc::auth_refused);
  auto after_it = provisioned({{"SandboxCreateV2", created(newer)}, {"SandboxWaitV2", said(16)}});
  REQUIRE(after_it.why());
  CHECK(after_it.why()->code == errc::create_unknown);
}

TEST_CASE("modal: a name that exists is the sandbox of an earlier send") {
  message::Named found;
  found.set_sandbox_id(newer);
  auto story = provisioned({{"SandboxCreateV2", said(6)},
                            {"SandboxGetFromNameV2", is(found)},
                            {"SandboxGetTunnelsV2", tunnels()},
                            {"SandboxWaitV2", waited(0)}});
  REQUIRE(story.result());
  CHECK(sent<message::NameRequest>(story.asked[4]).sandbox_name() == test_labels().sandbox.text + "-3");
  auto nowhere = provisioned({{"SandboxCreateV2", said(6)}, {"SandboxGetFromNameV2", said(5)}});
  REQUIRE(nowhere.why());
  CHECK(nowhere.why()->code == errc::create_unknown);
}

TEST_CASE("modal: an image is built once, and its build joined where it was left") {
  message::ImageJoin some_logs, ready;
  some_logs.set_entry_id("17-0");
  ready.mutable_result()->set_status(1);
  auto story = hold(self().provision, order_for(self()),
                    {{"AppGetOrCreate", app()},
                     {"EnvironmentGetOrCreate", environment()},
                     {"ImageGetOrCreate", image(0)},
                     {"ImageJoinStreaming", is(some_logs)},
                     {"ImageJoinStreaming", said(14)},
                     {"ImageJoinStreaming", is(ready)},
                     {"SandboxCreateV2", created(newer)},
                     {"SandboxWaitV2", waited(0)}});
  CHECK(story.result());
  CHECK(sent<message::ImageRequest>(story.asked[2]).image().dockerfile_commands(0) == "FROM acme-agent");
  CHECK(sent<message::ImageRequest>(story.asked[2]).builder_version() == "2025.06");
  CHECK(sent<message::ImageJoinRequest>(story.asked[3]).last_entry_id().empty());
  CHECK(sent<message::ImageJoinRequest>(story.asked[4]).last_entry_id() == "17-0");
  CHECK(sent<message::ImageJoinRequest>(story.asked[5]).last_entry_id() == "17-0");
  auto broken = hold(self().provision, order_for(self()),
                     {{"AppGetOrCreate", app()},
                      {"EnvironmentGetOrCreate", environment()},
                      {"ImageGetOrCreate", image(2, "manifest unknown")}});
  REQUIRE(broken.why());
  CHECK(broken.why()->code == errc::provision_refused);
  CHECK(broken.why()->cause.find("manifest unknown") != std::string::npos);
  auto known = order_for(self());
  auto spec = std::make_shared<runtime_spec>(*known.spec);
  spec->image = "im-known";
  known.spec = spec;
  auto direct = hold(self().provision, known,
                     {{"AppGetOrCreate", app()}, {"SandboxCreateV2", created(newer)}, {"SandboxWaitV2", waited(0)}});
  CHECK(direct.result());
}

TEST_CASE("modal: what ended before it could be used is nothing that is there, and what gets no tunnel is ended") {
  auto dead = provisioned({{"SandboxCreateV2", created(newer)}, {"SandboxWaitV2", waited(7)}});
  REQUIRE(dead.why());
  CHECK(dead.why()->code == errc::provision_failed);
  CHECK(dead.why()->cause.find("idle too long") != std::string::npos);
  auto rest = up_to_create({{"SandboxCreateV2", created(newer, false)}});
  bool told_to_end = false;
  auto deaf = converse(self().provision, some_account(), order_for(self()), [&](const ask& question, std::size_t n) {
    if (n < rest.size())
      return rest[n].reply;
    const auto& method = std::get<grpc_call>(question.request).method;
    told_to_end = told_to_end || method.find("Terminate") != std::string::npos;
    return told_to_end ? waited(3) : tunnels(4);
  });
  CHECK(told_to_end);
  REQUIRE(deaf.why());
  CHECK(deaf.why()->code == errc::provision_failed);
  CHECK(deaf.took <= self().provision_within);
}

TEST_CASE("modal: an end is told until it is seen, and again what is gone is an end") {
  auto slow = hold(self().destroy, rented(),
                   {{"SandboxTerminateV2", is(message::Terminated{})},
                    {"SandboxWaitV2", waited(0)},
                    {"SandboxTerminateV2", said(14)},
                    {"SandboxTerminateV2", is(message::Terminated{})},
                    {"SandboxWaitV2", waited(3)}});
  CHECK(slow.result());
  CHECK(hold(self().destroy, rented(), {{"SandboxTerminateV2", said(5)}}).result());
  auto stubborn = converse(self().destroy, some_account(), rented(), [](const ask&, std::size_t) { return waited(0); });
  REQUIRE(stubborn.why());
  CHECK(stubborn.why()->code == errc::destroy_failed);
  auto refused = hold(self().destroy, rented(), {{"SandboxTerminateV2", said(16)}, {"AuthTokenGet", said(16)}});
  REQUIRE(refused.why());
  CHECK(refused.why()->code == errc::auth_refused);
}

TEST_CASE("modal: beyond its own lifetime it cannot keep a sandbox, and says what it cannot rent") {
  auto order = order_for(self());
  order.max_lifetime = std::chrono::hours{25};
  auto story = converse(self().provision, some_account(), order, [](const ask&, std::size_t) { return said(0); });
  REQUIRE(story.why());
  CHECK(story.why()->code == errc::capability_missing);
  CHECK(story.asked.empty());
  auto refuses = [](auto change, std::string_view field) {
    auto spec = *spec_for(self());
    change(spec);
    auto valid = self().validate(spec);
    REQUIRE_FALSE(valid);
    CHECK(valid.error().cause.find(field) != std::string::npos);
  };
  refuses([](auto& s) { s.image.clear(); }, "runtime.image");
  refuses([](auto& s) { s.image = "debian\nRUN rm"; }, "runtime.image");
  refuses([](auto& s) { s.port = 0; }, "runtime.port");
  refuses([](auto& s) { s.options = R"({"workdir":"here"})"; }, "workdir");
  refuses([](auto& s) { s.cpu = 1'000; }, "runtime.resources.cpu");
  refuses([](auto& s) { s.memory_bytes = 1'000; }, "runtime.resources.memory");
}

TEST_CASE("modal: its tools' variables make an account, and a plain server's tunnels are plain") {
  std::map<std::string, std::string> variables{{"MODAL_TOKEN_ID", "ak-1"},
                                               {"MODAL_TOKEN_SECRET", "as-1"},
                                               {"MODAL_SERVER_URL", "http://127.0.0.1:4000"},
                                               {"MODAL_ENVIRONMENT", "dev"}};
  auto config = read_node_config("{}", [&](const std::string& name) -> std::optional<std::string> {
    auto at = variables.find(name);
    return at == variables.end() ? std::nullopt : std::optional{at->second};
  });
  REQUIRE(config.value);
  const auto* source = account_named(*config.value->accounts, "modal");
  REQUIRE(source);
  CHECK(source->plain.text("environment") == "dev");
  CHECK(source->plain.text("app") == "nestor");
  CHECK(source->secrets.size() == 2);
  auto who = source->plain;
  who.proven = some_account().proven;
  auto story = hold(self().provision, order_for(self()),
                    up_to_create({{"SandboxCreateV2", created(newer)}, {"SandboxWaitV2", waited(0)}}), who);
  REQUIRE(story.result());
  CHECK_FALSE(story.result()->where.tls);
  const auto& first = std::get<grpc_call>(story.asked[0].request);
  CHECK(first.to == endpoint{false, "127.0.0.1", 4'000, {}});
  CHECK(first.from == address_source::node);
}
