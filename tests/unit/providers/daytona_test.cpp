// Daytona as transcripts, until a sandbox is there: what is asked and answered, what that comes to. Each trap of its
// API has its test.
#include "unit/providers/daytona_script.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::providers;
using namespace nestor::providers::testing;
using namespace nestor::providers::testing::daytona;

TEST_CASE("daytona: a key is proved by asking about itself, and is good until it says") {
  auto story = hold(
    self().authenticate, some_account(), no_order{},
    {{"GET /api/api-keys/current", answer(200, R"({"name":"ci","permissions":["delete:sandboxes","write:sandboxes"],)"
                                               R"("expiresAt":"2027-01-02T03:04:05.000Z"})")}});
  REQUIRE(story.result().until);
  CHECK(story.result().until->ms == 1'798'859'045'000);
  CHECK(story.asked[0].header("Authorization") == "Bearer " + api_key);
}

TEST_CASE("daytona: a key without a permission that is needed is refused by name") {
  auto story = hold(self().authenticate, some_account(), no_order{},
                    {{"GET /api/api-keys/current", answer(200, R"({"permissions":["write:sandboxes"]})")}});
  CHECK(story.why().code == errc::permission_missing);
  CHECK(story.why().cause.find("delete:sandboxes") != std::string::npos);
}

TEST_CASE("daytona: a server that tells nothing about keys is asked for a list instead") {
  auto story = hold(self().authenticate, some_account(), no_order{},
                    {{"GET /api/api-keys/current", error(404, "Cannot GET")}, {"GET /api/sandbox?limit=1", no_items}});
  CHECK(story.fine());
}

TEST_CASE("daytona: a web token is no API key, and is not even sent") {
  auto who = some_account();
  who.secrets = {{"api_key", secret::copy_of("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl")}};
  auto story = hold(self().authenticate, who, no_order{}, {});
  CHECK(story.why().code == errc::auth_refused);
  CHECK(story.asked.empty());
}

TEST_CASE("daytona: what a proof is refused with decides what helps") {
  struct {
    io_reply reply;
    errc code;
  } const rows[]{{error(401, "Invalid credentials"), errc::auth_refused},
                 {error(403, "Access denied"), errc::permission_missing},
                 {error(429, "ThrottlerException: Too Many Requests", {{"Retry-After", "60"}}), errc::rate_limited},
                 {error(503, "Temporary authentication service error"), errc::provider_unavailable},
                 {answer(307, "", {{"Location", "https://login.example/"}}), errc::provider_unavailable},
                 {broke(http::transport_error::timed_out), errc::provider_unavailable}};
  for (const auto& row : rows) {
    auto story = hold(self().authenticate, some_account(), no_order{}, {{"GET /api/api-keys/current", row.reply}});
    CHECK(story.why().code == row.code);
    CHECK(story.why().cause.find(api_key) == std::string::npos);
  }
}

TEST_CASE(
  "daytona: a create carries name, labels, environment and no idle limit, and the way ends at a preview address") {
  auto story = provisioned(then_reached({{create, is("creating")}, {by_id, is("started")}}));
  const auto& got = story.result();
  CHECK(got.ref == id);
  CHECK(got.where.host == "3000-" + id + ".proxy.app.daytona.io");
  CHECK(got.where.tls);
  CHECK(header_of(got, "x-daytona-preview-token") == "CANARY-preview");
  CHECK(got.session_key == some_order().session_key);
  auto body = json::parse(story.asked[0].body());
  CHECK(body == json{{"name", name},
                     {"labels",
                      {{"nestor-installation", "nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"},
                       {"nestor-sandbox", "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"},
                       {"nestor-attempt", "3"}}},
                     {"env",
                      {{"LOG_LEVEL", "info"},
                       {"PORT", "3000"},
                       {"SESSION_API_KEY", "CANARY-session-key"},
                       {"NESTOR_START", R"(nestor-nested-server --log 'it'\''s')"}}},
                     {"public", false},
                     {"target", "us"},
                     {"autoStopInterval", 0},
                     {"autoDeleteInterval", -1}});
  CHECK(json::parse(story.asked[2].body()) == json{{"sessionId", "nestor"}});
  CHECK(json::parse(story.asked[3].body()) ==
        json{{"command", R"(nestor-nested-server --log 'it'\''s')"}, {"runAsync", true}});
  CHECK(story.asked[3].call.to.host == "proxy.app.daytona.io");
  CHECK(story.asked[3].header("Authorization") == "Bearer " + api_key);
}

