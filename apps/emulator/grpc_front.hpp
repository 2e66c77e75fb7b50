// A gRPC server in front of a cloud: any method of any service becomes a POST to its path, its metadata headers, its
// message the body. The answer's headers `grpc-status`, `grpc-message` and all others become status and trailers; an
// answer without `grpc-status` is a proxy's, and is told as gRPC's clients read it; parts of an answer are messages of
// a stream. Knows no cloud and no message.
#pragma once

#include <nested_server/site.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace nestor::emulator {

class grpc_front {
public:
  explicit grpc_front(boost::asio::io_context& io);
  /// Ends what is out.
  ~grpc_front();
  grpc_front(const grpc_front&) = delete;
  grpc_front& operator=(const grpc_front&) = delete;

  /// `who` is asked on the io_context's thread. `tls`: a folder with server.pem and server.key; empty: plain text.
  /// Port 0 takes a free one; returns the port. Throws std::runtime_error; always, in a build without gRPC.
  std::uint16_t listen(std::uint16_t port, const std::filesystem::path& tls, std::shared_ptr<nested_server::site> who);

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace nestor::emulator
