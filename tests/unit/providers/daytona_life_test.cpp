// Daytona as transcripts, once a sandbox is there: ending, listing, pausing, renewing, running commands.
#include "unit/providers/daytona_script.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::providers;
using namespace nestor::providers::testing;
using namespace nestor::providers::testing::daytona;

TEST_CASE("daytona: an end is over when the id is not found, and only then") {
  auto gone = hold(self().destroy, some_account(), rented(),
                   {{end, is("destroying")}, {by_id, is("destroying", "destroyed")}, {by_id, missing}});
  CHECK(gone.fine());
  CHECK(hold(self().destroy, some_account(), rented(), {{end, missing}}).fine());
  auto stuck = hold(self().destroy, some_account(), rented(),
                    {{end, is("destroying")}, {by_id, is("destroying"), milliseconds{300}, true}});
  CHECK(stuck.why().code == errc::destroy_failed);
  CHECK(stuck.took < self().destroy_within);
}

TEST_CASE("daytona trap: 409 on an end means wait, look and ask again") {
  auto story = hold(self().destroy, some_account(), rented(),
                    {{end, error(409, "Sandbox state change in progress")},
                     {by_id, is("creating")},
                     {by_id, is("started")},
                     {end, error(409, "Sandbox state change in progress")},
                     {by_id, is("stopped")},
                     {end, is("destroying")},
                     {by_id, missing}});
  CHECK(story.fine());
}

TEST_CASE("daytona: an end whose answer was lost is looked at, not believed") {
  auto story = hold(
    self().destroy, some_account(), rented(),
    {{end, broke(http::transport_error::reset)}, {by_id, is("started")}, {end, is("destroying")}, {by_id, missing}});
  CHECK(story.fine());
  auto forks = hold(self().destroy, some_account(), rented(), {{end, error(400, "Sandbox has live forks")}});
  CHECK(forks.why().code == errc::destroy_failed);
  CHECK(forks.why().cause.find("live forks") != std::string::npos);
}

TEST_CASE("daytona: a page of the list shows what is ours of it") {
  auto theirs = description("started");
  theirs["labels"]["nestor-installation"] = "nsi-other";
  auto page = json{{"items", json::array({description("started"), theirs})}, {"nextCursor", "Mg=="}};
  std::string first =
    "GET /api/sandbox?labels=%7B%22nestor-installation%22%3A%22nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa%22%7D&limit=200";
  auto story =
    hold(self().list, some_account(), list_order{some_labels().installation, {}}, {{first, answer(200, page.dump())}});
  const auto& got = story.result();
  CHECK(got.next == "Mg==");
  REQUIRE(got.items.size() == 1);
  CHECK(got.items[0].ref == id);
  CHECK(got.items[0].sandbox == some_labels().sandbox.text);
  CHECK(got.items[0].number == 3);
  CHECK(got.items[0].state == "started");
  CHECK(got.items[0].created_at == "2026-11-21T19:44:25.270Z");
  auto rest = hold(self().list, some_account(), list_order{some_labels().installation, got.next},
                   {{first + "&cursor=Mg%3D%3D", no_items}});
  CHECK(rest.result().next.empty());
}

TEST_CASE("daytona: pausing is a stop that is seen to have happened") {
  std::string stop = "POST /api/sandbox/" + id + "/stop";
  auto story = hold(self().pause, some_account(), rented(),
                    {{by_id, is("started")},
                     {stop, is("stopping", "stopped")},
                     {by_id, is("stopping", "stopped")},
                     {by_id, is("stopped", "stopped")}});
  CHECK(story.fine());
  auto stopped_before = hold(self().pause, some_account(), rented(),
                             {{by_id, is("started")},
                              {stop, error(400, "Sandbox is not in a stoppable state")},
                              {by_id, is("stopped", "stopped")}});
  CHECK(stopped_before.fine());
  CHECK(hold(self().pause, some_account(), rented(), {{by_id, missing}}).why().code == errc::runtime_lost);
}

TEST_CASE("daytona trap: what is deleted when it stops is made to stay before it is paused, and leased again after") {
  auto leased = [](std::string_view state, int deleted_after) {
    auto d = description(state, state);
    d["autoStopInterval"] = 30;
    d["autoDeleteInterval"] = deleted_after;
    return answer(200, d.dump());
  };
  std::string at = "POST /api/sandbox/" + id;
  auto story = hold(self().pause, some_account(), rented(),
                    {{by_id, leased("started", 0)},
                     {at + "/autodelete/-1", answer(201, "{}")},
                     {by_id, leased("started", -1)},
                     {at + "/stop", answer(200, "{}")},
                     {by_id, leased("stopped", -1)}});
  CHECK(story.fine());
  auto back = hold(self().resume, some_account(), rented(),
                   {{by_id, leased("stopped", -1)},
                    {at + "/start", answer(200, "{}")},
                    {by_id, leased("started", -1)},
                    {at + "/autodelete/0", answer(201, "{}")},
                    {by_id, leased("started", 0)},
                    {open_shell, opened},
                    {run, started},
                    {preview, reachable()}});
  CHECK(back.fine());
}

