// The HTTP/1.1 server of the node: keep-alive, TLS or not, and everything bounded, because whoever can reach a port can
// send anything. A request is refused by its head, before a byte of its body is read, or handed over whole. Who has not
// been let in yet holds no place against others: the longest unadmitted connection makes room for a new one.
// Runs on its io_context's one thread; Boost does not show here.
#pragma once

#include <nestor/core/time.hpp>
#include <nestor/seam/http_exchange.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace boost::asio {
class io_context;
}

namespace nestor::io {

struct http_server_options {
  /// Each costs a descriptor and, while something arrives, up to 64 KiB; 4,096 stay well below the usual 20,000.
  std::size_t connections_max = 4096;
  /// Bytes of a request's head: an ordinary client's is below 1 KiB.
  std::uint32_t head_max = 16U << 10U;
  /// Bytes of a request's body: a specification is at most 1 MiB, its escapes cost a little more.
  std::uint64_t body_max = std::uint64_t{2} << 20U;
  milliseconds head_within{10'000}; ///< from the first byte to the end of the head, TLS handshakes too
  milliseconds body_within{30'000};
  milliseconds idle_within{75'000};  ///< between requests: proxies and clients use about a minute
  milliseconds write_within{30'000}; ///< until the client has taken an answer, or a part of one
  /// Bytes that wait for the reader of a stream; one who lets more gather is closed.
  std::size_t stream_bytes_max = 256U << 10U;
  std::string certificate; ///< PEM files, both or none
  std::string key;
};

class http_server {
public:
  /// Judges a head; its answer refuses the request. Content-Length, Transfer-Encoding and the like are among the
  /// headers.
  using door = std::function<std::optional<http::response>(const http::request& head)>;
  /// Must answer, sooner or later.
  using service = std::function<void(std::shared_ptr<http_exchange>)>;

  /// Throws std::runtime_error when the certificate or key cannot be used.
  http_server(boost::asio::io_context& context, http_server_options options, door admits, service serves);
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Port 0 takes a free one. Returns the port. Throws std::system_error.
  std::uint16_t listen(const std::string& address, std::uint16_t port);
  /// Takes no more connections; those that are there go on.
  void stop_listening();
  /// Ends everything.
  void close();
  [[nodiscard]] std::size_t connections() const;

private:
  struct parts;
  std::shared_ptr<parts> parts_;
};

} // namespace nestor::io
