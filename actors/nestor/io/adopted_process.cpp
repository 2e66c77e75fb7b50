#include <nestor/io/internal/adopted_process.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/guardian_protocol.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nestor::io {
namespace {

constexpr milliseconds look_every{1'000};   // while nothing is asked for: its death is found by the probe first
constexpr milliseconds look_often{20};      // while it is being ended
constexpr milliseconds guardian_takes{500}; // beyond the grace, before we kill ourselves what it should have killed

/// Signals this very process and not a later one with its number: what is opened is checked, and then signalled.
bool signal_exactly(const process_entry& entry, int number, int value) {
  int fd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(entry.pid), 0U));
  if (fd < 0)
    return false;
  auto now = process_at(entry.pid);
  bool same = now && now->start_time == entry.start_time;
  siginfo_t how{};
  how.si_signo = number;
  how.si_code = SI_QUEUE;
  how.si_pid = ::getpid();
  how.si_uid = ::getuid();
  how.si_value.sival_int = value;
  bool sent = same && ::syscall(SYS_pidfd_send_signal, fd, number, &how, 0U) == 0;
  ::close(fd);
  return sent;
}

} // namespace

adopted_process::adopted_process(boost::asio::io_context& context, process_ref process, milliseconds kill_takes,
                                 std::function<void(process_absent)> gone)
    : process_(std::move(process)), kill_takes_(kill_takes), gone_(std::move(gone)), timer_(context) {}

void adopted_process::watch() {
  if (!std::exchange(looking_, true))
    look();
}

void adopted_process::end(milliseconds grace, std::function<void()> refused) {
  bool first = !refused_;
  refused_ = std::move(refused);
  auto now = steady_now();
  bool guarded = first && ask_guardian(grace);
  if (first && !guarded)
    for (const auto& member : members())
      signal_exactly(member, SIGTERM, 0);
  auto kill_at = now + grace + (guarded ? guardian_takes : milliseconds{0});
  kill_at_ = std::min(kill_at_, kill_at);
  give_up_at_ = kill_at_ + kill_takes_;
  looking_ = true;
  look();
}

void adopted_process::stop() {
  gone_ = nullptr;
  refused_ = nullptr;
  timer_.cancel();
}

bool adopted_process::ask_guardian(milliseconds grace) {
  auto child = process_at(process_.pid);
  if (!child || child->start_time != process_.start_time)
    return false;
  auto parent = process_at(child->parent);
  return parent && parent->name == guardian::program &&
         signal_exactly(*parent, SIGTERM, static_cast<int>(grace.count()));
}

/// What is left of it now.
std::vector<process_entry> adopted_process::members() {
  auto found = tree_of(process_);
  for (const auto& entry : known_)
    for (auto& member : tree_of({entry.pid, entry.start_time, process_.boot_id}))
      if (std::ranges::none_of(found, [&](const process_entry& other) { return other.pid == member.pid; }))
        found.push_back(std::move(member));
  known_ = found;
  return found;
}

void adopted_process::look() {
  // Its own entry is one file; the whole table is thousands, and there may be thousands of adopted processes.
  bool thorough = refused_ != nullptr || !alive(process_);
  auto left = thorough ? members() : known_;
  if (thorough && left.empty()) {
    timer_.cancel();
    refused_ = nullptr;
    if (auto gone = std::exchange(gone_, nullptr))
      gone({});
    return;
  }
  auto now = steady_now();
  if (now >= kill_at_)
    for (const auto& member : left)
      signal_exactly(member, SIGKILL, 0);
  if (now >= give_up_at_) {
    kill_at_ = give_up_at_ = instant{INT64_MAX};
    if (auto refused = std::exchange(refused_, nullptr))
      refused();
  }
  timer_.expires_after(refused_ ? look_often : look_every);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code stopped) {
    auto self = weak.lock();
    if (!stopped && self && self->gone_)
      self->look();
  });
}

} // namespace nestor::io
