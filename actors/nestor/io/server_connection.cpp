#include <nestor/io/internal/server_connection.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/io/clock.hpp>

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include <array>
#include <charconv>

namespace nestor::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr std::size_t buffer_max = 64U << 10U; // bytes of what has arrived and is not taken; pipelining ends here
constexpr std::size_t kept_capacity_max = 64U << 10U; // bytes of answer that an idle connection may hold on to
constexpr std::size_t let_go_step = 16U << 10U;       // bytes
constexpr std::uint64_t let_go_max = 256U << 10U;     // bytes read after a refusal, so that the client can read it
constexpr milliseconds let_go_within{2'000};
constexpr int stream_in_kernel = 64 << 10; // bytes: else it takes megabytes for a reader that never reads
constexpr std::string_view go_ahead = "HTTP/1.1 100 Continue\r\n\r\n";

failure refusal(errc code, std::string cause) {
  return {code, step::queue, std::move(cause), 0, {}};
}

bool without_body(std::uint16_t status) {
  return status == 204 || status == 304 || status < 200;
}

} // namespace

template <class Stream>
server_connection<Stream>::server_connection(Stream stream, std::shared_ptr<server_world> world)
    : stream_(std::move(stream)), world_(std::move(world)), buffer_(buffer_max) {
  ++world_->open;
}

template <class Stream>
server_connection<Stream>::~server_connection() {
  --world_->open;
}

template <class Stream>
server_socket& server_connection<Stream>::socket() {
  if constexpr (std::is_same_v<Stream, tls_socket>)
    return stream_.next_layer();
  else
    return stream_;
}

template <class Stream>
void server_connection<Stream>::allow(milliseconds time) {
  deadline = steady_now() + time;
}

template <class Stream>
void server_connection<Stream>::start() {
  error ignored;
  socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
  world_->all.push_back(*this);
  world_->unadmitted.push_back(*this);
  if constexpr (std::is_same_v<Stream, tls_socket>) {
    allow(world_->options.head_within);
    stream_.async_handshake(asio::ssl::stream_base::server, [self = this->shared_from_this()](error failed) {
      failed ? self->close() : self->await_request();
    });
  } else {
    await_request();
  }
}

template <class Stream>
void server_connection<Stream>::close() {
  if (std::exchange(closed_, true))
    return;
  deadline.reset();
  drained_ = nullptr;
  error ignored;
  socket().shutdown(server_socket::shutdown_both, ignored);
  socket().close(ignored);
}

// -- in ---------------------------------------------------------------------------------------------------------------

/// TLS may have decrypted more than was asked for; the socket does not become readable for that.
template <class Stream>
bool server_connection<Stream>::holds_bytes() {
  if constexpr (std::is_same_v<Stream, tls_socket>)
    return buffer_.size() > 0 || SSL_pending(stream_.native_handle()) > 0;
  else
    return buffer_.size() > 0;
}

template <class Stream>
void server_connection<Stream>::await_request() {
  if (closed_)
    return;
  using hook = boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_unadmitted>>;
  static_cast<hook&>(*this).unlink();
  world_->unadmitted.push_back(*this);
  if (holds_bytes())
    return read_head();
  allow(world_->options.idle_within);
  socket().async_wait(server_socket::wait_read,
                      [self = this->shared_from_this()](error failed) { failed ? self->close() : self->read_head(); });
}

template <class Stream>
void server_connection<Stream>::read_head() {
  if (closed_)
    return;
  allow(world_->options.head_within);
  parser_.emplace();
  parser_->header_limit(world_->options.head_max);
  parser_->body_limit(world_->options.body_max);
  beast::http::async_read_header(
    stream_, buffer_, *parser_,
    [self = this->shared_from_this()](error failed, std::size_t) { self->on_head(failed); });
}

