#include <nestor/io/guarded_child.hpp>

#include <nestor/io/guardian_protocol.hpp>
#include <nestor/io/process_list.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nestor::io {
namespace {

/// A descriptor that is closed when it goes out of sight.
struct descriptor {
  int fd = -1;
  descriptor() = default;
  ~descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
  descriptor(const descriptor&) = delete;
  int give() { return std::exchange(fd, -1); }
};

/// What the system said. Passing when something ran out that others give back, and nothing of the command is wrong.
process_refused refusal_of(int error, const std::string& what = {}) {
  bool passing =
    error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM || error == ENOBUFS || error == ENOSPC;
  return {what + std::generic_category().message(error), passing};
}

using environment = std::vector<wiped_string>;

void set(environment& all, std::string_view name, std::string_view value) {
  std::erase_if(all, [&](const wiped_string& entry) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
  });
  wiped_string entry{name};
  entry += '=';
  entry += value;
  all.push_back(std::move(entry));
}

/// Starts empty: what else is in our environment (keys, proxies, debug switches) is none of the child's business.
environment environment_for(const process_spawn& what, std::uint16_t port) {
  environment all;
  for (const char* name : {"PATH", "HOME", "LANG", "TMPDIR"})
    if (const char* value = std::getenv(name)) // NOLINT(concurrency-mt-unsafe): nobody here ever calls setenv
      set(all, name, value);
  for (const auto& [name, value] : what.env)
    set(all, name, value);
  if (!what.port_env.empty())
    set(all, what.port_env, std::to_string(port));
  if (!what.next_port_env.empty())
    set(all, what.next_port_env, std::to_string(port + 1));
  if (!what.marker.empty())
    set(all, "NESTOR_RUNTIME", what.marker);
  for (const auto& [name, value] : what.secret_env)
    value.expose([&, &key = name](std::string_view plain) { set(all, key, plain); });
  return all;
}

/// What the kernel would cut off or misread in silence.
std::optional<std::string> unfit(const process_spawn& what) {
  auto holds_nul = [](std::string_view text) { return text.find('\0') != std::string_view::npos; };
  auto bad_name = [&](std::string_view name) {
    return name.empty() || holds_nul(name) || name.find('=') != std::string_view::npos;
  };
  if (what.argv.empty() || what.argv.front().empty())
    return "no command was given";
  for (const auto& argument : what.argv)
    if (holds_nul(argument))
      return "an argument holds a NUL character";
  for (const auto& [name, value] : what.env)
    if (bad_name(name) || holds_nul(value))
      return "the environment variable `" + name + "` cannot be passed on";
  for (const auto& [name, value] : what.secret_env)
    if (bad_name(name) || value.expose(holds_nul))
      return "the environment variable `" + name + "` cannot be passed on";
  if (holds_nul(what.marker) || (!what.port_env.empty() && bad_name(what.port_env)) ||
      (!what.next_port_env.empty() && bad_name(what.next_port_env)))
    return "the marker or the name of the port's variable cannot be passed on";
  return std::nullopt;
}

template <class Strings>
std::vector<char*> pointers_to(Strings& strings) {
  std::vector<char*> result;
  for (auto& text : strings)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// posix_spawn and not fork: a fork of a process with threads and gigabytes is slow and may deadlock in the child.
int spawn_guardian(pid_t& pid, const std::string& program, std::vector<std::string> arguments, environment env,
                   int control, int output_read, int output_write) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  // Copies high up first: the descriptors given may themselves be among the numbers that are wanted.
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output_write, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output_write, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&files, control, guardian::control_fd);
  if (output_read >= 0)
    posix_spawn_file_actions_adddup2(&files, output_read, guardian::output_fd);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  int error =
    ::posix_spawn(&pid, program.c_str(), &files, &attributes, pointers_to(arguments).data(), pointers_to(env).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return error;
}

/// Above the numbers that the guardian's descriptors get, so that no dup2 overwrites what another one still needs.
bool lift(descriptor& low) {
  constexpr int above = 10;
  if (low.fd > above)
    return true;
  int lifted = ::fcntl(low.fd, F_DUPFD_CLOEXEC, above + 1);
  if (lifted < 0)
    return false;
  ::close(std::exchange(low.fd, lifted));
  return true;
}

} // namespace

bool guarded_child::source::open(int opened) {
  if (opened < 0)
    return false; // and errno stays what it was
  fd = opened;
  token = child.poller_.add(fd, EPOLLIN | EPOLLRDHUP, *this);
  return token != poller::none;
}

void guarded_child::source::close() {
  if (token != poller::none)
    child.poller_.remove(std::exchange(token, poller::none), fd);
  if (fd >= 0)
    ::close(std::exchange(fd, -1));
}

guarded_child::~guarded_child() {
  let_go();
}

