#include <emulator/cloud.hpp>

#include <stdexcept>

namespace nestor::emulator {

std::vector<cloud_row> cloud_table() {
  return {
    {"daytona", "Daytona's REST API, toolbox and preview hosts",
     "dtn_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", make_daytona_cloud},
    {"e2b", "E2B's REST API, envd and sandbox hosts", "e2b_00112233445566778899aabbccddeeff00112233", make_e2b_cloud},
    {"runloop", "Runloop's REST API and tunnels", "ak_00112233445566778899aabbccddeeff", make_runloop_cloud},
    {"modal", "Modal's gRPC control plane, tunnels and command router", "ak-00112233445566778899aabb", make_modal_cloud,
     true},
    {"remote", "the runtime API of remote runtimes", "rt_00112233445566778899aabbccddeeff", make_remote_cloud},
  };
}

std::unique_ptr<cloud> make_cloud(std::string_view name, cloud_options options, cloud_world world) {
  for (const auto& row : cloud_table())
    if (row.name == name) {
      if (options.key.empty())
        options.key = row.key;
      return row.make(std::move(options), world);
    }
  throw std::invalid_argument("there is no cloud '" + std::string{name} + "'");
}

} // namespace nestor::emulator
