// A TCP, TLS or unix-socket server on a thread of its own, for tests of the HTTP client: blocking, one thread per
// connection, told by the test what to do with each connection. Not a mock: real sockets, real bytes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace nestor::test {

/// One accepted connection. Every blocking call ends when the server does.
class peer {
public:
  peer(int fd, int stop_fd, SSL* tls) : fd_(fd), stop_(stop_fd), tls_(tls) {}
  ~peer() { hang_up(); }
  peer(const peer&) = delete;

  /// The next request, head and body; empty when the client has gone.
  std::string request() {
    for (;;) {
      if (auto head = buffer_.find("\r\n\r\n"); head != std::string::npos) {
        auto size = head + 4 + length_of(buffer_.substr(0, head));
        if (buffer_.size() >= size) {
          auto result = buffer_.substr(0, size);
          buffer_.erase(0, size);
          return result;
        }
      }
      if (!more())
        return {};
    }
  }

  void send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      auto n = tls_ != nullptr ? SSL_write(tls_, bytes.data() + sent, static_cast<int>(bytes.size() - sent))
                               : static_cast<int>(::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL));
      if (n <= 0)
        return;
      sent += static_cast<std::size_t>(n);
    }
  }
  void answer(const std::string& body, const std::string& headers = "") {
    send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
  }

  /// Blocks until the client hangs up or the server ends; says nothing meanwhile.
  void stay_silent() {
    while (more())
      buffer_.clear();
  }
  /// Waits at most `ms` for the client to hang up; for servers that trickle.
  bool client_gone(int ms) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
    return ::poll(fds, 2, ms) > 0;
  }
  void hang_up() {
    if (tls_ != nullptr) {
      SSL_shutdown(tls_);
      SSL_free(tls_);
      tls_ = nullptr;
    }
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }
  /// Ends the stream without what TLS says at the end.
  void cut() {
    SSL_free(tls_);
    tls_ = nullptr;
    hang_up();
  }
  /// Closes with a reset instead of an orderly end.
  void reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hang_up();
  }

private:
  static std::size_t length_of(const std::string& head) {
    auto at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }
  bool more() {
    if (tls_ == nullptr || SSL_pending(tls_) == 0) {
      pollfd fds[2] = {{fd_, POLLIN, 0}, {stop_, POLLIN, 0}};
      if (::poll(fds, 2, -1) <= 0 || fds[1].revents != 0)
        return false;
    }
    char bytes[4096];
    auto n =
      tls_ != nullptr ? SSL_read(tls_, bytes, sizeof bytes) : static_cast<int>(::recv(fd_, bytes, sizeof bytes, 0));
    if (n <= 0)
      return false;
    buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }

  int fd_, stop_;
  SSL* tls_;
  std::string buffer_;
};

class scripted_server {
public:
  /// `script(connection, number)`: number counts accepted connections from 1.
  using script = std::function<void(peer&, int)>;

  explicit scripted_server(script play, SSL_CTX* tls = nullptr, const std::string& unix_path = "")
      : play_(std::move(play)), tls_(tls) {
    if (::pipe2(stop_, O_CLOEXEC) != 0)
      std::abort();
    if (unix_path.empty()) {
      listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0)
        std::abort();
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
      port_ = ntohs(address.sin_port);
    } else {
      listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
      ::unlink(unix_path.c_str());
      if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        std::abort();
    }
    ::listen(listener_, 1024);
    acceptor_ = std::thread{[this] { accept(); }};
  }

  ~scripted_server() {
    ::close(stop_[1]); // every poll on the other end wakes up
    acceptor_.join();
    for (auto& worker : workers_)
      worker.join();
    ::close(stop_[0]);
    ::close(listener_);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// How many connections were accepted so far.
  [[nodiscard]] int accepted() const { return accepted_; }

private:
  void accept() {
    for (;;) {
      pollfd fds[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
      if (::poll(fds, 2, -1) <= 0 || fds[1].revents != 0)
        return;
      int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0)
        continue;
      int number = ++accepted_;
      workers_.emplace_back([this, fd, number] {
        sigset_t broken_pipe; // a client may hang up on OpenSSL's farewell; only this end's threads may shrug it off
        sigemptyset(&broken_pipe);
        sigaddset(&broken_pipe, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
        SSL* tls = nullptr;
        if (tls_ != nullptr) {
          tls = SSL_new(tls_);
          SSL_set_fd(tls, fd);
          if (SSL_accept(tls) != 1) {
            SSL_free(tls);
            ::close(fd);
            return;
          }
        }
        peer connection{fd, stop_[0], tls};
        play_(connection, number);
      });
    }
  }

  script play_;
  SSL_CTX* tls_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::vector<std::thread> workers_;
  std::thread acceptor_;
};

/// Answers every request of every connection with "ok".
inline void answer_all(peer& connection, int) {
  while (!connection.request().empty())
    connection.answer("ok");
}

} // namespace nestor::test
