#include <nestor/providers/provider.hpp>

#include <array>

namespace nestor::providers {

#define NESTOR_PROVIDER(kind) const provider& kind##_provider();
#include <nestor/providers/providers.def>
#undef NESTOR_PROVIDER

std::span<const provider* const> all() {
  static const std::array table{
#define NESTOR_PROVIDER(kind) &kind##_provider(),
#include <nestor/providers/providers.def>
#undef NESTOR_PROVIDER
  };
  return table;
}

const provider* of_kind(std::string_view kind) {
  for (const auto* candidate : all())
    if (candidate->kind == kind)
      return candidate;
  return nullptr;
}

std::string carriers_of(actions_via way) {
  std::string kinds;
  for (const auto* each : all())
    if (way == actions_via::none || (way == actions_via::provider_exec ? each->exec != nullptr : each->action_server))
      kinds.append(kinds.empty() ? "" : ", ").append(each->kind);
  return kinds;
}

expected<void> accepts(const provider& kind, const runtime_spec& spec) {
  auto refuse = [&](errc code, std::string_view field, const std::string& why) {
    return failure{code, step::provision, "runtime.actions" + std::string{field} + ": " + why, 0, {}};
  };
  constexpr unsigned last_port = 65'535;
  bool server = spec.actions == actions_via::action_server;
  if (server && !kind.action_server)
    return refuse(errc::capability_missing, ".via",
                  std::string{kind.kind} + " reaches one port of a runtime; action-server is for " +
                    carriers_of(spec.actions));
  if (spec.actions == actions_via::provider_exec && !kind.exec)
    return refuse(errc::capability_missing, ".via",
                  std::string{kind.kind} + " runs no commands; provider-exec is for " + carriers_of(spec.actions));
  if (!server && spec.actions_port != 0)
    return refuse(errc::spec_invalid, ".port", "only an action server has one");
  bool picks = kind.undo == compensation::destroy;
  if (server && !picks && spec.actions_port == 0)
    return refuse(errc::spec_invalid, ".port", "the port of the action server that already runs is needed");
  if (server && picks && spec.actions_port == 0 && spec.port == last_port)
    return refuse(errc::spec_invalid, ".port", "there is none after the nested server's own, which 0 stands for");
  if (server && spec.actions_port != 0 && spec.actions_port == spec.port)
    return refuse(errc::spec_invalid, ".port", "the nested server has this one");
  return kind.validate(spec);
}

} // namespace nestor::providers
