#include <nestor/io/line_writer.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace nestor::io {

struct line_writer::state {
  int fd;
  int news; ///< an eventfd: there is a line, or the end
  std::mutex mutex;
  std::deque<std::string> waiting;
  std::atomic<bool> ending{false};
  std::atomic<std::uint64_t> dropped{0};
  std::thread thread;

  explicit state(int to) : fd(to), news(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (news < 0)
      throw std::system_error{errno, std::generic_category(), "a log cannot be written"};
    thread = std::thread{[this] { run(); }};
  }
  ~state() {
    ending = true;
    wake();
    thread.join();
    ::close(news);
  }

  void wake() const {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(news, &one, sizeof one); // full means that it is awake
  }
  std::string next() {
    std::lock_guard lock{mutex};
    if (waiting.empty())
      return {};
    auto line = std::move(waiting.front());
    waiting.pop_front();
    return line;
  }
  /// Until the reader takes it. False: it does not, and we are to end; or there is no reader any more.
  bool taken(const std::string& line) {
    for (;;) {
      std::array<pollfd, 2> watched{pollfd{fd, POLLOUT, 0}, pollfd{news, POLLIN, 0}};
      bool last = ending;
      if (::poll(watched.data(), last ? 1 : 2, last ? 0 : -1) < 0 && errno != EINTR)
        return false;
      if ((watched[0].revents & POLLOUT) != 0) // a pipe that says so takes PIPE_BUF bytes at once
        return ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
      if ((watched[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 || last)
        return false;
      if (watched[1].revents != 0)
        heard();
    }
  }
  void heard() const {
    std::uint64_t count = 0;
    [[maybe_unused]] auto size = ::read(news, &count, sizeof count);
  }
  void run() {
    for (;;) {
      for (auto line = next(); !line.empty(); line = next())
        dropped += taken(line) ? 0 : 1;
      if (ending)
        return;
      pollfd watched{news, POLLIN, 0};
      ::poll(&watched, 1, -1);
      heard();
    }
  }
};

line_writer::line_writer(int fd) : state_(std::make_unique<state>(fd)) {}
line_writer::~line_writer() = default;

void line_writer::write(std::string line) {
  {
    std::lock_guard lock{state_->mutex};
    if (state_->waiting.size() >= waiting_max) {
      ++state_->dropped;
      return;
    }
    state_->waiting.push_back(std::move(line));
  }
  state_->wake();
}

std::uint64_t line_writer::dropped() const {
  return state_->dropped;
}

} // namespace nestor::io
