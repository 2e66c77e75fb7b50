// The sockets around the model, on a free port: keep-alive, limits, the rate limit with a clock of ours, and faults as
// a client meets them. Delays are recorded and pass at once.
#include "asking.hpp"

#include <nested_server/actions.hpp>
#include <nested_server/listener.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

using namespace nestor;
using namespace nestor::nested_server;
using namespace nestor::nested_server::testing;
namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using boost::system::error_code;

namespace {

using answer = beast::http::response<beast::http::string_body>;

/// A listener on a thread of its own. Its clock moves only by `now_us`.
struct running_listener {
  std::atomic<std::int64_t> now_us{0};
  std::atomic<std::int64_t> delayed_ms{0};
  std::atomic<bool> died{false};
  listener server{{.now = [this] { return instant{now_us.load()}; },
                   .later =
                     [this](milliseconds delay, std::function<void()> what) {
                       delayed_ms += delay.count();
                       what();
                     },
                   .die = [this] { died = true; }}};
  std::thread thread;

  std::uint16_t run(std::shared_ptr<site> who) {
    auto port = server.listen("127.0.0.1", 0, std::move(who));
    thread = std::thread{[this] { server.run(); }};
    return port;
  }
  ~running_listener() {
    server.stop();
    if (thread.joinable())
      thread.join();
  }
};

/// A blocking client; what goes wrong is in `failed`.
struct client {
  asio::io_context io;
  tcp::socket socket{io};
  beast::flat_buffer buffer;
  error_code failed;

  explicit client(std::uint16_t port) { connect(port); }
  void connect(std::uint16_t port) {
    socket.connect({asio::ip::address_v4::loopback(), port}, failed);
    timeval limit{5, 0}; // a test that hangs is a test that fails
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(std::string_view bytes) { asio::write(socket, asio::buffer(bytes.data(), bytes.size()), failed); }
  answer read() {
    answer r;
    beast::http::read(socket, buffer, r, failed);
    return r;
  }
  answer operator()(std::string_view verb_and_target, std::string_view body = {}, std::string_view headers = {}) {
    send(std::string{verb_and_target} + " HTTP/1.1\r\nHost: x\r\n" + std::string{headers} +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body});
    return read();
  }
};

struct served_model : running_listener {
  std::shared_ptr<model_site> who;
  std::uint16_t port;

  explicit served_model(model_options options, std::initializer_list<std::string_view> faults = {},
                        bool admin = false) {
    std::vector<fault_rule> rules;
    for (auto spec : faults)
      rules.push_back(*parse_fault(spec));
    who = std::make_shared<model_site>(faulty_server{std::move(options), fault_plan{std::move(rules)}}, admin);
    port = run(who);
  }
};

model_options unlimited() {
  model_options options;
  options.rate_limit = false;
  return options;
}

} // namespace

TEST_CASE("a whole configuration goes over one kept connection") {
  served_model s{unlimited(), {}, true};
  client c{s.port};
  auto stored = c("POST /s/x/api/settings", R"({"llm_api_key":"k"})");
  CHECK(stored.result_int() == 200);
  CHECK(stored["Content-Type"] == "application/json");
  CHECK(c("POST /s/x/api/add-git-providers", R"({"provider_tokens":{"github":{"token":"t"}}})").result_int() == 200);
  CHECK(c("POST /s/x/api/secrets", R"({"name":"A","value":"1"})").result_int() == 201);
  CHECK(c("GET /s/x/api/secrets").body() == R"({"custom_secrets":[{"name":"A","description":""}]})");
  auto seen = nlohmann::json::parse(c("GET /_admin/state?prefix=/s/x").body());
  CHECK(seen["settings"]["llm_api_key"] == "k");
  CHECK(seen["git_providers"]["github"]["token"] == "t");
  CHECK(seen["secrets"]["A"] == "1");
  CHECK(seen["requests"]["POST /api/secrets"] == 1);
  CHECK(seen["in_flight"] == 0);
  CHECK(seen["in_flight_max"] == 1);
  CHECK(nlohmann::json::parse(c("GET /_admin/states").body())["states"] == 1);
  CHECK(c("POST /_admin/faults", R"({"faults":["status:503@GET /alive"]})").result_int() == 200);
  CHECK(c("GET /alive").result_int() == 503);
  CHECK(c("POST /_admin/faults", R"({"faults":["nonsense"]})").result_int() == 400);
  CHECK(c("POST /_admin/reset").result_int() == 200);
  CHECK(c("GET /s/x/api/secrets").body() == R"({"custom_secrets":[]})");
  CHECK_FALSE(c.failed);
}

TEST_CASE("the admin routes want the key, and are not there unless asked for") {
  auto options = unlimited();
  options.session_key = secret::copy_of("right");
  served_model with{options, {}, true};
  client c{with.port};
  CHECK(c("GET /_admin/states").result_int() == 401);
  CHECK(c("GET /_admin/states", "", "X-Session-API-Key: right\r\n").result_int() == 200);
  CHECK(c("GET /api/secrets", "", "x-session-api-key: right\r\n").result_int() == 200);
  CHECK(c("GET /api/secrets", "", "X-Session-API-Key: wrong\r\n").result_int() == 401);
  served_model without{unlimited()};
  CHECK(client{without.port}("GET /_admin/states").result_int() == 404);
}

