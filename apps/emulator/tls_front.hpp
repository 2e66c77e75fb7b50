// TLS for the emulator's ports: an authority of our own that clients can be told to trust, and a front that takes TLS
// off and hands the bytes to a plain port behind it, so that there is one HTTP server and it knows no TLS.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
}

namespace nestor::emulator {

/// Makes `ca.pem`, `server.pem` and `server.key` in `folder` unless they are there: an authority that has signed one
/// certificate, for 127.0.0.1, localhost and the hosts of ports below *.localhost and *.test. The authority's own key
/// is kept nowhere. Throws std::runtime_error.
void make_certificates(const std::filesystem::path& folder);

class tls_front {
public:
  /// With the certificate in `folder`. Throws std::runtime_error.
  tls_front(boost::asio::io_context& io, const std::filesystem::path& folder);
  ~tls_front();
  tls_front(const tls_front&) = delete;
  tls_front& operator=(const tls_front&) = delete;

  /// Port 0 takes a free one. Returns the port. What is reset behind it is reset in front of it.
  std::uint16_t listen(std::uint16_t port, std::uint16_t behind);

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace nestor::emulator
