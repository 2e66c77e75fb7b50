// One connection of the HTTP server: read a head, have it judged, read the body, hand the request over, write the
// answer, again. Over a plain socket or TLS. Only http_server.cpp includes this.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/io/http_server.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/intrusive/list.hpp>

#include <optional>

namespace nestor::io {

/// With the executor spelled out: the type-erased one costs an indirect call for each step of each operation.
using server_executor = boost::asio::io_context::executor_type;
using server_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, server_executor>;
using tls_socket = boost::asio::ssl::stream<server_socket>;

using auto_unlinked = boost::intrusive::link_mode<boost::intrusive::auto_unlink>;
struct in_all {};
struct in_unadmitted {};

/// What the server knows of a connection.
class tracked : public boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_all>>,
                public boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_unadmitted>> {
public:
  virtual void close() = 0;
  std::optional<instant> deadline;

protected:
  ~tracked() = default;
};
using every_connection = boost::intrusive::list<
  tracked, boost::intrusive::base_hook<boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_all>>>,
  boost::intrusive::constant_time_size<false>>;
using unadmitted_connections = boost::intrusive::list<
  tracked,
  boost::intrusive::base_hook<boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_unadmitted>>>,
  boost::intrusive::constant_time_size<false>>;

/// What connections share.
struct server_world {
  http_server_options options;
  http_server::door admits;
  http_server::service serves;
  every_connection all;
  unadmitted_connections unadmitted; ///< the longest first
  std::size_t open = 0;
};

template <class Stream>
class server_connection final : public http_exchange,
                                public tracked,
                                public std::enable_shared_from_this<server_connection<Stream>> {
public:
  server_connection(Stream stream, std::shared_ptr<server_world> world);
  ~server_connection() override;

  void start();
  void close() override;

  [[nodiscard]] const http::request& request() const override { return request_; }
  void answer(http::response answer) override;
  void begin(http::response head, std::function<void()> drained) override;
  bool more(std::string_view bytes) override;
  void end() override;
  [[nodiscard]] std::size_t waiting() const override { return gathered_.size() + (writing_ ? out_.size() : 0); }
  [[nodiscard]] bool gone() const override { return closed_; }

private:
  using body_type = boost::beast::http::basic_string_body<char, std::char_traits<char>, wiping_allocator<char>>;
  using error = boost::system::error_code;

  server_socket& socket();
  bool holds_bytes();
  void allow(milliseconds time);
  void await_request();
  void read_head();
  void on_head(error failed);
  bool take_head();
  void welcome_body();
  void read_body();
  void refuse(const failure& why);
  void refuse_for(error failed);
  void write_head(const http::response& r, bool in_parts);
  void write(bool goes_on);
  void written(error failed, bool goes_on);
  void write_gathered();
  void watch_reader();
  void let_go();

  Stream stream_;
  std::shared_ptr<server_world> world_;
  boost::beast::basic_flat_buffer<wiping_allocator<char>> buffer_;
  std::optional<boost::beast::http::request_parser<body_type>> parser_;
  http::request request_;
  wiped_string out_;
  wiped_string gathered_; ///< of a stream: what waits while `out_` is being written
  std::function<void()> drained_;
  std::uint64_t let_go_bytes_ = 0;
  bool closed_ = false;
  bool serving_ = false; ///< somebody owes an answer
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool streaming_ = false;
  bool writing_ = false;
  bool last_part_ = false;
};

} // namespace nestor::io
