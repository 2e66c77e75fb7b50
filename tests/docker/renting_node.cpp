#include "renting_node.hpp"

#include "engine.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>

namespace nestor::tests {
namespace {

// A start takes an engine seconds, and one machine runs several suites.
constexpr std::chrono::seconds awaited_within{60};

struct letter_box {
  std::mutex mutex;
  std::condition_variable bell;
  std::deque<actors::status_changed> letters;

  void put(const actors::status_changed& what) {
    std::lock_guard lock{mutex};
    letters.push_back(what);
    bell.notify_all();
  }
  std::optional<actors::status_changed> take(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock{mutex};
    if (!bell.wait_until(lock, until, [this] { return !letters.empty(); }))
      return std::nullopt;
    auto first = letters.front();
    letters.pop_front();
    return first;
  }
};

struct listener {
  using handle_type = caf::actor;
  static constexpr const char* name = "listener";
  std::shared_ptr<letter_box> box;
  listener(actors::self_ptr<>, std::shared_ptr<letter_box> into) : box(std::move(into)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::status_changed& x) { box->put(x); }, [](const actors::step_changed&) {}};
  }
};

struct prepared_config : caf::actor_system_config {
  prepared_config() { actors::prepare(*this); }
};

struct types_first {
  types_first() { actors::register_messages(); }
};

std::shared_ptr<const providers::account_book> book_with(const std::string& socket) {
  auto source = std::make_shared<providers::account_source>();
  source->plain = account_at(socket);
  auto book = std::make_shared<providers::account_book>(*providers::built_in_accounts());
  book->emplace("docker", std::move(source));
  return book;
}

std::shared_ptr<const nested::configuration> some_configuration() {
  auto c = std::make_shared<nested::configuration>();
  c->settings = wiped_string{R"({"agent":"CodeActAgent","language":"en","llm_api_key":"a-key","llm_model":"m"})"};
  c->secret_settings = {"/llm_api_key"};
  c->git_providers.push_back({"github", secret::copy_of("a-token"), std::nullopt, std::nullopt});
  c->secrets.push_back({"API_TOKEN", secret::copy_of("a-secret"), "what it is for"});
  return c;
}

} // namespace

struct renting_node::impl {
  types_first types; // CAF 1.x wants them before any configuration exists
  std::shared_ptr<letter_box> box = std::make_shared<letter_box>();
  prepared_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<actors::node> node;
};

renting_node::renting_node(const std::string& socket) : impl_(std::make_unique<impl>()) {
  impl_->system = std::make_unique<caf::actor_system>(impl_->config);
  actors::node_options options;
  options.accounts = book_with(socket);
  options.guardian = std::string{NESTOR_BIN_DIR} + "/nestor-guardian";
  options.observer = [box = impl_->box](caf::actor_system& system, actors::home* home) {
    return caf::actor_cast<caf::actor>(actors::spawn<listener>(system, home, box));
  };
  impl_->node = std::make_unique<actors::node>(*impl_->system, std::move(options));
}

renting_node::~renting_node() {
  impl_->node->drain_now(awaited_within); // whatever a failed test has left
  impl_->node.reset();
  impl_->system.reset();
}

caf::actor_system& renting_node::system() {
  return *impl_->system;
}
const caf::actor& renting_node::front() {
  return impl_->node->front();
}

sandbox_id renting_node::create(const runtime_spec& runtime, const std::function<void(sandbox_policy&)>& with) {
  auto spec = std::make_shared<sandbox_spec>();
  spec->provider = "docker";
  spec->dialect = "openhands";
  spec->runtime = std::make_shared<runtime_spec>(runtime);
  spec->configuration = some_configuration();
  if (with)
    with(spec->policy);
  auto answer = ask<actors::accepted>(actors::create_sandbox{std::move(spec)});
  if (answer.refused)
    throw std::runtime_error{to_string(*answer.refused)};
  return answer.id;
}

std::shared_ptr<const sandbox_view> renting_node::see(const sandbox_id& id) {
  return ask<actors::sandbox_seen>(actors::get_sandbox{id}).view;
}

status renting_node::await(const sandbox_id& id, status wanted) {
  auto until = std::chrono::steady_clock::now() + awaited_within;
  while (auto letter = impl_->box->take(until))
    if (letter->id == id && (letter->word == wanted || ended(letter->word)))
      return letter->word;
  throw std::runtime_error{"it did not become " + std::string{name_of(wanted)} + " in time: " + to_json(*see(id))};
}

status renting_node::end(const sandbox_id& id) {
  ask<actors::accepted>(actors::destroy_sandbox{id});
  return await(id, status::destroyed);
}

} // namespace nestor::tests
