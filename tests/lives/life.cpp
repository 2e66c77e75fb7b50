#include "life.hpp"

#include <algorithm>

namespace nestor::tests {

renting_node::renting_node(std::uint64_t seed) {
  start(seed);
}

renting_node::renting_node(std::uint64_t seed, std::shared_ptr<rented_world> shared)
    : clouds(std::move(shared)), shares_(true) {
  start(seed);
}

renting_node::~renting_node() {
  if (!shares_)
    clouds->stop();
}

void renting_node::start(std::uint64_t seed) {
  test_surroundings besides;
  besides.accounts = accounts_of_clouds();
  besides.secrets = keys_of_clouds();
  besides.entropy = seed;
  besides.io = [this, seed](deterministic_system& system, const std::shared_ptr<nested_world>&) {
    if (!clouds)
      clouds = std::make_shared<rented_world>(system, seed);
    return clouds;
  };
  node = std::make_unique<test_node>(quick_servers(), std::move(besides));
}

sandbox_id renting_node::create(std::string_view kind, const std::function<void(sandbox_spec&)>& change) {
  auto spec = canary_spec({});
  auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
  runtime->image = "bare-agent"; // it starts no nested server by itself: the command does
  runtime->port = emulator::usual_port;
  spec.runtime = std::move(runtime);
  spec.provider = kind;
  if (change)
    change(spec);
  return node->create(std::move(spec));
}

status renting_node::to_rest(const sandbox_id& id) {
  return node->run_to_rest(id, rests_within)->word;
}

bool renting_node::to_end(const sandbox_id& id) {
  return node->run_until([&] { return ended(word(id)); }, rests_within);
}

std::string renting_node::difference_in(std::string_view kind, const sandbox_id& id) {
  auto rented = clouds->rented(kind, id);
  if (rented.empty())
    return "nothing is rented";
  std::string difference;
  for (const auto& each : rented) { // a create that was carried out twice left two; one of them is ours
    auto* server = clouds->inside().server(each.id);
    difference = server ? tests::difference(server->model(), *canary_configuration()) : "no server listens";
    if (difference.empty())
      return difference;
  }
  return difference;
}

std::string fault_of_life(renting_node& here, std::string_view kind, const std::vector<std::string>& mishaps,
                          std::uint64_t seed) {
  here.clouds->plan(kind, mishaps, seed);
  auto id = here.create(kind);
  auto word = here.to_rest(id);
  auto in_words = [&](const std::string& what) { return what + " (" + std::string{name_of(word)} + ")"; };
  if (word != status::ready && word != status::quarantined && !ended(word))
    return in_words("it came to no rest");
  if (word == status::ready)
    if (auto difference = here.difference_in(kind, id); !difference.empty())
      return in_words("it is served without what was wanted: " + difference);
  if (!ended(word)) {
    here.destroy(id);
    if (!here.to_end(id))
      return in_words("it did not end");
  }
  if (!here.clouds->rented(kind, id).empty())
    return in_words("it ended, and is still rented");
  here.node->system.advance(std::chrono::minutes{5}); // what takes effect late
  if (!here.clouds->rented(kind).empty())
    return in_words("something was rented after its end");
  if (here.node->told().find(canary) != std::string::npos)
    return in_words("a secret was told");
  return {};
}

} // namespace nestor::tests