template <class Stream>
void server_connection<Stream>::refuse_for(error failed) {
  using beast::http::error;
  const auto& options = world_->options;
  if (failed == error::body_limit)
    return refuse(
      refusal(errc::request_too_large, "a body has at most " + std::to_string(options.body_max) + " bytes"));
  if (failed == error::header_limit || failed == error::buffer_overflow)
    return refuse(refusal(errc::head_too_large, "a head has at most " + std::to_string(options.head_max) + " bytes"));
  bool theirs = failed.category() == beast::http::make_error_code(error::bad_method).category();
  if (!theirs || failed == error::end_of_stream || failed == error::partial_message)
    return close();
  refuse(refusal(errc::request_invalid, "the bytes are no HTTP/1.1 request"));
}

template <class Stream>
void server_connection<Stream>::on_head(error failed) {
  if (closed_)
    return;
  if (failed)
    return refuse_for(failed);
  keep_alive_ = parser_->get().keep_alive();
  head_only_ = parser_->get().method() == beast::http::verb::head;
  if (!take_head())
    return refuse(refusal(errc::method_refused, "no route knows this method"));
  if (auto answer = world_->admits(request_)) {
    // A body that nobody reads would be taken for the next request, and so would one in a coding that nobody knows.
    bool whole = parser_->is_done() && parser_->get().count(beast::http::field::transfer_encoding) == 0;
    keep_alive_ = keep_alive_ && whole;
    serving_ = true;
    return this->answer(std::move(*answer));
  }
  using hook = boost::intrusive::list_base_hook<auto_unlinked, boost::intrusive::tag<in_unadmitted>>;
  static_cast<hook&>(*this).unlink();
  welcome_body();
}

/// False when it is a method that we have no name for.
template <class Stream>
bool server_connection<Stream>::take_head() {
  auto& message = parser_->get();
  auto word = message.method_string();
  auto verb = http::method_named(std::string_view{word.data(), word.size()});
  if (!verb)
    return false;
  request_.verb = *verb;
  request_.target.assign(message.target().data(), message.target().size());
  request_.headers.clear();
  request_.body.clear();
  for (const auto& field : message)
    request_.headers.push_back({std::string{field.name_string().data(), field.name_string().size()},
                                wiped_string{field.value().data(), field.value().size()}});
  return true;
}

template <class Stream>
void server_connection<Stream>::welcome_body() {
  allow(world_->options.body_within);
  if (parser_->is_done() || !beast::iequals(parser_->get()[beast::http::field::expect], "100-continue"))
    return read_body();
  asio::async_write(
    stream_, asio::buffer(go_ahead.data(), go_ahead.size()),
    [self = this->shared_from_this()](error failed, std::size_t) { failed ? self->close() : self->read_body(); });
}

template <class Stream>
void server_connection<Stream>::read_body() {
  if (closed_)
    return;
  beast::http::async_read(stream_, buffer_, *parser_, [self = this->shared_from_this()](error failed, std::size_t) {
    if (self->closed_)
      return;
    if (failed)
      return self->refuse_for(failed);
    self->request_.body = std::move(self->parser_->get().body());
    self->deadline.reset();
    self->serving_ = true;
    self->world_->serves(self);
  });
}

/// The connection ends after it: what follows on it could not be told apart.
template <class Stream>
void server_connection<Stream>::refuse(const failure& why) {
  keep_alive_ = false;
  serving_ = true;
  answer(api::problem_answer(why));
}

// -- out --------------------------------------------------------------------------------------------------------------

template <class Stream>
void server_connection<Stream>::write_head(const http::response& r, bool in_parts) {
  auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(r.status));
  out_.clear();
  out_.append("HTTP/1.1 ").append(std::to_string(r.status)).append(" ");
  out_.append(reason.data(), reason.size()).append("\r\n");
  for (const auto& [name, value] : r.headers)
    out_.append(name).append(": ").append(value).append("\r\n");
  if (in_parts)
    out_.append("Transfer-Encoding: chunked\r\n");
  else if (!without_body(r.status))
    out_.append("Content-Length: ").append(std::to_string(r.body.size())).append("\r\n");
  out_.append(keep_alive_ ? "\r\n" : "Connection: close\r\n\r\n");
}

