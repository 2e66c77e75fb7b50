// One HTTP/1.1 response out of bytes, with bounds. Knows no socket. Beast's parser does the grammar; this gives it a
// place to put things that is not a message object, and says in our words what was wrong.
#pragma once

#include <nestor/http/message.hpp>

#include <boost/beast/http/basic_parser.hpp>

#include <optional>
#include <string_view>

namespace nestor::io {

struct response_limits {
  std::uint32_t header = 8'192;   ///< bytes; what servers commonly accept themselves
  std::uint64_t body = 1'048'576; ///< bytes; the largest answer we read (a page of a provider's list) is a tenth
};

class response_reader {
public:
  enum class progress { need_more, done, too_large, malformed, truncated };

  /// Ready for a new response; `head` when it answers a HEAD request.
  void expect(const response_limits& limits, bool head);

  /// Takes the next bytes. Interim (1xx) responses are read and dropped. After anything but `need_more`, call `expect`.
  progress feed(std::string_view bytes);
  /// The other side has closed. `clean` = false when that could be an attacker's doing (TLS without close-notify).
  progress end_of_stream(bool clean);

  /// After `done`.
  http::response take() { return std::move(response_); }
  /// After `done`: the connection may carry another exchange.
  [[nodiscard]] bool keeps_alive() const { return keeps_alive_; }
  /// True when at least one byte of the response came.
  [[nodiscard]] bool heard() const { return heard_; }

private:
  /// Beast's parser with our sinks; a member so that no response needs an allocation for it.
  class parser final : public boost::beast::http::basic_parser<false> {
  public:
    parser(http::response& into, const response_limits& limits, bool head);

  private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;
    void on_request_impl(boost::beast::http::verb, string_view, string_view, int, error_code&) override {}
    void on_response_impl(int code, string_view reason, int version, error_code&) override;
    void on_field_impl(boost::beast::http::field, string_view name, string_view value, error_code&) override;
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override;
    std::size_t on_body_impl(string_view body, error_code&) override;
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t remain, string_view body, error_code&) override;
    void on_finish_impl(error_code&) override {}

    http::response& into_;
  };

  progress parse(std::string_view& bytes);
  progress finished(std::string_view rest);
  void restart();

  http::response response_;
  response_limits limits_;
  std::optional<parser> parser_;
  wiped_string unparsed_; ///< an unfinished header or chunk line, kept until more of it comes
  std::uint8_t interim_ = 0;
  bool head_ = false;
  bool heard_ = false;
  bool keeps_alive_ = false;
};

} // namespace nestor::io
