#include <nestor/io/internal/http_connection.hpp>

#include <nestor/io/request_writer.hpp>

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace nestor::io {
namespace {

using http::transport_error;

/// What a failed connect says. Nothing of ours was sent in any of these cases.
transport_error meaning_of_connect(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT: // no such unix socket
      return transport_error::refused;
    default: return transport_error::unreachable;
  }
}

/// The process or the system has no room for one more connection; that passes.
bool exhausted(int error, const socket_address& to) {
  bool ports_used_up = error == EADDRNOTAVAIL && to.storage.ss_family == AF_INET;
  bool backlog_full = error == EAGAIN && to.storage.ss_family == AF_UNIX;
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || ports_used_up || backlog_full;
}

} // namespace

http_connection::opening http_connection::open(const socket_address& to, ssl_ctx_st* tls, const http_call& call) {
  reused_ = false;
  connected_ = false;
  ending_ = false;
  call_ = &call;
  sent_ = 0;
  fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    if (exhausted(errno, to))
      return opening::no_descriptor;
    fail(meaning_of_connect(errno)); // the address family is not supported here
    return opening::started;
  }
  if (to.storage.ss_family != AF_UNIX) {
    int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // a request is one write; it must not wait for an ack
  }
  if (tls != nullptr)
    tls_.emplace(*tls, fd_, call.to.host);
  phase_ = phase::connecting;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0 && errno != EINPROGRESS) {
    bool no_room = exhausted(errno, to);
    int error = errno;
    if (no_room) {
      close();
      return opening::no_descriptor;
    }
    fail(meaning_of_connect(error));
    return opening::started;
  }
  if (to.local) {
    connected(); // already so, or refused: writing tells, without a turn through the poller
  } else if (!watch(true)) {
    close();
    return opening::no_descriptor;
  }
  return opening::started;
}

void http_connection::reuse(const http_call& call) {
  reused_ = true;
  call_ = &call;
  sent_ = 0;
  begin(call);
}

