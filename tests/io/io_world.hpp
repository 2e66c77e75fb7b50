// An io_context run by the test's own thread until what the test waits for has happened.
#pragma once

#include <nestor/io/clock.hpp>
#include <nestor/io/http_client.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include <functional>
#include <optional>

namespace nestor::test {

struct io_world {
  boost::asio::io_context context{1};

  /// Runs handlers until `happened`; fails the test after `most` of real time: a busy machine gets what it needs.
  void until(const std::function<bool()>& happened, milliseconds most = milliseconds{60'000}) {
    auto end = io::steady_now() + most;
    while (!happened()) {
      if (io::steady_now() > end)
        FAIL("what the test waits for did not happen in time");
      if (context.stopped()) // it had run out of work
        context.restart();
      context.run_one_for(milliseconds{20});
    }
  }
};

inline http_call get(std::uint16_t port, std::string target = "/") {
  http_call call;
  call.to = {false, "127.0.0.1", port, ""};
  call.from = address_source::node;
  call.request.target = std::move(target);
  call.timeout = milliseconds{30'000}; // of a busy machine's time; what should time out says so
  return call;
}

inline http_call post(std::uint16_t port, std::string target, std::string_view body) {
  auto call = get(port, std::move(target));
  call.request.verb = http::method::post;
  call.request.body = body;
  return call;
}

/// A client and the world that runs it.
struct http_world : io_world {
  io::http_client client;
  explicit http_world(io::http_client_options options = {}) : client(context, std::move(options)) {}

  http_reply ask(http_call call) {
    std::optional<http_reply> reply;
    client.call(std::move(call), [&](http_reply answer) { reply = std::move(answer); });
    CHECK(!reply); // never inside the call
    until([&] { return reply.has_value(); });
    return std::move(*reply);
  }
  http::transport_error error_of(http_call call) {
    auto reply = ask(std::move(call));
    if (const auto* response = std::get_if<http::response>(&reply))
      FAIL("expected a transport error, got status " << response->status);
    return std::get<http::transport_error>(reply);
  }
  http::response response_to(http_call call) {
    auto reply = ask(std::move(call));
    if (const auto* error = std::get_if<http::transport_error>(&reply))
      FAIL("expected a response, got: " << http::name_of(*error));
    return std::get<http::response>(std::move(reply));
  }
};

} // namespace nestor::test
