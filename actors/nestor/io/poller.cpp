#include <nestor/io/poller.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

namespace nestor::io {
namespace {

constexpr std::size_t batch_max = 256; // events per wake-up: others on this thread get their turn in between

} // namespace

struct poller::state {
  struct registration {
    watcher* who = nullptr;
    std::uint32_t age = 1; ///< counts the owners of this place; part of the token
  };

  boost::asio::posix::stream_descriptor set;
  std::vector<registration> places;
  std::vector<std::uint32_t> free_places;
  std::array<epoll_event, batch_max> batch{};
  bool closed = false;

  explicit state(boost::asio::io_context& context) : set(context) {
    int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
      throw std::system_error(errno, std::generic_category(), "epoll_create1");
    set.assign(fd);
  }

  registration* find(token which) {
    auto& place = places[static_cast<std::uint32_t>(which)];
    return place.age == which >> 32U ? &place : nullptr;
  }

  static void wait(const std::shared_ptr<state>& self) {
    self->set.async_wait(boost::asio::posix::descriptor_base::wait_read, [self](boost::system::error_code failed) {
      if (failed || self->closed)
        return;
      self->deliver();
      if (!self->closed)
        wait(self);
    });
  }

  void deliver() {
    int count = ::epoll_wait(set.native_handle(), batch.data(), static_cast<int>(batch.size()), 0);
    for (int i = 0; i < count && !closed; ++i) {
      const auto& event = batch[static_cast<std::size_t>(i)];
      if (auto* place = find(event.data.u64); place != nullptr && place->who != nullptr)
        place->who->ready(event.events);
    }
  }
};

poller::poller(boost::asio::io_context& context) : state_(std::make_shared<state>(context)) {
  state::wait(state_);
}

poller::~poller() {
  state_->closed = true; // a batch that is being delivered (the destructor may run inside it) ends here
  boost::system::error_code ignored;
  state_->set.close(ignored);
}

poller::token poller::add(int fd, std::uint32_t events, watcher& who) {
  auto& s = *state_;
  if (s.free_places.empty()) {
    s.free_places.push_back(static_cast<std::uint32_t>(s.places.size()));
    s.places.emplace_back();
  }
  auto index = s.free_places.back();
  auto which = static_cast<token>(s.places[index].age) << 32U | index;
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.u64 = which;
  if (::epoll_ctl(s.set.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0)
    return none;
  s.free_places.pop_back();
  s.places[index].who = &who;
  return which;
}

void poller::change(token which, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.u64 = which;
  ::epoll_ctl(state_->set.native_handle(), EPOLL_CTL_MOD, fd, &event);
}

void poller::remove(token which, int fd) {
  auto& s = *state_;
  auto* place = s.find(which);
  if (place == nullptr)
    return;
  place->who = nullptr;
  if (++place->age == 0)
    place->age = 1;
  s.free_places.push_back(static_cast<std::uint32_t>(which));
  // Closing the last descriptor of a socket takes it out of the set. Only what is shared (a pipe end that a child may
  // still hold between fork and exec) needs more, and there the age of the token keeps stale events out.
  static_cast<void>(fd);
}

} // namespace nestor::io
