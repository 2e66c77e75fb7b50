#include <nestor/bridge/durable_journal.hpp>

#include <nestor/bridge/journal_answer.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace nestor::bridge {
namespace {

namespace op = journal::op;

// One transaction's worth: beyond it a commit's cost is spread thin enough, and the first of a batch should not wait
// for the sealing of thousands.
constexpr std::size_t batch_max = 512;

struct asked {
  journal::operation what;
  actors::reply_to to;
};

} // namespace

struct durable_journal::impl {
  std::unique_ptr<io::journal_store> store;
  std::shared_ptr<const nested::digest_key> key;
  std::mutex mutex;
  std::condition_variable more;
  std::vector<asked> queue; // under `mutex`
  bool closing = false;     // under `mutex`
  std::thread thread;

  void ask(journal::operation what, actors::reply_to to = {}) {
    {
      std::lock_guard lock{mutex};
      queue.push_back({std::move(what), std::move(to)});
    }
    more.notify_one();
  }

  void run() {
    for (;;) {
      std::vector<asked> taken;
      {
        std::unique_lock lock{mutex};
        more.wait(lock, [this] { return closing || !queue.empty(); });
        if (queue.empty())
          return;
        taken.swap(queue);
      }
      for (std::size_t begin = 0; begin < taken.size(); begin += batch_max)
        perform({taken.data() + begin, std::min(batch_max, taken.size() - begin)});
    }
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
  impl_->key = std::make_shared<nested::digest_key>(store->digests());
  impl_->store = std::move(store);
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
  return impl_->key;
}
const secret& durable_journal::node_secret() const {
  return impl_->store->node_secret();
}
std::uint32_t durable_journal::earlier_starts() const {
  return static_cast<std::uint32_t>(impl_->store->starts() - 1);
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
