// Runloop as transcripts: what is asked, what is answered, what that comes to. Each trap of its API has its test.
#include "support/provider_script.hpp"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::providers;
using namespace nestor::providers::testing;
using nlohmann::json;

namespace {

const std::string id = "dbx_31Ab";
const std::string create = "POST /v1/devboxes";
const std::string by_id = "GET /v1/devboxes/" + id;
const std::string at_it = "POST /v1/devboxes/" + id;
const std::string wait = at_it + "/wait_for_status";
const std::string tunnel = at_it + "/enable_tunnel";
const std::string shut = at_it + "/shutdown";
const std::string first_page = "GET /v1/devboxes?limit=200";

const provider& self() {
  return *of_kind("runloop");
}

account some_account() {
  account who;
  who.name = "runloop";
  who.speaks = &self();
  who.settings = {{"base_url", "https://api.runloop.ai"}};
  who.secrets = {{"api_key", secret::copy_of("ak_CANARY0123456789")}};
  return who;
}

const json some_tunnel{{"tunnel_key", "k3y"}, {"auth_mode", "authenticated"}, {"auth_token", "CANARY-tunnel"}};

json description(std::string_view status, json with_tunnel = some_tunnel) {
  return {{"id", id},
          {"name", "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3"},
          {"status", status},
          {"create_time_ms", 1'800'000'000'123},
          {"tunnel", std::move(with_tunnel)},
          {"metadata",
           {{"nestor-installation", "nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"},
            {"nestor-sandbox", "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"},
            {"nestor-attempt", "3"}}}};
}

io_reply is(std::string_view status, json with_tunnel = some_tunnel) {
  return answer(200, description(status, std::move(with_tunnel)).dump());
}
io_reply page(json items, bool more = false) {
  return answer(200, json{{"devboxes", std::move(items)}, {"has_more", more}, {"total_count", nullptr}}.dump());
}
io_reply error(std::uint16_t status, reply_headers headers = {}) {
  return answer(status, R"({"message":"the provider's words"})", std::move(headers));
}
json stranger(std::string_view other_id) {
  return {{"id", other_id}, {"status", "running"}, {"metadata", {{"app", "demo"}}}};
}

auto provisioned(std::vector<turn> turns, const provision_order& order = some_order()) {
  return hold(self().provision, some_account(), order, std::move(turns));
}
auto observed(std::vector<turn> turns) {
  return hold(self().observe, some_account(), some_order(), std::move(turns));
}

runtime rented() {
  runtime what;
  what.ref = id;
  what.where = endpoint{true, "3000-k3y.tunnel.runloop.ai", 443, {}};
  what.session_key = secret::copy_of("CANARY-session-key");
  return what;
}

bool is_absent(const sighting& seen) {
  return std::holds_alternative<absent>(seen);
}

json created_by(const provision_order& order) {
  auto story = provisioned({{create, is("provisioning")}, {wait, is("running")}}, order);
  return json::parse(story.asked[0].body());
}

} // namespace

TEST_CASE("runloop: a key is proved by one devbox of the list") {
  std::string first = "GET /v1/devboxes?limit=1&include_total_count=false";
  auto story = hold(self().authenticate, some_account(), no_order{}, {{first, page(json::array())}});
  CHECK(story.fine());
  CHECK(story.asked[0].header("Authorization") == "Bearer ak_CANARY0123456789");
  struct {
    io_reply reply;
    errc code;
  } const rows[]{{error(401), errc::auth_refused},
                 {error(403), errc::permission_missing},
                 {error(429, {{"retry-after-ms", "200"}}), errc::rate_limited},
                 {error(500), errc::provider_unavailable},
                 {answer(200, "<html>"), errc::provider_unavailable},
                 {broke(http::transport_error::name_unresolved), errc::provider_unavailable}};
  for (const auto& row : rows) {
    auto refused = hold(self().authenticate, some_account(), no_order{}, {{first, row.reply}});
    CHECK(refused.why().code == row.code);
    CHECK(refused.why().cause.find("ak_CANARY") == std::string::npos);
  }
}

TEST_CASE("runloop: a shape of tunnels that is none is refused before anything is asked") {
  for (auto shape : {"https://{port}.tunnel.x", "https://{key}.tunnel.x", "{port}-{key}.tunnel.x"}) {
    auto who = some_account();
    who.settings.emplace_back("tunnel_url", shape);
    auto story = hold(self().authenticate, who, no_order{}, {});
    CHECK(story.why().code == errc::spec_invalid);
  }
}

TEST_CASE("runloop: a create carries name, labels, environment, entrypoint and tunnel") {
  auto story = provisioned({{create, is("provisioning", nullptr)}, {wait, is("running")}});
  const auto& got = story.result();
  CHECK(got.ref == id);
  CHECK(got.where == endpoint{true, "3000-k3y.tunnel.runloop.ai", 443, {}});
  CHECK(header_of(got, "X-Runloop-Tunnel-Authorization") == "Bearer CANARY-tunnel");
  CHECK(header_of(got, "Authorization").empty());
  CHECK(got.session_key == some_order().session_key);
  auto line = R"(nestor-nested-server --log 'it'\''s')";
  CHECK(
    json::parse(story.asked[0].body()) ==
    json{{"name", "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3"},
         {"metadata", description("")["metadata"]},
         {"environment_variables",
          {{"LOG_LEVEL", "info"}, {"PORT", "3000"}, {"SESSION_API_KEY", "CANARY-session-key"}, {"NESTOR_START", line}}},
         {"entrypoint", line},
         {"launch_parameters", {{"keep_alive_time_seconds", 172'800}}},
         {"tunnel", {{"auth_mode", "authenticated"}}}});
}

TEST_CASE("runloop trap: the idempotency header is x-request-id, the same for one attempt and no other") {
  auto first = provisioned({{create, is("running")}});
  auto again = provisioned({{create, is("running")}});
  auto order = some_order();
  order.stamp.number = 4;
  auto next = provisioned({{create, is("running")}}, order);
  CHECK_FALSE(first.asked[0].header("x-request-id").empty());
  CHECK(first.asked[0].header("x-request-id") == again.asked[0].header("x-request-id"));
  CHECK(first.asked[0].header("x-request-id") != next.asked[0].header("x-request-id"));
}

TEST_CASE("runloop: a lease is its idle time, a lifetime its keep-alive, and never the hour it takes by itself") {
  auto order = some_order();
  order.max_lifetime = milliseconds{3'600'000};
  CHECK(created_by(order)["launch_parameters"] == json{{"keep_alive_time_seconds", 4'200}});
  order.lease = milliseconds{90'000};
  CHECK(created_by(order)["launch_parameters"] ==
        json{{"lifecycle", {{"after_idle", {{"idle_time_seconds", 90}, {"on_idle", "shutdown"}}}}}});
  order.lease.reset();
  order.max_lifetime = std::chrono::hours{49};
  CHECK(provisioned({}, order).why().code == errc::capability_missing);
}

TEST_CASE("runloop: what an image is, and how large it runs, are options") {
  auto body = created_by(order_with([](runtime_spec& s) { s.image = "agent"; }));
  CHECK(body["blueprint_name"] == "agent");
  body = created_by(order_with([](runtime_spec& s) {
    s.image = "snp_1";
    s.options = R"({"source":"snapshot_id","size":"LARGE","architecture":"arm64"})";
  }));
  CHECK(body["snapshot_id"] == "snp_1");
  CHECK(body["launch_parameters"]["resource_size_request"] == "LARGE");
  CHECK(body["launch_parameters"]["architecture"] == "arm64");
  body = created_by(order_with([](runtime_spec& s) {
    s.cpu = 2;
    s.memory_bytes = std::uint64_t{4} << 30U;
    s.options = R"({"disk_gib":8})";
  }));
  CHECK(body["launch_parameters"]["resource_size_request"] == "CUSTOM_SIZE");
  CHECK(body["launch_parameters"]["custom_cpu_cores"] == 2);
  CHECK(body["launch_parameters"]["custom_gb_memory"] == 4);
  CHECK(body["launch_parameters"]["custom_disk_size"] == 8);
}

TEST_CASE("runloop trap: 408 of a long poll is no failure, and asked again at once") {
  auto story = provisioned({{create, is("queued", nullptr)},
                            {wait, error(408), milliseconds{25'000}},
                            {wait, error(408), milliseconds{25'000}},
                            {wait, is("running")}});
  REQUIRE(story.fine());
  CHECK(story.asked[3].after == milliseconds{0});
  CHECK(json::parse(story.asked[1].body()) ==
        json{{"statuses", {"running", "failure", "shutdown"}}, {"timeout_seconds", 25}});
  CHECK(story.asked[1].call.timeout > milliseconds{30'000}); // longer than the server may hold it
}

TEST_CASE("runloop trap: queued is a boot too, and a state that nobody has heard of as well") {
  auto story = provisioned({{create, is("queued", nullptr)}, {wait, is("thawing", nullptr)}, {wait, is("running")}});
  CHECK(story.fine());
  CHECK(story.asked[2].after == milliseconds{100}); // a wait that does not hold is no reason to hammer
}

TEST_CASE("runloop: an answer that leaves a create open is create_unknown, and asked no second time") {
  const io_reply open[]{error(500), error(408), answer(200, "not JSON"), broke(http::transport_error::reset),
                        broke(http::transport_error::timed_out)};
  for (const auto& reply : open)
    CHECK(provisioned({{create, reply}}).why().code == errc::create_unknown);
  CHECK(provisioned({{create, error(400)}}).why().code == errc::provision_refused);
  CHECK(provisioned({{create, error(401)}}).why().code == errc::auth_refused);
  CHECK(provisioned({{create, broke(http::transport_error::refused)}}).why().code == errc::provider_unavailable);
}

TEST_CASE("runloop: 409 on a create is about the same create, and what it made is looked for and adopted") {
  auto adopted = provisioned({{create, error(409)},
                              {first_page, page(json::array({stranger("dbx_1")}), true)},
                              {first_page + "&starting_after=dbx_1", page(json::array({description("provisioning")}))},
                              {wait, is("running")}});
  CHECK(adopted.result().ref == id);
  auto not_yet = provisioned({{create, error(409)}, {first_page, page(json::array())}});
  CHECK(not_yet.why().code == errc::create_unknown);
}

TEST_CASE("runloop trap: 429 says when in retry-after-ms too") {
  auto story = provisioned({{create, error(429, {{"retry-after-ms", "1500"}})}});
  CHECK(story.why().code == errc::rate_limited);
  CHECK(story.why().retry_after == milliseconds{1'500});
}

TEST_CASE("runloop: what fails to boot is gone by itself, and its reason is told") {
  auto failed = description("failure");
  failed["failure_reason"] = "out_of_memory";
  auto story = provisioned({{create, is("provisioning")}, {wait, answer(200, failed.dump())}});
  CHECK(story.why().code == errc::provision_failed);
  CHECK(story.why().cause.find("out_of_memory") != std::string::npos);
  auto gone = provisioned({{create, is("provisioning")}, {wait, error(404)}});
  CHECK(gone.why().code == errc::provision_failed);
}

TEST_CASE("runloop: what never boots is ended before we say so") {
  auto story = provisioned(
    {{create, is("provisioning", nullptr)}, {wait, error(408), milliseconds{25'000}, true}, {shut, is("shutdown")}});
  CHECK(story.why().code == errc::provision_failed);
  CHECK(story.took < self().provision_within);
  auto stuck = provisioned({{create, is("provisioning", nullptr)},
                            {wait, error(408), milliseconds{25'000}, true},
                            {shut, error(500), milliseconds{70'000}}});
  CHECK(stuck.why().code == errc::create_unknown);
}

TEST_CASE("runloop: a look that fails is taken again, and once there is no time left it stays open") {
  auto story = provisioned({{create, is("provisioning", nullptr)},
                            {wait, error(502)},
                            {by_id, broke(http::transport_error::reset)},
                            {by_id, is("provisioning", nullptr)},
                            {wait, is("running")}});
  CHECK(story.fine());
  auto never = provisioned({{create, is("provisioning", nullptr)},
                            {wait, error(503), milliseconds{900}},
                            {by_id, error(503), milliseconds{900}, true}});
  CHECK(never.why().code == errc::create_unknown);
  CHECK(provisioned({{create, is("provisioning")}, {wait, error(401)}}).why().code == errc::create_unknown);
}

TEST_CASE("runloop trap: a tunnel that the create did not bring is asked for, and 400 says that there is one") {
  auto asked = provisioned({{create, is("running", nullptr)}, {tunnel, answer(200, some_tunnel.dump())}});
  CHECK(asked.result().where.host == "3000-k3y.tunnel.runloop.ai");
  CHECK(json::parse(asked.asked[1].body()) == json{{"auth_mode", "authenticated"}});
  auto lost_race = provisioned({{create, is("running", nullptr)}, {tunnel, error(400)}, {by_id, is("running")}});
  CHECK(lost_race.fine());
  auto lost_answer = provisioned(
    {{create, is("running", nullptr)}, {tunnel, broke(http::transport_error::timed_out)}, {by_id, is("running")}});
  CHECK(lost_answer.fine());
}

TEST_CASE("runloop: a tunnel's address has the shape that is configured") {
  auto who = some_account();
  who.settings.emplace_back("tunnel_url", "http://127.0.0.1:9000/t/{port}-{key}");
  auto story = hold(self().provision, who, some_order(), {{create, is("running")}});
  const auto& got = story.result();
  CHECK(got.where == endpoint{false, "127.0.0.1", 9000, {}});
  CHECK(got.path_prefix == "/t/3000-k3y");
  auto anew = hold(self().address, who, got, {{by_id, is("running")}});
  CHECK(anew.result().path_prefix == "/t/3000-k3y");
}

TEST_CASE("runloop trap: lists have no filter, so a lost create is looked for by its metadata on all pages") {
  auto ended_before = description("shutdown");
  auto older = description("running");
  older["metadata"]["nestor-attempt"] = "2";
  auto story =
    observed({{first_page, page(json::array({stranger("dbx_1"), ended_before, older}), true)},
              {first_page + "&starting_after=" + id, page(json::array({stranger("dbx_9"), description("running")}))},
              {by_id, is("running")}});
  const auto& seen = story.result();
  REQUIRE(std::holds_alternative<runtime>(seen));
  CHECK(std::get<runtime>(seen).ref == id);
  CHECK(std::get<runtime>(seen).session_key == some_order().session_key);
}

TEST_CASE("runloop: what others rent is never ours, and what is shut down is not there") {
  CHECK(is_absent(observed({{first_page, page(json::array({stranger("dbx_1"), description("shutdown")}))}}).result()));
  CHECK(
    is_absent(observed({{first_page, page(json::array({description("running")}))}, {by_id, is("shutdown")}}).result()));
  CHECK(is_absent(observed({{first_page, page(json::array({description("running")}))}, {by_id, error(404)}}).result()));
}

TEST_CASE("runloop: absence is never read from an answer that does not say it") {
  CHECK(observed({{first_page, error(500)}}).why().code == errc::provider_unavailable);
  CHECK(observed({{first_page, error(401)}}).why().code == errc::auth_refused);
  CHECK(observed({{first_page, answer(200, "{}")}}).why().code == errc::provider_unavailable);
  CHECK(observed({{first_page, page(json::array(), true)}}).why().code == errc::provider_unavailable);
  auto circle = page(json::array({stranger("dbx_1")}), true);
  auto story = observed({{first_page, circle}, {first_page + "&starting_after=dbx_1", circle, milliseconds{1}, true}});
  CHECK(story.why().code == errc::provider_unavailable);
}

TEST_CASE("runloop: what is found booting is waited for a little, and told as it is if it still boots") {
  std::vector<turn> before{{first_page, page(json::array({description("initializing", nullptr)}))},
                           {by_id, is("initializing", nullptr)}};
  auto boots = before;
  boots.push_back({wait, is("running")});
  CHECK(std::get<runtime>(observed(boots).result()).where.host == "3000-k3y.tunnel.runloop.ai");
  auto slow = before;
  slow.push_back({wait, error(408), milliseconds{10'000}});
  CHECK(std::get<runtime>(observed(slow).result()).ref == id);
  auto suspended = observed({{first_page, page(json::array({description("suspended")}))}, {by_id, is("suspended")}});
  CHECK(std::get<runtime>(suspended.result()).ref == id);
}

TEST_CASE("runloop: an end is over when it is shut down or not known, and only then") {
  auto end = [](std::vector<turn> turns) { return hold(self().destroy, some_account(), rented(), std::move(turns)); };
  CHECK(end({{shut, is("shutdown")}}).fine());
  CHECK(end({{shut, error(404)}}).fine());
  CHECK(end({{shut, is("running")}, {by_id, is("shutdown")}}).fine());
  CHECK(end({{shut, error(400)}, {by_id, is("failure")}}).fine());
  CHECK(end({{shut, broke(http::transport_error::reset)}, {by_id, is("running")}, {shut, is("shutdown")}}).fine());
  CHECK(end({{shut, error(403)}}).why().code == errc::permission_missing);
  auto stuck = end({{shut, error(500), milliseconds{59'990}}});
  CHECK(stuck.why().code == errc::destroy_failed);
}

TEST_CASE("runloop trap: 409 on a shutdown is a snapshot under way, and it is forced") {
  auto story =
    hold(self().destroy, some_account(), rented(), {{shut, error(409)}, {shut + "?force=true", is("shutdown")}});
  CHECK(story.fine());
}

TEST_CASE("runloop: a page of the list shows what is ours and lives") {
  auto story =
    hold(self().list, some_account(), list_order{some_labels().installation, {}},
         {{first_page, page(json::array({stranger("dbx_1"), description("shutdown"), description("running")}), true)}});
  const auto& got = story.result();
  CHECK(got.next == id);
  REQUIRE(got.items.size() == 1);
  CHECK(got.items[0].ref == id);
  CHECK(got.items[0].sandbox == some_labels().sandbox.text);
  CHECK(got.items[0].number == 3);
  CHECK(got.items[0].state == "running");
  CHECK(got.items[0].created_at == "1800000000123");
  auto rest = hold(self().list, some_account(), list_order{some_labels().installation, got.next},
                   {{first_page + "&starting_after=" + id, page(json::array())}});
  CHECK(rest.result().next.empty());
}

TEST_CASE("runloop: pausing is a suspend that is seen to have happened") {
  auto pause = [](std::vector<turn> turns) { return hold(self().pause, some_account(), rented(), std::move(turns)); };
  std::string suspend = at_it + "/suspend";
  CHECK(
    pause({{by_id, is("running")}, {suspend, is("suspending")}, {wait, error(408)}, {wait, is("suspended")}}).fine());
  CHECK(pause({{by_id, is("suspended")}}).fine());
  CHECK(pause({{by_id, is("running")}, {suspend, error(400)}, {by_id, is("suspended")}}).fine());
  CHECK(pause({{by_id, is("shutdown")}}).why().code == errc::runtime_lost);
  CHECK(pause({{by_id, error(404)}}).why().code == errc::runtime_lost);
}

TEST_CASE("runloop trap: a resume brings the disk back and no processes, so the server is started again, once") {
  std::string begin = at_it + "/execute_async";
  auto story = hold(self().resume, some_account(), rented(),
                    {{by_id, is("suspended")},
                     {at_it + "/resume", is("resuming")},
                     {wait, is("running")},
                     {begin, answer(200, R"({"execution_id":"e1","status":"queued"})")},
                     {by_id, is("running")}});
  const auto& got = story.result();
  CHECK(got.where.host == "3000-k3y.tunnel.runloop.ai");
  CHECK(got.session_key == rented().session_key);
  auto command = json::parse(story.asked[3].body())["command"].get<std::string>();
  CHECK(command.find("mkdir /tmp/.nestor-") == 0);
  CHECK(command.find("eval \"$NESTOR_START\"") != std::string::npos);
  auto lost_answer = hold(self().resume, some_account(), rented(),
                          {{by_id, is("running")},
                           {begin, broke(http::transport_error::reset)},
                           {by_id, is("running")},
                           {begin, answer(200, R"({"execution_id":"e2"})")},
                           {by_id, is("running", nullptr)},
                           {tunnel, answer(200, some_tunnel.dump())}});
  CHECK(lost_answer.fine());
}

TEST_CASE("runloop: renewing a lease is a keep-alive") {
  renew_order order{rented(), milliseconds{60'000}};
  CHECK(hold(self().renew, some_account(), order, {{at_it + "/keep_alive", answer(200, "{}")}}).fine());
  CHECK(hold(self().renew, some_account(), order, {{at_it + "/keep_alive", error(404)}}).why().code ==
        errc::runtime_lost);
}

TEST_CASE("runloop: a command is begun once and waited for, and killed when its time is over") {
  std::string begin = at_it + "/execute_async";
  std::string command = at_it + "/executions/e1/";
  std::string over = command + "wait_for_status?last_n=1000";
  auto queued = answer(200, R"({"execution_id":"e1","status":"queued"})");
  exec_order order{rented(), "echo hi", milliseconds{40'000}};
  auto story =
    hold(self().exec, some_account(), order,
         {{begin, queued},
          {over, error(408), milliseconds{25'000}},
          {over,
           answer(200, R"({"execution_id":"e1","status":"completed","exit_status":3,"stdout":"hi\n","stderr":"!"})")}});
  CHECK(story.result().exit_status == 3);
  CHECK(story.result().output == "hi\n");
  CHECK(story.result().error_output == "!");
  auto late = hold(self().exec, some_account(), order,
                   {{begin, queued},
                    {over, error(408), milliseconds{25'000}},
                    {over, error(408), milliseconds{25'000}},
                    {command + "kill", answer(200, "{}")}});
  CHECK(late.result().came == verdict::failed);
  CHECK(late.result().trouble.find("its time was up") != std::string::npos);
  auto lost = hold(self().exec, some_account(), order, {{begin, broke(http::transport_error::reset)}});
  CHECK(lost.result().came == verdict::unknown);
  auto unlike = answer(200, R"({"execution_id":"e1","status":"completed","exit_status":0,"stdout":"","stderr":""})");
  auto asked_again = hold(self().exec, some_account(), order, {{begin, queued}, {over, error(502)}, {over, unlike}});
  CHECK(asked_again.result().came == verdict::ok);
}

TEST_CASE("runloop: the session key is told to the devbox's environment and nowhere else") {
  auto story = provisioned(
    {{create, is("provisioning", nullptr)}, {wait, is("running", nullptr)}, {tunnel, answer(200, some_tunnel.dump())}});
  for (std::size_t i = 1; i < story.asked.size(); ++i)
    CHECK(story.asked[i].body().find("CANARY-session-key") == std::string::npos);
}

TEST_CASE("runloop: what it cannot honour is refused before anything is asked") {
  auto verdict = [](auto change) { return self().validate(*order_with(change).spec); };
  CHECK(verdict([](runtime_spec&) {}));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.port = 0; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.url = "http://x"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.session_key = secret::copy_of("k"); }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.cpu = 2; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"source":"blueprint_id"})"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"size":"HUGE"})"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"disk_gib":8})"; }));
  auto sized = [&](double cpu, std::uint64_t bytes, std::string options) {
    return verdict([&](runtime_spec& s) {
      s.cpu = cpu;
      s.memory_bytes = bytes;
      s.options = options;
    });
  };
  constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
  CHECK(sized(2, 4 * gib, "{}"));
  CHECK_FALSE(sized(1.5, 4 * gib, "{}"));
  CHECK_FALSE(sized(2, gib / 2, "{}"));
  CHECK_FALSE(sized(2, 4 * gib, R"({"size":"LARGE"})"));
}
