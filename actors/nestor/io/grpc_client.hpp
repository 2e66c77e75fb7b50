// Unary gRPC calls and server streams to a few servers: bytes in, bytes out (seam/io_request.hpp), over libgrpc++.
// Knows no provider, no message and no actor. Exists behind this interface so that nothing else sees libgrpc++, and so
// that a build without it (NESTOR_GRPC) differs in nothing but the answer.
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

struct grpc_client_options {
  std::size_t calls = 1'024;          ///< out at a time, they share connections; beyond: `overloaded`
  std::size_t channels = 16;          ///< servers kept connected; an account names one
  std::size_t answer_max = 4'194'304; ///< bytes of an answer, all messages of a stream together; gRPC's own default
  std::string ca_file;                ///< PEM of certificates to trust besides the system's; empty: none
  address_rules addresses;
  resolver_options names;
};

/// Used from the io_context's one thread; each call is answered once, on that thread, never inside `call`.
///
/// What a server streams is one answer: its messages one after the other, which is how protobuf merges them. The
/// deadline starts with the hand-over and covers everything. A call that got no connection is a `transport_error` that
/// `never_sent`; once it had one, what broke it is an answer with a status of gRPC's own (1, 2, 4, 13, 14), as the
/// library tells no more, or `too_large`. Nothing is repeated here. Addresses are held to the rules and connected to as
/// they were resolved; a proxy of the environment is not used.
class grpc_client {
public:
  explicit grpc_client(boost::asio::io_context& context, grpc_client_options options = {});
  /// Calls that are out are cancelled, and answered no more. Waits for libgrpc++ to let go of them.
  ~grpc_client();
  grpc_client(const grpc_client&) = delete;
  grpc_client& operator=(const grpc_client&) = delete;

  /// Without libgrpc++ every answer is UNIMPLEMENTED (12), and says so.
  void call(grpc_call what, std::function<void(grpc_reply)> done);

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace nestor::io
