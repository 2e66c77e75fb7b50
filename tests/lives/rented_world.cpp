#include "rented_world.hpp"

#include <emulator/rpc_form.hpp>

#include <nestor/http/url.hpp>

#include <algorithm>

namespace nestor::tests {
namespace {

using emulator::wire_reply;

// What the simulated network takes for one exchange.
constexpr milliseconds round_trip{1};
// Boots and stops as the emulator has them, a real cloud's being seconds.
constexpr milliseconds boots_in{150};

std::string domain_of(std::string_view kind) {
  return std::string{kind} + ".test";
}

/// Does what is due when it is told to look.
struct hand {
  using handle_type = caf::actor;
  static constexpr const char* name = "clockwork's hand";
  std::function<void()> look;
  hand(actors::self_ptr<>, std::function<void()> what) : look(std::move(what)) {}
  caf::behavior make_behavior() {
    return {[this](const actors::woken&) { look(); }};
  }
};

/// The way back to whoever asked: one answer, or its time-out.
class asker_door final : public emulator::reply_door, public std::enable_shared_from_this<asker_door> {
public:
  /// `rpc`: whoever asked speaks gRPC.
  asker_door(emulator::clockwork& time, rented_world::ear to, milliseconds timeout, bool rpc)
      : time_(time), to_(std::move(to)), timeout_(timeout), rpc_(rpc) {}

  void begin_waiting() {
    time_.after(timeout_, [me = shared_from_this()] { me->say(http::transport_error::timed_out); });
  }
  void reply(wire_reply&& r) override {
    if (r.how == wire_reply::way::hang)
      return;
    bool broken = r.how != wire_reply::way::answer || r.body_sent < r.response.body.size();
    http_reply what = http::transport_error::reset;
    if (!broken)
      what = std::move(r.response);
    time_.after(r.delay + round_trip,
                [me = shared_from_this(), w = std::move(what)]() mutable { me->say(std::move(w)); });
  }
  void count_in(nested_server::traffic&) override {}
  void begin(const http::response& head) override { parts_ = head; }
  void more(std::string_view bytes) override { parts_.body.append(bytes); }
  void end() override {
    time_.after(round_trip, [me = shared_from_this()] { me->say(std::move(me->parts_)); });
  }

private:
  void say(http_reply what) {
    if (!to_)
      return;
    auto to = std::exchange(to_, nullptr);
    to(rpc_ ? io_reply{as_rpc(what)} : io_reply{std::move(what)});
  }
  /// What libgrpc++ makes of it: once a call had a connection, what broke it is a status.
  static grpc_reply as_rpc(const http_reply& what) {
    constexpr int deadline_exceeded = 4, unavailable = 14;
    if (const auto* answer = std::get_if<http::response>(&what))
      return emulator::answer_of(*answer);
    auto why = std::get<http::transport_error>(what);
    return grpc_answer{why == http::transport_error::timed_out ? deadline_exceeded : unavailable, {}, {}, {}};
  }

