#include <nestor/actors/messages.hpp>

#include <nestor/actors/caf_scheduler.hpp>

namespace nestor::actors {
namespace {

// The node's actors live on its own io thread; CAF's workers carry what CAF itself needs.
constexpr std::size_t scheduler_threads = 1;

} // namespace

void register_messages() {
  register_types<caf::id_block::nestor>();
}

void prepare(caf::actor_system_config& cfg) {
  load_types<caf::id_block::nestor>(cfg);
}

void dedicate(caf::actor_system_config& cfg) {
  prepare(cfg);
  use_quiet_scheduler(cfg);
  set_option(cfg, "scheduler.max-threads", scheduler_threads);
}

} // namespace nestor::actors
