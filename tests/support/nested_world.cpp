#include <support/nested_world.hpp>

#include <algorithm>
#include <array>

namespace nestor::tests {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(fault::count_)> fault_names{
  "none",           "refused",        "reset",     "no answer",   "server error", "rate limited",
  "truncated JSON", "a proxy's page", "no effect", "answer lost", "trickles"};
static_assert(!fault_names.back().empty());

// What the simulated network takes for one exchange; the virtual clock moves, so that time-outs and waits mix.
constexpr microseconds round_trip{300};

http::response page(std::uint16_t status, std::string_view type, std::string_view body) {
  http::response r;
  r.status = status;
  r.headers.emplace_back("Content-Type", std::string{type});
  r.body = wiped_string{body};
  return r;
}

bool is_get(const http_call& call) {
  return call.request.verb == http::method::get;
}

} // namespace

std::string_view name_of(fault f) {
  return fault_names.at(static_cast<std::size_t>(f));
}

nested_world::nested_world(deterministic_system& system, nested_server::model_options servers)
    : system_(system), options_(std::move(servers)) {}

void nested_world::fail(std::size_t nth, fault how, std::size_t times) {
  fail_at_ = performed_ + nth;
  fail_times_ = times;
  fail_how_ = how;
}

void nested_world::heal() {
  fail_at_.reset();
  always_ = {};
}

fault nested_world::take_fault(const io_request& request) {
  auto number = performed_++;
  if (fail_at_ && number >= *fail_at_ && number < *fail_at_ + fail_times_)
    return fail_how_;
  const auto* call = std::get_if<http_call>(&request);
  if (call && always_.second != fault::none) {
    auto line = std::string{http::name_of(call->request.verb)} + " " +
                std::string{nested_server::parts_of(call->request.target).path};
    if (line.starts_with(always_.first))
      return always_.second;
  }
  return fault::none;
}

void nested_world::answer(actors::reply_to to, io_reply reply, microseconds after) {
  if (std::holds_alternative<http_reply>(reply))
    now_out_[answering_] = system_.now() + after;
  if (auto whom = caf::actor_cast<caf::actor>(to.whom))
    tell_later(whom, after, actors::io_done{to.ticket, std::move(reply)});
}

void nested_world::perform(io_request request, actors::reply_to to) {
  auto how = take_fault(request);
  if (auto* call = std::get_if<http_call>(&request))
    return exchange(*call, std::move(to), how);
  if (auto* start = std::get_if<process_spawn>(&request))
    return spawn(*start, std::move(to), how);
  if (auto* stop = std::get_if<process_end>(&request))
    return end(*stop, std::move(to), how);
  if (auto* find = std::get_if<process_find>(&request)) {
    for (const auto& [port, each] : places_)
      if (each.model && each.process.pid != 0 && each.marker == find->marker)
        return answer(std::move(to), process_started{each.process, port}, round_trip);
    return answer(std::move(to), process_absent{}, round_trip);
  }
  answer(std::move(to), process_refused{"not in this world"}, round_trip);
}