  emulator::clockwork& time_;
  rented_world::ear to_;
  milliseconds timeout_;
  bool rpc_;
  http::response parts_;
};

bool belongs_to(const emulator::rented& r, const sandbox_id& of) {
  bool labelled = std::ranges::any_of(r.labels, [&](const auto& label) { return label.second == of.text; });
  return labelled || r.name.starts_with(of.text + "-"); // where there are no labels the name tells
}

} // namespace

system_clockwork::system_clockwork(deterministic_system& system) : system_(system) {
  hand_ = actors::spawn<hand>(system.system(), nullptr, [this] { run_due(); });
}

void system_clockwork::stop() {
  caf::anon_send_exit(hand_, caf::exit_reason::kill);
  hand_ = nullptr;
  to_come_.clear();
}

void system_clockwork::after(milliseconds delay, std::function<void()> what) {
  if (!hand_)
    return;
  to_come_.emplace(now() + delay, std::move(what));
  if (delay.count() <= 0)
    actors::tell_from_outside(hand_, actors::woken{});
  else
    tell_later(hand_, delay, actors::woken{});
}

void system_clockwork::run_due() {
  while (!to_come_.empty() && to_come_.begin()->first <= now()) {
    auto next = to_come_.extract(to_come_.begin());
    next.mapped()();
  }
}

rented_world::rented_world(deterministic_system& system, std::uint64_t seed)
    : clockwork_(std::make_unique<system_clockwork>(system)), time_(*clockwork_), inside_(time_) {
  build(rented_kinds(), seed);
}

rented_world::rented_world(emulator::clockwork& time, const std::vector<std::string>& kinds, std::uint64_t seed)
    : time_(time), inside_(time_) {
  build(kinds, seed);
}

void rented_world::build(const std::vector<std::string>& kinds, std::uint64_t seed) {
  for (const auto& kind : kinds) {
    emulator::cloud_options options;
    options.base = "https://api." + domain_of(kind);
    options.domain = domain_of(kind);
    options.boots_in = boots_in;
    options.seed = seed;
    clouds_[kind] = std::make_unique<emulator::troubled_cloud>(
      emulator::make_cloud(kind, std::move(options), {time_, inside_}), time_);
  }
}

void rented_world::plan(std::string_view cloud, const std::vector<std::string>& specs, std::uint64_t seed) {
  std::vector<emulator::mishap> planned;
  for (const auto& spec : specs)
    planned.push_back(*emulator::parse_mishap(spec));
  clouds_.at(std::string{cloud})->set_mishaps(emulator::mishap_plan{std::move(planned), seed});
}

void rented_world::perform(io_request request, actors::reply_to to) {
  ask(std::move(request), [to = std::move(to)](io_reply reply) {
    if (auto whom = caf::actor_cast<caf::actor>(to.whom))
      actors::tell_from_outside(whom, actors::io_done{to.ticket, std::move(reply)});
  });
}

void rented_world::ask(io_request request, ear to) {
  auto* call = std::get_if<http_call>(&request);
  auto* rpc = std::get_if<grpc_call>(&request);
  http_call as_http;
  if (rpc) {
    as_http = {rpc->to, emulator::request_of(*rpc), rpc->timeout, rpc->from};
    call = &as_http;
  }
  auto milliseconds_at_most = call ? call->timeout : milliseconds{0};
  auto door = std::make_shared<asker_door>(time_, std::move(to), milliseconds_at_most, rpc != nullptr);
  auto at = std::ranges::find_if(
    clouds_, [&](const auto& each) { return call && call->to.host.ends_with("." + domain_of(each.first)); });
  if (at == clouds_.end()) {
    wire_reply nobody;
    nobody.how = wire_reply::way::reset;
    return door->reply(std::move(nobody));
  }
  door->begin_waiting();
  ++asked_[at->first];
  if (keeps_exchanges)
    exchanges.push_back({at->first, call->to.host, call->request, call->from});
  call->request.headers.push_back({"Host", wiped_string{call->to.host}});
  // Answers that are given within the call are heard after it: what asks is an actor at work.
  at->second->serve(call->request, door);
  look(at->first);
}

void rented_world::look(std::string_view cloud) {
  std::map<std::string, std::size_t> count;
  for (const auto& each : rented(cloud)) {
    auto name = each.name;
    for (const auto& [label, value] : each.labels)
      if (value.starts_with("nst-"))
        name = value;
    most_at_a_time_ = std::max(most_at_a_time_, ++count[name]);
  }
}

std::vector<emulator::rented> rented_world::rented(std::string_view cloud) const {
  return clouds_.at(std::string{cloud})->behind().truth();
}

std::vector<emulator::rented> rented_world::rented(std::string_view cloud, const sandbox_id& of) const {
  auto all = rented(cloud);
  std::erase_if(all, [&](const auto& each) { return !belongs_to(each, of); });
  return all;
}

std::size_t rented_world::asked(std::string_view cloud) const {
  auto at = asked_.find(std::string{cloud});
  return at == asked_.end() ? 0 : at->second;
}

std::vector<std::string> rented_kinds() {
  std::vector<std::string> kinds;
  auto clouds = emulator::cloud_table();
  for (const auto* each : providers::all())
    if (std::ranges::find(clouds, each->kind, &emulator::cloud_row::name) != clouds.end())
      kinds.emplace_back(each->kind);
  return kinds;
}

std::shared_ptr<const providers::account_book> accounts_of_clouds() {
  auto book = std::make_shared<providers::account_book>();
  for (const auto& kind : rented_kinds()) {
    auto source = std::make_shared<providers::account_source>();
    source->plain.name = kind;
    source->plain.speaks = providers::of_kind(kind);
    for (const auto& field : source->plain.speaks->fields) {
      auto usual = http::parse_url(field.fallback); // its path stays, its host is ours
      std::string name{field.name};
      if (field.what == providers::field_holds::secret)
        source->secrets.emplace_back(name, secret_reference{reference_kind::env, kind, {}, {}});
      else if (field.what == providers::field_holds::url && (field.required || !field.fallback.empty()))
        source->plain.settings.emplace_back(name, "https://api." + domain_of(kind) + (usual ? usual->path : ""));
      else if (field.name == "domain")
        source->plain.settings.emplace_back(name, domain_of(kind));
      else if (!field.fallback.empty())
        source->plain.settings.emplace_back(name, field.fallback);
    }
    book->emplace(kind, std::move(source));
  }
  return book;
}

secret_lookup keys_of_clouds() {
  return [](reference_kind, const std::string& kind) -> expected<secret> {
    for (const auto& row : emulator::cloud_table())
      if (row.name == kind)
        return secret::copy_of(std::string{row.key});
    return failure{errc::credential_missing, step::authenticate, "no key for " + kind, 0, {}};
  };
}

} // namespace nestor::tests
