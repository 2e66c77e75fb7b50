// nestor-guardian: starts one child and answers for its whole tree. It holds a socket to the node; when that ends, be
// it by kill -9, it kills the tree (or, told to stay, goes on guarding). It is a subreaper, so that nothing the child
// starts can leave by daemonising. The kernel's parent-death signal would not do: it follows the thread that forked,
// and misses grandchildren. Knows nothing of sandboxes. Plain POSIX, no heap: there is one of it per child.
#include <nestor/io/guardian_protocol.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

using namespace nestor::io::guardian;

constexpr int tree_max = 4'096;            // descendants that one look holds; the next look finds the others
constexpr std::int64_t look_again_ms = 20; // between two looks for what is left: forks race with kills

pid_t tree[tree_max];
int tree_size = 0;

struct {
  bool stays = false; // when the node is gone
  bool node_gone = false;
  bool drops_output = false;
  pid_t child = 0;
  int status = -1; // of the child, as in a shell
  bool child_ended = false;
  bool ending = false;
  std::int64_t kill_at = -1; // ms of the steady clock; -1: not yet asked to end
} state;

std::int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

/// Opens /proc/PID/REST.
int open_proc(pid_t pid, const char* rest) {
  char path[64] = "/proc/";
  char digits[12];
  int n = 0;
  for (auto left = pid; left > 0; left /= 10)
    digits[n++] = static_cast<char>('0' + left % 10);
  char* end = path + 6;
  while (n > 0)
    *end++ = digits[--n];
  std::strncpy(end, rest, sizeof path - 20);
  return open(path, O_RDONLY | O_CLOEXEC);
}

/// Field `wanted` (from 4 on) of /proc/PID/stat; -1 when there is no such process.
long long stat_field(pid_t pid, int wanted) {
  int fd = open_proc(pid, "/stat");
  if (fd < 0)
    return -1;
  char text[1024];
  auto size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0)
    return -1;
  text[size] = 0;
  char* at = std::strrchr(text, ')'); // the name may hold anything, blanks and parentheses too
  for (int field = 2; at != nullptr && field < wanted; ++field)
    at = std::strchr(at + 1, ' ');
  return at == nullptr ? -1 : std::atoll(at + 1);
}

void remember(pid_t pid) {
  for (int i = 0; i < tree_size; ++i)
    if (tree[i] == pid)
      return;
  if (pid > 0 && tree_size < tree_max)
    tree[tree_size++] = pid;
}

/// Adds the children that the kernel lists for each thread of `pid`. False when this kernel has no such lists.
bool add_listed_children(pid_t pid) {
  int folder = open_proc(pid, "/task");
  DIR* tasks = folder < 0 ? nullptr : fdopendir(folder);
  if (tasks == nullptr)
    return true; // it has gone
  bool listed = true;
  while (auto* task = readdir(tasks)) {
    if (task->d_name[0] == '.')
      continue;
    char name[300];
    std::strcpy(name, task->d_name);
    std::strcat(name, "/children");
    int fd = openat(dirfd(tasks), name, O_RDONLY | O_CLOEXEC);
    listed = listed && (fd >= 0 || errno != ENOENT || faccessat(dirfd(tasks), task->d_name, F_OK, 0) != 0);
    char bytes[4096];
    pid_t number = 0;
    for (ssize_t size = 0; fd >= 0 && (size = read(fd, bytes, sizeof bytes)) > 0;)
      for (ssize_t i = 0; i < size; ++i)
        if (bytes[i] == ' ') {
          remember(number);
          number = 0;
        } else {
          number = number * 10 + (bytes[i] - '0');
        }
    if (fd >= 0)
      close(fd);
  }
  closedir(tasks);
  return listed;
}

/// Adds the children of `pid` by asking every process for its parent.
void add_children_by_scan(pid_t pid) {
  DIR* all = opendir("/proc");
  if (all == nullptr)
    return;
  while (auto* entry = readdir(all))
    if (auto other = static_cast<pid_t>(std::atoi(entry->d_name)); other > 0 && stat_field(other, 4) == pid)
      remember(other);
  closedir(all);
}

/// Sends `number` to every descendant. One that is forked meanwhile is found by the next look.
void signal_tree(int number) {
  tree_size = 0;
  bool listed = add_listed_children(getpid());
  for (int i = -1; i < tree_size; ++i) {
    auto parent = i < 0 ? getpid() : tree[i];
    if (!listed || !add_listed_children(parent))
      add_children_by_scan(parent);
  }
  for (int i = 0; i < tree_size; ++i)
    kill(tree[i], number);
}

