#include <emulator/tls_front.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <system_error>
#include <vector>

namespace nestor::emulator {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error = boost::system::error_code;

/// Two sockets and what goes between them.
class relayed : public std::enable_shared_from_this<relayed> {
public:
  relayed(tcp::socket outside, asio::ssl::context& context, std::uint16_t behind)
      : inside_(outside.get_executor()), outside_(std::move(outside), context), behind_(behind) {}

  void start() {
    outside_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](error failed) {
      if (failed)
        return self->close(false);
      self->inside_.async_connect({asio::ip::address_v4::loopback(), self->behind_}, [self](error refused) {
        if (refused)
          return self->close(true);
        self->inward();
        self->outward();
      });
    });
  }

private:
  void inward() {
    outside_.async_read_some(asio::buffer(in_), [self = shared_from_this()](error failed, std::size_t count) {
      if (failed)
        return self->close(false);
      asio::async_write(self->inside_, asio::buffer(self->in_, count), [self](error broken, std::size_t) {
        if (!broken)
          self->inward();
      });
    });
  }

  void outward() {
    inside_.async_read_some(asio::buffer(out_), [self = shared_from_this()](error failed, std::size_t count) {
      if (failed)
        return self->close(failed != asio::error::eof);
      asio::async_write(self->outside_, asio::buffer(self->out_, count), [self](error broken, std::size_t) {
        if (broken)
          return self->close(false);
        self->outward();
      });
    });
  }

  /// `hard`: as a reset; else TLS says goodbye first, so that nobody takes an end for a cut.
  void close(bool hard) {
    error ignored;
    inside_.close(ignored);
    auto& socket = outside_.next_layer();
    if (hard) {
      socket.set_option(asio::socket_base::linger{true, 0}, ignored);
      socket.close(ignored);
    } else if (!std::exchange(leaving_, true)) {
      outside_.async_shutdown([self = shared_from_this()](error) {
        error failed;
        self->outside_.next_layer().close(failed);
      });
    }
  }

  tcp::socket inside_;
  asio::ssl::stream<tcp::socket> outside_;
  std::uint16_t behind_;
  std::array<char, 16'384> in_{}, out_{};
  bool leaving_ = false;
};

} // namespace

struct tls_front::parts {
  struct port {
    tcp::acceptor acceptor;
    std::uint16_t behind;
  };
  asio::io_context& io;
  asio::ssl::context context{asio::ssl::context::tls_server};
  std::vector<std::unique_ptr<port>> ports;

  explicit parts(asio::io_context& context_of_all) : io(context_of_all) {}

  void accept(port& p) {
    p.acceptor.async_accept([this, &p](error failed, tcp::socket socket) {
      if (failed == asio::error::operation_aborted)
        return;
      if (!failed)
        std::make_shared<relayed>(std::move(socket), context, p.behind)->start();
      accept(p);
    });
  }
};

tls_front::tls_front(asio::io_context& io, const std::filesystem::path& folder) : parts_(std::make_unique<parts>(io)) {
  try {
    parts_->context.use_certificate_chain_file((folder / "server.pem").string());
    parts_->context.use_private_key_file((folder / "server.key").string(), asio::ssl::context::pem);
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("cannot use the certificate in " + folder.string() + ": " + e.what());
  }
}

tls_front::~tls_front() = default;

std::uint16_t tls_front::listen(std::uint16_t port, std::uint16_t behind) {
  try {
    auto made = std::make_unique<parts::port>(
      parts::port{tcp::acceptor{parts_->io, {asio::ip::address_v4::loopback(), port}}, behind});
    auto chosen = made->acceptor.local_endpoint().port();
    parts_->accept(*parts_->ports.emplace_back(std::move(made)));
    return chosen;
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("cannot listen on port " + std::to_string(port) + ": " + e.what());
  }
}

} // namespace nestor::emulator
