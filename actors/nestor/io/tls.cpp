#include <nestor/io/tls.hpp>

#include <nestor/io/address_rules.hpp>

#include <cerrno>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace nestor::io {
namespace {

/// OpenSSL's socket BIO, but for writing: its write(2) would raise SIGPIPE, and a library must not change the
/// process's signals to be safe from that.
const BIO_METHOD* quiet_socket_bio() {
  static const BIO_METHOD* const method = [] {
    const auto* socket = BIO_s_socket();
    auto* made =
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket without SIGPIPE");
    BIO_meth_set_write(made, [](BIO* bio, const char* bytes, int size) {
      BIO_clear_retry_flags(bio);
      auto sent =
        ::send(static_cast<int>(BIO_get_fd(bio, nullptr)), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
      if (sent < 0 && BIO_sock_should_retry(static_cast<int>(sent)) != 0)
        BIO_set_retry_write(bio);
      return static_cast<int>(sent);
    });
    BIO_meth_set_read(made, BIO_meth_get_read(socket));
    BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(socket));
    BIO_meth_set_create(made, BIO_meth_get_create(socket));
    BIO_meth_set_destroy(made, BIO_meth_get_destroy(socket));
    return made;
  }();
  return method;
}

} // namespace

tls_contexts::tls_contexts(std::string extra_ca_file) : extra_ca_file_(std::move(extra_ca_file)) {}

void tls_contexts::deleter::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

ssl_ctx_st* tls_contexts::get(const std::string& own_ca_file) {
  auto [at, fresh] = contexts_.try_emplace(own_ca_file);
  if (!fresh)
    return at->second.get();
  at->second.reset(SSL_CTX_new(TLS_client_method()));
  auto* context = at->second.get();
  if (context == nullptr)
    return nullptr;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  bool system = SSL_CTX_set_default_verify_paths(context) == 1;
  auto trusts = [context](const std::string& file) {
    return file.empty() || SSL_CTX_load_verify_locations(context, file.c_str(), nullptr) == 1;
  };
  if (!system || !trusts(extra_ca_file_) || !trusts(own_ca_file))
    at->second.reset(); // better no TLS at all than one that trusts something else than what was configured
  ERR_clear_error();
  return at->second.get();
}

void tls_session::deleter::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

tls_session::tls_session(ssl_ctx_st& context, int fd, const std::string& host) : session_(SSL_new(&context)) {
  auto* bio = BIO_new(quiet_socket_bio());
  BIO_set_fd(bio, fd, BIO_NOCLOSE);
  SSL_set_bio(session_.get(), bio, bio);
  bool bound = false;
  if (parse_address(host)) {
    bound = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session_.get()), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(session_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bound =
      SSL_set1_host(session_.get(), host.c_str()) == 1 && SSL_set_tlsext_host_name(session_.get(), host.c_str()) == 1;
  }
  if (!bound)
    session_.reset(); // every step is then `refused`: never a conversation that checks no name
}

io_step tls_session::step_of(int result, bool shaking_hands) {
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ: return {io_step::wait_read};
    case SSL_ERROR_WANT_WRITE: return {io_step::wait_write};
    case SSL_ERROR_ZERO_RETURN: return {io_step::ended};
    // A broken connection during the handshake is not a verdict about certificates: only the protocol's own errors are.
    case SSL_ERROR_SSL:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return {io_step::cut};
      return {shaking_hands ? io_step::refused : io_step::cut};
    default: return {io_step::cut};
  }
}

io_step tls_session::handshake() {
  if (!session_)
    return {io_step::refused};
  ERR_clear_error();
  int result = SSL_connect(session_.get());
  if (result == 1)
    return {io_step::done};
  auto step = step_of(result, true);
  return step.what == io_step::ended ? io_step{io_step::refused} : step;
}

io_step tls_session::read(char* into, std::size_t size) {
  ERR_clear_error();
  std::size_t bytes = 0;
  int result = SSL_read_ex(session_.get(), into, size, &bytes);
  return result == 1 ? io_step{io_step::done, bytes} : step_of(result, false);
}

io_step tls_session::write(const char* from, std::size_t size) {
  ERR_clear_error();
  std::size_t bytes = 0;
  int result = SSL_write_ex(session_.get(), from, size, &bytes);
  return result == 1 ? io_step{io_step::done, bytes} : step_of(result, false);
}

void tls_session::farewell() {
  if (session_ && SSL_is_init_finished(session_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(session_.get());
  }
}

io_step plain_read(int fd, char* into, std::size_t size) {
  auto got = ::recv(fd, into, size, 0);
  if (got > 0)
    return {io_step::done, static_cast<std::size_t>(got)};
  if (got == 0)
    return {io_step::ended};
  return {errno == EAGAIN || errno == EINTR ? io_step::wait_read : io_step::cut};
}

io_step plain_write(int fd, const char* bytes, std::size_t size) {
  auto sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
  if (sent >= 0)
    return {io_step::done, static_cast<std::size_t>(sent)};
  return {errno == EAGAIN || errno == EINTR ? io_step::wait_write : io_step::cut};
}

} // namespace nestor::io
