// Somebody else's CAF program that links the actors.
#include <nestor/core/ids.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <array>
#include <cstdio>

int main() {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::array<std::uint8_t, nestor::id_entropy_bytes> entropy{4, 5, 6};
  auto id = nestor::make_sandbox_id(entropy);
  std::printf("%s\n", id.text.c_str());
  return nestor::is_sandbox_id(id.text) ? 0 : 1;
}