TEST_CASE("daytona trap: a start makes new processes and a new preview token") {
  auto story = hold(self().resume, some_account(), rented(),
                    {{by_id, is("stopped", "stopped")},
                     {"POST /api/sandbox/" + id + "/start", is("starting")},
                     {by_id, is("starting")},
                     {by_id, is("started")},
                     {open_shell, opened},
                     {run, started},
                     {preview, reachable("CANARY-second")}});
  const auto& got = story.result();
  CHECK(header_of(got, "x-daytona-preview-token") == "CANARY-second");
  CHECK(got.session_key == rented().session_key);
  CHECK(json::parse(story.asked[5].body())["command"] == "serve --now"); // of its own environment
  auto again = hold(self().address, some_account(), rented(), {{preview, reachable("CANARY-third")}});
  CHECK(header_of(again.result(), "x-daytona-preview-token") == "CANARY-third");
}

TEST_CASE("daytona: a start that is refused or never ends is told") {
  std::string start = "POST /api/sandbox/" + id + "/start";
  auto unfit = hold(self().resume, some_account(), rented(),
                    {{by_id, is("stopped")}, {start, error(422, "Resume is not supported")}});
  CHECK(unfit.why().status == 422);
  auto slow = hold(self().resume, some_account(), rented(),
                   {{by_id, is("stopped")}, {start, is("starting")}, {by_id, is("starting"), milliseconds{200}, true}});
  CHECK(slow.why().code == errc::provider_unavailable);
}

TEST_CASE("daytona: renewing a lease is activity") {
  std::string active = "POST /api/sandbox/" + id + "/last-activity";
  auto story = hold(self().renew, some_account(), renew_order{rented(), milliseconds{60'000}}, {{active, answer(201)}});
  CHECK(story.fine());
  CHECK(story.asked[0].body() == "{}");
  auto gone = hold(self().renew, some_account(), renew_order{rented(), milliseconds{60'000}}, {{active, missing}});
  CHECK(gone.why().code == errc::runtime_lost);
}

TEST_CASE("daytona: a command is run once, its status and its time-out are observations, a lost answer is unknown") {
  std::string execute = "POST /toolbox/" + id + "/process/execute";
  exec_order order{rented(), "echo hi; exit 3", milliseconds{1'500}};
  auto story = hold(self().exec, some_account(), order,
                    {{by_id, is("started")}, {execute, answer(200, R"({"exitCode":3,"result":"hi\n"})")}});
  CHECK(story.result().exit_status == 3);
  CHECK(story.result().output == "hi\n");
  CHECK(json::parse(story.asked[1].body()) == json{{"command", "echo hi; exit 3"}, {"timeout", 2}});
  auto late = hold(
    self().exec, some_account(), order,
    {{by_id, is("started")}, {execute, answer(408, R"({"message":"request timeout: command execution timeout"})")}});
  CHECK(late.result().came == verdict::failed);
  CHECK_THAT(late.result().trouble, Catch::Contains("its time was up"));
  auto lost =
    hold(self().exec, some_account(), order, {{by_id, is("started")}, {execute, broke(http::transport_error::reset)}});
  CHECK(lost.result().came == verdict::unknown);
  auto refused = hold(self().exec, some_account(), order,
                      {{by_id, is("started")}, {execute, broke(http::transport_error::refused)}});
  CHECK(refused.why().code == errc::provider_unavailable); // nothing was run
}

TEST_CASE("daytona trap: the toolbox is told a version, without which it mixes both streams") {
  auto story = provisioned(then_reached({{create, is("creating")}, {by_id, is("started")}}));
  CHECK(story.asked[2].header("X-Daytona-SDK-Version") == "0.218.0");
}

TEST_CASE("daytona: the session key is told to the sandbox's environment and nowhere else") {
  auto story = provisioned(then_reached({{create, is("creating")}, {by_id, is("started")}}));
  for (std::size_t i = 1; i < story.asked.size(); ++i) {
    CHECK(story.asked[i].body().find("CANARY-session-key") == std::string::npos);
    CHECK(story.asked[i].line().find("CANARY-session-key") == std::string::npos);
  }
}

TEST_CASE("daytona: what it cannot honour is refused before anything is asked") {
  auto verdict = [](auto change) { return self().validate(*order_with(change).spec); };
  CHECK(verdict([](runtime_spec&) {}));
  CHECK(verdict([](runtime_spec& s) { s.command.clear(); }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.port = 0; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.port = 2280; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.cpu = 2; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.memory_bytes = std::uint64_t{1} << 30U; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.url = "http://x"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.session_key = secret::copy_of("k"); }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"disk_gib":3})"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"build":true})"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"build":"yes"})"; }));
  CHECK_FALSE(verdict([](runtime_spec& s) { s.options = R"({"publik":true})"; }));
  auto built = [&](auto change) {
    return verdict([&](runtime_spec& s) {
      s.image = "debian:12";
      s.options = R"({"build":true})";
      change(s);
    });
  };
  CHECK(built([](runtime_spec& s) { s.cpu = 2; }));
  CHECK_FALSE(built([](runtime_spec& s) { s.cpu = 1.5; }));
  CHECK_FALSE(built([](runtime_spec& s) { s.memory_bytes = std::uint64_t{1} << 29U; }));
  CHECK_FALSE(built([](runtime_spec& s) { s.image = "debian:12\nRUN x"; }));
}
