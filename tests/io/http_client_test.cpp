// The HTTP client against real servers on loopback: what it sends, what it makes of the answers, when it connects.
#include "io_world.hpp"
#include "scripted_server.hpp"

using namespace nestor;
using namespace nestor::test;
using http::transport_error;

TEST_CASE("a call is answered with status, headers and body", "[io]") {
  std::string seen;
  scripted_server server{[&](peer& connection, int) {
    seen = connection.request();
    connection.answer("{\"a\":1}", "X-Thing: yes\r\n");
  }};
  http_world world;
  auto call = post(server.port(), "/api/settings", "{\"k\":2}");
  call.request.headers.push_back({"X-Session-API-Key", "abc"});
  auto response = world.response_to(std::move(call));
  CHECK(response.status == 200);
  CHECK(response.body == "{\"a\":1}");
  REQUIRE(response.find("x-thing") != nullptr);
  CHECK(*response.find("x-thing") == "yes");
  CHECK(seen == "POST /api/settings HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                  "\r\nUser-Agent: nestor/0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
                  "Content-Length: 7\r\nX-Session-API-Key: abc\r\n\r\n{\"k\":2}");
}

TEST_CASE("calls to one server use one connection again", "[io]") {
  scripted_server server{answer_all};
  http_world world;
  for (int i = 0; i < 5; ++i)
    CHECK(world.response_to(get(server.port())).status == 200);
  CHECK(server.accepted() == 1);
  CHECK(world.client.counters().reuses == 4);
}

TEST_CASE("nobody listening is refused", "[io]") {
  std::uint16_t port = 0;
  { port = scripted_server{answer_all}.port(); }
  http_world world;
  CHECK(world.error_of(get(port)) == transport_error::refused);
}

TEST_CASE("a server that hangs is given up at the deadline", "[io]") {
  scripted_server server{[](peer& connection, int) { connection.stay_silent(); }};
  http_world world;
  auto call = get(server.port());
  call.timeout = milliseconds{60};
  auto before = io::steady_now();
  CHECK(world.error_of(std::move(call)) == transport_error::timed_out);
  CHECK(io::steady_now() - before >= milliseconds{60});
}
