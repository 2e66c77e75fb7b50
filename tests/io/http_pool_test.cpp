// Which connections the HTTP client opens, keeps, shares and gives up.
#include "io_world.hpp"
#include "scripted_server.hpp"

#include <future>
#include <set>

#include <sys/resource.h>

using namespace nestor;
using namespace nestor::test;
using http::transport_error;

namespace {

/// Counts answers by kind.
struct tally {
  int ok = 0, failed = 0;
  std::function<void(http_reply)> counter() {
    return [this](http_reply reply) { ++(std::holds_alternative<http::response>(reply) ? ok : failed); };
  }
  [[nodiscard]] int all() const { return ok + failed; }
};

} // namespace

TEST_CASE("a connection that the server closed while idle is not used again", "[io]") {
  std::promise<void> closed;
  scripted_server server{[&](peer& connection, int number) {
    connection.request();
    connection.answer("ok");
    if (number == 1) {
      connection.hang_up();
      closed.set_value();
    }
    connection.request();
    connection.answer("ok");
  }};
  http_world world;
  CHECK(world.response_to(get(server.port())).status == 200);
  closed.get_future().wait();
  world.until([&] { return world.client.counters().idle == 0; });
  CHECK(world.response_to(post(server.port(), "/", "once")).status == 200);
  CHECK(world.client.counters().retries == 0);
}

TEST_CASE("a request that meets a closing server is repeated only when that is harmless", "[io]") {
  std::atomic<int> requests{0};
  scripted_server server{[&](peer& connection, int number) {
    connection.request();
    ++requests;
    connection.answer("ok");
    if (number == 1) { // reads the next request and closes without a word, as a server does that is going down
      if (!connection.request().empty())
        ++requests;
      connection.hang_up();
    }
    connection.stay_silent();
  }};
  http_world world;
  CHECK(world.response_to(get(server.port())).status == 200);
  SECTION("a GET is sent again, once, on a new connection") {
    CHECK(world.response_to(get(server.port())).status == 200);
    CHECK(requests == 3);
    CHECK(world.client.counters().retries == 1);
  }
  SECTION("a POST may have taken effect: whoever made it decides") {
    CHECK(world.error_of(post(server.port(), "/", "x")) == transport_error::reset);
    CHECK(requests == 2);
    CHECK(world.client.counters().retries == 0);
  }
}

TEST_CASE("unused connections are closed after a short time, and bounded in number", "[io]") {
  instant now{};
  scripted_server server{answer_all}, other{answer_all}, third{answer_all};
  io::http_client_options options;
  options.now = [&] { return now; };
  options.idle = 2;
  http_world world{options};
  for (auto* one : {&server, &other, &third})
    world.response_to(get(one->port()));
  CHECK(world.client.counters().idle == 2);
  now = now + options.idle_for;
  world.until([&] { return world.client.counters().open == 0; });
}

TEST_CASE("one connection carries one request at a time", "[io]") {
  std::atomic<int> most{0};
  scripted_server server{[&](peer& connection, int) {
    for (;;) {
      auto request = connection.request();
      if (request.empty())
        return;
      CHECK_FALSE(connection.client_gone(2)); // nothing more comes before the answer
      ++most;
      connection.answer("ok");
    }
  }};
  io::http_client_options options;
  options.connections_per_origin = 1;
  http_world world{options};
  tally got;
  for (int i = 0; i < 10; ++i)
    world.client.call(post(server.port(), "/", "x"), got.counter());
  world.until([&] { return got.all() == 10; });
  CHECK(got.ok == 10);
  CHECK(server.accepted() == 1);
}

TEST_CASE("calls beyond the connections wait, in order, and beyond the queue they are refused", "[io]") {
  std::vector<std::string> order;
  std::mutex mutex;
  std::promise<void> go;
  auto gate = go.get_future().share();
  scripted_server server{[&](peer& connection, int) {
    for (;;) {
      auto request = connection.request();
      if (request.empty())
        return;
      gate.wait();
      {
        std::lock_guard lock{mutex};
        order.push_back(request.substr(5, request.find(' ', 5) - 5));
      }
      connection.answer("ok");
    }
  }};
  io::http_client_options options;
  options.connections_per_origin = 1;
  options.waiting = 3;
  http_world world{options};
  tally got;
  for (int i = 0; i < 4; ++i)
    world.client.call(get(server.port(), "/" + std::to_string(i)), got.counter());
  CHECK(world.client.counters().waiting == 3);
  CHECK(world.error_of(get(server.port(), "/5")) == transport_error::overloaded);
  go.set_value();
  world.until([&] { return got.all() == 4; });
  CHECK(order == std::vector<std::string>{"0", "1", "2", "3"});
}

TEST_CASE("a call that never left the queue says so at its deadline", "[io]") {
  scripted_server server{[](peer& connection, int) { connection.stay_silent(); }};
  io::http_client_options options;
  options.connections_per_origin = 1;
  http_world world{options};
  tally got;
  world.client.call(get(server.port()), got.counter());
  auto call = post(server.port(), "/", "x");
  call.timeout = milliseconds{50};
  CHECK(world.error_of(call) == transport_error::overloaded);
  CHECK(http::never_sent(transport_error::overloaded));
}

