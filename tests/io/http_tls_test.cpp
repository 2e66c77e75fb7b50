// TLS as it goes wrong: certificates made here and now with OpenSSL, servers on loopback.
#include "io_world.hpp"
#include "scripted_server.hpp"

#include <nestor/io/entropy.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

using namespace nestor;
using namespace nestor::test;
using http::transport_error;

namespace {

template <auto Free>
struct freeing {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freeing<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freeing<X509_free>>;
using context_ptr = std::unique_ptr<SSL_CTX, freeing<SSL_CTX_free>>;

struct identity {
  key_ptr key;
  certificate_ptr certificate;
};

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// A certificate for `names` ("DNS:a.test,IP:127.0.0.1"), or a CA when there are none; valid from `from` to `to`
/// seconds.
identity make_identity(const std::string& names, const identity* issuer, long from = -3600, long to = 3600) {
  static long serial = 1;
  identity made{key_ptr{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")}, certificate_ptr{X509_new()}};
  auto* certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), to);
  X509_set_pubkey(certificate, made.key.get());
  auto text = names.empty() ? std::string{"test CA"} : std::string{"server"};
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
  auto* above = issuer != nullptr ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(above));
  if (names.empty())
    extend(certificate, above, NID_basic_constraints, "critical,CA:TRUE");
  else
    extend(certificate, above, NID_subject_alt_name, names);
  X509_sign(certificate, (issuer != nullptr ? *issuer : made).key.get(), EVP_sha256());
  return made;
}

struct tls_server_context {
  context_ptr context{SSL_CTX_new(TLS_server_method())};
  explicit tls_server_context(const identity& who) {
    SSL_CTX_use_certificate(context.get(), who.certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), who.key.get());
  }
};

/// A CA whose certificate lies in a file.
struct authority {
  identity ca = make_identity("", nullptr);
  std::string file =
    (std::filesystem::temp_directory_path() / ("nestor-ca-" + std::to_string(io::random_seed()))).string();
  authority() {
    auto* out = std::fopen(file.c_str(), "w");
    PEM_write_X509(out, ca.certificate.get());
    std::fclose(out);
  }
  ~authority() { std::filesystem::remove(file); }
  [[nodiscard]] io::http_client_options trusting() const {
    io::http_client_options options;
    options.ca_file = file;
    options.names.overrides = {{"*.test", "127.0.0.1"}};
    return options;
  }
};

http_call tls_get(std::uint16_t port, const char* host) {
  auto call = get(port);
  call.to.tls = true;
  call.to.host = host;
  return call;
}

} // namespace

TEST_CASE("a server with a certificate of a trusted CA for its name is spoken to", "[io]") {
  authority trusted;
  tls_server_context tls{make_identity("DNS:good.test,IP:127.0.0.1", &trusted.ca)};
  scripted_server server{answer_all, tls.context.get()};
  http_world world{trusted.trusting()};
  for (int i = 0; i < 3; ++i) {
    auto call = tls_get(server.port(), "good.test");
    call.request.verb = http::method::post;
    call.request.body = "{}";
    CHECK(world.response_to(call).body == "ok");
  }
  CHECK(server.accepted() == 1);
  CHECK(world.response_to(tls_get(server.port(), "127.0.0.1")).status == 200);
}

TEST_CASE("a certificate that does not prove the server's name is refused before anything is sent", "[io]") {
  authority trusted, unknown;
  std::atomic<int> heard{0};
  auto script = [&](peer& connection, int) {
    while (!connection.request().empty()) {
      ++heard;
      connection.answer("ok");
    }
  };
  auto refused = [&](const identity& who, const char* host) {
    tls_server_context tls{who};
    scripted_server server{script, tls.context.get()};
    http_world world{trusted.trusting()};
    auto call = tls_get(server.port(), host);
    call.request.headers.push_back({"Authorization", "Bearer CANARY"});
    auto reply = world.ask(call);
    auto* error = std::get_if<transport_error>(&reply);
    return error != nullptr && *error == transport_error::tls_refused;
  };
  CHECK(refused(make_identity("DNS:good.test", &trusted.ca), "other.test"));
  CHECK(refused(make_identity("DNS:good.test", &trusted.ca), "127.0.0.1"));
  CHECK(refused(make_identity("DNS:good.test", nullptr), "good.test"));                   // self-signed
  CHECK(refused(make_identity("DNS:good.test", &unknown.ca), "good.test"));               // somebody else's CA
  CHECK(refused(make_identity("DNS:good.test", &trusted.ca, -7200, -3600), "good.test")); // expired
  CHECK(refused(make_identity("DNS:*.test", &trusted.ca), "a.b.test"));
  CHECK(heard == 0);
  CHECK_FALSE(refused(make_identity("DNS:good.test", &trusted.ca), "good.test"));
}

TEST_CASE("a server that speaks no TLS is refused, one that hangs or breaks off is not", "[io]") {
  authority trusted;
  http_world world{trusted.trusting()};
  scripted_server plain{[](peer& connection, int) {
    connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    connection.stay_silent();
  }};
  CHECK(world.error_of(tls_get(plain.port(), "good.test")) == transport_error::tls_refused);

  // Nothing of ours was sent in these, and nothing was said about certificates either: trying again may help.
  scripted_server silent{[](peer& connection, int) { connection.stay_silent(); }};
  auto call = tls_get(silent.port(), "good.test");
  call.timeout = milliseconds{60};
  CHECK(world.error_of(call) == transport_error::unreachable);
  scripted_server breaking{[](peer&, int) {}};
  auto error = world.error_of(tls_get(breaking.port(), "good.test"));
  CHECK((error == transport_error::refused || error == transport_error::unreachable));
}

TEST_CASE("a CA file that cannot be read means no TLS at all", "[io]") {
  authority trusted;
  tls_server_context tls{make_identity("DNS:good.test", &trusted.ca)};
  scripted_server server{answer_all, tls.context.get()};
  auto options = trusted.trusting();
  options.ca_file = "/does/not/exist";
  http_world world{options};
  CHECK(world.error_of(tls_get(server.port(), "good.test")) == transport_error::tls_refused);
}

TEST_CASE("large bodies go through TLS both ways", "[io]") {
  authority trusted;
  tls_server_context tls{make_identity("DNS:good.test", &trusted.ca)};
  std::size_t seen = 0;
  scripted_server server{[&](peer& connection, int) {
                           seen = connection.request().size();
                           connection.answer(std::string(900'000, 'y'));
                           connection.stay_silent();
                         },
                         tls.context.get()};
  http_world world{trusted.trusting()};
  auto call = tls_get(server.port(), "good.test");
  call.request.verb = http::method::post;
  call.request.body = wiped_string(3'000'000, 'x');
  CHECK(world.response_to(call).body.size() == 900'000);
  CHECK(seen > 3'000'000);
}

TEST_CASE("a body without a length that ends without close-notify is no answer", "[io]") {
  authority trusted;
  tls_server_context tls{make_identity("DNS:good.test", &trusted.ca)};
  scripted_server server{[&](peer& connection, int number) {
                           connection.request();
                           connection.send("HTTP/1.1 200 OK\r\n\r\npart");
                           if (number == 1)
                             connection.cut();
                         },
                         tls.context.get()};
  http_world world{trusted.trusting()};
  CHECK(world.error_of(tls_get(server.port(), "good.test")) == transport_error::reset);
  CHECK(world.response_to(tls_get(server.port(), "good.test")).body == "part");
}