template <class Stream>
void server_connection<Stream>::answer(http::response r) {
  if (closed_ || !std::exchange(serving_, false))
    return;
  write_head(r, false);
  if (!head_only_ && !without_body(r.status))
    out_.append(r.body);
  write(false);
}

template <class Stream>
void server_connection<Stream>::write(bool goes_on) {
  allow(world_->options.write_within);
  writing_ = true;
  asio::async_write(
    stream_, asio::buffer(out_.data(), out_.size()),
    [self = this->shared_from_this(), goes_on](error failed, std::size_t) { self->written(failed, goes_on); });
}

template <class Stream>
void server_connection<Stream>::written(error failed, bool goes_on) {
  writing_ = false;
  if (failed || closed_)
    return close();
  if (goes_on)
    return write_gathered();
  streaming_ = last_part_ = false;
  if (!keep_alive_)
    return let_go();
  if (out_.capacity() > kept_capacity_max)
    wiped_string{}.swap(out_);
  await_request();
}

template <class Stream>
void server_connection<Stream>::begin(http::response head, std::function<void()> drained) {
  if (closed_ || !std::exchange(serving_, false))
    return;
  keep_alive_ = false; // nobody knows what a client sends while it listens
  streaming_ = true;
  drained_ = std::move(drained);
  error ignored;
  socket().set_option(asio::socket_base::send_buffer_size{stream_in_kernel}, ignored);
  write_head(head, true);
  watch_reader();
  write(true);
}

template <class Stream>
bool server_connection<Stream>::more(std::string_view bytes) {
  if (closed_ || !streaming_ || last_part_)
    return false;
  if (head_only_ || bytes.empty())
    return true;
  if (gathered_.size() + bytes.size() > world_->options.stream_bytes_max) {
    close();
    return false;
  }
  std::array<char, 2 * sizeof(std::size_t)> size{};
  auto [digits, failed] = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16);
  gathered_.append(size.data(), digits).append("\r\n").append(bytes).append("\r\n");
  if (!writing_)
    write_gathered();
  return true;
}

template <class Stream>
void server_connection<Stream>::end() {
  if (closed_ || !streaming_ || std::exchange(last_part_, true))
    return;
  if (!head_only_)
    gathered_.append("0\r\n\r\n");
  if (!writing_)
    write_gathered();
}

/// What has gathered goes out as one; nothing has: the deadline rests.
template <class Stream>
void server_connection<Stream>::write_gathered() {
  deadline.reset();
  if (gathered_.empty() && last_part_)
    return written({}, false);
  if (gathered_.empty())
    return drained_ ? drained_() : void();
  out_.swap(gathered_);
  gathered_.clear();
  write(!last_part_);
}

/// A listener has nothing to say: whatever comes from it, its leaving above all, ends the stream.
template <class Stream>
void server_connection<Stream>::watch_reader() {
  socket().async_wait(server_socket::wait_read, [self = this->shared_from_this()](error) {
    if (self->streaming_)
      self->close();
  });
}

/// Lets the client read the answer before the connection goes: closing with unread bytes would reset it.
template <class Stream>
void server_connection<Stream>::let_go() {
  error failed;
  allow(let_go_within);
  socket().shutdown(server_socket::shutdown_send, failed);
  if (failed)
    return close();
  out_.resize(let_go_step);
  socket().async_read_some(asio::buffer(out_.data(), out_.size()),
                           [self = this->shared_from_this()](error ended, std::size_t count) {
                             self->let_go_bytes_ += count;
                             if (ended || self->closed_ || self->let_go_bytes_ > let_go_max)
                               return self->close();
                             self->let_go();
                           });
}

template class server_connection<server_socket>;
template class server_connection<tls_socket>;

} // namespace nestor::io
