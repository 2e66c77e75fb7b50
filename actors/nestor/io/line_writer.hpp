// Lines for a stream that somebody else reads (standard error, a service manager's pipe), written by a thread of its
// own: a reader that stops reading costs lines, which are counted, and never keeps the writer of a line waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace nestor::io {

class line_writer {
public:
  /// Lines that wait at a time; beyond it they are dropped. About 10 MiB, and seconds of a busy node.
  static constexpr std::size_t waiting_max = 32'768;

  /// `fd` stays the caller's, and open for longer than this. Throws std::system_error.
  explicit line_writer(int fd);
  /// Writes what waits for as long as the reader takes it at once; the rest is dropped.
  ~line_writer();
  line_writer(const line_writer&) = delete;
  line_writer& operator=(const line_writer&) = delete;

  /// From any thread; never blocks. `line` with its newline, at most PIPE_BUF bytes, else a pipe may keep the thread.
  void write(std::string line);
  [[nodiscard]] std::uint64_t dropped() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace nestor::io
