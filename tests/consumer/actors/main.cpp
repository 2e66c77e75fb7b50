// Somebody else's CAF program: it has an actor system already, embeds a node in it, and talks to it by messages. One
// sandbox, a real process, is brought to Ready, reached, and drained. Exit 0 only if all of that was so.
#include <nestor/actors/system.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

namespace {

struct config : caf::actor_system_config {
  config() { nestor::actors::prepare(*this); }
};

std::shared_ptr<const nestor::sandbox_spec> one_sandbox() {
  auto runtime = std::make_shared<nestor::runtime_spec>();
  runtime->command = {NESTED_SERVER, "--dialect", "openhands"};
  auto wanted = std::make_shared<nestor::nested::configuration>();
  wanted->settings = R"({"agent":"CodeActAgent","llm_model":"some/model"})";
  wanted->git_providers.push_back({"github", nestor::secret::copy_of("a-token"), std::nullopt, std::nullopt});
  wanted->secrets.push_back({"DEPLOY_KEY", nestor::secret::copy_of("a-key"), "what it is for"});
  auto spec = std::make_shared<nestor::sandbox_spec>();
  spec->name = "embedded";
  spec->runtime = std::move(runtime);
  spec->configuration = std::move(wanted);
  return spec;
}

/// Brings it up and says whether it was Ready and could be reached.
bool comes_up(caf::scoped_actor& self, const caf::actor& front) {
  using namespace nestor::actors;
  nestor::sandbox_id id;
  ask(self, front, 10s, create_sandbox{one_sandbox()})
    .receive([&](const accepted& answer) { id = answer.id; }, [](const caf::error&) {});
  bool ready = false;
  for (bool waiting = !id.text.empty(); waiting;)
    self->receive(
      [&](const status_changed& now) {
        std::printf("%s is %s\n", now.id.text.c_str(), std::string{nestor::name_of(now.word)}.c_str());
        ready = now.word == nestor::status::ready;
        waiting = !ready && !ended(now.word);
      },
      [](const step_changed&) {}, caf::after(60s) >> [&] { waiting = false; });
  bool reached = false;
  ask(self, front, 10s, get_access{id})
    .receive(
      [&](const nestor::actors::access& way) { reached = !way.refused && way.url.starts_with("http://127.0.0.1:"); },
      [](const caf::error&) {});
  return ready && reached;
}

} // namespace

int main() {
  nestor::actors::register_messages();
  config cfg;
  caf::actor_system system{cfg};
  caf::scoped_actor self{system};
  nestor::actors::node_options options;
  options.guardian = GUARDIAN;
  options.observer = [&](caf::actor_system&, nestor::actors::home*) { return caf::actor_cast<caf::actor>(self); };
  nestor::actors::node node{system, std::move(options)};
  bool up = comes_up(self, node.front());
  auto left = node.drain_now(nestor::milliseconds{30'000});
  std::printf("ready and reached: %s, left after draining: %zu\n", up ? "yes" : "no", left);
  return up && left == 0 ? 0 : 1;
}
