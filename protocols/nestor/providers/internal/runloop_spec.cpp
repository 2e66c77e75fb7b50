// What a specification may ask of Runloop.
#include <nestor/providers/internal/option_rows.hpp>
#include <nestor/providers/internal/runloop_calls.hpp>

#include <array>
#include <cmath>

namespace nestor::providers::internal::runloop {
namespace {

constexpr std::array option_rows{
  option_row{"source", option_holds::word, "blueprint_name blueprint_id snapshot_id"}, // what runtime.image names
  option_row{"size", option_holds::word, "X_SMALL SMALL MEDIUM LARGE X_LARGE XX_LARGE"},
  option_row{"disk_gib", option_holds::whole}, // with cpu and memory
  option_row{"architecture", option_holds::word, "x86_64 arm64"},
};

} // namespace

expected<void> validate(const runtime_spec& spec) {
  auto refuse = [](errc code, std::string cause) { return failure{code, step::provision, std::move(cause), 0, {}}; };
  if (spec.port == 0)
    return refuse(errc::spec_invalid, "runtime.port: runloop needs the port that the nested server listens on");
  if (!spec.command.empty() && spec.command.front().empty())
    return refuse(errc::spec_invalid, "runtime.command: its first word is empty");
  if (!spec.url.empty())
    return refuse(errc::capability_missing, "runtime.url: only the static provider takes an address");
  if (!spec.session_key.empty())
    return refuse(errc::capability_missing, "runtime.session_key: only the static provider takes one");
  if (auto fine = check_options("runloop", option_rows, spec.options); !fine)
    return fine;
  auto options = nlohmann::json::parse(spec.options, nullptr, false);
  if (options.contains("source") && spec.image.empty())
    return refuse(errc::spec_invalid, "runtime.options: `source` says what runtime.image names, and there is none");
  bool sized = spec.cpu || spec.memory_bytes;
  if (sized && !(spec.cpu && spec.memory_bytes))
    return refuse(errc::capability_missing, "runtime.resources: a size of one's own needs cpu and memory");
  if (sized && options.contains("size"))
    return refuse(errc::spec_invalid, "runtime.options: `size` and runtime.resources exclude each other");
  if (!sized && options.contains("disk_gib"))
    return refuse(errc::capability_missing, "runtime.options: `disk_gib` goes with runtime.resources");
  if (spec.cpu && *spec.cpu != std::floor(*spec.cpu))
    return refuse(errc::capability_missing, "runtime.resources.cpu: runloop rents whole cores");
  constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
  if (spec.memory_bytes && (*spec.memory_bytes == 0 || *spec.memory_bytes % gib != 0))
    return refuse(errc::capability_missing, "runtime.resources.memory: runloop rents whole GiB");
  return {};
}

} // namespace nestor::providers::internal::runloop
