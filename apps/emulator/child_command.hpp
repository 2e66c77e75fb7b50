// One command inside a real machine: a process group of its own, its two outputs and its input as pipes, its end by a
// pidfd. On the io_context's one thread.
#pragma once

#include <emulator/machines.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <string>

#include <sys/types.h>

namespace nestor::emulator {

class child_command : public std::enable_shared_from_this<child_command> {
public:
  child_command(boost::asio::io_context& io, command_ears ears);

  /// 0, or the errno of what failed. `directory` must exist.
  int start(const std::vector<std::string>& argv, const variables& env, const std::string& directory);
  void feed(std::string_view bytes, bool last);
  /// To its whole group. False when it has ended.
  bool signal(int number);
  /// Nobody listens any more; everything of it is killed.
  void abandon();
  [[nodiscard]] std::int64_t pid() const { return pid_; }

private:
  using error = boost::system::error_code;
  struct pipe {
    boost::asio::posix::stream_descriptor end;
    std::array<char, 16'384> bytes{};
    bool open = false;
  };
  void read(pipe& from, stream which);
  void write();
  void exited();
  void finish_if_over();
  void finish();

  pipe out_, err_;
  boost::asio::posix::stream_descriptor in_, process_;
  boost::asio::steady_timer patience_;
  command_ears ears_;
  std::string to_write_, being_written_;
  bool last_input_ = false, writing_ = false, exited_ = false;
  int exit_code_ = 0;
  pid_t pid_ = -1;
};

} // namespace nestor::emulator