bool http_connection::fresh() {
  char byte = 0;
  if (tls_) // a close-notify may lie behind what was read last
    return tls_->read(&byte, 1).what == io_step::wait_read;
  return ::recv(fd_, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

void http_connection::close() {
  if (token_ != poller::none)
    poller_.remove(std::exchange(token_, poller::none), fd_);
  if (tls_) {
    if (phase_ == phase::idle)
      tls_->farewell();
    tls_.reset();
  }
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
  phase_ = phase::closed;
  call_ = nullptr;
  watches_writing_ = false;
  if (unsent_.capacity() > 64)
    unsent_ = {};
}

void http_connection::ready(std::uint32_t events) {
  handle(events);
  owner_.settled();
}

void http_connection::handle(std::uint32_t events) {
  bool hung_up = (events & (EPOLLERR | EPOLLHUP)) != 0;
  bool readable = (events & (EPOLLIN | EPOLLRDHUP)) != 0 || hung_up;
  switch (phase_) {
    case phase::closed: return;
    case phase::idle:
      // TLS servers send session tickets at leisure; anything else on an idle connection makes it useless.
      if (!tls_ || hung_up || (events & EPOLLRDHUP) != 0 ||
          tls_->read(buffers_.in.data(), 1).what != io_step::wait_read)
        owner_.went_away(*this);
      return;
    case phase::connecting: {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0)
        return fail(meaning_of_connect(error));
      if ((events & EPOLLOUT) != 0)
        connected();
      return;
    }
    case phase::shaking_hands: return shake_hands();
    case phase::exchanging:
      ending_ = ending_ || hung_up || (events & EPOLLRDHUP) != 0;
      if (!unsent_.empty() && ((events & EPOLLOUT) != 0 || tls_))
        send();
      if (readable && phase_ == phase::exchanging)
        receive();
      return;
  }
}

bool http_connection::watch(bool for_writing) {
  constexpr std::uint32_t reading = EPOLLIN | EPOLLRDHUP;
  auto events = for_writing ? reading | EPOLLOUT : reading;
  if (token_ == poller::none) {
    token_ = poller_.add(fd_, events, *this);
    watches_writing_ = for_writing;
    return token_ != poller::none;
  }
  if (for_writing && !watches_writing_) { // once asked for it stays: an edge without meaning costs less than a call
    poller_.change(token_, fd_, events);
    watches_writing_ = true;
  }
  return true;
}

void http_connection::connected() {
  if (!tls_)
    return begin(*call_);
  phase_ = phase::shaking_hands;
  shake_hands();
}

void http_connection::shake_hands() {
  auto step = tls_->handshake();
  switch (step.what) {
    case io_step::done: connected_ = true; return begin(*call_);
    case io_step::wait_read:
    case io_step::wait_write:
      if (!watch(true))
        fail(transport_error::unreachable);
      return;
    case io_step::refused: return fail(transport_error::tls_refused);
    case io_step::ended:
    case io_step::cut: {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      return fail(meaning_of_connect(error == 0 ? errno : error));
    }
  }
}

void http_connection::begin(const http_call& call) {
  phase_ = connected_ || tls_ ? phase::exchanging : phase_;
  reader_.expect(limits_, call.request.verb == http::method::head);
  unsent_.clear();
  auto& out = buffers_.out;
  append_request(out, call);
  bool alive = send_from(out);
  if (alive && sent_ < out.size()) {
    unsent_.assign(out, sent_);
    unsent_from_ = 0;
  }
  wipe(out.data(), out.size());
  out.clear();
  if (alive && !watch(!unsent_.empty()))
    fail(transport_error::refused); // the kernel has no room to watch one more; nothing can be heard
}

void http_connection::send() {
  auto before = sent_;
  if (!send_from(std::string_view{unsent_}.substr(unsent_from_)))
    return;
  unsent_from_ += sent_ - before;
  if (unsent_from_ == unsent_.size())
    unsent_.clear();
}

/// False when the exchange has ended (the owner knows).
bool http_connection::send_from(std::string_view bytes) {
  while (!bytes.empty()) {
    errno = 0;
    auto step = tls_ ? tls_->write(bytes.data(), bytes.size()) : plain_write(fd_, bytes.data(), bytes.size());
    if (step.what == io_step::wait_write || step.what == io_step::wait_read)
      return true;
    if (step.what != io_step::done) {
      if (sent_ > 0) { // the server may have answered before it stopped listening ("413, and I read no further")
        ending_ = true;
        receive();
        if (phase_ == phase::exchanging)
          fail(transport_error::reset);
        return false;
      }
      fail(connected_ ? transport_error::refused : meaning_of_connect(errno == EPIPE ? ECONNREFUSED : errno));
      return false;
    }
    connected_ = true;
    phase_ = phase::exchanging;
    sent_ += step.bytes;
    bytes.remove_prefix(step.bytes);
  }
  return true;
}

void http_connection::receive() {
  auto& in = buffers_.in;
  for (;;) {
    auto step = tls_ ? tls_->read(in.data(), in.size()) : plain_read(fd_, in.data(), in.size());
    auto how = response_reader::progress::need_more;
    if (step.what == io_step::wait_read || step.what == io_step::wait_write)
      return;
    if (step.what == io_step::done) {
      how = reader_.feed({in.data(), step.bytes});
      wipe(in.data(), step.bytes);
    } else {
      how = reader_.end_of_stream(step.what == io_step::ended);
    }
    if (how != response_reader::progress::need_more)
      return finish(how);
    // A short read of a socket has emptied it; the next edge comes with the next byte. But an end that was announced
    // with this event has no edge of its own, and TLS may hold more.
    if (!tls_ && !ending_ && step.bytes < in.size())
      return;
  }
}

void http_connection::finish(response_reader::progress how) {
  switch (how) {
    case response_reader::progress::done: {
      // A response to half a request is the server's last word: the rest of the request has no place to go.
      bool reusable = reader_.keeps_alive() && unsent_.empty() && !ending_;
      phase_ = reusable ? phase::idle : phase::exchanging;
      call_ = nullptr;
      return owner_.answered(*this, reader_.take(), reusable);
    }
    case response_reader::progress::too_large: return fail(transport_error::too_large);
    case response_reader::progress::malformed: return fail(transport_error::malformed);
    case response_reader::progress::truncated:
    case response_reader::progress::need_more: return fail(transport_error::reset);
  }
}

void http_connection::fail(transport_error why) {
  breakage how{why, connected_, sent_ > 0, phase_ == phase::exchanging && reader_.heard()};
  owner_.broke(*this, how);
}

} // namespace nestor::io
