#include <nestor/sandbox/internal/spec_draft.hpp>

#include <array>

namespace nestor::internal {
namespace {

std::uint16_t port_of(const taken& v) {
  return static_cast<std::uint16_t>(v.number);
} // the table keeps it in range
milliseconds time_of(const taken& v) {
  return milliseconds{v.number};
}

// -- one function per name in the fifth column of spec_fields.def ----------------------------------------------------

void take_nothing(draft&, taken&&) {} // an object or a map: its members are what counts
void take_name(draft& d, taken&& v) {
  d.spec.name = std::move(v.text);
}
void take_label(draft& d, taken&& v) {
  d.spec.labels[v.name] = std::move(v.text);
}
void take_provider(draft& d, taken&& v) {
  d.spec.provider = std::move(v.text);
}
void take_dialect(draft& d, taken&& v) {
  d.spec.dialect = std::move(v.text);
}
void take_conversation(draft& d, taken&& v) {
  d.spec.conversation = std::move(v.text);
}

void take_runtime_image(draft& d, taken&& v) {
  d.runtime.image = std::move(v.text);
}
void take_runtime_command(draft& d, taken&& v) {
  d.runtime.command = std::move(v.list);
}
void take_runtime_port(draft& d, taken&& v) {
  d.runtime.port = port_of(v);
}
void take_runtime_port_env(draft& d, taken&& v) {
  d.runtime.port_env = std::move(v.text);
}
void take_runtime_session_key_env(draft& d, taken&& v) {
  d.runtime.session_key_env = std::move(v.text);
}
void take_runtime_env(draft& d, taken&& v) {
  d.runtime.env.emplace_back(std::move(v.name), std::move(v.text));
}
void take_runtime_url(draft& d, taken&& v) {
  d.runtime.url = std::move(v.text);
}
void take_runtime_session_key(draft& d, taken&& v) {
  d.session_key = std::move(v.reference);
}
void take_runtime_adopt(draft& d, taken&& v) {
  d.runtime.adopt = v.text == "overwrite" ? adoption::overwrite : adoption::refuse;
}
void take_runtime_alive_path(draft& d, taken&& v) {
  d.runtime.alive_path = std::move(v.text);
}
void take_runtime_cpu(draft& d, taken&& v) {
  d.runtime.cpu = v.real;
}
void take_runtime_memory(draft& d, taken&& v) {
  d.runtime.memory_bytes = static_cast<std::uint64_t>(v.number);
}
void take_actions_via(draft& d, taken&& v) {
  d.runtime.actions = v.text == "action-server"   ? actions_via::action_server
                      : v.text == "provider-exec" ? actions_via::provider_exec
                                                  : actions_via::none;
}
void take_actions_port(draft& d, taken&& v) {
  d.runtime.actions_port = port_of(v);
}
void take_runtime_options(draft& d, taken&& v) {
  d.runtime.options = std::move(v.text);
}

void take_settings(draft&, taken&&) {} // written piece by piece while they are checked: settings_text.hpp
void take_git_provider(draft& d, taken&& v) {
  d.configuration.git_providers.push_back({std::move(v.name), {}, {}, {}});
}
void take_git_token(draft& d, taken&& v) {
  d.configuration.git_providers.back().token = std::move(*v.reference);
}
void take_git_host(draft& d, taken&& v) {
  d.configuration.git_providers.back().host = std::move(v.text);
}
void take_git_user_id(draft& d, taken&& v) {
  d.configuration.git_providers.back().user_id = std::move(v.text);
}
void take_custom_secret(draft& d, taken&& v) {
  d.configuration.secrets.push_back(
    {std::move(v.name), v.reference ? std::move(*v.reference) : secret_reference{}, {}});
}
void take_custom_secret_value(draft& d, taken&& v) {
  d.configuration.secrets.back().value = std::move(*v.reference);
}
void take_custom_secret_description(draft& d, taken&& v) {
  d.configuration.secrets.back().description = std::move(v.text);
}

void take_on_failure(draft& d, taken&& v) {
  d.spec.policy.failing = v.text == "keep" ? on_failure::keep : on_failure::destroy;
}
void take_on_loss(draft& d, taken&& v) {
  d.spec.policy.losing = v.text == "replace" ? on_loss::replace : on_loss::keep;
}
void take_ready_within(draft& d, taken&& v) {
  d.spec.policy.ready_within = time_of(v);
}
void take_queue_within(draft& d, taken&& v) {
  d.spec.policy.queue_within = time_of(v);
}
void take_step_timeout(draft& d, taken&& v) {
  d.spec.policy.step_timeout = time_of(v);
}
void take_probe_every(draft& d, taken&& v) {
  d.spec.policy.probe_every = time_of(v);
}
void take_restarts_max(draft& d, taken&& v) {
  d.spec.policy.restarts.max = static_cast<std::uint32_t>(v.number);
}
void take_restarts_within(draft& d, taken&& v) {
  d.spec.policy.restarts.within = time_of(v);
}
void take_lease(draft& d, taken&& v) {
  d.spec.policy.lease = time_of(v);
}
void take_max_lifetime(draft& d, taken&& v) {
  d.spec.policy.max_lifetime = time_of(v);
}
void take_idle_after(draft& d, taken&& v) {
  d.spec.policy.idle_after = time_of(v);
}
void take_idle_then(draft&, taken&&) {} // pausing is all there is

constexpr std::array takers{
#define NESTOR_SPEC_FIELD(path, type, default_text, needs, take, description, example) &take_##take,
#include <nestor/sandbox/spec_fields.def>
#undef NESTOR_SPEC_FIELD
};

} // namespace

taker taker_of(std::size_t row) {
  return takers.at(row);
}

} // namespace nestor::internal
