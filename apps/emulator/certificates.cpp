// The emulator's own authority, by OpenSSL.
#include <emulator/tls_front.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>

namespace nestor::emulator {
namespace {

namespace fs = std::filesystem;

constexpr long valid_seconds = 365L * 24 * 3'600;
constexpr const char* names = "IP:127.0.0.1,DNS:localhost,DNS:*.localhost,DNS:*.proxy.localhost,DNS:*.e2b.localhost,"
                              "DNS:*.tunnel.localhost,DNS:*.e2b.test,DNS:*.daytona.test,DNS:*.proxy.daytona.test,"
                              "DNS:*.runloop.test,DNS:*.tunnel.runloop.test,DNS:*.modal.test,"
                              "DNS:*.wo-00000000000000000000000000.modal.localhost";

template <auto Free>
struct freed {
  template <class T>
  void operator()(T* it) const {
    Free(it);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freed<X509_free>>;
using file_ptr = std::unique_ptr<FILE, freed<std::fclose>>;

template <class T>
T needed(T it) {
  if (!it)
    throw std::runtime_error("OpenSSL could not make a certificate");
  return it;
}

void extend(X509& certificate, X509& issuer, int what, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, freed<X509_EXTENSION_free>> made{
    needed(X509V3_EXT_conf_nid(nullptr, &context, what, value))};
  X509_add_ext(&certificate, made.get(), -1);
}

certificate_ptr certificate_for(EVP_PKEY& key, const char* name, X509* issuer) {
  certificate_ptr made{needed(X509_new())};
  X509_set_version(made.get(), 2); // counted from 0: v3
  std::uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial | 1U);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3'600); // clocks differ a little
  X509_gmtime_adj(X509_getm_notAfter(made.get()), valid_seconds);
  X509_set_pubkey(made.get(), &key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer ? issuer : made.get()));
  return made;
}

template <class Write>
void save(const fs::path& path, Write write) {
  file_ptr file{std::fopen(path.c_str(), "w")};
  if (!file || write(file.get()) != 1)
    throw std::runtime_error("cannot write " + path.string());
}

} // namespace

void make_certificates(const fs::path& folder) {
  fs::create_directories(folder);
  if (fs::exists(folder / "ca.pem") && fs::exists(folder / "server.pem") && fs::exists(folder / "server.key"))
    return;
  key_ptr authority_key{needed(EVP_EC_gen("P-256"))};
  key_ptr server_key{needed(EVP_EC_gen("P-256"))};
  auto authority = certificate_for(*authority_key, "nestor-emulator authority", nullptr);
  extend(*authority, *authority, NID_basic_constraints, "critical,CA:TRUE");
  extend(*authority, *authority, NID_key_usage, "critical,keyCertSign");
  needed(X509_sign(authority.get(), authority_key.get(), EVP_sha256()));
  auto server = certificate_for(*server_key, "nestor-emulator", authority.get());
  extend(*server, *authority, NID_subject_alt_name, names);
  extend(*server, *authority, NID_basic_constraints, "CA:FALSE");
  needed(X509_sign(server.get(), authority_key.get(), EVP_sha256()));
  save(folder / "ca.pem", [&](FILE* f) { return PEM_write_X509(f, authority.get()); });
  save(folder / "server.pem", [&](FILE* f) { return PEM_write_X509(f, server.get()); });
  save(folder / "server.key",
       [&](FILE* f) { return PEM_write_PrivateKey(f, server_key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  fs::permissions(folder / "server.key", fs::perms::owner_read | fs::perms::owner_write);
}

} // namespace nestor::emulator
