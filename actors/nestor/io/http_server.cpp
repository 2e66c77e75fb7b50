#include <nestor/io/http_server.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/internal/server_connection.hpp>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace nestor::io {
namespace {

namespace asio = boost::asio;
using error = boost::system::error_code;
using server_acceptor = asio::basic_socket_acceptor<asio::ip::tcp, server_executor>;

// How late a deadline may be noticed, at most; shorter ones are looked at more often.
constexpr milliseconds tick_max{500};
constexpr milliseconds tick_min{10};
constexpr milliseconds accept_pause{50}; // when descriptors have run out, until some are free again

} // namespace

struct http_server::parts : std::enable_shared_from_this<parts> {
  asio::io_context& context;
  std::shared_ptr<server_world> world = std::make_shared<server_world>();
  std::optional<asio::ssl::context> tls;
  std::vector<std::unique_ptr<server_acceptor>> acceptors;
  asio::steady_timer ticker;
  milliseconds tick_every{};
  bool closed = false;

  explicit parts(asio::io_context& c) : context(c), ticker(c) {}

  void load_certificate(const http_server_options& options) {
    if (options.certificate.empty() && options.key.empty())
      return;
    tls.emplace(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    error failed;
    tls->use_certificate_chain_file(options.certificate, failed);
    if (failed)
      throw std::runtime_error{"the certificate " + options.certificate + " cannot be used: " + failed.message()};
    tls->use_private_key_file(options.key, asio::ssl::context::pem, failed);
    if (failed)
      throw std::runtime_error{"the key " + options.key + " cannot be used: " + failed.message()};
  }

  void accept(server_acceptor& at) {
    at.async_accept([self = shared_from_this(), &at](error failed, server_socket socket) {
      if (self->closed || failed == asio::error::operation_aborted)
        return;
      if (failed)
        return self->accept_later(at);
      if (self->make_room())
        self->welcome(std::move(socket));
      self->accept(at);
    });
  }

  void accept_later(server_acceptor& at) {
    auto timer = std::make_shared<asio::steady_timer>(context, accept_pause);
    timer->async_wait([self = shared_from_this(), timer, &at](error failed) {
      if (!failed && !self->closed && at.is_open())
        self->accept(at);
    });
  }

  /// False: everyone who is here was let in, and the place is full.
  bool make_room() {
    if (world->open < world->options.connections_max)
      return true;
    if (world->unadmitted.empty())
      return false;
    auto& longest = world->unadmitted.front();
    world->unadmitted.pop_front();
    longest.close();
    return true;
  }

  void welcome(server_socket socket) {
    if (tls)
      std::make_shared<server_connection<tls_socket>>(tls_socket{std::move(socket), *tls}, world)->start();
    else
      std::make_shared<server_connection<server_socket>>(std::move(socket), world)->start();
  }

  void tick() {
    ticker.expires_after(tick_every);
    ticker.async_wait([weak = weak_from_this()](error failed) {
      auto self = weak.lock();
      if (failed || !self || self->closed)
        return;
      auto now = steady_now();
      for (auto at = self->world->all.begin(); at != self->world->all.end();) {
        auto& each = *at++; // closing drops it from no list before its operations have come back
        if (each.deadline && *each.deadline <= now)
          each.close();
      }
      self->tick();
    });
  }
};

http_server::http_server(asio::io_context& context, http_server_options options, door admits, service serves)
    : parts_(std::make_shared<parts>(context)) {
  parts_->load_certificate(options);
  auto shortest = std::min({options.head_within, options.body_within, options.idle_within, options.write_within});
  parts_->tick_every = std::clamp(shortest / 4, tick_min, tick_max);
  parts_->world->options = std::move(options);
  parts_->world->admits = std::move(admits);
  parts_->world->serves = std::move(serves);
  parts_->tick();
}

http_server::~http_server() {
  close();
}

std::uint16_t http_server::listen(const std::string& address, std::uint16_t port) {
  error failed;
  auto where = asio::ip::make_address(address, failed);
  if (failed)
    throw std::system_error(failed, "`" + address + "` is no address");
  try {
    auto made = std::make_unique<server_acceptor>(parts_->context.get_executor(), asio::ip::tcp::endpoint{where, port});
    auto chosen = made->local_endpoint().port();
    parts_->accept(*parts_->acceptors.emplace_back(std::move(made)));
    return chosen;
  } catch (const boost::system::system_error& e) {
    throw std::system_error(e.code(), "cannot listen on " + address + " port " + std::to_string(port));
  }
}

void http_server::stop_listening() {
  error ignored;
  for (auto& each : parts_->acceptors)
    each->close(ignored);
}

void http_server::close() {
  if (std::exchange(parts_->closed, true))
    return;
  stop_listening();
  parts_->ticker.cancel();
  for (auto at = parts_->world->all.begin(); at != parts_->world->all.end();)
    (at++)->close();
}

std::size_t http_server::connections() const {
  return parts_->world->open;
}

} // namespace nestor::io
