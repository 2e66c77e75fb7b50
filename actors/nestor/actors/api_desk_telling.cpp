// What the API DESK tells those who run the node: the log, the audit log, traces. It tells what the API shows anyway:
// ids, statuses, steps, codes and causes that are redacted where they arise.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>

#include <algorithm>
#include <array>

namespace nestor::actors {
namespace {

log_level level_of(status word) {
  if (word == status::failed)
    return log_level::error;
  return word == status::unknown || word == status::quarantined ? log_level::warning : log_level::info;
}

} // namespace

bool api_desk::logs(log_level level) const {
  return options_.log && around_ && level >= options_.log_from;
}

std::string api_desk::trace_of(const std::string& sandbox) const {
  auto context = options_.traces ? options_.traces->context_of(sandbox) : std::nullopt;
  return context ? api::to_text(*context).substr(3, 32) : std::string{};
}

void api_desk::log_status(const status_changed& seen, const std::string& tenant) {
  auto level = level_of(seen.word);
  if (!logs(level))
    return;
  log_line line{around_->clock->wall(), level, "sandbox.status"};
  line.with("sandbox", seen.id.text).with("tenant", tenant).with("status", nestor::name_of(seen.word));
  line.with("generation", seen.observed).with("attempt", seen.number).with("incarnation", seen.fence);
  options_.log(line.with("trace_id", trace_of(seen.id.text)));
}

void api_desk::log_step(const step_changed& seen, const std::string& tenant) {
  auto level = seen.result == outcome::running  ? log_level::debug
               : seen.result == outcome::failed ? log_level::warning
                                                : log_level::info;
  if (!logs(level))
    return;
  log_line line{around_->clock->wall(), level, "sandbox.step"};
  line.with("sandbox", seen.id.text).with("tenant", tenant).with("step", nestor::name_of(seen.at));
  line.with("outcome", nestor::name_of(seen.result)).with("attempt", seen.number).with("tries", seen.attempts);
  if (seen.result != outcome::running)
    line.with("took_ms", static_cast<std::uint64_t>(seen.took.count()));
  line.with("trace_id", trace_of(seen.id.text));
  if (seen.why)
    line.with("code", nestor::name_of(seen.why->code)).with("cause", seen.why->cause);
  options_.log(line);
}

void api_desk::log_request(const request& r, const http::response& response) {
  if (!logs(log_level::debug))
    return;
  log_line line{around_->clock->wall(), log_level::debug, "http.request"};
  line.with("route", r->in.what.where->name).with("status", response.status).with("token", r->in.who.token);
  line.with("tenant", r->in.who.tenant).with("sandbox", r->subject);
  options_.log(line.with("took_us", static_cast<std::uint64_t>((now() - r->began).count())));
}

/// Whatever changes something or hands something out, refused or not: everything that is no GET.
void api_desk::audit(const request& r, const http::response& response, const std::optional<failure>& why) {
  if (!options_.audit || !around_ || r->in.what.where->verb == http::method::get)
    return;
  log_line line{around_->clock->wall(), response.status < 400 ? log_level::info : log_level::warning,
                r->in.what.where->name};
  line.with("token", r->in.who.token).with("role", api::name_of(r->in.who.may)).with("tenant", r->in.who.tenant);
  line.with("subject", r->subject).with("status", response.status);
  if (why)
    line.with("code", nestor::name_of(why->code));
  if (const auto* dry = r->in.asked.find("dry_run"))
    line.with("dry_run", *dry);
  if (options_.audit(line))
    return;
  ++audit_failures_;
  if (logs(log_level::error))
    options_.log(log_line{around_->clock->wall(), log_level::error, "audit.failed"}.with(
      "cause", "the audit log cannot be written; make room in the state folder"));
}

// -- traces -----------------------------------------------------------------------------------------------------------

void api_desk::begin_trace(const std::string& sandbox, const std::string& tenant) {
  std::array<std::uint8_t, 24> random{};
  around_->entropy->fill(random);
  api::trace_seed seed;
  std::copy_n(random.begin(), seed.trace.size(), seed.trace.begin());
  for (auto at = random.begin() + 16; at != random.end(); ++at)
    seed.span = (seed.span << 8U) | *at;
  options_.traces->begin(sandbox, seed, around_->clock->wall(), tenant);
}

void api_desk::trace_step(const step_changed& seen, const std::string& tenant) {
  if (!options_.traces || !around_)
    return;
  auto& book = *options_.traces;
  auto wall = around_->clock->wall();
  if (seen.result != outcome::running)
    return book.step_ended(seen.id.text, seen.at, wall, seen.took, seen.attempts, seen.number, seen.why);
  if (seen.at == step::queue)
    begin_trace(seen.id.text, tenant);
  book.step_began(seen.id.text, seen.at, wall);
}

void api_desk::trace_status(const status_changed& seen, errc last) {
  if (!options_.traces || !around_ || (seen.word != status::ready && !ended(seen.word)))
    return;
  auto why = seen.word == status::failed ? std::optional{last} : std::nullopt;
  auto spans = options_.traces->end(seen.id.text, around_->clock->wall(), nestor::name_of(seen.word), why);
  if (spans && sender_)
    sender_->add(*around_, std::move(*spans));
}

/// Whoever asked for it may have a trace of their own: then the start is a part of that one. It was accepted before its
/// first step can be heard of.
void api_desk::join_trace(const request& r, const sandbox_id& id) {
  if (!options_.traces)
    return;
  auto said = api::only_header(r->exchange->request(), "traceparent");
  auto parent = said && *said ? api::read_traceparent(**said) : std::nullopt;
  if (!parent)
    return;
  begin_trace(id.text, r->in.who.tenant);
  options_.traces->join(id.text, *parent);
}

} // namespace nestor::actors