TEST_CASE("a hung server holds only its share of the connections", "[io]") {
  scripted_server hung{[](peer& connection, int) { connection.stay_silent(); }};
  scripted_server well{answer_all};
  io::http_client_options options;
  options.connections = 8;
  options.connections_per_origin = 4;
  http_world world{options};
  tally stuck, got;
  for (int i = 0; i < 100; ++i)
    world.client.call(get(hung.port()), stuck.counter());
  for (int i = 0; i < 100; ++i)
    world.client.call(get(well.port()), got.counter());
  world.until([&] { return got.all() == 100; });
  CHECK(got.ok == 100);
  CHECK(stuck.all() == 0);
  CHECK(world.client.counters().open == 8);
}

TEST_CASE("origins take turns for connections, and unused ones make room", "[io]") {
  std::vector<std::unique_ptr<scripted_server>> servers;
  for (int i = 0; i < 12; ++i)
    servers.push_back(std::make_unique<scripted_server>(answer_all));
  io::http_client_options options;
  options.connections = 3;
  http_world world{options};
  tally got;
  for (int round = 0; round < 5; ++round)
    for (auto& server : servers)
      world.client.call(get(server->port()), got.counter());
  world.until([&] { return got.all() == 60; });
  CHECK(got.ok == 60);
  CHECK(world.client.counters().open <= 3);
  for (auto& server : servers)
    CHECK(server->accepted() <= 3); // and not 5: a connection is kept while its origin has calls
}

TEST_CASE("the next step of a sandbox goes over the connection of the last one although others wait", "[io]") {
  std::vector<std::unique_ptr<scripted_server>> servers;
  for (int i = 0; i < 8; ++i)
    servers.push_back(std::make_unique<scripted_server>(answer_all));
  io::http_client_options options;
  options.connections = 2;
  http_world world{options};
  int finished = 0;
  // The follow-up is made two turns of the loop after the answer, as an actor would.
  std::function<void(std::uint16_t, int)> step = [&](std::uint16_t port, int number) {
    world.client.call(get(port), [&, port, number](http_reply reply) {
      REQUIRE(std::holds_alternative<http::response>(reply));
      if (number == 3) {
        ++finished;
        return;
      }
      boost::asio::post(world.context, [&, port, number] { step(port, number + 1); });
    });
  };
  for (auto& server : servers)
    step(server->port(), 1);
  world.until([&] { return finished == 8; });
  for (auto& server : servers)
    CHECK(server->accepted() == 1);
}

TEST_CASE("more servers than descriptors make calls wait, not fail", "[io]") {
  std::vector<std::unique_ptr<scripted_server>> servers;
  for (int i = 0; i < 6; ++i)
    servers.push_back(std::make_unique<scripted_server>(answer_all));
  http_world world;
  world.response_to(get(servers[0]->port()));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  // Real exhaustion: descriptors are used up to the limit, and one is given back later.
  std::vector<int> used;
  rlimit lowered = before;
  lowered.rlim_cur = 128;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
  // One connection that is in use, so that room comes only from outside.
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0))
    used.push_back(fd);
  tally got;
  for (std::size_t i = 1; i < servers.size(); ++i)
    world.client.call(get(servers[i]->port()), got.counter());
  CHECK(world.client.counters().descriptor_shortages >= 1);
  for (int i = 0; i < 2 * 6 + 2 && !used.empty(); ++i) { // both ends of each connection are in this process
    ::close(used.back());
    used.pop_back();
  }
  world.until([&] { return got.all() == 5; });
  CHECK(got.ok == 5);
  for (int fd : used)
    ::close(fd);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE("many calls at once are each answered once", "[io]") {
  scripted_server good{answer_all};
  scripted_server bad{[](peer& connection, int number) {
    connection.request();
    if (number % 3 == 0)
      connection.reset();
    else if (number % 3 == 1)
      connection.answer("ok", "Connection: close\r\n");
  }};
  http_world world;
  tally got;
  for (int i = 0; i < 300; ++i)
    world.client.call(i % 2 == 0 ? get(good.port()) : post(bad.port(), "/", "x"), got.counter());
  world.until([&] { return got.all() == 300; });
  CHECK(got.ok > 150);
  CHECK(world.client.counters().waiting == 0);
}

TEST_CASE("a client may be destroyed with calls in flight and answers pending", "[io]") {
  scripted_server server{[](peer& connection, int) { connection.stay_silent(); }};
  io_world world;
  bool told = false;
  {
    io::http_client client{world.context};
    client.call(get(server.port()), [&](const http_reply&) { told = true; });
    client.call(get(1), [&](const http_reply&) { told = true; });
    auto unwritable = get(server.port());
    unwritable.request.target = "";
    client.call(unwritable, [&](const http_reply&) { told = true; });
  }
  world.context.run_for(milliseconds{50});
  CHECK_FALSE(told);
}
