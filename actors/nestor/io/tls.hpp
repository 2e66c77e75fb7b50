// TLS for the HTTP client: a verified context for all that trust the same, a conversation for each connected socket.
// Knows no HTTP and no io_context. Exists so that the CA bundle is parsed once (26 ms of CPU each time), and because
// a TLS state over our own descriptor needs no buffers while it waits.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

struct ssl_ctx_st;
struct ssl_st;

namespace nestor::io {

/// How one read, write or handshake step on a non-blocking stream went.
struct io_step {
  enum kind : unsigned char {
    done,       ///< `bytes` went through
    wait_read,  ///< nothing now; go on when readable
    wait_write, ///< nothing now; go on when writable
    ended,      ///< the other side closed in order
    cut,        ///< the stream ended where it must not, or failed
    refused     ///< TLS only: certificate or handshake
  };
  kind what = cut;
  std::size_t bytes = 0;
};

/// Verifies peers against the system's certificates, one more file of them for all where given, and one more of their
/// own where an endpoint names it. TLS 1.2 or newer.
class tls_contexts {
public:
  /// `extra_ca_file`: PEM; empty for none. Nothing is loaded before the first use.
  explicit tls_contexts(std::string extra_ca_file);

  /// The context that also trusts `own_ca_file` (empty: nothing more). Null when the certificates could not be loaded;
  /// tried once for each file, of which a node's configuration names a few.
  ssl_ctx_st* get(const std::string& own_ca_file);

private:
  struct deleter {
    void operator()(ssl_ctx_st* context) const;
  };
  std::string extra_ca_file_;
  std::map<std::string, std::unique_ptr<ssl_ctx_st, deleter>> contexts_;
};

/// A client's conversation on the connected, non-blocking socket `fd`, which it does not own.
class tls_session {
public:
  /// The certificate must be for `host` (name or numeric address); names are sent as SNI.
  tls_session(ssl_ctx_st& context, int fd, const std::string& host);

  io_step handshake();
  io_step read(char* into, std::size_t size);
  io_step write(const char* bytes, std::size_t size);
  /// Tells the other side that we are leaving, if the socket takes it at once.
  void farewell();

private:
  io_step step_of(int result, bool shaking_hands);

  struct deleter {
    void operator()(ssl_st* ssl) const;
  };
  std::unique_ptr<ssl_st, deleter> session_;
};

/// The same for plain sockets.
io_step plain_read(int fd, char* into, std::size_t size);
io_step plain_write(int fd, const char* bytes, std::size_t size);

} // namespace nestor::io
