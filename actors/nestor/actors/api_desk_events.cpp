// The API DESK's events: what the node tells, kept for a while, given out as lists and streams. A reader is given more
// only when what it had has been sent, so that a slow one costs a bounded buffer, and reads a `reset` where the ring
// has gone on without it; one that takes nothing at all is closed by the server.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/api/sandbox_query.hpp>

#include <algorithm>
#include <vector>

namespace nestor::actors {
namespace {

constexpr std::size_t stream_step = 64;                // events that are written at once
constexpr std::size_t stream_waiting_max = 32U << 10U; // bytes: beyond it the reader must take some first
constexpr std::chrono::seconds beat_every{15};         // shorter than the usual proxy's patience
constexpr std::chrono::seconds look_every{1};          // while lists wait: how late their end is noticed
constexpr std::size_t starting_max = 100'000;          // as many sandboxes as a node has
const std::string default_tenant = "default";

const std::string& tenant_of(const std::shared_ptr<const belonging>& whose) {
  return whose ? whose->tenant : default_tenant;
}

std::string member(std::string_view name, std::string_view word) {
  return "\"" + std::string{name} + "\":\"" + std::string{word} + "\"";
}

std::string member(std::string_view name, std::uint64_t number) {
  return "\"" + std::string{name} + "\":" + std::to_string(number);
}

} // namespace

void api_desk::add_event(api::event e) {
  if (around_)
    e.at = around_->clock->wall();
  events_.add(std::move(e));
  tell_readers();
}

void api_desk::on_status(const status_changed& seen) {
  api::event e;
  e.kind = "status";
  e.sandbox = seen.id.text;
  e.tenant = tenant_of(seen.whose);
  e.details = member("status", nestor::name_of(seen.word)) + "," + member("observed_generation", seen.observed);
  if (seen.spoken != supervision::talk::none)
    e.details += "," + member("conversation", supervision::name_of(seen.spoken));
  auto found = starting_.find(seen.id.text);
  log_status(seen, e.tenant);
  trace_status(seen, found == starting_.end() ? errc::internal : found->second.last);
  if (seen.word == status::starting && found == starting_.end() && starting_.size() < starting_max && around_)
    starting_.emplace(seen.id.text, starting{now(), errc::internal});
  if (seen.word == status::ready && found != starting_.end())
    counted_.ready(std::chrono::duration_cast<milliseconds>(now() - found->second.since));
  if (ended(seen.word))
    counted_.ended(seen.word == status::failed, found == starting_.end() ? errc::internal : found->second.last);
  if (found != starting_.end() && (seen.word == status::ready || ended(seen.word)))
    starting_.erase(found);
  if (ended(seen.word) || seen.word == status::ready)
    intents_.erase(seen.id.text);
  add_event(std::move(e));
}

void api_desk::on_step(const step_changed& seen) {
  api::event e;
  e.kind = "step";
  e.sandbox = seen.id.text;
  e.tenant = tenant_of(seen.whose);
  e.details = member("step", nestor::name_of(seen.at)) + "," + member("outcome", nestor::name_of(seen.result)) + "," +
              member("attempts", seen.attempts) + "," +
              member("took_ms", static_cast<std::uint64_t>(seen.took.count()));
  if (seen.why)
    e.details += ",\"failure\":" + to_json(*seen.why);
  trace_step(seen, e.tenant);
  log_step(seen, e.tenant);
  if (seen.result != outcome::running)
    counted_.step_done(seen.at, seen.took, seen.result == outcome::failed);
  if (auto found = starting_.find(seen.id.text); found != starting_.end() && seen.why)
    found->second.last = seen.why->code;
  bool acts = seen.at == step::provision || seen.at == step::destroy;
  if (acts && seen.result == outcome::running && around_)
    intents_.try_emplace(seen.id.text, now());
  else if (acts)
    intents_.erase(seen.id.text);
  add_event(std::move(e));
}

// -- readers ----------------------------------------------------------------------------------------------------------

void api_desk::on_events(const request& r, std::string sandbox) {
  auto query = api::read_event_query(r->exchange->request(), r->in.asked);
  if (!query)
    return refuse(r, query.error());
  reader who;
  who.who = r;
  who.filter = {r->in.who.sees(), std::move(sandbox)};
  who.seen = query->after.value_or(events_.oldest() - 1);
  who.stream = query->stream;
  who.limit = query->limit;
  who.until = now() + std::chrono::seconds{query->wait};
  if (!who.stream && (query->wait == 0 || !events_.since(who.seen, who.filter, 1).items.empty()))
    return answer_list(who);
  if (readers_.size() >= options_.readers_max)
    return refuse(r, {errc::overloaded, step::queue, "too many clients wait for events", 0, {}});
  auto number = next_reader_++;
  auto& kept = readers_.emplace(number, std::move(who)).first->second;
  if (kept.stream) {
    http::response head;
    head.status = 200;
    head.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
    counted_.answered(r->in.what.where->name, head.status, now() - r->began);
    r->exchange->begin(std::move(head), [address = self_->address(), number] {
      if (auto desk = caf::actor_cast<caf::actor>(address))
        tell_from_outside(desk, reader_drained{number});
    });
  }
  beat_again();
}

void api_desk::answer_list(const reader& who) {
  auto found = events_.since(who.seen, who.filter, who.limit);
  std::string body = R"({"items":[)";
  for (std::size_t i = 0; i < found.items.size(); ++i)
    body.append(i == 0 ? "" : ",").append(api::to_json(*found.items[i]));
  body += "],\"last_id\":" + std::to_string(found.last_seen) + ",\"latest\":" + std::to_string(events_.latest()) +
          ",\"gap\":" + (found.gap ? "true" : "false") + "}";
  answer(who.who, api::json_answer(200, body));
}

/// Gives a stream what fits; a list its answer.
void api_desk::read_on(std::uint64_t number, reader& who) {
  auto& exchange = *who.who->exchange;
  if (exchange.gone())
    return void(readers_.erase(number));
  if (!who.stream) {
    if (events_.since(who.seen, who.filter, 1).items.empty())
      return;
    answer_list(who);
    return void(readers_.erase(number));
  }
  while (who.seen != events_.latest() && exchange.waiting() < stream_waiting_max) { // beyond it: of another life
    auto found = events_.since(who.seen, who.filter, stream_step);
    std::string text = found.gap ? api::reset_for_stream(events_.oldest()) : std::string{};
    for (const auto& each : found.items)
      text += api::to_stream(*each);
    who.seen = found.last_seen;
    if (!exchange.more(text))
      return void(readers_.erase(number));
  }
}

void api_desk::tell_readers() {
  for (auto at = readers_.begin(); at != readers_.end();) {
    auto& [number, who] = *at++;
    read_on(number, who);
  }
}

void api_desk::beat_again() {
  if (readers_.empty() || std::exchange(beating_, true))
    return;
  bool lists = std::ranges::any_of(readers_, [](const auto& each) { return !each.second.stream; });
  self_->tell(around_->timers, wake_at{now() + (lists ? look_every : beat_every), self_->address(), 0});
}

/// Keeps silent streams open, notices those who left, ends the wait of lists.
void api_desk::on_beat() {
  beating_ = false;
  for (auto at = readers_.begin(); at != readers_.end();) {
    auto& who = at->second;
    bool over = who.who->exchange->gone();
    if (who.stream && !over && who.who->exchange->waiting() == 0)
      over = !who.who->exchange->more(api::stream_comment);
    if (!who.stream && !over && who.until <= now()) {
      answer_list(who);
      over = true;
    }
    at = over ? readers_.erase(at) : std::next(at);
  }
  beat_again();
}

} // namespace nestor::actors