std::optional<process_refused> guarded_child::start(const std::string& program, const process_spawn& what,
                                                    std::uint16_t port) {
  if (auto why = unfit(what))
    return process_refused{*why};
  port_ = port;
  marker_ = what.marker;
  stays_ = what.outlives_us;
  for (const auto& entry : what.secret_env)
    secrets_.push_back(entry.second);

  descriptor ours, theirs, read_end, write_end;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
    return refusal_of(errno);
  ours.fd = pair[0];
  theirs.fd = pair[1];
  if (::pipe2(pair, O_CLOEXEC) != 0)
    return refusal_of(errno);
  read_end.fd = pair[0];
  write_end.fd = pair[1];
  if (!lift(theirs) || !lift(read_end) || !lift(write_end))
    return refusal_of(errno);
  ::fcntl(read_end.fd, F_SETFL, O_NONBLOCK);

  std::vector<std::string> arguments{std::string{guardian::program}, stays_ ? "stay" : "leave", marker_,
                                     std::to_string(port), "--"};
  arguments.insert(arguments.end(), what.argv.begin(), what.argv.end());
  int error = spawn_guardian(guardian_, program, std::move(arguments), environment_for(what, port), theirs.fd,
                             stays_ ? read_end.fd : -1, write_end.fd);
  if (error != 0) {
    guardian_ = 0;
    return refusal_of(error, "its guardian " + program + " could not be started: ");
  }
  // Should any of these fail, closing our end of the socket ends the guardian and what it has started.
  auto pidfd = [&] { return static_cast<int>(::syscall(SYS_pidfd_open, guardian_, 0U)); };
  if (!control_.open(ours.give()) || !output_.open(read_end.give()) || !exit_.open(pidfd())) {
    auto why = refusal_of(errno);
    let_go();
    collect(milliseconds{1'000});
    return why;
  }
  return std::nullopt;
}

void guarded_child::end(milliseconds grace) {
  guardian::message text{guardian::word::end, static_cast<std::int32_t>(grace.count()), 0};
  if (control_.fd >= 0)
    ::send(control_.fd, &text, sizeof text, MSG_NOSIGNAL);
}

void guarded_child::let_go() {
  control_.close();
  output_.close();
}

bool guarded_child::collect(milliseconds most) {
  if (guardian_ == 0)
    return true;
  if (exit_.fd >= 0) {
    pollfd ended{exit_.fd, POLLIN, 0};
    ::poll(&ended, 1, static_cast<int>(most.count()));
  }
  // Without a descriptor for it (none could be had) this waits as long as it takes: the guardian is on its way out.
  auto result = ::waitpid(guardian_, nullptr, exit_.fd >= 0 ? WNOHANG : 0);
  if (result == 0)
    return false;
  guardian_ = 0;
  exit_.close();
  return true;
}

void guarded_child::hear_guardian() {
  for (guardian::message text{}; control_.fd >= 0;) {
    auto size = ::recv(control_.fd, &text, sizeof text, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (size != static_cast<ssize_t>(sizeof text)) {
      let_go();
      if (!std::exchange(settled_, true)) {
        if (started_)
          owner_.unguarded(*this);
        else
          owner_.refused(*this, {"its guardian ended before it was started"});
      }
      return finish_if_over();
    }
    switch (text.what) {
      case guardian::word::started:
        started_ = true;
        ref_ = {text.number, text.start_time, boot_id()};
        owner_.started(*this);
        break;
      case guardian::word::refused:
        settled_ = true;
        owner_.refused(*this, refusal_of(text.number));
        break;
      case guardian::word::gone:
        settled_ = true;
        read_output();
        ended_ = process_absent{text.number, tail_.text(secrets_)};
        break;                         // told when the guardian itself has gone
      case guardian::word::end: break; // ours to say
    }
  }
}

std::string guarded_child::printed() const {
  auto text = tail_.text(secrets_);
  text.resize(text.rfind('\n') + 1);
  return text;
}

void guarded_child::read_output() {
  constexpr int reads_max = 64; // a child that writes without end must not keep the thread
  std::array<char, 16'384> bytes;
  for (int i = 0; i < reads_max && output_.fd >= 0; ++i) {
    auto size = ::read(output_.fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0 && errno == EAGAIN)
      break;
    if (size <= 0) {
      output_.close();
      break;
    }
    tail_.append({bytes.data(), static_cast<std::size_t>(size)});
    if (i + 1 == reads_max)
      poller_.change(output_.token, output_.fd, EPOLLIN | EPOLLRDHUP); // asks again for the edge that is still there
  }
  wipe(bytes.data(), bytes.size());
}

void guarded_child::guardian_ended() {
  if (collect(milliseconds{0}))
    finish_if_over();
}

void guarded_child::finish_if_over() {
  if (guardian_ != 0 || control_.fd >= 0)
    return;
  if (ended_)
    owner_.gone(*this, std::move(*ended_));
  owner_.over(*this);
}

} // namespace nestor::io
