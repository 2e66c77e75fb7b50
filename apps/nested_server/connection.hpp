// One connection of the listener: read a request, let the site answer, write what the reply says, again. Only
// listener.cpp includes this.
#pragma once

#include <nested_server/listener.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/intrusive/list.hpp>

#include <optional>

namespace nestor::nested_server {

/// With the executor spelled out: the type-erased one costs an indirect call for each step of each operation.
using executor = boost::asio::io_context::executor_type;
using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, executor>;
using tcp_acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, executor>;

struct connection_world {
  listener_world given;
  std::size_t open = 0;
};

class connection final
    : public reply_door,
      public std::enable_shared_from_this<connection>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
  connection(tcp_socket socket, std::shared_ptr<site> who, std::shared_ptr<connection_world> world);
  ~connection() override;

  void start();
  /// One tick of the idle clock; closes it when it was idle for `ticks_max`.
  void tick(int ticks_max);
  void close();

  void reply(wire_reply&& r) override;
  void count_in(traffic& t) override;
  void begin(const http::response& head) override;
  void more(std::string_view bytes) override;
  void end() override;

private:
  using body_type = boost::beast::http::basic_string_body<char, std::char_traits<char>, wiping_allocator<char>>;
  using error = boost::system::error_code;

  void read();
  void on_read(error failed);
  void refuse(std::uint16_t status);
  bool take_request();
  void send(const wire_reply& r);
  void write_head(const http::response& r, std::optional<std::size_t> length);
  void write_parts();
  void write_all();
  void trickle(std::size_t from, std::size_t to, milliseconds pause);
  void written(error failed);
  void answered();
  void reset();
  void drain();
  void wait_for_end();

  tcp_socket socket_;
  std::shared_ptr<site> site_;
  std::shared_ptr<connection_world> world_;
  boost::beast::basic_flat_buffer<wiping_allocator<char>> buffer_;
  std::optional<boost::beast::http::request_parser<body_type>> parser_;
  http::request request_;
  wiped_string out_;
  wiped_string parts_; ///< of an answer in parts: what waits while `out_` is being written
  std::string client_;
  traffic* carried_ = nullptr;
  std::uint64_t drained_ = 0;
  int idle_ticks_ = 0;
  bool busy_ = false; ///< a request is being answered
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool writing_parts_ = false;
  bool last_part_ = false;
};

} // namespace nestor::nested_server
