#include <nestor/bridge/reactor.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <deque>
#include <future>
#include <mutex>
#include <thread>

namespace nestor::bridge {
namespace {

// Actors run between two looks at the sockets: enough to amortise the look, few enough to keep sockets from waiting.
constexpr std::size_t jobs_per_turn = 256;
// Messages one actor may handle before the next one has its turn.
constexpr std::size_t messages_per_job = 64;

} // namespace

struct reactor::impl {
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{context.get_executor()};
  std::deque<caf::resumable*> ready; // the loop's thread only
  bool turn_posted = false;          // the loop's thread only
  std::mutex mutex;
  std::vector<caf::resumable*> handed_over; // by other threads, under `mutex`
  bool stopped = false;                     // under `mutex`
  std::thread::id id;
  std::thread thread;
};

reactor::reactor(caf::actor_system& system) : home(system), impl_(std::make_unique<impl>()) {
  std::promise<void> running;
  impl_->thread = std::thread{[this, &running] {
    impl_->id = std::this_thread::get_id();
    running.set_value();
    impl_->context.run();
  }};
  running.get_future().wait();
}

reactor::~reactor() {
  shut_down();
}

boost::asio::io_context& reactor::context() {
  return impl_->context;
}

bool reactor::here() const {
  return std::this_thread::get_id() == impl_->id;
}

void reactor::run_here(const std::function<void()>& work) {
  if (here())
    return work();
  std::promise<void> done;
  boost::asio::post(impl_->context, [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void reactor::settle() {
  for (bool busy = true; busy;)
    run_here([&] {
      std::lock_guard lock{impl_->mutex};
      busy = !impl_->ready.empty() || !impl_->handed_over.empty();
    });
}

void reactor::shut_down() {
  if (!impl_->thread.joinable())
    return;
  impl_->guard.reset();
  impl_->context.stop();
  impl_->thread.join();
  std::vector<caf::resumable*> never_run(impl_->ready.begin(), impl_->ready.end());
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopped = true;
    never_run.insert(never_run.end(), impl_->handed_over.begin(), impl_->handed_over.end());
  }
  for (auto* job : never_run)
    release(job);
}

void reactor::enqueue(caf::resumable* job) {
  auto turn = [this](auto& self) -> void {
    impl_->turn_posted = false;
    for (std::size_t i = 0; i < jobs_per_turn && !impl_->ready.empty(); ++i) {
      auto* next = impl_->ready.front();
      impl_->ready.pop_front();
      run(next, messages_per_job);
    }
    if (!impl_->ready.empty() && !std::exchange(impl_->turn_posted, true))
      boost::asio::post(impl_->context, [self] { self(self); });
  };
  if (here()) {
    impl_->ready.push_back(job);
    if (!std::exchange(impl_->turn_posted, true))
      boost::asio::post(impl_->context, [turn] { turn(turn); });
    return;
  }
  std::unique_lock lock{impl_->mutex};
  if (impl_->stopped) {
    lock.unlock();
    return release(job);
  }
  impl_->handed_over.push_back(job);
  if (impl_->handed_over.size() > 1)
    return; // the loop is told already
  lock.unlock();
  boost::asio::post(impl_->context, [this, turn] {
    std::vector<caf::resumable*> taken;
    {
      std::lock_guard again{impl_->mutex};
      taken.swap(impl_->handed_over);
    }
    impl_->ready.insert(impl_->ready.end(), taken.begin(), taken.end());
    turn(turn);
  });
}

} // namespace nestor::bridge
