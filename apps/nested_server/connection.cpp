#include <nested_server/connection.hpp>

#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::nested_server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr std::size_t kept_capacity_max = 64U << 10U; // bytes of answer buffer an idle connection may hold on to
constexpr std::size_t drain_step = 16U << 10U;        // bytes
constexpr std::string_view json_type = "Content-Type: application/json\r\n";

std::optional<http::method> verb_of(beast::http::verb v) {
  return http::method_named(std::string_view{beast::http::to_string(v).data(), beast::http::to_string(v).size()});
}

constexpr std::array<std::string_view, 4> headers_read{"X-Session-API-Key", "Content-Type", "X-Init-API-Key",
                                                       "X-Expose-Secrets"};

bool read_by_models(std::string_view header) {
  return std::ranges::any_of(headers_read, [&](std::string_view read) { return http::same_header_name(header, read); });
}

bool without_body(std::uint16_t status) {
  return status == 204 || status == 304 || status < 200;
}

} // namespace

connection::connection(tcp_socket socket, std::shared_ptr<site> who, std::shared_ptr<connection_world> world)
    : socket_(std::move(socket)), site_(std::move(who)), world_(std::move(world)) {
  ++world_->open;
}

connection::~connection() {
  answered();
  --world_->open;
}

void connection::start() {
  error ignored;
  socket_.set_option(asio::ip::tcp::no_delay{true}, ignored);
  client_ = socket_.remote_endpoint(ignored).address().to_string();
  if (!site_->accepts_connection())
    return reset();
  read();
}

void connection::tick(int ticks_max) {
  if (!busy_ && ++idle_ticks_ > ticks_max)
    close();
}

