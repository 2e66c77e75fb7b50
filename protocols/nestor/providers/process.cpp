// `process`: a nested server as a local child process. The embedded default: works on a bare machine, isolates nothing.
// Identity for recovery is pid + start time + boot id; the marker in the child's environment is only a hint.
#include <nestor/providers/provider.hpp>

namespace nestor::providers {
namespace {

// A spawn is answered by the kernel at once; 10 s covers a machine that swaps.
constexpr milliseconds spawn_within{10'000};
// Ending a tree: TERM, 2 s of grace, KILL, and the kernel's time to reap it.
constexpr milliseconds end_within{10'000};
// What a child that is to run an action server is told its port by.
constexpr const char* actions_port_env = "ACTIONS_PORT";
// Nothing is created behind our back here: one look at our own table of children is the truth.
constexpr milliseconds settles{0};

std::string marker_of(const labels& stamp) {
  return stamp.installation.text + "/" + stamp.sandbox.text + "/" + std::to_string(stamp.number);
}

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.command.empty() || spec.command.front().empty())
    return refuse(errc::spec_invalid, "runtime.command: the process provider needs a command (argv)");
  if (!spec.image.empty())
    return refuse(errc::capability_missing, "runtime.image: the process provider runs commands, not images");
  if (spec.cpu || spec.memory_bytes)
    return refuse(errc::capability_missing, "runtime.resources: the process provider does not limit resources");
  if (!spec.url.empty())
    return refuse(errc::capability_missing, "runtime.url: only the static provider takes an address");
  if (!spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.session_key: only the static provider takes one");
  if (spec.options != "{}")
    return refuse(errc::spec_invalid, "runtime.options: the process provider has none");
  return {};
}

runtime rented(const provision_order& order, const process_started& started) {
  runtime result;
  result.ref = "pid-" + std::to_string(started.process.pid);
  result.where.host = "127.0.0.1";
  result.where.port = started.port;
  result.session_key = order.session_key;
  result.from = address_source::node;
  result.process = started.process;
  return result;
}

progress<runtime> provisioned(const provision_order& order, const io_reply& reply) {
  if (const auto* started = std::get_if<process_started>(&reply))
    return rented(order, *started);
  if (const auto* refused = std::get_if<process_refused>(&reply))
    return failure{refused->passing ? errc::overloaded : errc::provision_refused,
                   step::provision,
                   "the command `" + order.spec->command.front() + "` could not be started: " + refused->reason,
                   0,
                   {}};
  return failure{errc::create_unknown, step::provision, "the start of the process was not answered", 0, {}};
}

progress<runtime> provision(const account&, const provision_order& order, const heard& so_far) {
  if (so_far.reply)
    return provisioned(order, *so_far.reply);
  process_spawn spawn;
  spawn.argv = order.spec->command;
  spawn.env = order.spec->env;
  if (!order.spec->session_key_env.empty())
    spawn.secret_env.emplace_back(order.spec->session_key_env, order.session_key);
  spawn.marker = marker_of(order.stamp);
  spawn.port = order.spec->port;
  spawn.port_env = order.spec->port_env;
  if (order.spec->actions == actions_via::action_server && order.spec->actions_port != 0)
    spawn.env.emplace_back(actions_port_env, std::to_string(order.spec->actions_port));
  else if (order.spec->actions == actions_via::action_server)
    spawn.next_port_env = actions_port_env;
  return ask{std::move(spawn)};
}

progress<sighting> observe(const account&, const provision_order& order, const heard& so_far) {
  if (!so_far.reply)
    return ask{process_find{marker_of(order.stamp)}};
  if (const auto* started = std::get_if<process_started>(so_far.reply))
    return sighting{rented(order, *started)};
  if (std::holds_alternative<process_absent>(*so_far.reply))
    return sighting{absent{}};
  return failure{errc::provider_unavailable, step::provision, "the table of children could not be read", 0, {}};
}

progress<absent> destroy(const account&, const runtime& gone, const heard& so_far) {
  if (!so_far.reply)
    return ask{process_end{*gone.process}};
  if (std::holds_alternative<process_absent>(*so_far.reply))
    return absent{};
  return failure{errc::destroy_failed, step::destroy, gone.ref + " is still there", 0, {}};
}

progress<printed> output(const account&, const runtime& of, const heard& so_far) {
  if (!so_far.reply)
    return ask{process_output{*of.process}};
  if (const auto* said = std::get_if<process_printed>(so_far.reply))
    return printed{said->captured, said->text};
  return failure{errc::provider_unavailable, step::provision, "the output could not be read", 0, {}};
}

} // namespace

const provider& process_provider() {
  static const provider self{
    .kind = "process",
    .summary = "a local child process; isolates nothing",
    .can = {.command = true},
    .on_this_machine = true,
    .undo = compensation::destroy,
    .create_settles = settles,
    .provision_within = spawn_within,
    .destroy_within = end_within,
    .validate = validate,
    .provision = provision,
    .observe = observe,
    .destroy = destroy,
    .output = output,
    .action_server = true,
  };
  return self;
}

} // namespace nestor::providers
