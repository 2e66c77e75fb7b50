#include <nestor/io/internal/response_reader.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/impl/basic_parser.hpp>

#include <algorithm>

namespace nestor::io {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

constexpr std::uint8_t interim_max = 8; // 1xx responses before the real one; more is a server that plays with us
constexpr std::size_t body_reserve_max = 65'536; // a Content-Length is a claim: bytes reserved on its word alone

response_reader::progress meaning_of(const beast::error_code& error) {
  if (error == bhttp::error::header_limit || error == bhttp::error::body_limit ||
      error == bhttp::error::buffer_overflow)
    return response_reader::progress::too_large;
  return response_reader::progress::malformed;
}

} // namespace

response_reader::parser::parser(http::response& into, const response_limits& limits, bool head) : into_(into) {
  header_limit(limits.header);
  body_limit(limits.body);
  skip(head);
  eager(true);
}

void response_reader::parser::on_response_impl(int code, string_view, int, error_code&) {
  into_.status = static_cast<std::uint16_t>(code);
}

void response_reader::parser::on_field_impl(bhttp::field, string_view name, string_view value, error_code&) {
  if (into_.headers.empty())
    into_.headers.reserve(8);
  into_.headers.emplace_back(std::piecewise_construct, std::forward_as_tuple(name.data(), name.size()),
                             std::forward_as_tuple(value.data(), value.size()));
}

void response_reader::parser::on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) {
  if (length)
    into_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, body_reserve_max)));
}

std::size_t response_reader::parser::on_body_impl(string_view body, error_code&) {
  into_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t response_reader::parser::on_chunk_body_impl(std::uint64_t, string_view body, error_code& error) {
  return on_body_impl(body, error);
}

void response_reader::expect(const response_limits& limits, bool head) {
  limits_ = limits;
  head_ = head;
  heard_ = false;
  keeps_alive_ = false;
  interim_ = 0;
  if (!unparsed_.empty())
    unparsed_ = {};
  restart();
}

void response_reader::restart() {
  response_.status = 0;
  response_.headers.clear();
  response_.body.clear();
  parser_.emplace(response_, limits_, head_);
}

response_reader::progress response_reader::parse(std::string_view& bytes) {
  while (!bytes.empty() && !parser_->is_done()) {
    beast::error_code error;
    auto used = parser_->put(boost::asio::const_buffer{bytes.data(), bytes.size()}, error);
    bytes.remove_prefix(used);
    if (error == bhttp::error::need_more)
      return progress::need_more;
    if (error)
      return meaning_of(error);
  }
  return parser_->is_done() ? progress::done : progress::need_more;
}

response_reader::progress response_reader::feed(std::string_view bytes) {
  heard_ = heard_ || !bytes.empty();
  bool joined = !unparsed_.empty();
  wiped_string kept;
  if (joined) {
    kept.swap(unparsed_);
    kept += bytes;
    bytes = kept;
  }
  for (;;) {
    auto state = parse(bytes);
    if (state == progress::done)
      state = finished(bytes);
    if (state == progress::need_more && parser_->is_done()) { // that was an interim response
      restart();
      if (!bytes.empty())
        continue;
    }
    if (state == progress::need_more && !bytes.empty()) {
      if (bytes.size() > limits_.header)
        return progress::too_large; // a chunk's line or a trailer without end
      unparsed_.assign(bytes);
    }
    return state;
  }
}

/// `rest`: what came behind the response.
response_reader::progress response_reader::finished(std::string_view rest) {
  if (response_.status >= 200) {
    // Bytes that nobody asked for: whatever they are, the next exchange must not read them as its answer.
    keeps_alive_ = parser_->keep_alive() && rest.empty();
    return progress::done;
  }
  if (response_.status < 100 || response_.status == 101 || ++interim_ > interim_max)
    return progress::malformed; // 101: we never ask to switch
  return progress::need_more;
}

response_reader::progress response_reader::end_of_stream(bool clean) {
  if (!parser_->got_some() || !clean || !unparsed_.empty())
    return progress::truncated;
  beast::error_code error;
  parser_->put_eof(error);
  keeps_alive_ = false;
  return error || response_.status < 200 ? progress::truncated : progress::done;
}

} // namespace nestor::io
