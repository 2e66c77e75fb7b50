#include <nestor/actors/messages.hpp>

namespace nestor::actors {
namespace {

// The node's actors live on its own io thread; CAF's workers only carry what the embedder adds.
constexpr std::size_t scheduler_threads = 2;

} // namespace

void register_messages() {
  register_types<caf::id_block::nestor>();
}

void prepare(caf::actor_system_config& cfg) {
  load_types<caf::id_block::nestor>(cfg);
  set_option(cfg, "scheduler.max-threads", scheduler_threads);
}

} // namespace nestor::actors