TEST_CASE("daytona: a lease is its idle limit, what is stopped is deleted, and a lifetime its backstop") {
  auto order = some_order();
  order.lease = milliseconds{90'000};
  order.max_lifetime = milliseconds{3'600'000};
  auto story = provisioned(then_reached({{create, is("creating")}, {by_id, is("started")}}), order);
  auto body = json::parse(story.asked[0].body());
  CHECK(body["autoStopInterval"] == 2);
  CHECK(body["autoDeleteInterval"] == 0);
  CHECK(body["ttlMinutes"] == 70);
}

TEST_CASE("daytona: a snapshot goes by its name, an image that is built brings its resources") {
  auto turns = then_reached({{create, is("creating")}, {by_id, is("started")}});
  auto snapshot = provisioned(turns, order_with([](runtime_spec& spec) { spec.image = "agent-1"; }));
  CHECK(json::parse(snapshot.asked[0].body())["snapshot"] == "agent-1");
  auto built = provisioned(turns, order_with([](runtime_spec& spec) {
                             spec.image = "debian:12";
                             spec.cpu = 2;
                             spec.memory_bytes = std::uint64_t{4} << 30U;
                             spec.options = R"({"build":true,"disk_gib":8,"user":"root"})";
                           }));
  auto body = json::parse(built.asked[0].body());
  CHECK(body["buildInfo"]["dockerfileContent"] == "FROM debian:12\n");
  CHECK_FALSE(body.contains("snapshot"));
  CHECK(body["cpu"] == 2);
  CHECK(body["memory"] == 4);
  CHECK(body["disk"] == 8);
  CHECK(body["user"] == "root");
}

TEST_CASE("daytona: an image that starts its own server is not asked for a shell") {
  auto story = provisioned({{create, is("creating")}, {by_id, is("started")}, {preview, reachable()}},
                           order_with([](runtime_spec& spec) { spec.command.clear(); }));
  CHECK(story.fine());
}

TEST_CASE("daytona trap: the body of a create is stale, so only a later look is believed") {
  auto says_started =
    provisioned(then_reached({{create, is("started")}, {by_id, is("creating")}, {by_id, is("started")}}));
  CHECK(says_started.fine());
  auto says_error = provisioned(then_reached({{create, is("error")}, {by_id, is("started")}}));
  CHECK(says_error.fine());
}

TEST_CASE("daytona: a sandbox that starts is looked at every 100 ms at first") {
  script turns{{create, is("creating")}};
  for (int i = 0; i < 20; ++i)
    turns.push_back({by_id, is("creating")});
  turns.push_back({by_id, is("started")});
  auto story = provisioned(then_reached(turns));
  REQUIRE(story.fine());
  CHECK(story.asked[1].after == milliseconds{0});
  CHECK(story.asked[10].after == milliseconds{100});
}

TEST_CASE("daytona: a state that nobody has heard of is one on its way") {
  auto story = provisioned(then_reached({{create, is("creating")}, {by_id, is("thawing")}, {by_id, is("started")}}));
  CHECK(story.fine());
}

TEST_CASE("daytona: an answer that leaves a create open is create_unknown, and asked no second time") {
  const io_reply open[]{error(500, "An unexpected error occurred."),
                        error(502, "<html>"),
                        error(503, "maintenance"),
                        error(408, "proxy"),
                        answer(200, "not JSON"),
                        broke(http::transport_error::reset),
                        broke(http::transport_error::timed_out)};
  for (const auto& reply : open)
    CHECK(provisioned({{create, reply}}).why().code == errc::create_unknown);
}

TEST_CASE("daytona: a create that certainly did nothing is a plain failure") {
  struct {
    io_reply reply;
    errc code;
  } const rows[]{{error(401, "Invalid credentials"), errc::auth_refused},
                 {error(403, "Organization is suspended"), errc::permission_missing},
                 {error(422, "no"), errc::provision_refused},
                 {broke(http::transport_error::refused), errc::provider_unavailable},
                 {answer(307, "", {{"Location", "https://login.example/"}}), errc::provider_unavailable}};
  for (const auto& row : rows)
    CHECK(provisioned({{create, row.reply}}).why().code == row.code);
}

TEST_CASE("daytona trap: 429 says when in Retry-After-THROTTLER") {
  auto story =
    provisioned({{create, error(429, "ThrottlerException: Too Many Requests",
                                {{"X-RateLimit-Reset-sandbox-create", "31"}, {"Retry-After-sandbox-create", "31"}})}});
  CHECK(story.why().code == errc::rate_limited);
  REQUIRE(story.why().retry_after);
  CHECK(*story.why().retry_after == milliseconds{31'000});
}

TEST_CASE("daytona trap: a quota is a 400, and leaves nothing") {
  auto story =
    provisioned({{create, error(400, "Total CPU limit exceeded. Maximum allowed: 10.")}, {by_name, missing}});
  CHECK(story.why().code == errc::provision_refused);
  CHECK(story.why().cause.find("Total CPU limit exceeded") != std::string::npos);
}

TEST_CASE("daytona trap: half an answer about what a failed create left proves nothing") {
  auto story =
    provisioned({{create, error(400, "Sandbox failed to start: boom")}, {by_name, answer(200, R"({"id":")")}});
  CHECK(story.why().code == errc::create_unknown);
}

TEST_CASE("daytona trap: a create that failed while it was held is a 400 and leaves a sandbox, which is ended") {
  auto story = provisioned({{create, error(400, "Sandbox failed to start: boom")},
                            {by_name, with("errorReason", "boom", "error")},
                            {end, is("destroying")},
                            {by_id, is("destroying", "destroyed")},
                            {by_id, missing}});
  CHECK(story.why().code == errc::provision_failed);
  CHECK(story.why().cause.find("boom") != std::string::npos);
}

TEST_CASE("daytona: a name that is ours already is adopted") {
  auto story = provisioned(then_reached(
    {{create, error(409, "Sandbox with name x already exists")}, {by_name, is("creating")}, {by_id, is("started")}}));
  CHECK(story.result().ref == id);
}

TEST_CASE("daytona: a name that is somebody else's is refused, and what has it left alone") {
  auto theirs = with("labels", {{"nestor-installation", "nsi-other"}, {"app", "demo"}});
  auto story = provisioned({{create, error(409, "Sandbox with name x already exists")}, {by_name, theirs}});
  CHECK(story.why().code == errc::provision_refused);
}

TEST_CASE("daytona: a name that was free again meanwhile is tried again") {
  auto story = provisioned({{create, error(409, "Sandbox with name x already exists")}, {by_name, missing}});
  CHECK(story.why().code == errc::provision_failed);
}

TEST_CASE(
  "daytona trap: nothing is orphaned when it never starts, although 409 forbids to end it while it is creating") {
  auto story = provisioned({{create, is("creating"), milliseconds{30'000}},
                            {by_id, is("creating"), milliseconds{10}, true},
                            {end, error(409, "Sandbox state change in progress")},
                            {by_id, is("creating")},
                            {by_id, is("started")},
                            {end, is("destroying")},
                            {by_id, missing}});
  CHECK(story.why().code == errc::provision_failed);
  CHECK(story.why().cause.find("is still in state creating") != std::string::npos);
  CHECK(story.took < self().provision_within);
}

TEST_CASE("daytona: what failed to start and cannot be ended in time is create_unknown, never a plain failure") {
  auto story = provisioned({{create, is("creating")},
                            {by_id, is("build_failed")},
                            {end, error(409, "Sandbox state change in progress")},
                            {by_id, is("creating"), milliseconds{500}, true}});
  CHECK(story.why().code == errc::create_unknown);
  CHECK(story.took < self().provision_within);
}

TEST_CASE("daytona: what disappears while it starts is nothing to end") {
  auto story = provisioned({{create, is("creating")}, {by_id, is("destroying", "destroyed")}, {by_id, missing}});
  CHECK(story.why().code == errc::provision_failed);
}

TEST_CASE("daytona: a look that fails is taken again, and once there is no time left it stays open") {
  auto fine = provisioned(then_reached({{create, is("creating")},
                                        {by_id, error(502, "<html>")},
                                        {by_id, broke(http::transport_error::reset)},
                                        {by_id, error(429, "Too Many", {{"Retry-After-authenticated", "2"}})},
                                        {by_id, is("started")}}));
  CHECK(fine.fine());
  CHECK(fine.asked[4].after == milliseconds{2'000});
  auto never = provisioned({{create, is("creating")}, {by_id, error(502, "<html>"), milliseconds{900}, true}});
  CHECK(never.why().code == errc::create_unknown);
  auto revoked = provisioned({{create, is("creating")}, {by_id, error(401, "Invalid credentials")}});
  CHECK(revoked.why().code == errc::create_unknown);
}

TEST_CASE("daytona trap: a toolbox that says 400 about a sandbox just started is asked again") {
  auto story = provisioned(
    then_reached({{create, is("creating")},
                  {by_id, is("started")},
                  {open_shell, answer(400, R"({"message":"bad request: failed to get runner info: 404 Not Found"})")},
                  {by_id, is("started")}}));
  CHECK(story.fine());
}

TEST_CASE("daytona: a start whose answer was lost is looked for in the shell, and never made twice") {
  script before{{create, is("creating")}, {by_id, is("started")}, {open_shell, opened}};
  auto lost = before;
  lost.push_back({run, broke(http::transport_error::timed_out)});
  auto ran = lost;
  ran.push_back({look_into_shell, answer(200, R"({"sessionId":"nestor","commands":[{"id":"c","command":"x"}]})")});
  ran.push_back({preview, reachable()});
  CHECK(provisioned(ran).fine());
  auto not_run = lost;
  not_run.push_back({look_into_shell, answer(200, R"({"sessionId":"nestor","commands":[]})")});
  not_run.push_back({run, started});
  not_run.push_back({preview, reachable()});
  CHECK(provisioned(not_run).fine());
}

TEST_CASE("daytona: a toolbox on a foreign host never sees the key, and the sandbox is ended") {
  auto story = provisioned({{create, is("creating")},
                            {by_id, with("toolboxProxyUrl", "https://toolbox.evil.example/toolbox")},
                            {end, is("destroying")},
                            {by_id, missing}});
  CHECK(story.why().code == errc::address_refused);
  CHECK(story.why().cause.find("toolbox.evil.example") != std::string::npos);
}

TEST_CASE("daytona: the key may go to the toolbox but to no port of a sandbox") {
  CHECK(key_may_go_to(some_account(), "proxy.app.daytona.io"));
  CHECK_FALSE(key_may_go_to(some_account(), "3000-" + id + ".proxy.app.daytona.io"));
}

TEST_CASE("daytona trap: a preview URL that comes with a 307 to a login is no address") {
  auto login = answer(307, "", {{"Location", "https://login.example/"}});
  auto story = hold(self().address, some_account(), rented(), {{preview, login}});
  CHECK(story.why().code == errc::provider_unavailable);
  CHECK(story.why().status == 307);
}

TEST_CASE("daytona: a lost create is found by its name, and what is left to do is done") {
  auto story = observed(then_reached({{by_name, is("creating")}, {by_id, is("started")}}));
  const auto& seen = story.result();
  REQUIRE(std::holds_alternative<runtime>(seen));
  CHECK(std::get<runtime>(seen).ref == id);
  CHECK(std::get<runtime>(seen).session_key == some_order().session_key);
}

TEST_CASE("daytona: a server that runs in its shell is not started again when it is found") {
  auto story = observed({{by_name, is("started")},
                         {open_shell, error(409, "conflict: session already exists")},
                         {look_into_shell, answer(200, R"({"sessionId":"nestor","commands":[{"id":"c"}]})")},
                         {preview, reachable()}});
  CHECK_FALSE(is_absent(story.result()));
}

TEST_CASE("daytona: what its name does not find is looked for by label through all pages") {
  std::string second = our_list + "&cursor=Mg%3D%3D";
  auto others =
    json{{"items", json::array({json{{"id", "x"}, {"labels", {{"app", "demo"}}}}})}, {"nextCursor", "Mg=="}};
  auto ours = json{{"items", json::array({description("destroying", "destroyed")})}, {"nextCursor", nullptr}};
  auto found = observed({{by_name, missing},
                         {our_list, answer(200, others.dump())},
                         {second, answer(200, ours.dump())},
                         {by_id, is("destroying", "destroyed")},
                         {by_id, missing}});
  CHECK(is_absent(found.result()));
  CHECK(is_absent(observed({{by_name, missing}, {our_list, no_items}}).result()));
}

TEST_CASE("daytona: a server from before the cursors answers a list with a bare array") {
  auto story = observed({{by_name, missing},
                         {our_list, answer(200, json::array({description("started")}).dump())},
                         {by_id, is("started")},
                         {open_shell, opened},
                         {run, started},
                         {preview, reachable()}});
  CHECK_FALSE(is_absent(story.result()));
}

TEST_CASE("daytona: what has our name and others' labels is not ours") {
  auto story = observed({{by_name, with("labels", {{"nestor-installation", "nsi-other"}})}, {our_list, no_items}});
  CHECK(is_absent(story.result()));
}

TEST_CASE("daytona: absence is never read from an answer that does not say it") {
  CHECK(observed({{by_name, error(500, "x")}}).why().code == errc::provider_unavailable);
  CHECK(observed({{by_name, error(401, "x")}}).why().code == errc::auth_refused);
  CHECK(observed({{by_name, missing}, {our_list, answer(200, "[")}}).why().code == errc::provider_unavailable);
  CHECK(observed({{by_name, missing}, {our_list, error(503, "x")}}).why().code == errc::provider_unavailable);
}

TEST_CASE("daytona: a list whose cursor runs in circles ends") {
  auto page = answer(200, R"({"items":[],"nextCursor":"again"})");
  auto story =
    observed({{by_name, missing}, {our_list, page}, {our_list + "&cursor=again", page, milliseconds{1}, true}});
  CHECK(story.why().code == errc::provider_unavailable);
}

TEST_CASE("daytona: what is there and does not run is told as it is, and left as it is") {
  for (auto state : {"stopped", "error", "archived"}) {
    auto story = observed({{by_name, is(state)}, {preview, reachable()}});
    REQUIRE(std::holds_alternative<runtime>(story.result()));
    CHECK(std::get<runtime>(story.result()).ref == id);
  }
  auto slow =
    observed({{by_name, is("creating")}, {by_id, is("creating"), milliseconds{50}, true}, {preview, reachable()}});
  CHECK(std::holds_alternative<runtime>(slow.result()));
  CHECK(slow.took < milliseconds{20'000});
}
