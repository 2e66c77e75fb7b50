#include "node.hpp"

#include <nestor/actors/provider_desk.hpp>
#include <nestor/actors/reaper.hpp>
#include <nestor/actors/timer_wheel.hpp>

#include <map>
#include <vector>

namespace nestor::simulation {
namespace {

struct sim_clock final : actors::clock_port {
  emulator::clockwork& time;
  std::function<wall_time()> on_the_wall;
  sim_clock(emulator::clockwork& t, std::function<wall_time()> w) : time(t), on_the_wall(std::move(w)) {}
  [[nodiscard]] instant now() const override { return time.now(); }
  [[nodiscard]] wall_time wall() const override { return on_the_wall(); }
};

struct listener {
  using handle_type = caf::actor;
  static constexpr const char* name = "listener";
  heard_of ears;
  listener(actors::self_ptr<>, heard_of who) : ears(std::move(who)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::status_changed& x) { ears.status(x); },
            [this](const actors::step_changed& x) { ears.step(x); }};
  }
};

/// The clouds' accounts, one after the other in memory: the registry takes turns by their addresses, and a seed shall
/// give the same turns everywhere.
struct accounts {
  std::vector<providers::account_source> sources;
  std::vector<providers::provider> kinds;
  std::shared_ptr<providers::account_book> book = std::make_shared<providers::account_book>();

  explicit accounts(const planted* broken) {
    auto usual = tests::accounts_of_clouds();
    sources.reserve(usual->size());
    kinds.reserve(usual->size());
    for (const auto& [name, source] : *usual) {
      sources.push_back(*source);
      kinds.push_back(*source->plain.speaks);
      if (broken && broken->provider) {
        broken->provider(kinds.back());
        sources.back().plain.speaks = &kinds.back();
      }
      book->emplace(name, std::shared_ptr<const providers::account_source>(std::shared_ptr<void>{}, &sources.back()));
    }
  }
};

std::shared_ptr<const providers::account_book> book_for(const planted* broken, const std::vector<std::string>& kinds) {
  static std::map<const planted*, std::unique_ptr<accounts>> all;
  auto& known = all[broken];
  if (!known)
    known = std::make_unique<accounts>(broken);
  auto book = std::make_shared<providers::account_book>();
  for (const auto& kind : kinds)
    book->emplace(kind, known->book->at(kind));
  return book;
}

} // namespace

node_life::node_life(life_options options) : options_(std::move(options)) {
  around_ = std::make_shared<actors::surroundings>();
  around_->io = options_.io;
  around_->journal = options_.journal;
  const auto* broken = options_.broken;
  if (broken && broken->io)
    around_->io = broken->io(around_->io);
  if (broken && broken->journal)
    around_->journal = broken->journal(around_->journal, options_.records);
  around_->clock = std::make_shared<sim_clock>(options_.time, options_.wall);
  around_->entropy = options_.entropy;
  around_->accounts = book_for(broken, options_.kinds);
  around_->secrets = tests::keys_of_clouds();
  around_->detailed = true;
  around_->timers = actors::spawn<actors::timer_wheel>(system.system(), nullptr, around_->clock);
  around_->observer = actors::spawn<listener>(system.system(), nullptr, options_.ears);
  around_->desk = actors::spawn<actors::provider_desk>(system.system(), nullptr, around_);
  front_ = actors::spawn<actors::sandbox_registry>(system.system(), nullptr, around_, options_.limits);
  ask<actors::recovered>(actors::recover{}, [this](actors::recovered* r) {
    if (!r)
      return;
    if (!r->why)
      begin_sweeps();
    options_.ears.recovered(*r);
  });
}

void node_life::begin_sweeps() {
  reaper_ = actors::spawn<actors::reaper>(system.system(), nullptr, actors::surroundings_ptr{around_}, front_,
                                          actors::sweep_options{});
}

void node_life::sweep(std::function<void(actors::sweeps_seen*)> then) {
  using asking = client<actors::sweeps_seen, actors::sweep_now>;
  actors::spawn<asking>(system.system(), nullptr, reaper_, actors::sweep_now{}, std::move(then));
}

void node_life::close_seams(unsigned survives) {
  options_.journal->crash(survives);
  options_.io->crash(survives);
  options_.ears = {};
}

node_life::~node_life() {
  system.system().await_actors_before_shutdown(false); // one may wait for an answer that no closed seam gives
  for (auto* each : {&reaper_, &front_, &around_->desk, &around_->observer, &around_->timers})
    if (*each)
      caf::anon_send_exit(*each, caf::exit_reason::kill), *each = nullptr;
  system.settle();
}

} // namespace nestor::simulation