void connection::close() {
  error ignored;
  socket_.shutdown(tcp_socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void connection::reset() {
  error ignored;
  socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
  socket_.close(ignored);
}

// -- in --------------------------------------------------------------------------------------------------------------

void connection::read() {
  parser_.emplace();
  parser_->header_limit(head_max);
  parser_->body_limit(body_max);
  beast::http::async_read(socket_, buffer_, *parser_,
                          [self = shared_from_this()](error failed, std::size_t) { self->on_read(failed); });
}

void connection::on_read(error failed) {
  idle_ticks_ = 0;
  if (failed) {
    if (failed == beast::http::error::body_limit)
      return refuse(413);
    if (failed == beast::http::error::header_limit)
      return refuse(431);
    if (failed == beast::http::error::end_of_stream || failed == beast::http::error::partial_message ||
        failed.category() != beast::http::make_error_code(beast::http::error::bad_method).category())
      return close();
    return refuse(400);
  }
  busy_ = true;
  keep_alive_ = parser_->get().keep_alive();
  head_only_ = parser_->get().method() == beast::http::verb::head;
  if (!take_request())
    return refuse(405);
  site_->serve(request_, world_->given.now(), client_, shared_from_this());
}

/// False when it is a method we have no name for.
bool connection::take_request() {
  auto& message = parser_->get();
  auto verb = verb_of(message.method());
  if (!verb)
    return false;
  request_.verb = *verb;
  request_.target.assign(message.target().data(), message.target().size());
  request_.headers.clear();
  bool all = site_->reads_every_header();
  for (const auto& field : message) {
    std::string_view name{field.name_string().data(), field.name_string().size()};
    if (all || read_by_models(name))
      request_.headers.push_back({std::string{name}, wiped_string{field.value().data(), field.value().size()}});
  }
  request_.body = std::move(message.body());
  return true;
}

/// The connection ends after it: what follows on it could not be told apart.
void connection::refuse(std::uint16_t status) {
  busy_ = true;
  keep_alive_ = false;
  wire_reply r;
  r.response.status = status;
  r.response.body = R"({"detail":"The request was not understood"})";
  send(r);
}

// -- out -------------------------------------------------------------------------------------------------------------

void connection::count_in(traffic& t) {
  carried_ = &t;
  t.in_flight_max = std::max(t.in_flight_max, ++t.in_flight);
}

void connection::answered() {
  if (carried_)
    --carried_->in_flight;
  carried_ = nullptr;
}

void connection::reply(wire_reply&& r) {
  using way = wire_reply::way;
  switch (r.how) {
    case way::reset: return reset();
    case way::die: return world_->given.die();
    case way::hang: return wait_for_end();
    case way::answer: break;
  }
  if (r.delay.count() <= 0)
    return send(r);
  auto delay = r.delay;
  world_->given.later(
    delay, [self = shared_from_this(), held = std::make_shared<wire_reply>(std::move(r))] { self->send(*held); });
}

/// Without a length the body comes in parts.
void connection::write_head(const http::response& r, std::optional<std::size_t> length) {
  auto reason = beast::http::obsolete_reason(static_cast<beast::http::status>(r.status));
  out_.clear();
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(r.status);
  out_ += ' ';
  out_ += std::string_view{reason.data(), reason.size()};
  out_ += "\r\n";
  for (const auto& [name, value] : r.headers) {
    out_ += name;
    out_ += ": ";
    out_ += value;
    out_ += "\r\n";
  }
  if (!r.find("Content-Type") && !r.body.empty())
    out_ += json_type;
  if (!length) {
    out_ += "Transfer-Encoding: chunked\r\n";
  } else if (!without_body(r.status)) {
    out_ += "Content-Length: ";
    out_ += std::to_string(*length);
    out_ += "\r\n";
  }
  out_ += keep_alive_ ? "\r\n" : "Connection: close\r\n\r\n";
}

void connection::send(const wire_reply& r) {
  const auto& body = r.response.body;
  bool bodiless = without_body(r.response.status);
  bool partial = r.body_sent < body.size();
  if (partial)
    keep_alive_ = false;
  write_head(r.response, body.size());
  auto head = out_.size();
  if (!bodiless && !head_only_)
    out_.append(body, 0, partial ? r.body_sent : body.size());
  if (r.per_byte.count() > 0 && out_.size() > head)
    trickle(0, head, r.per_byte);
  else
    write_all();
}

void connection::write_all() {
  asio::async_write(socket_, asio::buffer(out_.data(), out_.size()),
                    [self = shared_from_this()](error failed, std::size_t) { self->written(failed); });
}

/// Writes `from` up to `to`, and the rest byte by byte with a pause before each.
void connection::trickle(std::size_t from, std::size_t to, milliseconds pause) {
  asio::async_write(socket_, asio::buffer(out_.data() + from, to - from),
                    [self = shared_from_this(), to, pause](error failed, std::size_t) {
                      if (failed || to == self->out_.size())
                        return self->written(failed);
                      self->world_->given.later(pause, [self, to, pause] { self->trickle(to, to + 1, pause); });
                    });
}

void connection::written(error failed) {
  answered();
  busy_ = false;
  if (failed)
    return close();
  if (!keep_alive_)
    return drain();
  if (out_.capacity() > kept_capacity_max)
    wiped_string{}.swap(out_);
  read();
}

void connection::begin(const http::response& head) {
  write_head(head, std::nullopt);
  parts_.clear();
  last_part_ = false;
  writing_parts_ = true;
  write_parts();
}

void connection::more(std::string_view bytes) {
  if (bytes.empty() || head_only_ || !socket_.is_open())
    return;
  std::array<char, 2 * sizeof(std::size_t)> size{};
  auto [digits, failed] = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16);
  parts_.append(size.data(), digits);
  parts_ += "\r\n";
  parts_ += bytes;
  parts_ += "\r\n";
  if (!writing_parts_)
    write_parts();
}

void connection::end() {
  if (!head_only_)
    parts_ += "0\r\n\r\n";
  last_part_ = true;
  if (!writing_parts_)
    write_parts();
}

/// Writes the head or what has gathered, and goes on until nothing has.
void connection::write_parts() {
  if (!writing_parts_) {
    out_.swap(parts_);
    parts_.clear();
  }
  writing_parts_ = true;
  asio::async_write(socket_, asio::buffer(out_.data(), out_.size()),
                    [self = shared_from_this()](error failed, std::size_t) {
                      self->writing_parts_ = false;
                      if (failed)
                        return self->close();
                      if (!self->parts_.empty())
                        self->write_parts();
                      else if (self->last_part_)
                        self->written({});
                    });
}

/// Lets the client read the answer before the connection goes: closing with unread bytes would reset it.
void connection::drain() {
  error failed;
  socket_.shutdown(tcp_socket::shutdown_send, failed);
  if (failed)
    return close();
  out_.resize(drain_step);
  socket_.async_read_some(asio::buffer(out_.data(), out_.size()),
                          [self = shared_from_this()](error ended, std::size_t count) {
                            self->drained_ += count;
                            if (ended || self->drained_ > body_max)
                              return self->close();
                            self->drain();
                          });
}

/// Never answers, but notices when the client gives up.
void connection::wait_for_end() {
  socket_.async_wait(tcp_socket::wait_read, [self = shared_from_this()](error) { self->close(); });
}

} // namespace nestor::nested_server
