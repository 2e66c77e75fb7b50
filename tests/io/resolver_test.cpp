#include "io_world.hpp"
#include "scripted_server.hpp"

#include <nestor/io/resolver.hpp>

#include <atomic>
#include <future>

using namespace nestor;
using namespace nestor::test;

namespace {

std::vector<io::ip_address> loopback() {
  return {*io::parse_address("127.0.0.1")};
}

struct resolver_world : io_world {
  io::resolver names;
  explicit resolver_world(io::resolver_options options) : names(context, std::move(options)) {}

  io::resolved ask(const std::string& name) {
    std::optional<io::resolved> answer;
    names.resolve(name, [&](const io::resolved& found) { answer = found; });
    CHECK(!answer);
    until([&] { return answer.has_value(); });
    return *answer;
  }
};

} // namespace

TEST_CASE("numeric addresses and overrides need no look-up", "[io]") {
  io::resolver_options options;
  options.look_up = [](const std::string&) -> std::vector<io::ip_address> { std::abort(); };
  options.overrides = {{"*.e2b.test", "127.0.0.1"}, {"control.test", "::1"}};
  resolver_world world{options};
  CHECK(world.ask("10.1.2.3").addresses.front() == *io::parse_address("10.1.2.3"));
  CHECK(world.ask("::1").addresses.front() == *io::parse_address("::1"));
  CHECK(world.ask("3000-abc.E2B.test").addresses == loopback());
  CHECK(world.ask("control.test").addresses.front() == *io::parse_address("::1"));
  CHECK(world.names.known("a.b.e2b.test"));
  CHECK_FALSE(world.names.known("e2b.test"));
  CHECK_FALSE(world.names.known("xe2b.test"));
}

TEST_CASE("a name is looked up once for all who ask, and remembered for a while", "[io]") {
  std::atomic<int> lookups{0};
  std::promise<void> go;
  auto gate = go.get_future().share();
  instant now{};
  io::resolver_options options;
  options.now = [&] { return now; };
  options.look_up = [&](const std::string& name) {
    ++lookups;
    gate.wait();
    return name == "known.test" ? loopback() : std::vector<io::ip_address>{};
  };
  resolver_world world{options};
  int answers = 0;
  for (int i = 0; i < 10; ++i)
    world.names.resolve("known.test", [&](const io::resolved& found) { answers += found.what == io::resolved::found; });
  go.set_value();
  world.until([&] { return answers == 10; });
  CHECK(lookups == 1);
  CHECK(world.ask("KNOWN.test").addresses == loopback());
  CHECK(lookups == 1);
  now = now + options.found_for;
  world.ask("known.test");
  CHECK(lookups == 2);

  CHECK(world.ask("unknown.test").what == io::resolved::unknown);
  CHECK(world.ask("unknown.test").what == io::resolved::unknown);
  CHECK(lookups == 3);
  now = now + options.unknown_for;
  world.ask("unknown.test");
  CHECK(lookups == 4);
}

TEST_CASE("remembered names and waiting ones are bounded", "[io]") {
  std::promise<void> go;
  auto gate = go.get_future().share();
  io::resolver_options options;
  options.lookups = 1;
  options.waiting = 2;
  options.cached = 2;
  options.look_up = [&](const std::string&) {
    gate.wait();
    return loopback();
  };
  resolver_world world{options};
  int found = 0, overloaded = 0;
  for (int i = 0; i < 5; ++i)
    world.names.resolve("host" + std::to_string(i) + ".test", [&](const io::resolved& answer) {
      ++(answer.what == io::resolved::found ? found : overloaded);
    });
  go.set_value();
  world.until([&] { return found + overloaded == 5; });
  CHECK(found == 3);
  CHECK(overloaded == 2);
  CHECK_FALSE(world.names.known("host0.test")); // the first to expire made room
  CHECK(world.names.known("host2.test"));
}

TEST_CASE("a stuck name delays only the calls to it", "[io]") {
  std::promise<void> go;
  auto gate = go.get_future().share();
  scripted_server server{answer_all};
  io::http_client_options options;
  options.names.look_up = [gate](const std::string& name) {
    if (name == "stuck.test")
      gate.wait();
    return name == "missing.test" ? std::vector<io::ip_address>{} : loopback();
  };
  http_world world{options};
  auto to = [&](const char* host, milliseconds timeout) {
    auto call = get(server.port());
    call.to.host = host;
    call.timeout = timeout;
    return call;
  };
  std::optional<http_reply> stuck;
  world.client.call(to("stuck.test", milliseconds{100}), [&](http_reply reply) { stuck = std::move(reply); });
  for (const char* host : {"a.test", "b.test", "c.test"})
    CHECK(world.response_to(to(host, milliseconds{30'000})).status == 200);
  CHECK(world.error_of(to("missing.test", milliseconds{30'000})) == http::transport_error::name_unresolved);
  world.until([&] { return stuck.has_value(); });
  CHECK(std::get<http::transport_error>(*stuck) == http::transport_error::name_unresolved);
  go.set_value();
}

TEST_CASE("a resolver may be destroyed while a name is stuck", "[io]") {
  std::promise<void> stuck, go, done;
  auto gate = go.get_future().share();
  {
    io::resolver_options options;
    options.look_up = [gate, &stuck, &done](const std::string&) {
      stuck.set_value();
      gate.wait();
      done.set_value();
      return loopback();
    };
    resolver_world world{options};
    world.names.resolve("stuck.test", [](const io::resolved&) { FAIL("nobody is there to be told"); });
    stuck.get_future().wait();
  }
  go.set_value();
  done.get_future().wait();
}

TEST_CASE("the system's resolver knows localhost and reports what is not there", "[io]") {
  resolver_world world{{}};
  auto answer = world.ask("localhost");
  CHECK(answer.what == io::resolved::found);
  CHECK(world.ask("does-not-exist.invalid").what == io::resolved::unknown);
}
