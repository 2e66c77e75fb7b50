#include "simulation.hpp"

#include "judge.hpp"
#include "node.hpp"

#include <support/test_node.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <map>
#include <optional>

namespace nestor::simulation {
namespace {

constexpr std::int64_t epoch_ms = 1'800'000'000'000; // the clouds' wall time at the beginning
constexpr milliseconds client_tries_again{200};
// The longest that providers may keep a node in doubt, the ladder's rungs and a pause of an hour's clock included.
constexpr std::chrono::hours rests_within{6};
// Every tenth probe reads back what is there.
constexpr std::chrono::minutes all_is_read_back{15};
constexpr std::chrono::minutes sweeps_and_late_effects{6};
constexpr std::size_t messages_max = 1'000'000; // a run has ten thousand: one with so many goes in a circle

std::shared_ptr<const nested::configuration> configuration_of(unsigned variant) {
  constexpr unsigned values = 4, kinds = 8;
  static std::map<unsigned, std::shared_ptr<const nested::configuration>> all;
  auto& made = all[variant % kinds];
  if (!made) {
    auto c =
      std::make_shared<nested::configuration>(*tests::canary_configuration(1 + static_cast<int>(variant % values)));
    if (variant % kinds >= values) {
      c->git_providers.pop_back();
      c->secrets.pop_back();
    }
    made = std::move(c);
  }
  return made;
}

std::shared_ptr<const sandbox_spec> spec_of(const std::string& kind, unsigned who, unsigned variant) {
  auto spec = std::make_shared<sandbox_spec>(tests::canary_spec({}));
  auto runtime = std::make_shared<runtime_spec>(*spec->runtime);
  runtime->image = "bare-agent"; // it starts no nested server by itself: the command does
  runtime->port = emulator::usual_port;
  spec->runtime = std::move(runtime);
  spec->provider = kind;
  spec->name = "n" + std::to_string(who);
  spec->configuration = configuration_of(variant);
  return spec;
}

class simulation {
public:
  simulation(const scenario& s, const planted* broken);
  outcome run();

private:
  std::uint64_t draw() { return next_random(draws_); }
  [[nodiscard]] wall_time wall() const { return {epoch_ms + time_.now().us / 1000 + wall_offset_ms_}; }
  void start_node();
  void crash(const strike& how);
  fate fate_of_next();
  void meet_neighbour();
  bool go(const std::function<bool()>& done, microseconds within);
  void run_actors();
  bool next_moment(instant limit);
  void do_deeds();
  void doom_after_deed();
  void perform(const deed& d);
  void ask_for_end(const sandbox_id& id);
  [[nodiscard]] std::optional<sandbox_id> known_as(unsigned who) const;
  void upset(const deed& d, const sandbox_id& id);
  void plan_troubles();
  void live();

  /// Of this life of the node: what it says once it is gone is not heard.
  template <class... Args>
  std::function<void(Args...)> while_it_lives(std::function<void(Args...)> what) {
    return [this, life = lives_, what = std::move(what)](Args... args) {
      if (life == lives_ && node_)
        what(std::forward<Args>(args)...);
    };
  }

