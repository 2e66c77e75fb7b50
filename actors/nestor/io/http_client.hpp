// HTTP/1.1 calls to many servers: TCP, TLS, unix sockets; kept-alive connections, bounded in number, shared fairly; a
// deadline for each call. Knows no provider, no dialect, no actor: values in (seam/io_request.hpp), values out.
// Exists in this form because connections and timers, not bytes, are what a node with 100,000 sandboxes runs out of.
#pragma once

#include <nestor/io/address_rules.hpp>
#include <nestor/io/resolver.hpp>
#include <nestor/seam/io_request.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace nestor::io {

struct http_client_options {
  std::size_t connections = 64;           ///< open at a time; 64 did twice the work of 10,000 (less cache, less kernel)
  std::size_t connections_per_origin = 8; ///< a hung server holds no more than this share
  std::size_t waiting = 100'000;          ///< calls in the queue; beyond: `overloaded`
  /// How long an unused connection is kept. Less than the shortest keep-alive of common servers (uvicorn: 5 s), so that
  /// we close first and a request rarely meets a closing server.
  milliseconds idle_for{3'000};
  std::size_t idle = 64;              ///< unused connections kept; the oldest makes room
  std::uint32_t header_max = 8'192;   ///< bytes of a response's header
  std::uint64_t body_max = 1'048'576; ///< bytes of a response's body
  std::string ca_file;                ///< PEM of certificates to trust besides the system's; empty: none
  address_rules addresses;
  resolver_options names;
  std::function<instant()> now; ///< null: the steady clock. Deadlines and idle times are measured by it
};

/// What the client has done; for metrics and tests.
struct http_client_counters {
  std::uint64_t calls = 0, connects = 0, reuses = 0, retries = 0, descriptor_shortages = 0;
  std::size_t open = 0, idle = 0, waiting = 0;
};

/// Used from the io_context's one thread, and keeps that io_context supplied with work.
///
/// Each call is answered once, on that thread, never inside `call`; calls of one origin begin in the order in which
/// they were made, and origins take turns for connections. The deadline starts with the hand-over and covers
/// everything, waiting included; it is noticed at most 20 ms late. What a passed deadline is called depends on how far
/// the call came, so that `http::never_sent` tells the truth: still in our queue `overloaded`, still looking the name
/// up `name_unresolved`, not connected `unreachable`, and only with a byte of the request sent `timed_out`.
///
/// A server may close a kept connection in three ways. (1) Before we use it again: seen, and the connection dropped.
/// (2) At the very moment we write: the request meets a closed socket. (3) After it read the request: it crashed. From
/// here (2) and (3) look the same, so a call is repeated, once and on a new connection, only when nothing of it was
/// sent or when it is a GET or HEAD of whose response not one byte came. Everything else is `reset`, and whoever made
/// the call decides.
///
/// A unix socket is only for calls whose address the node chose (`address_source::node`).
class http_client {
public:
  explicit http_client(boost::asio::io_context& context, http_client_options options = {});
  /// Calls in flight are dropped without an answer. Not from inside an answer.
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  /// A call that could break its own framing (request_writer.hpp: `writable`) is answered `malformed`.
  void call(http_call what, std::function<void(http_reply)> done);

  [[nodiscard]] http_client_counters counters() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace nestor::io
