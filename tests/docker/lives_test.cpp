// Whole lives of sandboxes in real containers, under the real node. The engine itself is asked what is there.
#include "engine.hpp"
#include "gate.hpp"
#include "renting_node.hpp"

#include <support/run_program.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

TEST_CASE("a container is created, configured and Ready, and nothing of it is left") {
  engine judge;
  renting_node node{engine_socket()};
  auto id = node.create(server_spec());
  REQUIRE(node.await(id, status::ready) == status::ready);

  auto all = judge.containers();
  REQUIRE(all.size() == 1);
  auto ref = node.see(id)->runtime_ref;
  CHECK(all[0]["Id"] == ref);
  CHECK(all[0]["Labels"]["nestor-sandbox"] == id.text);
  CHECK(all[0]["Labels"]["nestor-attempt"] == "1");
  CHECK(all[0]["Labels"]["nestor-installation"].get<std::string>().starts_with("nsi-"));
  auto seen = judge.inspect(ref);
  CHECK(seen["HostConfig"]["Memory"] == memory_wanted);
  CHECK(seen["HostConfig"]["NanoCpus"] == 250'000'000);
  auto bindings = seen["NetworkSettings"]["Ports"]["3000/tcp"];
  REQUIRE(bindings.size() == 1);
  CHECK(bindings[0]["HostIp"] == "127.0.0.1"); // and nowhere else
  CHECK(node.ask<actors::access>(actors::get_access{id}).url ==
        "http://127.0.0.1:" + bindings[0]["HostPort"].get<std::string>());

  CHECK(node.end(id) == status::destroyed);
  CHECK(judge.containers().empty());
}

TEST_CASE("a create whose answer is lost is found by its labels, started and configured") {
  scratch_folder scratch;
  engine judge;
  gate between{scratch.file("gate"), engine_socket()};
  renting_node node{between.path()};
  between.to_lose = 1;
  auto id = node.create(server_spec());
  REQUIRE(node.await(id, status::ready) == status::ready);
  CHECK(between.lost == 1);
  CHECK(node.see(id)->number == 1); // the same attempt
  CHECK(judge.containers().size() == 1);
  CHECK(node.end(id) == status::destroyed);
  CHECK(judge.containers().empty());
}

TEST_CASE("a container that is killed from outside is noticed, and configured anew when it is started again") {
  scratch_folder scratch;
  engine judge;
  gate between{scratch.file("gate"), engine_socket()};
  renting_node node{between.path()};
  auto id = node.create(server_spec(), [](sandbox_policy& p) { p.probe_every = milliseconds{500}; });
  REQUIRE(node.await(id, status::ready) == status::ready);
  auto before = node.see(id);

  CHECK(judge.ask(http::method::post, "/containers/" + before->runtime_ref + "/kill").status == 204);
  CHECK(node.await(id, status::unknown) == status::unknown);
  auto looked = between.looked.load();
  CHECK(judge.ask(http::method::post, "/containers/" + before->runtime_ref + "/start").status == 204);
  CHECK(node.await(id, status::ready) == status::ready);
  auto after = node.see(id);
  CHECK(after->runtime_ref == before->runtime_ref);
  CHECK(after->fence > before->fence); // its memory was empty: access of before is void
  // An engine may publish the port elsewhere when a container starts again (Docker does): it was asked where.
  CHECK(between.looked > looked);
  auto bindings = judge.inspect(after->runtime_ref)["NetworkSettings"]["Ports"]["3000/tcp"];
  REQUIRE(bindings.size() == 1);
  CHECK(node.ask<actors::access>(actors::get_access{id}).url ==
        "http://127.0.0.1:" + bindings[0]["HostPort"].get<std::string>());

  // Removed from outside, it is gone: that is what was wanted.
  CHECK(judge.ask(http::method::del, "/containers/" + after->runtime_ref + "?force=true").status == 204);
  CHECK(node.end(id) == status::destroyed);
  CHECK(judge.containers().empty());
}

TEST_CASE("an image that the engine lacks is refused with what to do, and nothing is left") {
  engine judge;
  renting_node node{engine_socket()};
  auto spec = server_spec();
  spec.image = "localhost/nobody-built-this:1";
  auto id = node.create(spec);
  CHECK(node.await(id, status::failed) == status::failed);
  auto why = node.see(id)->why;
  REQUIRE(why);
  CHECK(why->code == errc::provision_refused);
  CHECK_THAT(why->cause, Catch::Contains("nobody-built-this") && Catch::Contains("docker pull"));
  CHECK(judge.containers().empty());
}