void tell(word what, std::int32_t number, std::uint64_t start_time) {
  message text{what, number, start_time};
  if (!state.node_gone)
    send(control_fd, &text, sizeof text, MSG_NOSIGNAL);
}

void begin_ending(std::int64_t grace_ms) {
  auto kill_at = now_ms() + grace_ms;
  if (!state.ending && grace_ms > 0)
    signal_tree(SIGTERM);
  if (!state.ending || kill_at < state.kill_at)
    state.kill_at = kill_at;
  state.ending = true;
}

/// Collects the dead. Ends this process when nobody is left.
void reap() {
  for (;;) {
    int status = 0;
    auto pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0)
      return;
    if (pid < 0) {
      tell(word::gone, state.status, 0);
      _exit(0);
    }
    if (pid != state.child)
      continue;
    state.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    state.child_ended = true;
  }
}

void hear_node() {
  message text{};
  auto size = recv(control_fd, &text, sizeof text, MSG_DONTWAIT);
  if (size == static_cast<ssize_t>(sizeof text) && text.what == word::end)
    return begin_ending(text.number);
  if (size != 0 && !(size < 0 && errno == ECONNRESET))
    return;
  state.node_gone = true;
  close(control_fd);
  state.drops_output = state.stays;
  if (!state.stays)
    begin_ending(0);
}

/// Nobody reads what the child writes any more; it must not die of that.
void drop_output() {
  char bytes[4096];
  ssize_t size = 0;
  while ((size = read(output_fd, bytes, sizeof bytes)) > 0) {}
  state.drops_output = size != 0; // 0: nobody can write any more either
}

[[noreturn]] void watch(int signals) {
  for (;;) {
    pollfd fds[3] = {{signals, POLLIN, 0},
                     {state.node_gone ? -1 : control_fd, POLLIN, 0},
                     {state.drops_output ? output_fd : -1, POLLIN, 0}};
    poll(fds, 3, state.ending ? static_cast<int>(look_again_ms) : -1);
    if (fds[0].revents != 0) {
      signalfd_siginfo which{};
      while (read(signals, &which, sizeof which) == static_cast<ssize_t>(sizeof which))
        if (which.ssi_signo == SIGTERM)
          begin_ending(which.ssi_code == SI_QUEUE ? which.ssi_int : usual_grace_ms);
    }
    if (fds[1].revents != 0)
      hear_node();
    if (fds[2].revents != 0)
      drop_output();
    reap();
    if (state.child_ended && !state.ending)
      begin_ending(usual_grace_ms); // what it left behind
    if (state.ending && now_ms() >= state.kill_at)
      signal_tree(SIGKILL);
  }
}

/// The node that started us is gone already: it may have been followed by one that looked for us before we had our
/// name, and found nothing. Whoever gets past this point can be found.
bool nobody_wants_it() {
  char byte = 0;
  return recv(control_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/// Only async-signal-safe calls: between fork and exec.
[[noreturn]] void become(char** command, int exec_failed) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvp(command[0], command);
  int error = errno;
  static_cast<void>(!write(exec_failed, &error, sizeof error));
  _exit(127);
}

} // namespace

int main(int argc, char** argv) {
  if (argc <= argument_command)
    return 2; // started by hand
  state.stays = std::strcmp(argv[argument_stay], "stay") == 0;
  syscall(SYS_close_range, static_cast<unsigned>(state.stays ? output_fd + 1 : output_fd), ~0U, 0U);
  fcntl(control_fd, F_SETFD, FD_CLOEXEC);
  if (state.stays) {
    fcntl(output_fd, F_SETFD, FD_CLOEXEC);
    fcntl(output_fd, F_SETFL, O_NONBLOCK);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);

  if (nobody_wants_it())
    return 0;

  sigset_t handled;
  sigemptyset(&handled);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPIPE})
    sigaddset(&handled, number);
  sigprocmask(SIG_SETMASK, &handled, nullptr);
  int signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);

  int exec_failed[2];
  if (signals < 0 || pipe2(exec_failed, O_CLOEXEC) != 0) {
    tell(word::refused, errno, 0);
    return 1;
  }
  state.child = fork();
  if (state.child == 0)
    become(argv + argument_command, exec_failed[1]);
  int error = state.child < 0 ? errno : 0;
  close(exec_failed[1]);
  if (state.child > 0) // the end of the pipe means that exec has closed it
    static_cast<void>(!read(exec_failed[0], &error, sizeof error));
  close(exec_failed[0]);
  if (error != 0) {
    tell(word::refused, error, 0);
    return 1;
  }
  tell(word::started, state.child, static_cast<std::uint64_t>(stat_field(state.child, 22)));

  // From here on only the tree holds the writing end of its output.
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    dup2(nothing, fd);
  watch(signals);
}
