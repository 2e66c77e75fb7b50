#include <nestor/bridge/durable_journal.hpp>

#include <nestor/actors/messages.hpp>
#include <nestor/bridge/journal_answer.hpp>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace nestor::bridge {
namespace {

namespace op = journal::op;

// One transaction's worth: beyond it a commit's cost is spread thin enough, and the first of a batch should not wait
// for the sealing of thousands.
constexpr std::size_t batch_max = 512;

// Sandboxes whose records are sealed anew between two batches: a few milliseconds.
constexpr std::size_t resealed_at_once = 16;

struct asked {
  journal::operation what;
  actors::reply_to to;
};

} // namespace

struct durable_journal::impl {
  std::unique_ptr<io::journal_store> store;
  std::vector<journal::replay_mark> replays;
  mutable std::mutex mutex;
  std::shared_ptr<const nested::digest_key> key; // under `mutex`
  std::string doubt;                             // under `mutex`
  std::condition_variable more;
  std::vector<asked> queue;                   // under `mutex`
  std::vector<std::function<void()>> errands; // under `mutex`: what is asked rarely, after what was asked before it
  bool resealing = false;                     // the thread's
  bool closing = false;                       // under `mutex`
  std::thread thread;

  void ask(journal::operation what, actors::reply_to to = {}) {
    {
      std::lock_guard lock{mutex};
      queue.push_back({std::move(what), std::move(to)});
    }
    more.notify_one();
  }

  void run_errand(std::function<void()> what) {
    {
      std::lock_guard lock{mutex};
      errands.push_back(std::move(what));
    }
    more.notify_one();
  }

  void run() {
    resealing = store->resealing();
    for (;;) {
      std::vector<asked> taken;
      std::vector<std::function<void()>> rare;
      {
        std::unique_lock lock{mutex};
        more.wait(lock, [this] { return closing || resealing || !queue.empty() || !errands.empty(); });
        if (closing && queue.empty() && errands.empty())
          return;
        taken.swap(queue);
        rare.swap(errands);
      }
      for (std::size_t begin = 0; begin < taken.size(); begin += batch_max)
        perform({taken.data() + begin, std::min(batch_max, taken.size() - begin)});
      for (const auto& each : rare)
        each();
      if (resealing)
        reseal();
    }
  }

  /// A few between two batches, so that nobody waits long for it. What fails is tried again by the next rotation or
  /// start: meanwhile everything can be read.
  void reseal() {
    bool went = static_cast<bool>(store->reseal(resealed_at_once));
    resealing = went && store->resealing();
    know_key();
  }

  void know_key() {
    auto now = std::make_shared<const nested::digest_key>(store->digests());
    std::lock_guard lock{mutex};
    if (!key || key->id != now->id)
      key = std::move(now);
  }

  void tell_keys(const actors::reply_to& to, std::optional<failure> why = {}) {
    actors::keys_seen seen{to.ticket, {}, std::move(why)};
    auto counted = store->census();
    if (counted)
      seen.keys = std::move(*counted);
    else if (!seen.why)
      seen.why = counted.error();
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      actors::tell_from_outside(whom, std::move(seen));
  }

  void perform(std::span<asked> part) {
    std::vector<journal::operation> operations;
    operations.reserve(part.size());
    for (auto& each : part)
      operations.push_back(std::move(each.what));
    auto results = store->perform(operations);
    for (std::size_t i = 0; i < part.size(); ++i)
      answer(operations[i], std::move(results[i]), part[i].to);
  }
};

durable_journal::durable_journal(std::unique_ptr<io::journal_store> store) : impl_(std::make_unique<impl>()) {
  impl_->replays = store->replays();
  impl_->doubt = store->doubt();
  impl_->store = std::move(store);
  impl_->know_key();
  impl_->thread = std::thread{[this] { impl_->run(); }};
}

durable_journal::~durable_journal() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->closing = true;
  }
  impl_->more.notify_one();
  impl_->thread.join();
}

const installation_id& durable_journal::installation() const {
  return impl_->store->installation();
}
std::shared_ptr<const nested::digest_key> durable_journal::key() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->key;
}
const secret& durable_journal::node_secret() const {
  return impl_->store->node_secret();
}
std::uint32_t durable_journal::earlier_starts() const {
  return static_cast<std::uint32_t>(impl_->store->starts() - 1);
}

std::vector<journal::replay_mark> durable_journal::replays() const {
  return impl_->replays;
}
std::string durable_journal::doubt() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->doubt;
}

void durable_journal::confirm(actors::reply_to to) {
  impl_->run_errand([my = impl_.get(), to = std::move(to)] {
    bool done = static_cast<bool>(my->store->confirm());
    if (done) {
      std::lock_guard lock{my->mutex};
      my->doubt.clear();
    }
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      actors::tell_from_outside(whom, actors::journal_done{to.ticket, done});
  });
}
void durable_journal::rotate(actors::reply_to to) {
  impl_->run_errand([my = impl_.get(), to = std::move(to)] {
    auto begun = my->store->rotate();
    my->resealing = my->store->resealing();
    my->know_key();
    my->tell_keys(to, begun ? std::nullopt : std::optional{begun.error()});
  });
}
void durable_journal::look_at_keys(actors::reply_to to) {
  impl_->run_errand([my = impl_.get(), to = std::move(to)] { my->tell_keys(to); });
}

void durable_journal::write(actors::actual_record record, actors::reply_to to) {
  impl_->ask(op::write{std::move(record)}, std::move(to));
}
void durable_journal::want(actors::wanted_record record, actors::reply_to to) {
  impl_->ask(op::want{std::move(record)}, std::move(to));
}
void durable_journal::read(const sandbox_id& sandbox, generation number, actors::reply_to to) {
  impl_->ask(op::read{sandbox, number}, std::move(to));
}
void durable_journal::unwant(const sandbox_id& sandbox, actors::reply_to to) {
  impl_->ask(op::unwant{sandbox}, std::move(to));
}
void durable_journal::load(const sandbox_id& sandbox, actors::reply_to to) {
  impl_->ask(op::load{sandbox}, std::move(to));
}
void durable_journal::list(const sandbox_id& after, std::size_t most, actors::reply_to to) {
  impl_->ask(op::list{after, most}, std::move(to));
}
void durable_journal::close(actors::closed_record record) {
  impl_->ask(op::close{std::move(record)});
}
void durable_journal::forget(const sandbox_id& sandbox) {
  impl_->ask(op::forget{sandbox});
}

std::size_t durable_journal::bytes_held() const {
  std::lock_guard lock{impl_->mutex};
  return impl_->queue.capacity() * sizeof(asked);
}

} // namespace nestor::bridge
