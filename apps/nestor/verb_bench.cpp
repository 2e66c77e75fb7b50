// `nestor bench`: many sandboxes through one node in this process, and what they cost, as one line of JSON. The line
// counts the process's own work between the first create and the last Ready; specifications are expanded as they are
// needed, because a user's process would bring its own.
#include "local_node.hpp"
#include "spec_file.hpp"
#include "verbs.hpp"

#include <nestor/io/clock.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nestor::cli {
namespace {

// A sandbox that neither comes up nor fails within its own deadlines is a bug; an hour of silence ends the bench.
constexpr std::chrono::seconds silence_max{3'600};
constexpr milliseconds drain_within{600'000};

struct costs {
  double user_s = 0;
  double sys_s = 0;
};

costs spent() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

/// A field of /proc/self/status, in KiB.
std::int64_t memory_kib(const std::string& field) {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":"))
      return std::stoll(line.substr(field.size() + 1));
  return 0;
}

/// What the driving actor and the waiting thread share.
struct progress {
  std::mutex mutex;
  std::condition_variable moved;
  bool started = false;
  bool over = false;
  std::uint64_t ok = 0;
  std::uint64_t fail = 0;
  std::string first_failure;
  std::vector<std::uint32_t> latency_us;
  costs cpu;
  double wall_s = 0;
};

/// Keeps `concurrency` sandboxes coming up until `count` have; lives where the node's actors live.
class driver {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.bench-driver";

  driver(actors::self_ptr<> self, std::shared_ptr<progress> shared, const spec_template& specs, const bench_options& o)
      : self_(self), shared_(std::move(shared)), specs_(specs), options_(o) {}

  caf::behavior make_behavior() {
    return {[this](const caf::actor& node) {
              node_ = node;
              began_ = io::steady_now();
              cpu_ = spent();
              while (created_ < options_.concurrency)
                create();
            },
            [this](const actors::status_changed& now) { on_status(now); }, [](const actors::step_changed&) {}};
  }

private:
  void create() {
    auto at = io::steady_now();
    auto spec = std::make_shared<sandbox_spec>(specs_.expand(created_++));
    self_->ask_untimed(node_, actors::create_sandbox{std::move(spec)})
      .then(
        [this, at](const actors::accepted& answer) {
          if (answer.refused)
            return one_more(false, to_string(*answer.refused), at);
          began_at_.emplace(answer.id, at);
        },
        [this, at](const caf::error&) { one_more(false, "the node did not answer", at); });
  }

  void on_status(const actors::status_changed& now) {
    bool ready = now.word == status::ready;
    if (!ready && now.word != status::quarantined && now.word != status::destroying && !ended(now.word))
      return;
    auto found = began_at_.find(now.id);
    if (found == began_at_.end())
      return;
    auto at = found->second;
    began_at_.erase(found);
    one_more(ready, ready ? "" : std::string{name_of(now.word)}, at);
  }

  void one_more(bool ready, const std::string& why, instant at) {
    auto now = io::steady_now();
    std::lock_guard lock{shared_->mutex};
    ready ? ++shared_->ok : ++shared_->fail;
    if (!ready && shared_->first_failure.empty())
      shared_->first_failure = why;
    if (ready)
      shared_->latency_us.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>((now - at).count(), UINT32_MAX)));
    if (shared_->ok + shared_->fail == options_.count) {
      auto cpu = spent();
      shared_->cpu = {cpu.user_s - cpu_.user_s, cpu.sys_s - cpu_.sys_s};
      shared_->wall_s = static_cast<double>((now - began_).count()) / 1e6;
      shared_->over = true;
      shared_->moved.notify_all();
      node_ = nullptr; // it has nothing left to drive, and must not keep the node
    } else if (created_ < options_.count) {
      create();
    }
  }

  actors::self_ptr<> self_;
  std::shared_ptr<progress> shared_;
  const spec_template& specs_;
  const bench_options& options_;
  caf::actor node_;
  std::uint64_t created_ = 0;
  instant began_;
  costs cpu_;
  std::unordered_map<sandbox_id, instant> began_at_;
};

nlohmann::ordered_json percentiles(std::vector<std::uint32_t> values) {
  std::ranges::sort(values);
  auto at = [&](double share) -> std::uint32_t {
    if (values.empty())
      return 0;
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
  };
  return {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", values.empty() ? 0 : values.back()}};
}

struct bench_config : caf::actor_system_config {
  bench_config() { actors::prepare(*this); }
};

} // namespace

int run_bench(const bench_options& o) {
  auto file = load_spec(o.spec, true, providers::built_in_accounts());
  if (!file)
    return usage;
  auto specs = template_here(*file);
  if (!specs)
    return usage;
  actors::register_messages();
  bench_config config;
  caf::actor_system system{config};
  auto shared = std::make_shared<progress>();
  shared->latency_us.reserve(o.count);
  caf::actor driving;
  actors::node_options options;
  options.addresses_allowed = {"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"};
  options.limits.sandboxes_max = std::max<std::size_t>(options.limits.sandboxes_max, o.count);
  options.limits.starting_max = std::max<std::size_t>(options.limits.starting_max, o.concurrency);
  options.observer = [&](caf::actor_system& where, actors::home* home) {
    driving = actors::spawn<driver>(where, home, shared, *specs, o);
    return driving;
  };
  actors::node node{system, std::move(options)};
  auto base_kib = memory_kib("VmRSS");
  actors::tell_from_outside(driving, node.front());
  driving = nullptr;
  {
    std::unique_lock lock{shared->mutex};
    if (!shared->moved.wait_for(lock, silence_max, [&] { return shared->over; })) {
      std::cerr << "nestor: bench: no end within an hour\n";
      return timed_out;
    }
  }
  nlohmann::ordered_json line{{"ok", shared->ok},
                              {"fail", shared->fail},
                              {"wall_s", shared->wall_s},
                              {"cpu_user_s", shared->cpu.user_s},
                              {"cpu_sys_s", shared->cpu.sys_s},
                              {"base_rss_kb", base_kib},
                              {"peak_rss_kb", memory_kib("VmHWM")},
                              {"lat_us", percentiles(shared->latency_us)}};
  if (o.hold_s > 0) {
    std::unique_lock lock{shared->mutex}; // nobody wakes it: the node is held as it is for that long
    shared->moved.wait_for(lock, std::chrono::duration<double>(o.hold_s), [] { return false; });
    line["held_rss_kb"] = memory_kib("VmRSS");
    line["journal_kb"] = node.around().journal->bytes_held() / 1024;
  }
  std::cout << line.dump() << std::endl;
  if (shared->fail > 0)
    std::cerr << "nestor: bench: first failure: " << shared->first_failure << "\n";
  auto left = node.drain_now(drain_within);
  if (left > 0)
    std::cerr << "nestor: bench: " << left << " sandboxes could not be destroyed\n";
  return shared->fail == 0 && left == 0 ? done : failed;
}

} // namespace nestor::cli
