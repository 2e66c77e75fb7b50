// The HTTP client against real servers on loopback: what it sends, what it makes of the answers, when it connects.
#include "io_world.hpp"
#include "scripted_server.hpp"

#include <atomic>

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

TEST_CASE("what keeps a call from its server has a name each", "[io]") {
  struct {
    const char* title;
    std::function<void(peer&)> behave;
    transport_error expected;
  } rows[] = {
    {"reset before an answer",
     [](peer& p) {
       p.request();
       p.reset();
     },
     transport_error::reset},
    {"closed before an answer", [](peer& p) { p.request(); }, transport_error::reset},
    {"cut in the header",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nConte");
     },
     transport_error::reset},
    {"cut in the body",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
     },
     transport_error::reset},
    {"cut in a chunk",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
     },
     transport_error::reset},
    {"not HTTP",
     [](peer& p) {
       p.request();
       p.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
     },
     transport_error::malformed},
    {"two lengths",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
     },
     transport_error::malformed},
    {"a switch of protocols",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 101 Switching\r\n\r\n");
       p.stay_silent();
     },
     transport_error::malformed},
    {"interim answers without end",
     [](peer& p) {
       p.request();
       for (int i = 0; i < 20; ++i)
         p.send("HTTP/1.1 103 Early\r\n\r\n");
     },
     transport_error::malformed},
    {"header too large",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x'));
       p.stay_silent();
     },
     transport_error::too_large},
    {"body announced too large",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n");
       p.stay_silent();
     },
     transport_error::too_large},
    {"body too large in chunks",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
       for (int i = 0; i < 20; ++i)
         p.send("10000\r\n" + std::string(65'536, 'x') + "\r\n");
     },
     transport_error::too_large},
    {"body too large until the end",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\n\r\n" + std::string(1'100'000, 'x'));
     },
     transport_error::too_large},
    {"a chunk's line without end",
     [](peer& p) {
       p.request();
       p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(30'000, 'x'));
       p.stay_silent();
     },
     transport_error::too_large},
  };
  for (auto& row : rows) {
    CAPTURE(row.title);
    scripted_server server{[&](peer& connection, int) { row.behave(connection); }};
    http_world world;
    CHECK(world.error_of(get(server.port())) == row.expected);
    CHECK(world.client.counters().open == 0); // what broke is not used again
  }
}

