#include <nestor/io/resolver.hpp>

#include <nestor/io/clock.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

namespace nestor::io {
namespace {

namespace asio = boost::asio;

constexpr milliseconds thread_idle_max{10'000}; // a pool thread without work ends: names are looked up in bursts

std::string lower(std::string name) {
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

/// Threads that look names up. Shared with the threads themselves, so that a stuck one outlives the resolver safely.
struct lookup_pool : std::enable_shared_from_this<lookup_pool> {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> names;
  std::size_t threads = 0, idle = 0;
  bool closed = false;
  std::function<std::vector<ip_address>(const std::string&)> look_up;
  /// Hands an answer over; called with `mutex` held, so that it cannot run once `closed` is set.
  std::function<void(std::string, std::vector<ip_address>)> answer;

  void ask(std::string name, std::size_t threads_max) {
    std::lock_guard lock{mutex};
    names.push_back(std::move(name));
    if (idle >= names.size()) {
      changed.notify_one();
    } else if (threads < threads_max) {
      // Signals are the embedder's business: our threads must not be the ones that take them.
      sigset_t all, before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      std::thread{[self = shared_from_this()] { self->run(); }}.detach();
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      ++threads;
    }
  }

  void run() {
    std::unique_lock lock{mutex};
    for (;;) {
      ++idle;
      bool work = changed.wait_for(lock, thread_idle_max, [&] { return closed || !names.empty(); });
      --idle;
      if (closed || !work)
        break;
      auto name = std::move(names.front());
      names.pop_front();
      lock.unlock();
      auto addresses = look_up(name);
      lock.lock();
      if (!closed)
        answer(std::move(name), std::move(addresses));
    }
    --threads;
    changed.notify_all();
  }

  void close() {
    std::unique_lock lock{mutex};
    closed = true;
    names.clear();
    changed.notify_all();
    // Idle threads are gone in a moment; one that is stuck in the system's resolver cannot be interrupted.
    changed.wait_for(lock, milliseconds{100}, [&] { return idle == 0; });
  }
};

} // namespace

struct resolver::state {
  using work_guard = asio::executor_work_guard<asio::io_context::executor_type>;
  struct entry {
    resolved answer;
    instant until;
  };
  using waiters = std::vector<std::function<void(const resolved&)>>;

  asio::io_context& context;
  resolver_options options;
  std::shared_ptr<lookup_pool> pool = std::make_shared<lookup_pool>();
  std::unordered_map<std::string, entry> cache;
  std::unordered_map<std::string, waiters> asked;
  std::optional<work_guard> work; ///< while an answer is awaited

  state(asio::io_context& io, resolver_options given) : context(io), options(std::move(given)) {
    if (!options.now)
      options.now = steady_now;
  }

  std::optional<ip_address> fixed(const std::string& name) const {
    if (auto numeric = parse_address(name))
      return numeric;
    for (const auto& [pattern, address] : options.overrides) {
      bool matches = pattern.starts_with("*.") ? name.ends_with(std::string_view{pattern}.substr(1)) : name == pattern;
      if (matches)
        return parse_address(address);
    }
    return std::nullopt;
  }

  void remember(const std::string& name, const resolved& answer) {
    if (cache.size() >= options.cached && !cache.contains(name))
      cache.erase(std::ranges::min_element(cache, {}, [](const auto& item) { return item.second.until; }));
    auto keep = answer.what == resolved::found ? options.found_for : options.unknown_for;
    cache[name] = {answer, options.now() + keep};
  }

  void answered(const std::string& name, std::vector<ip_address> addresses) {
    resolved answer{addresses.empty() ? resolved::unknown : resolved::found, std::move(addresses)};
    remember(name, answer);
    auto found = asked.extract(name);
    if (asked.empty())
      work.reset();
    if (!found.empty())
      for (auto& done : found.mapped())
        done(answer);
  }
};

resolver::resolver(asio::io_context& context, resolver_options options)
    : state_(std::make_shared<state>(context, std::move(options))) {
  auto& pool = *state_->pool;
  pool.look_up = state_->options.look_up ? state_->options.look_up : look_up_by_system;
  pool.answer = [&context, weak = std::weak_ptr{state_}](std::string name, std::vector<ip_address> addresses) {
    asio::post(context, [weak, name = std::move(name), addresses = std::move(addresses)]() mutable {
      if (auto self = weak.lock())
        self->answered(name, std::move(addresses));
    });
  };
}

resolver::~resolver() {
  state_->pool->close();
}

std::unique_ptr<resolved> resolver::known(const std::string& spelled) {
  auto name = lower(spelled);
  if (auto address = state_->fixed(name))
    return std::make_unique<resolved>(resolved{resolved::found, {*address}});
  auto at = state_->cache.find(name);
  if (at == state_->cache.end())
    return nullptr;
  if (at->second.until <= state_->options.now()) {
    state_->cache.erase(at);
    return nullptr;
  }
  return std::make_unique<resolved>(at->second.answer);
}

void resolver::resolve(const std::string& spelled, std::function<void(const resolved&)> done) {
  auto post = [&](resolved answer) {
    asio::post(state_->context, [answer = std::move(answer), done = std::move(done)] { done(answer); });
  };
  if (auto answer = known(spelled))
    return post(std::move(*answer));
  auto name = lower(spelled);
  auto at = state_->asked.find(name);
  if (at != state_->asked.end()) {
    at->second.push_back(std::move(done));
    return;
  }
  if (state_->asked.size() >= state_->options.waiting + state_->options.lookups)
    return post({resolved::overloaded, {}});
  state_->asked[name].push_back(std::move(done));
  if (!state_->work)
    state_->work.emplace(state_->context.get_executor());
  state_->pool->ask(name, state_->options.lookups);
}

std::vector<ip_address> look_up_by_system(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0)
    return {};
  std::vector<ip_address> addresses;
  for (auto* item = list; item != nullptr; item = item->ai_next) {
    ip_address address{item->ai_family == AF_INET6, {}};
    if (address.v6)
      std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(item->ai_addr)->sin6_addr, 16);
    else if (item->ai_family == AF_INET)
      std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in*>(item->ai_addr)->sin_addr, 4);
    if (std::ranges::find(addresses, address) == addresses.end())
      addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

} // namespace nestor::io