void nested_world::exchange(http_call& call, actors::reply_to to, fault how) {
  if (now_out_.contains(call.to.port) && now_out_[call.to.port] > system_.now())
    most_in_flight_ = 2;
  most_in_flight_ = std::max(most_in_flight_, 1U);
  answering_ = call.to.port;
  auto line = std::string{http::name_of(call.request.verb)} + " " + call.request.target;
  log_.push_back(line + (how == fault::none ? "" : " !" + std::string{name_of(how)}));
  auto failing = [&](http::transport_error e, microseconds after = round_trip) { answer(to, http_reply{e}, after); };
  if (elsewhere && !places_.contains(call.to.port))
    if (auto said = elsewhere(call))
      return answer(std::move(to), std::move(said->reply), said->after);
  auto at = places_.find(call.to.port);
  if (at == places_.end() || !at->second.model || how == fault::refused)
    return failing(http::transport_error::refused);
  if (how == fault::reset)
    return failing(http::transport_error::reset);
  if (how == fault::no_answer)
    return failing(http::transport_error::timed_out, call.timeout);
  if (how == fault::server_error)
    return answer(to, http_reply{page(503, "text/plain", "Service Unavailable")}, round_trip);
  if (how == fault::proxy_page)
    return answer(to, http_reply{page(200, "text/html", "<html><body>Please log in</body></html>")}, round_trip);
  if (how == fault::rate_limited) {
    auto busy = page(429, "application/json", R"({"message":"Too many requests"})");
    busy.headers.emplace_back("Retry-After", "1");
    return answer(to, http_reply{std::move(busy)}, round_trip);
  }
  if (!is_get(call) && how != fault::no_effect)
    writes_.push_back(line);
  auto& model = *at->second.model;
  auto* held = how == fault::no_effect ? model.state_of(nested_server::parts_of(call.request.target).prefix) : nullptr;
  auto before = held ? std::optional{*held} : std::nullopt;
  auto reply = model.handle(call.request, system_.now(), "127.0.0.1");
  if (held) // it answers as if it had done so
    *held = std::move(*before);
  if (how == fault::answer_lost)
    return failing(http::transport_error::reset);
  if (how == fault::trickles)
    return failing(http::transport_error::timed_out, call.timeout);
  if (how == fault::truncated && !reply.response.body.empty())
    reply.response.body.resize(reply.response.body.size() / 2);
  if (reply.delay >= call.timeout)
    return failing(http::transport_error::timed_out, call.timeout);
  answer(to, http_reply{std::move(reply.response)}, round_trip + reply.delay);
}

void nested_world::spawn(process_spawn& request, actors::reply_to to, fault how) {
  log_.push_back("spawn " + request.argv.front() + (how == fault::none ? "" : " !" + std::string{name_of(how)}));
  bool starts = how == fault::none || how == fault::answer_lost || how == fault::trickles || how == fault::no_answer;
  if (!starts)
    return answer(std::move(to), process_refused{"Resource temporarily unavailable", true}, round_trip);
  ++spawned_;
  auto port = request.port != 0 ? request.port : next_port_++;
  if (request.port == 0 && !request.next_port_env.empty())
    ++next_port_; // that one is its too
  auto options = options_;
  for (const auto& [name, value] : request.secret_env)
    options.session_key = value;
  auto& made = places_[port];
  made.model = std::make_unique<nested_server::server_model>(options, system_.now());
  made.process = process_ref{next_pid_++, 1, "boot"};
  made.marker = request.marker;
  if (how == fault::none)
    answer(std::move(to), process_started{made.process, port}, round_trip);
}

void nested_world::end(process_end& request, actors::reply_to to, fault how) {
  log_.push_back("end" + (how == fault::none ? std::string{} : " !" + std::string{name_of(how)}));
  bool works = how == fault::none || how == fault::answer_lost || how == fault::trickles;
  auto at = std::ranges::find_if(places_, [&](const auto& each) { return each.second.process == request.process; });
  if (!works)
    return answer(std::move(to), process_present{}, round_trip);
  if (at != places_.end())
    gone(at->first);
  if (how == fault::none)
    answer(std::move(to), process_absent{0, {}}, round_trip);
}

void nested_world::watch(const process_ref& process, actors::reply_to to) {
  for (auto& [port, each] : places_)
    if (each.process == process) {
      each.watcher = to;
      if (!each.model)
        gone(port);
    }
}

void nested_world::gone(std::uint16_t port) {
  auto& here = places_[port];
  here.model.reset();
  if (auto to = std::exchange(here.watcher, std::nullopt))
    if (auto whom = caf::actor_cast<caf::actor>(to->whom))
      tell_later(whom, round_trip, actors::process_gone{to->ticket, process_absent{137, "the last words"}});
}

nested_server::server_model& nested_world::server(std::uint16_t port) {
  return *places_.at(port).model;
}

std::vector<std::uint16_t> nested_world::running() const {
  std::vector<std::uint16_t> ports;
  for (const auto& [port, each] : places_)
    if (each.model && each.process.pid != 0)
      ports.push_back(port);
  return ports;
}

void nested_world::add_static(std::uint16_t port) {
  places_[port].model = std::make_unique<nested_server::server_model>(options_, system_.now());
}

void nested_world::kill(std::uint16_t port) {
  gone(port);
}

void nested_world::restart(std::uint16_t port) {
  places_.at(port).model->reset(system_.now());
}

} // namespace nestor::tests