TEST_CASE("the rate limit is kept over sockets, by the clock that was given") {
  served_model s{model_options{}};
  client c{s.port};
  std::string seen;
  for (int i = 0; i < 22; ++i)
    seen += std::to_string(c("GET /alive").result_int()) + " ";
  CHECK(seen.substr(0, 20 * 4) == "200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 ");
  CHECK(seen.substr(20 * 4) == "429 429 ");
  CHECK(s.delayed_ms == 10 * 1000);
  s.now_us = 1'000'000;
  CHECK(c("GET /alive").result_int() == 200);
}

TEST_CASE("connections are closed when the client wants it, and for HTTP/1.0") {
  served_model s{unlimited()};
  client c{s.port};
  CHECK(c("GET /alive", "", "Connection: close\r\n")["Connection"] == "close");
  c.read();
  CHECK(c.failed == beast::http::error::end_of_stream);
  client old{s.port};
  old.send("GET /alive HTTP/1.0\r\n\r\n");
  CHECK(old.read().result_int() == 200);
  old.read();
  CHECK(old.failed == beast::http::error::end_of_stream);
}

TEST_CASE("pipelined requests are answered in order") {
  served_model s{unlimited()};
  client c{s.port};
  c.send("GET /alive HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(c.read().body() == R"({"status":"ok"})");
  CHECK(c.read().body() == R"("OK")");
}

TEST_CASE("what is no request, or too large, is refused and the connection ends") {
  served_model s{unlimited()};
  auto status = [&](std::string bytes) {
    client c{s.port};
    c.send(bytes);
    auto r = c.read();
    auto result = r.result_int();
    c.read();
    CHECK(c.failed);
    return result;
  };
  CHECK(status("nonsense\r\n\r\n") == 400);
  CHECK(status("GET /" + std::string(head_max, 'x') + " HTTP/1.1\r\n\r\n") == 431);
  CHECK(status("POST /api/settings HTTP/1.1\r\nContent-Length: " + std::to_string(body_max + 1) + "\r\n\r\n") == 413);
  CHECK(status("OPTIONS /api/settings HTTP/1.1\r\nHost: x\r\n\r\n") == 405);
}

TEST_CASE("a connection that is reset, lost or cut is met as such") {
  served_model s{unlimited(),
                 {"reset@GET /alive#1", "answer-lost@POST /api/secrets", "cut@GET /health", "truncated@GET /alive#2"}};
  auto failure_of = [&](std::string_view asked, std::string_view body = {}) {
    client c{s.port};
    c(asked, body);
    return c.failed;
  };
  CHECK(failure_of("GET /alive") == asio::error::connection_reset);
  CHECK(failure_of("POST /api/secrets", R"({"name":"A","value":"1"})") == asio::error::connection_reset);
  CHECK(failure_of("GET /health") == beast::http::error::partial_message);
  client c{s.port};
  CHECK(c("POST /api/secrets", R"({"name":"A","value":"1"})").result_int() == 400); // it was stored
  CHECK(c("GET /alive").body() == R"({"statu)");
}

TEST_CASE("a refused connection is closed before it is read") {
  served_model s{unlimited(), {"refuse"}};
  client c{s.port};
  c("GET /alive");
  CHECK(c.failed);
  CHECK(client{s.port}("GET /alive").result_int() == 200);
}

TEST_CASE("a body that trickles arrives whole, one pause for each byte") {
  served_model s{unlimited(), {"trickle:10@GET /alive"}};
  client c{s.port};
  CHECK(c("GET /alive").body() == R"({"status":"ok"})");
  CHECK(s.delayed_ms == 10 * 15);
  CHECK(c("GET /alive").result_int() == 200);
}

TEST_CASE("a request that hangs stays in flight until its client gives up") {
  served_model s{unlimited(), {"hang@GET /alive"}, true};
  auto in_flight = [&](client& c) {
    return nlohmann::json::parse(c("GET /_admin/state").body())["in_flight"].get<int>();
  };
  client judge{s.port};
  judge("GET /health");
  client stuck{s.port};
  stuck.send("GET /alive HTTP/1.1\r\nHost: x\r\n\r\n");
  while (in_flight(judge) == 0) {}
  error_code ignored;
  stuck.socket.close(ignored);
  while (in_flight(judge) != 0) {}
  CHECK(nlohmann::json::parse(judge("GET /_admin/state").body())["in_flight_max"] == 1);
}

TEST_CASE("a fault that ends the process asks the world to end it") {
  served_model s{unlimited(), {"die@POST /api/settings"}};
  client c{s.port};
  c("POST /api/settings", "{}");
  CHECK(c.failed);
  CHECK(s.died);
}

TEST_CASE("a port in use and an address that is none are errors") {
  served_model s{unlimited()};
  listener other;
  auto who = std::make_shared<model_site>(faulty_server{model_options{}}, false);
  CHECK_THROWS_AS(other.listen("127.0.0.1", s.port, who), std::system_error);
  CHECK_THROWS_AS(other.listen("nowhere", 0, who), std::system_error);
}
