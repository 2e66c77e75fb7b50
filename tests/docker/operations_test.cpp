// The provider's operations one by one against the engine, without a node in between.
#include "engine.hpp"

#include <nestor/providers/session_key.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::providers;
using namespace nestor::tests;

namespace {

/// What came of it; a failure says itself.
template <class Wanted, class Result>
Wanted got(const std::variant<Result, failure>& came) {
  if (const auto* why = std::get_if<failure>(&came))
    FAIL(to_string(*why));
  if constexpr (std::is_same_v<Wanted, Result>)
    return std::get<Result>(came);
  else
    return std::get<Wanted>(std::get<Result>(came));
}

struct rented {
  engine judge;
  const provider& docker = *of_kind("docker");
  account who = account_at(engine_socket());
  provision_order order;

  rented() {
    who.proven = got<proof>(judge.hold(docker.authenticate, who, no_order{}));
    order.stamp = {{"nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"}, 1};
    order.spec = std::make_shared<runtime_spec>(server_spec());
    order.session_key = session_key_of(order.stamp, secret::copy_of("0123456789abcdef0123456789abcdef"));
  }

  void run(std::vector<std::string> command) {
    auto spec = server_spec();
    spec.command = std::move(command);
    order.spec = std::make_shared<runtime_spec>(std::move(spec));
  }
  auto provision() { return judge.hold(docker.provision, who, order); }
  auto observe() { return judge.hold(docker.observe, who, order); }
  void end(const runtime& what) {
    CHECK(std::holds_alternative<absent>(judge.hold(docker.destroy, who, what)));
    CHECK(judge.containers().empty());
  }
};

template <class Result>
failure why_of(const std::variant<Result, failure>& came) {
  const auto* why = std::get_if<failure>(&came);
  REQUIRE(why);
  INFO(why->cause);
  return *why;
}

} // namespace

TEST_CASE_METHOD(rented, "a container lives through every operation, each of which may be repeated") {
  auto here = got<runtime>(provision());
  CHECK(here.where.host == "127.0.0.1");
  CHECK(got<runtime>(provision()).ref == here.ref); // its name is in use: by itself
  CHECK(got<runtime>(observe()).where == here.where);

  auto said = got<observation>(
    judge.hold(docker.exec, who, exec_order{here, "echo out; echo err >&2; exit 3", milliseconds{10'000}}));
  CHECK(said.exit_status == 3);
  CHECK(said.output == "out\n");
  CHECK(said.error_output == "err\n");

  auto ours = got<listing>(judge.hold(docker.list, who, list_order{order.stamp.installation, ""}));
  REQUIRE(ours.items.size() == 1);
  CHECK(ours.items[0].ref == here.ref);
  CHECK(ours.items[0].sandbox == order.stamp.sandbox.text);
  CHECK(ours.items[0].number == 1);
  CHECK(ours.items[0].state == "running");
  CHECK(ours.next.empty());
  CHECK(got<listing>(judge.hold(docker.list, who, list_order{{"nsi-another"}, ""})).items.empty());
  CHECK(got<listing>(judge.hold(docker.list, who, list_order{order.stamp.installation, here.ref})).items.empty());

  for (int i = 0; i < 2; ++i) {
    CHECK(std::holds_alternative<paused>(judge.hold(docker.pause, who, here)));
    CHECK(judge.inspect(here.ref)["State"]["Status"] == "paused");
  }
  for (int i = 0; i < 2; ++i) {
    CHECK(got<runtime>(judge.hold(docker.resume, who, here)).where == here.where);
    CHECK(judge.inspect(here.ref)["State"]["Status"] == "running");
  }
  CHECK(got<runtime>(judge.hold(docker.address, who, here)).where == here.where);

  CHECK(std::holds_alternative<paused>(judge.hold(docker.pause, who, here)));
  end(here); // paused, too
  end(here);
  CHECK(std::holds_alternative<absent>(got<sighting>(observe())));
  CHECK(why_of(judge.hold(docker.pause, who, here)).code == errc::runtime_lost);
  CHECK(why_of(judge.hold(docker.resume, who, here)).code == errc::runtime_lost);
}

TEST_CASE_METHOD(rented, "a container that stopped is found by its labels and started again, with what is in it") {
  auto here = got<runtime>(provision());
  exec_order write{here, "echo work >/tmp/kept", milliseconds{10'000}};
  CHECK(got<observation>(judge.hold(docker.exec, who, write)).exit_status == 0);
  CHECK(judge.ask(http::method::post, "/containers/" + here.ref + "/kill").status == 204);
  CHECK(why_of(judge.hold(docker.address, who, here)).code == errc::runtime_exited);

  auto again = got<runtime>(observe());
  CHECK(again.ref == here.ref);
  exec_order read{again, "read line </tmp/kept; echo \"$line\"", milliseconds{10'000}};
  CHECK(got<observation>(judge.hold(docker.exec, who, read)).output == "work\n");
  end(again);
}

TEST_CASE_METHOD(rented, "a name that another's container has is refused, and the container left alone") {
  auto target = "/containers/create?name=" + order.stamp.sandbox.text + "-1";
  auto foreign = judge.ask(http::method::post, target, {{"Image", engine_image()}, {"Cmd", {"/bin/sh", "-c", "exit"}}});
  REQUIRE(foreign.status == 201);
  CHECK(why_of(provision()).code == errc::provision_refused);
  CHECK(std::holds_alternative<absent>(got<sighting>(observe())));
  REQUIRE(judge.containers().size() == 1);
  judge.ask(http::method::del, "/containers/" + order.stamp.sandbox.text + "-1?force=true");
}

TEST_CASE_METHOD(rented, "a command that ends at once is told with its last words, and its container removed") {
  run({"/bin/sh", "-c", "echo \"cannot start: $SESSION_API_KEY\" >&2; exit 7"});
  auto came = provision();
  if (std::holds_alternative<runtime>(came)) { // it was seen running for its moment: asked again, it has ended
    judge.ask(http::method::post, "/containers/" + got<runtime>(came).ref + "/wait");
    came = provision();
  }
  auto why = why_of(came);
  CHECK(why.code == errc::runtime_exited);
  CHECK_THAT(why.cause, Catch::Contains("status 7") && Catch::Contains("cannot start: <secret>"));
  CHECK(judge.containers().empty());
}

TEST_CASE_METHOD(rented, "a command that is not there is told by the engine, and its container removed") {
  run({"/bin/nothing-here"});
  auto why = why_of(provision());
  CHECK_THAT(why.cause, Catch::Contains("starting the container") && Catch::Contains("nothing-here"));
  CHECK(judge.containers().empty());
}

TEST_CASE_METHOD(rented, "where no engine listens, the credential step says so before anything is created") {
  auto nowhere = account_at(engine_socket() + "-not");
  auto why = why_of(judge.hold(docker.authenticate, nowhere, no_order{}));
  CHECK(why.code == errc::provider_unavailable);
  CHECK_THAT(why.cause, Catch::Contains(engine_socket() + "-not"));
}
