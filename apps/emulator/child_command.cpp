#include <emulator/child_command.hpp>

#include <boost/asio/write.hpp>

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::emulator {
namespace {

namespace asio = boost::asio;
constexpr milliseconds drain_after_exit{300}; // a grandchild in the background may hold the pipes open for ever

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (auto& w : words)
    out.push_back(w.data());
  out.push_back(nullptr);
  return out;
}

struct spawn_settings {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t how{};
  spawn_settings() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&how);
    ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP); // its own group, so that its children end with it
    ::posix_spawnattr_setpgroup(&how, 0);
  }
  ~spawn_settings() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&how);
  }
  spawn_settings(const spawn_settings&) = delete;
  spawn_settings& operator=(const spawn_settings&) = delete;
};

} // namespace

child_command::child_command(asio::io_context& io, command_ears ears)
    : out_{asio::posix::stream_descriptor{io}}, err_{asio::posix::stream_descriptor{io}}, in_(io), process_(io),
      patience_(io), ears_(std::move(ears)) {}

int child_command::start(const std::vector<std::string>& argv, const variables& env, const std::string& directory) {
  std::array<std::array<int, 2>, 3> pipes{};
  for (auto& p : pipes)
    if (::pipe2(p.data(), O_CLOEXEC) != 0)
      return errno;
  auto words = argv;
  std::vector<std::string> settings;
  for (const auto& [name, value] : env)
    settings.push_back(name + "=" + value);
  spawn_settings s;
  ::posix_spawn_file_actions_adddup2(&s.files, pipes[0][0], 0);
  ::posix_spawn_file_actions_adddup2(&s.files, pipes[1][1], 1);
  ::posix_spawn_file_actions_adddup2(&s.files, pipes[2][1], 2);
  // Asio's sockets are not close-on-exec: a connection that a command inherits is not reset when we close it, and its
  // client waits for as long as the command lives.
  ::posix_spawn_file_actions_addclosefrom_np(&s.files, STDERR_FILENO + 1);
  ::posix_spawn_file_actions_addchdir_np(&s.files, directory.c_str());
  int failed = ::posix_spawnp(&pid_, words.front().c_str(), &s.files, &s.how, pointers_to(words).data(),
                              pointers_to(settings).data());
  ::close(pipes[0][0]);
  ::close(pipes[1][1]);
  ::close(pipes[2][1]);
  for (int ours : {pipes[0][1], pipes[1][0], pipes[2][0]})
    if (failed != 0)
      ::close(ours);
    else
      ::fcntl(ours, F_SETFL, O_NONBLOCK); // NOLINT(cppcoreguidelines-pro-type-vararg)
  if (failed != 0)
    return failed;
  in_.assign(pipes[0][1]);
  out_.end.assign(pipes[1][0]);
  err_.end.assign(pipes[2][0]);
  process_.assign(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
  read(out_, stream::out);
  read(err_, stream::err);
  process_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](error e) {
    if (!e)
      self->exited();
  });
  return 0;
}

void child_command::read(pipe& from, stream which) {
  from.open = true;
  from.end.async_read_some(asio::buffer(from.bytes), [self = shared_from_this(), &from, which](error e, std::size_t n) {
    if (n > 0 && self->ears_.output)
      self->ears_.output(which, {from.bytes.data(), n});
    if (!e)
      return self->read(from, which);
    from.open = false;
    self->finish_if_over();
  });
}

void child_command::feed(std::string_view bytes, bool last) {
  to_write_ += bytes;
  last_input_ = last_input_ || last;
  if (!writing_)
    write();
}

void child_command::write() {
  error ignored;
  if (to_write_.empty()) {
    if (last_input_)
      in_.close(ignored);
    return;
  }
  if (!in_.is_open())
    return;
  writing_ = true;
  being_written_ = std::exchange(to_write_, {});
  asio::async_write(in_, asio::buffer(being_written_), [self = shared_from_this()](error e, std::size_t) {
    self->writing_ = false;
    if (!e)
      self->write();
  });
}

bool child_command::signal(int number) {
  return pid_ > 0 && !exited_ && ::kill(-pid_, number) == 0;
}

void child_command::abandon() {
  ears_ = {};
  if (pid_ > 0) // also what it left in the background: the group's number is ours as long as it is not reaped
    ::kill(-pid_, SIGKILL);
}

void child_command::exited() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  exited_ = true;
  patience_.expires_after(drain_after_exit);
  patience_.async_wait([self = shared_from_this()](error e) {
    if (!e)
      self->finish();
  });
  finish_if_over();
}

void child_command::finish_if_over() {
  if (exited_ && !out_.open && !err_.open)
    finish();
}

void child_command::finish() {
  patience_.cancel();
  error ignored;
  out_.end.close(ignored);
  err_.end.close(ignored);
  in_.close(ignored);
  process_.close(ignored);
  auto ears = std::exchange(ears_, {});
  if (ears.ended)
    ears.ended(exit_code_);
}

} // namespace nestor::emulator
