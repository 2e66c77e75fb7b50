#include <support/test_node.hpp>

#include <nestor/actors/provider_desk.hpp>
#include <nestor/actors/sandbox_registry.hpp>
#include <nestor/actors/timer_wheel.hpp>

#include <caf/deep_to_string.hpp>

namespace nestor::tests {
namespace {

struct test_clock final : actors::clock_port {
  deterministic_system& system;
  explicit test_clock(deterministic_system& s) : system(s) {}
  [[nodiscard]] instant now() const override { return system.now(); }
  [[nodiscard]] wall_time wall() const override { return {1'767'225'600'000 + system.now().us / 1000}; }
};

struct listener {
  using handle_type = caf::actor;
  static constexpr const char* name = "listener";
  actors::self_ptr<> self;
  std::shared_ptr<std::string> told;
  std::shared_ptr<supervisors> who;
  listener(actors::self_ptr<> me, std::shared_ptr<std::string> into, std::shared_ptr<supervisors> known)
      : self(me), told(std::move(into)), who(std::move(known)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::status_changed& x) {
              *told += std::string{nestor::name_of(x.word)} + " " + caf::deep_to_string(x) + "\n";
            },
            [this](const actors::step_changed& x) {
              (*who)[x.id] = caf::actor_cast<caf::actor_addr>(self->current_sender());
              *told +=
                std::string{nestor::name_of(x.at)} + (x.why ? to_string(*x.why) : "") + caf::deep_to_string(x) + "\n";
            }};
  }
};

secret value_of(std::string_view name, int variant) {
  return secret::copy_of(std::string{canary} + "-" + std::string{name} + "-" + std::to_string(variant));
}

} // namespace

std::shared_ptr<const nested::configuration> canary_configuration(int variant) {
  auto c = std::make_shared<nested::configuration>();
  auto key = std::string{canary} + "-llm-" + std::to_string(variant);
  c->settings = wiped_string{R"({"agent":"CodeActAgent","language":"en","llm_api_key":")" + key +
                             R"(","llm_model":"model-)" + std::to_string(variant) + R"("})"};
  c->secret_settings = {"/llm_api_key"};
  c->git_providers.push_back({"github", value_of("github", variant), std::nullopt, std::nullopt});
  c->git_providers.push_back({"gitlab", value_of("gitlab", variant), std::nullopt, std::nullopt});
  c->secrets.push_back({"API_TOKEN", value_of("api", variant), "what it is for"});
  c->secrets.push_back({"DEPLOY_KEY", value_of("deploy", variant), ""});
  return c;
}

sandbox_spec canary_spec(const spec_choice& choice) {
  sandbox_spec spec;
  spec.provider = choice.provider;
  spec.dialect = choice.dialect;
  spec.configuration = canary_configuration();
  auto runtime = std::make_shared<runtime_spec>();
  if (choice.provider == "static") {
    runtime->url = "http://127.0.0.1:" + std::to_string(static_port);
    runtime->session_key = secret::copy_of(std::string{canary} + "-session");
  } else {
    runtime->command = {"nestor-nested-server"};
  }
  spec.runtime = std::move(runtime);
  return spec;
}

nested_server::model_options quick_servers() {
  nested_server::model_options options;
  options.rate_limit = false;
  options.server_info_delay = milliseconds{0};
  return options;
}

void moody_journal::write(actors::actual_record record, actors::reply_to to) {
  if (refuse_next > 0) {
    --refuse_next;
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      actors::tell_from_outside(whom, actors::journal_done{record.revision, false});
    return;
  }
  (*writers)[record.sandbox] = to.whom;
  bool throws = throw_in && throws_left > 0 && (*throw_in == 0 || (--*throw_in, false));
  if (throws)
    --throws_left;
  if (!throws || throw_when_durable) {
    written.emplace_back(record.kept.what, record.kept.observed);
    inner_.write(std::move(record), std::move(to));
  }
  if (throws)
    throw std::runtime_error{std::string{canary} + " in an exception"};
}

test_node::test_node(nested_server::model_options servers, test_surroundings besides) {
  world = std::make_shared<nested_world>(system, std::move(servers));
  auto entropy = std::make_shared<seeded_entropy>(besides.entropy);
  journal = std::make_shared<moody_journal>(*entropy);
  sabotage = std::make_shared<saboteur>(besides.io ? besides.io(system, world) : world);
  sabotage->end_supervisor = [this](mishap how) { end_supervisor({}, how); };
  auto around = std::make_shared<actors::surroundings>();
  around->io = sabotage;
  around->accounts = std::move(besides.accounts);
  around->secrets = std::move(besides.secrets);
  around->journal = journal;
  around->clock = std::make_shared<test_clock>(system);
  around->entropy = entropy;
  around->timers = timers_ = actors::spawn<actors::timer_wheel>(system.system(), nullptr, around->clock);
  around->desk = desk_ = actors::spawn<actors::provider_desk>(system.system(), nullptr, around);
  around->observer = actors::spawn<listener>(system.system(), nullptr, told_, journal->writers);
  around->detailed = true;
  front_ = actors::spawn<actors::sandbox_registry>(system.system(), nullptr, around, actors::registry_limits{});
  system.settle();
}

test_node::~test_node() {
  for (auto* each : {&front_, &desk_, &timers_})
    caf::anon_send_exit(*each, caf::exit_reason::kill);
  front_ = desk_ = timers_ = nullptr;
  system.settle();
}

void test_node::end_supervisor(const sandbox_id& id, mishap how) {
  const auto& known = *journal->writers;
  auto at = id.text.empty() ? known.begin() : known.find(id);
  if (at == known.end())
    return;
  if (auto whom = caf::actor_cast<caf::actor>(at->second))
    caf::anon_send_exit(whom, how == mishap::supervisor_killed ? caf::exit_reason::kill
                                                               : caf::exit_reason::remote_link_unreachable);
}

sandbox_id test_node::create(sandbox_spec spec) {
  auto answer = ask<actors::accepted>(actors::create_sandbox{std::make_shared<sandbox_spec>(std::move(spec))});
  if (answer.refused)
    throw std::runtime_error{to_string(*answer.refused)};
  return answer.id;
}

std::shared_ptr<const sandbox_view> test_node::see(const sandbox_id& id) {
  return ask<actors::sandbox_seen>(actors::get_sandbox{id}).view;
}

bool test_node::run_until(const std::function<bool()>& done, microseconds within) {
  auto began = system.now();
  while (!done()) {
    auto passed = system.now() - began;
    if (passed > within)
      return false;
    system.advance(passed < std::chrono::seconds{5} ? microseconds{20'000} : microseconds{500'000});
  }
  return true;
}

std::shared_ptr<const sandbox_view> test_node::run_to_rest(const sandbox_id& id, microseconds within) {
  auto resting = [](status s) { return s == status::ready || s == status::quarantined || ended(s); };
  std::shared_ptr<const sandbox_view> seen;
  run_until(
    [&] {
      seen = see(id);
      return seen && resting(seen->word) &&
             (seen->word != status::ready || seen->wanted == seen->observed || seen->why);
    },
    within);
  return seen;
}

std::string remains(nested_server::server_model& server) {
  const auto* state = server.find();
  if (!state)
    return {};
  if (!state->secrets.empty())
    return "secrets";
  if (!state->git_providers.empty())
    return "git providers";
  if (server.settings_text().find(canary) != std::string::npos)
    return "a key in the settings";
  return {};
}

} // namespace nestor::tests
