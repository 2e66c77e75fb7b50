// One connection to one address and the exchange that is on it: connect, TLS, write, read. Knows nothing of queues,
// retries or deadlines: the client that owns it hears how each exchange ended and decides. Internal to io/http_client.
#pragma once

#include <nestor/io/internal/response_reader.hpp>
#include <nestor/io/internal/socket_address.hpp>
#include <nestor/io/poller.hpp>
#include <nestor/io/tls.hpp>
#include <nestor/seam/io_request.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace nestor::io {

/// Buffers that all connections of a client share: bytes are in them only while one event is handled. Wiped after use.
struct shared_buffers {
  wiped_string out;
  std::vector<char, wiping_allocator<char>> in = std::vector<char, wiping_allocator<char>>(16'384);
};

class http_connection final : public watcher {
public:
  enum class phase : std::uint8_t { closed, connecting, shaking_hands, exchanging, idle };

  /// How an exchange ended without a response.
  struct breakage {
    http::transport_error why;
    bool connected; ///< false: another address of the same name may do better
    bool sent_any;  ///< false: certainly nothing of the request was read by anyone
    bool heard_any; ///< part of a response came
  };

  /// The client. Each call may close, reuse or refill the connection.
  class owner {
  public:
    virtual void answered(http_connection& on, http::response response, bool reusable) = 0;
    virtual void broke(http_connection& on, const breakage& how) = 0;
    /// An idle connection was closed, or spoken on, by the other side: it cannot be used again.
    virtual void went_away(http_connection& idle) = 0;
    /// An event of the poller has been handled to its end: now is the time for what must not happen inside one.
    virtual void settled() = 0;

  protected:
    ~owner() = default;
  };

  http_connection(poller& readiness, shared_buffers& buffers, const response_limits& limits, owner& whose)
      : poller_(readiness), buffers_(buffers), limits_(limits), owner_(whose) {}
  ~http_connection() { close(); }
  http_connection(const http_connection&) = delete;
  http_connection& operator=(const http_connection&) = delete;

  enum class opening : std::uint8_t { started, no_descriptor };

  /// Connects and begins the exchange. May end it, by way of the owner, before it returns. `no_descriptor`: the
  /// process, the system or the range of local ports is exhausted and nothing has begun. `tls` null: plain.
  opening open(const socket_address& to, ssl_ctx_st* tls, const http_call& call);

  /// Begins an exchange on an idle connection. May end it, by way of the owner, before it returns.
  void reuse(const http_call& call);

  /// Asks the kernel whether an idle connection is still open and silent.
  [[nodiscard]] bool fresh();

  /// At most one exchange is lost by it; nobody is told.
  void close();

  [[nodiscard]] phase now_in() const { return phase_; }
  /// The exchange that is on it has put at least one byte on the wire.
  [[nodiscard]] bool sent_any() const { return sent_ > 0; }
  /// The exchange that is on it is not the first.
  [[nodiscard]] bool reused() const { return reused_; }

  void* tag = nullptr; ///< the owner's own record of it

private:
  void ready(std::uint32_t events) override;
  void handle(std::uint32_t events);
  void begin(const http_call& call);
  void connected();
  void shake_hands();
  void send();
  bool send_from(std::string_view bytes);
  void receive();
  void finish(response_reader::progress how);
  void fail(http::transport_error why);
  bool watch(bool for_writing);

  poller& poller_;
  shared_buffers& buffers_;
  const response_limits& limits_;
  owner& owner_;
  int fd_ = -1;
  poller::token token_ = poller::none;
  phase phase_ = phase::closed;
  bool reused_ = false;
  bool watches_writing_ = false;
  bool connected_ = false;
  bool ending_ = false;             ///< the other side has said that it will send no more
  const http_call* call_ = nullptr; ///< the owner keeps it until the exchange has ended
  std::size_t sent_ = 0;
  std::optional<tls_session> tls_;
  response_reader reader_;
  wiped_string unsent_; ///< what the socket did not take at once
};

} // namespace nestor::io