  const scenario& scenario_;
  const planted* broken_;
  std::uint64_t draws_;
  emulator::virtual_clockwork time_;
  transcript told_{time_};
  disk disk_;
  tests::rented_world clouds_;
  judge judge_;
  std::multimap<instant, deed> deeds_;
  std::vector<strike> strikes_;
  std::optional<strike> struck_;
  std::unique_ptr<node_life> node_;
  std::size_t lives_ = 0;
  bool serving_ = false;
  instant back_at_;
  std::int64_t wall_offset_ms_ = 0;
  std::size_t messages_ = 0, groups_ = 0, crashes_ = 0, deeds_done_ = 0;
};

simulation::simulation(const scenario& s, const planted* broken)
    : scenario_(s), broken_(broken), draws_(s.seed), disk_(next_random(draws_)),
      clouds_(time_, s.kinds, next_random(draws_)), judge_(s, disk_, clouds_, time_, told_) {
  time_.advance(std::chrono::seconds{1});
}

void simulation::start_node() {
  ++lives_;
  serving_ = false;
  told_.say("node", "starts, life " + std::to_string(lives_));
  auto ours = [this] { return draw(); };
  auto journal = std::make_shared<paper_journal>(paper_journal::surroundings{
    disk_, time_, told_, ours, [this] { return fate_of_next(); }, [this] { return wall(); }});
  auto io = std::make_shared<wire>(
    wire::surroundings{clouds_, time_, told_, ours, [this] { judge_.on_tampered(); },
                       [this](std::string_view line, std::string_view body) { judge_.on_change(line, body); },
                       [this](std::string_view line) { judge_.on_crowd(line); }});
  heard_of ears;
  ears.status = [this, life = lives_](const auto& x) { life == lives_&& node_ ? judge_.on_status(x) : void(); };
  ears.step = [this, life = lives_](const auto& x) { life == lives_&& node_ ? judge_.on_step(x) : void(); };
  ears.recovered = [this, life = lives_](const actors::recovered& r) {
    if (life != lives_ || !node_)
      return;
    told_.say("node", "knows " + std::to_string(r.alive) + " alive, " + std::to_string(r.ended) + " ended");
    if (r.why)
      judge_.blame("the node does not start: " + to_string(*r.why));
    serving_ = true;
  };
  actors::registry_limits limits;
  limits.sandboxes_max = scenario_.sandboxes_max;
  if (broken_ && broken_->limits)
    broken_->limits(limits);
  auto entropy = std::make_shared<tests::seeded_entropy>(broken_ && broken_->entropy_repeats ? scenario_.seed : draw());
  node_ =
    std::make_unique<node_life>(life_options{time_, [this] { return wall(); }, std::move(journal), std::move(io), disk_,
                                             std::move(entropy), limits, scenario_.kinds, broken_, std::move(ears)});
}

void simulation::crash(const strike& how) {
  struck_.reset();
  told_.say("node", "is gone: " + std::string{name_of(how.how)} + " " + std::to_string(how.count));
  ++crashes_;
  auto gone = std::move(node_); // nobody hears it any more
  gone->close_seams(how.survives);
  gone.reset();
  serving_ = false;
  judge_.on_crash();
  judge_.world_moved();
  back_at_ = time_.now() + how.down;
}

fate simulation::fate_of_next() {
  ++groups_;
  for (auto& each : strikes_) {
    if (each.how == blow::at_message || each.how == blow::after_deed || each.count != groups_)
      continue;
    told_.say("disk", name_of(each.how));
    switch (each.how) {
      case blow::disk_refuses: return fate::refused;
      case blow::disk_lies: return fate::refused_but_there;
      case blow::before_sync: return struck_ = each, fate::crash_before;
      case blow::after_sync: return struck_ = each, fate::crash_after;
      case blow::at_message:
      case blow::after_deed: break;
    }
  }
  return fate::synced;
}

/// Until nothing can happen at this moment any more.
void simulation::run_actors() {
  while (node_ && judge_.fault().empty() && node_->system.run_one(draw())) {
    ++messages_;
    auto at = std::ranges::find_if(
      strikes_, [&](const auto& each) { return each.how == blow::at_message && each.count == messages_; });
    if (at != strikes_.end())
      return crash(*at);
    if (messages_ > messages_max)
      return judge_.blame("it goes in a circle");
  }
}

/// To the next moment at which something happens; false when there is none before `limit`.
bool simulation::next_moment(instant limit) {
  auto next = time_.next();
  auto sooner = [&](instant at) { next = next ? std::min(*next, at) : at; };
  std::optional<instant> timer;
  if (node_ && (timer = node_->system.next_timer()))
    sooner(time_.now() + (*timer - node_->system.now()));
  if (!node_)
    sooner(back_at_);
  if (!deeds_.empty())
    sooner(deeds_.begin()->first);
  if (!next || *next > limit)
    return false;
  auto passed = std::max(*next - time_.now(), microseconds{0});
  time_.advance_to(*next);
  judge_.world_moved();
  if (node_)
    node_->system.pass(passed);
  return true;
}

bool simulation::go(const std::function<bool()>& done, microseconds within) {
  auto limit = time_.now() + within;
  for (;;) {
    if (struck_ && node_)
      crash(*struck_);
    if (!node_ && time_.now() >= back_at_)
      start_node();
    do_deeds();
    run_actors();
    if (!judge_.fault().empty())
      return false;
    if (done())
      return true;
    if (!next_moment(limit))
      return false;
  }
}

// -- clients ------------------------------------------------------------------------------------------------------

std::optional<sandbox_id> simulation::known_as(unsigned who) const {
  std::optional<sandbox_id> found;
  auto name = "n" + std::to_string(who);
  for (const auto& [id, records] : disk_.all())
    if (!records.wanted.empty() && records.wanted.back()->spec->name == name)
      found = id;
  return found;
}

/// The strikes that follow the deed that was just begun.
void simulation::doom_after_deed() {
  ++deeds_done_;
  for (auto& each : strikes_)
    if (each.how == blow::after_deed && each.count == deeds_done_) {
      each.how = blow::at_message;
      each.count = static_cast<unsigned>(messages_) + 1 + each.later;
    }
}

void simulation::do_deeds() {
  while (!deeds_.empty() && deeds_.begin()->first <= time_.now()) {
    auto next = deeds_.extract(deeds_.begin());
    if (node_ && serving_) {
      perform(next.mapped());
      doom_after_deed();
    } else // nobody listens
      deeds_.emplace(time_.now() + client_tries_again, next.mapped());
  }
}

void simulation::ask_for_end(const sandbox_id& id) {
  node_->ask<actors::accepted>(actors::destroy_sandbox{id}, [this, life = lives_, id](actors::accepted* a) {
    if (a && !a->refused && life == lives_ && node_)
      judge_.on_unwanted(id);
  });
}

void simulation::upset(const deed& d, const sandbox_id& id) {
  for (const auto& kind : scenario_.kinds)
    for (const auto& each : clouds_.rented(kind, id)) {
      auto* server = clouds_.inside().server(each.id);
      if (!server)
        continue;
      told_.say("cloud", "the server in " + each.id + " " + std::string{name_of(d.what)});
      if (d.what == act::empties) {
        judge_.on_empties(id);
        server->model().reset(time_.now());
      } else {
        judge_.on_dies(id);
        clouds_.inside().crash(each.id, 137);
      }
    }
}

void simulation::perform(const deed& d) {
  told_.say("client", std::string{name_of(d.what)} + " " + std::to_string(d.who) + "." + std::to_string(d.variant));
  auto heard = [this, life = lives_](const auto* answer, auto use) {
    if (!answer || life != lives_ || !node_)
      return;
    if (answer->refused) {
      judge_.on_text(to_string(*answer->refused));
      return told_.say("client", "refused: " + to_string(*answer->refused));
    }
    use(*answer);
  };
  if (d.what == act::create) {
    auto spec = spec_of(scenario_.kinds[d.who % scenario_.kinds.size()], d.who, d.variant);
    return node_->ask<actors::accepted>(actors::create_sandbox{spec}, [this, heard, name = spec->name](auto* a) {
      heard(a, [&](const actors::accepted& x) { judge_.on_created(x, name); });
    });
  }
  if (d.what == act::sweep)
    return node_->sweep([](auto*) {});
  if (d.what == act::steps) {
    wall_offset_ms_ += (static_cast<std::int64_t>(d.variant) - 3'600) * 1'000;
    return;
  }
  auto id = known_as(d.who);
  if (!id)
    return;
  switch (d.what) {
    case act::configure:
      return node_->ask<actors::accepted>(
        actors::configure_sandbox{*id, configuration_of(d.variant)},
        [this, heard](auto* a) { heard(a, [&](const actors::accepted& x) { judge_.on_configured(x); }); });
    case act::pause:
    case act::resume:
      return node_->ask<actors::accepted>(
        actors::rest_sandbox{*id, d.what == act::pause},
        [this, heard, id = *id, rests = d.what == act::pause, number = judge_.on_rest_asked(*id)](auto* a) {
          heard(a, [&](const auto&) { judge_.on_rest(id, number, rests); });
        });
    case act::destroy: return ask_for_end(*id);
    case act::access:
      return node_->ask<actors::access>(actors::get_access{*id}, [this, life = lives_, id](actors::access* a) {
        if (a && life == lives_ && node_)
          judge_.on_access(*id, *a);
      });
    case act::empties:
    case act::dies: return upset(d, *id);
    case act::create:
    case act::sweep:
    case act::steps:
    case act::count_: return;
  }
}

// -- the run ------------------------------------------------------------------------------------------------------

void simulation::plan_troubles() {
  for (const auto& kind : scenario_.kinds) {
    std::vector<std::string> specs;
    for (const auto& each : scenario_.troubles)
      if (each.kind == kind)
        specs.push_back(each.spec);
    clouds_.plan(kind, specs, draw());
  }
}

/// Somebody had a node at this account before us: its journal is elsewhere, its runtime is there.
void simulation::meet_neighbour() {
  start_node();
  deeds_.emplace(time_.now(), deed{{}, act::create, 0, 0});
  go([&] { return judge_.became_ready() > 0; }, std::chrono::minutes{5});
  crash({blow::at_message, 0, milliseconds{0}, 100});
  judge_.meet_neighbour();
  disk_ = disk{draw()};
}

void simulation::live() {
  disk_.on_wanted = [this](const auto& record) { judge_.on_wanted(record); };
  if (scenario_.neighbour) {
    meet_neighbour();
    disk_.on_wanted = [this](const auto& record) { judge_.on_wanted(record); };
  }
  if (!judge_.fault().empty())
    return;
  messages_ = groups_ = deeds_done_ = 0;
  strikes_ = scenario_.strikes;
  plan_troubles();
  auto began = time_.now();
  for (const auto& each : scenario_.deeds)
    deeds_.emplace(began + each.at, each);
  auto last = scenario_.deeds.empty() ? began : began + scenario_.deeds.back().at;
  auto until = last + scenario_.calm_after;
  if (!go([&] { return time_.now() >= until && deeds_.empty() && serving_; }, std::chrono::hours{2}) &&
      judge_.fault().empty() && (!serving_ || !deeds_.empty()))
    return judge_.blame("the node does not come back");

  told_.say("calm", "nothing goes wrong any more");
  strikes_.clear();
  for (const auto& kind : scenario_.kinds)
    clouds_.plan(kind, {});
  if (!go([&] { return judge_.unrest().empty(); }, rests_within) && judge_.fault().empty())
    return judge_.blame("it comes to no rest: " + judge_.unrest());
  go([] { return false; }, all_is_read_back);
  if (!judge_.fault().empty())
    return;
  judge_.check_as_wanted();
  node_->ask<actors::sandbox_list>(actors::list_sandboxes{}, [this](auto* all) {
    if (all && node_)
      judge_.check_listed(*all);
  });
  run_actors();

  told_.say("calm", "everything is to end");
  for (const auto& id : judge_.not_ended())
    ask_for_end(id);
  if (!go([&] { return judge_.not_ended().empty(); }, rests_within) && judge_.fault().empty())
    return judge_.blame("not everything ends");
  go([] { return false; }, sweeps_and_late_effects);
  judge_.check_nothing_left();
}

outcome simulation::run() {
  auto began = time_.now();
  try {
    live();
  } catch (const std::exception& e) { judge_.blame(e.what()); }
  auto took = std::chrono::duration_cast<milliseconds>(time_.now() - began);
  node_.reset();
  return {judge_.fault(), told_.text(), told_.hash(), messages_, crashes_, judge_.became_ready(), took};
}

} // namespace

outcome run(const scenario& s, const planted* broken) {
  return simulation{s, broken}.run();
}

scenario shrunk(scenario s, const planted* broken) {
  for (auto step = std::max<std::size_t>(parts_of(s) / 2, 1); step > 0; step /= 2)
    for (std::size_t at = 0; at < parts_of(s);) {
      auto less = without(s, at, step);
      if (run(less, broken).fault.empty())
        at += step;
      else
        s = std::move(less);
    }
  return s;
}

} // namespace nestor::simulation