TEST_CASE("answers come in every framing there is", "[io]") {
  struct {
    const char* title;
    const char* bytes;
    std::string body;
    int connections;
  } rows[] = {
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n",
     "abcde", 1},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\nabcde", "abcde", 2},
    {"after interim answers",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "ok", 1},
    {"with Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "ok", 2},
    {"of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 2},
    {"without a body", "HTTP/1.1 204 No Content\r\n\r\n", "", 1},
    {"with more than was asked for",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", "ok", 2},
  };
  for (auto& row : rows)
    for (bool slowly : {false, true}) {
      if (slowly && row.title == std::string_view{"with more than was asked for"})
        continue; // what comes after the next request is its answer, as far as anyone can tell
      CAPTURE(row.title, slowly);
      scripted_server server{[&](peer& connection, int) {
        std::string bytes = row.bytes;
        bool closes = row.connections == 2;
        while (!connection.request().empty()) {
          for (std::size_t i = 0; i < bytes.size(); i += slowly ? 1 : bytes.size())
            connection.send(slowly ? bytes.substr(i, 1) : bytes);
          if (closes)
            return;
        }
      }};
      http_world world;
      CHECK(world.response_to(get(server.port())).body == std::string_view{row.body});
      CHECK(world.response_to(get(server.port())).body == std::string_view{row.body});
      CHECK(server.accepted() == row.connections);
    }
}

TEST_CASE("an answer to HEAD has no body, whatever its length says", "[io]") {
  scripted_server server{[](peer& connection, int) {
    while (!connection.request().empty())
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  }};
  http_world world;
  auto call = get(server.port());
  call.request.verb = http::method::head;
  CHECK(world.response_to(call).status == 200);
  CHECK(world.response_to(call).status == 200);
  CHECK(server.accepted() == 1);
}

TEST_CASE("redirects are answers like others", "[io]") {
  scripted_server server{[](peer& connection, int) {
    connection.request();
    connection.send("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
  }};
  http_world world;
  CHECK(world.response_to(get(server.port())).status == 302);
}

TEST_CASE("an answer that trickles ends with the deadline", "[io]") {
  scripted_server server{[](peer& connection, int) {
    connection.request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (!connection.client_gone(5))
      connection.send("x");
  }};
  http_world world;
  auto call = get(server.port());
  call.timeout = milliseconds{80};
  CHECK(world.error_of(call) == transport_error::timed_out);
}

TEST_CASE("deadlines are measured by the clock that was given", "[io]") {
  instant now{};
  io::http_client_options options;
  options.now = [&] { return now; };
  http_world world{options};
  scripted_server server{[](peer& connection, int) { connection.stay_silent(); }};
  std::optional<http_reply> reply;
  auto call = get(server.port());
  call.timeout = std::chrono::hours{1};
  world.client.call(call, [&](http_reply answer) { reply = std::move(answer); });
  world.until([&] { return world.client.counters().connects == 1; });
  for (int i = 0; i < 5; ++i)
    world.context.run_one_for(milliseconds{30});
  CHECK(!reply);
  now = now + std::chrono::hours{1} - milliseconds{1};
  for (int i = 0; i < 5; ++i)
    world.context.run_one_for(milliseconds{30});
  CHECK(!reply);
  now = now + milliseconds{1};
  world.until([&] { return reply.has_value(); });
  CHECK(std::get<transport_error>(*reply) == transport_error::timed_out);
}

TEST_CASE("a large body is sent whole although the server reads slowly, and a large one read", "[io]") {
  std::string seen;
  scripted_server server{[&](peer& connection, int) {
    seen = connection.request();
    connection.answer(std::string(1'000'000, 'y'));
  }};
  http_world world;
  std::string body(6'000'000, 'x');
  auto response = world.response_to(post(server.port(), "/", body));
  CHECK(seen.size() > body.size());
  CHECK(seen.ends_with(body));
  CHECK(response.body.size() == 1'000'000);
}

TEST_CASE("a server that answers before it has read everything is heard", "[io]") {
  scripted_server server{[](peer& connection, int) {
    connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    connection.client_gone(5'000);
  }};
  http_world world;
  CHECK(world.response_to(post(server.port(), "/", std::string(6'000'000, 'x'))).status == 413);
  CHECK(world.client.counters().open == 0);
}

TEST_CASE("what could break a request's framing is never sent", "[io]") {
  scripted_server server{answer_all};
  http_world world;
  auto refused = [&](auto change) {
    auto call = get(server.port());
    change(call);
    return world.error_of(call) == transport_error::malformed;
  };
  CHECK(refused([](http_call& c) { c.request.target = "/a HTTP/1.1\r\nX: y"; }));
  CHECK(refused([](http_call& c) { c.request.target = "/a b"; }));
  CHECK(refused([](http_call& c) { c.request.target = "http://elsewhere/"; }));
  CHECK(refused([](http_call& c) { c.request.target = ""; }));
  CHECK(refused([](http_call& c) { c.request.headers.push_back({"X", "a\r\nY: b"}); }));
  CHECK(refused([](http_call& c) { c.request.headers.push_back({"X", wiped_string("a\0b", 3)}); }));
  CHECK(refused([](http_call& c) { c.request.headers.push_back({"X\r\nY", "b"}); }));
  CHECK(refused([](http_call& c) { c.request.headers.push_back({"X ", "b"}); }));
  CHECK(refused([](http_call& c) { c.request.headers.push_back({"", "b"}); }));
  for (const char* ours : {"Host", "content-length", "Transfer-Encoding", "Connection"})
    CHECK(refused([&](http_call& c) { c.request.headers.push_back({ours, "1"}); }));
  CHECK(refused([](http_call& c) { c.to.host = "a\r\nb"; }));
  CHECK(refused([](http_call& c) { c.to.port = 0; }));
  CHECK(server.accepted() == 0);
}

TEST_CASE("an address that is not allowed is not connected to", "[io]") {
  scripted_server server{answer_all};
  http_world world;
  auto call = get(server.port());
  call.from = address_source::spec;
  CHECK(world.error_of(call) == transport_error::address_refused);
  call.to.host = "::ffff:127.0.0.1";
  CHECK(world.error_of(call) == transport_error::address_refused);
  call.to.host = "localhost";
  CHECK(world.error_of(call) == transport_error::address_refused);
  CHECK(server.accepted() == 0);

  io::http_client_options options;
  options.addresses.allow.push_back(*io::parse_range("127.0.0.0/8"));
  http_world allowing{options};
  call.to.host = "127.0.0.1";
  CHECK(allowing.response_to(call).status == 200);
}

TEST_CASE("a preview host at link-local or metadata is refused, whatever the name said a moment ago", "[io]") {
  scripted_server server{answer_all};
  for (const char* astray : {"169.254.169.254", "169.254.1.1", "fe80::1", "fd00:ec2::254"}) {
    INFO(astray);
    auto looked_up = std::make_shared<std::atomic<int>>(0);
    io::http_client_options options;
    options.addresses.allow.push_back(*io::parse_range("127.0.0.0/8"));
    options.names.found_for = milliseconds{0}; // every call asks anew
    options.idle = 0;                          // … on a connection of its own
    options.names.look_up = [looked_up, astray](const std::string&) {
      return std::vector{*io::parse_address(++*looked_up == 1 ? "127.0.0.1" : astray)};
    };
    http_world world{options};
    auto call = get(server.port());
    call.to.host = "3000-abc.preview.test";
    call.from = address_source::spec;
    CHECK(world.response_to(call).status == 200); // connected to what was looked up and judged: it was asked once
    CHECK(*looked_up == 1);
    auto accepted = server.accepted();
    CHECK(world.error_of(call) == transport_error::address_refused);
    CHECK(*looked_up == 2);
    CHECK(server.accepted() == accepted);
  }
}

TEST_CASE("a name with several addresses is tried at each of them", "[io]") {
  scripted_server server{answer_all};
  io::http_client_options options;
  options.names.look_up = [](const std::string&) {
    return std::vector{*io::parse_address("127.0.0.9"), *io::parse_address("::1"), *io::parse_address("127.0.0.1")};
  };
  http_world world{options};
  auto call = get(server.port());
  call.to.host = "server.test";
  CHECK(world.response_to(call).status == 200);
}

TEST_CASE("a unix socket is called like any server, if the node chose it", "[io]") {
  auto path = "/tmp/nestor-io-test-" + std::to_string(::getpid()) + ".sock";
  scripted_server server{answer_all, nullptr, path};
  http_world world;
  http_call call;
  call.to.unix_path = path;
  call.from = address_source::node;
  CHECK(world.response_to(call).status == 200);
  CHECK(world.response_to(call).status == 200);
  CHECK(server.accepted() == 1);
  call.from = address_source::spec;
  CHECK(world.error_of(call) == transport_error::address_refused);
  call.from = address_source::node;
  ::unlink(path.c_str());
  call.to.unix_path += "x";
  CHECK(world.error_of(call) == transport_error::refused);
}
