#include <nested_server/connection.hpp>
#include <nested_server/listener.hpp>

#include <nestor/io/clock.hpp>

#include <boost/asio/signal_set.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <vector>

namespace nestor::nested_server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error = boost::system::error_code;

constexpr std::chrono::seconds tick_every{5};
constexpr int idle_ticks = idle_seconds / 5;
constexpr milliseconds accept_pause{50}; // when descriptors have run out, until some are free again

void after(asio::io_context& context, milliseconds delay, std::function<void()> what) {
  auto timer = std::make_shared<asio::steady_timer>(context, delay);
  timer->async_wait([timer, what = std::move(what)](error failed) {
    if (!failed)
      what();
  });
}

} // namespace

struct listener::parts {
  struct port {
    tcp_acceptor acceptor;
    std::shared_ptr<site> who;
  };
  using connection_list = boost::intrusive::list<connection, boost::intrusive::constant_time_size<false>>;

  asio::io_context context{1};
  std::shared_ptr<connection_world> world = std::make_shared<connection_world>();
  connection_list open;
  std::vector<std::unique_ptr<port>> ports;
  asio::steady_timer ticker{context};
  asio::signal_set signals{context};

  void accept(port& p) {
    p.acceptor.async_accept([this, &p](error failed, tcp_socket socket) {
      if (failed == asio::error::operation_aborted)
        return;
      if (failed)
        return after(context, accept_pause, [this, &p] { accept(p); });
      if (world->open < connections_max) {
        auto made = std::make_shared<connection>(std::move(socket), p.who, world);
        open.push_back(*made);
        made->start();
      }
      accept(p);
    });
  }

  void tick() {
    ticker.expires_after(tick_every);
    ticker.async_wait([this](error failed) {
      if (failed)
        return;
      for (auto& c : open)
        c.tick(idle_ticks);
      tick();
    });
  }
};

listener::listener(listener_world world) : parts_(std::make_unique<parts>()) {
  auto& given = parts_->world->given;
  given = std::move(world);
  if (!given.now)
    given.now = io::steady_now;
  if (!given.later)
    given.later = [&context = parts_->context](milliseconds delay, std::function<void()> what) {
      after(context, delay, std::move(what));
    };
  if (!given.die)
    given.die = [] { std::_Exit(1); };
  parts_->tick();
}

listener::~listener() = default;

std::uint16_t listener::listen(const std::string& address, std::uint16_t port, std::shared_ptr<site> who) {
  error failed;
  auto where = asio::ip::make_address(address, failed);
  if (failed)
    throw std::system_error(failed, "'" + address + "' is not an address");
  try {
    auto made = std::make_unique<parts::port>(
      parts::port{tcp_acceptor{parts_->context.get_executor(), tcp::endpoint{where, port}}, std::move(who)});
    auto chosen = made->acceptor.local_endpoint().port();
    parts_->accept(*parts_->ports.emplace_back(std::move(made)));
    return chosen;
  } catch (const boost::system::system_error& e) {
    throw std::system_error(e.code(), "cannot listen on " + address + " port " + std::to_string(port));
  }
}

void listener::stop_on_signals() {
  parts_->signals.add(SIGTERM);
  parts_->signals.add(SIGINT);
  parts_->signals.async_wait([this](error failed, int) {
    if (!failed)
      parts_->context.stop();
  });
}

void listener::run() {
  parts_->context.run();
}
void listener::stop() {
  parts_->context.stop();
}
std::size_t listener::connections() const {
  return parts_->world->open;
}
asio::io_context& listener::io() {
  return parts_->context;
}

} // namespace nestor::nested_server
