#include <nestor/api/metrics.hpp>

#include <array>
#include <charconv>

namespace nestor::api {
namespace {

std::string number(double value) {
  std::array<char, 32> digits{};
  auto* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

void describe(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n");
  out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void sample(std::string& out, std::string_view name, const std::string& labels, std::uint64_t value) {
  out.append(name);
  if (!labels.empty())
    out.append("{").append(labels).append("}");
  out.append(" ").append(std::to_string(value)).append("\n");
}

std::string label(std::string_view name, std::string_view value) {
  return std::string{name} + "=\"" + std::string{value} + "\"";
}

} // namespace

void histogram::add(milliseconds took) {
  double seconds = static_cast<double>(took.count()) / 1000;
  std::size_t bucket = 0;
  while (bucket < duration_bounds.size() && seconds > duration_bounds[bucket])
    ++bucket;
  ++counts_[bucket];
  ++count_;
  sum_ += seconds;
}

void histogram::write(std::string& out, std::string_view name, const std::string& labels) const {
  auto with = labels.empty() ? std::string{} : labels + ",";
  std::string base{name};
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < duration_bounds.size(); ++i) {
    below += counts_[i];
    sample(out, base + "_bucket", with + label("le", number(duration_bounds[i])), below);
  }
  sample(out, base + "_bucket", with + label("le", "+Inf"), count_);
  out.append(base + "_sum");
  if (!labels.empty())
    out.append("{").append(labels).append("}");
  out.append(" ").append(number(sum_)).append("\n");
  sample(out, base + "_count", labels, count_);
}

void metrics::step_done(step at, milliseconds took, bool failed) {
  steps_[static_cast<std::size_t>(at)].add(took);
  if (failed)
    ++step_failures_[static_cast<std::size_t>(at)];
}

void metrics::ready(milliseconds after) {
  to_ready_.add(after);
}

void metrics::ended(bool failed, errc why) {
  if (failed)
    ++failed_[why];
  else
    ++destroyed_;
}

void metrics::answered(std::string_view route, std::uint16_t status, microseconds took) {
  ++answers_[{std::string{route}, status}];
  answer_time_.add(std::chrono::duration_cast<milliseconds>(took));
}

std::string metrics::text(const gauges& now, std::string_view version) const {
  std::string out;
  describe(out, "nestor_build_info", "gauge", "What this binary is.");
  sample(out, "nestor_build_info", label("version", version), 1);
  describe(out, "nestor_sandboxes", "gauge", "Sandboxes by status, ended ones until they are forgotten.");
  for (std::size_t i = 0; i < now.sandboxes.size(); ++i)
    sample(out, "nestor_sandboxes", label("status", status_names[i]), now.sandboxes[i]);
  describe(out, "nestor_intents_open", "gauge", "Creates and destroys whose outcome at the provider is not known yet.");
  sample(out, "nestor_intents_open", {}, now.intents);
  describe(out, "nestor_intent_oldest_seconds", "gauge", "For how long the oldest of them has been out.");
  sample(out, "nestor_intent_oldest_seconds", {}, static_cast<std::uint64_t>(now.oldest_intent.count() / 1'000));
  describe(out, "nestor_leaked_runtimes", "gauge", "Runtimes in the latest lists that no record explains.");
  sample(out, "nestor_leaked_runtimes", {}, now.unexplained);
  describe(out, "nestor_leaked_sandbox_seconds_total", "counter",
           "Time that unexplained runtimes have cost, added up.");
  sample(out, "nestor_leaked_sandbox_seconds_total", {}, static_cast<std::uint64_t>(now.leaked.count() / 1'000));
  describe(out, "nestor_sweeps_total", "counter", "Looks at what the providers hold under our label.");
  sample(out, "nestor_sweeps_total", {}, now.sweeps.passes);
  describe(out, "nestor_sweep_actions_total", "counter", "What sweeps did, by kind.");
  for (const auto& [kind, count] : {std::pair{"ended", now.sweeps.ended},
                                    {"failed", now.sweeps.failed},
                                    {"held_back", now.sweeps.held_back},
                                    {"list_failed", now.sweeps.lists_failed}})
    sample(out, "nestor_sweep_actions_total", label("kind", kind), count);
  describe(out, "nestor_journal_doubted", "gauge", "1 while the journal may be an older state of itself or a copy.");
  sample(out, "nestor_journal_doubted", {}, now.sweep_doubted ? 1 : 0);
  describe(out, "nestor_sandbox_step_duration_seconds", "histogram", "Time that a step of a sandbox took.");
  for (std::size_t i = 0; i < steps_.size(); ++i)
    steps_[i].write(out, "nestor_sandbox_step_duration_seconds", label("step", step_names[i]));
  describe(out, "nestor_sandbox_step_failures_total", "counter", "Steps that failed, those repeated included.");
  for (std::size_t i = 0; i < step_failures_.size(); ++i)
    sample(out, "nestor_sandbox_step_failures_total", label("step", step_names[i]), step_failures_[i]);
  describe(out, "nestor_sandbox_ready_duration_seconds", "histogram",
           "Time from leaving the queue to the first Ready.");
  to_ready_.write(out, "nestor_sandbox_ready_duration_seconds", {});
  describe(out, "nestor_sandboxes_destroyed_total", "counter", "Sandboxes that ended because that was wanted.");
  sample(out, "nestor_sandboxes_destroyed_total", {}, destroyed_);
  describe(out, "nestor_sandboxes_failed_total", "counter", "Sandboxes that ended in failure, by error code.");
  for (const auto& [code, count] : failed_)
    sample(out, "nestor_sandboxes_failed_total", label("code", nestor::name_of(code)), count);
  describe(out, "nestor_http_requests_total", "counter", "Requests that were answered, by route and status.");
  for (const auto& [which, count] : answers_)
    sample(out, "nestor_http_requests_total",
           label("route", which.first) + "," + label("status", std::to_string(which.second)), count);
  describe(out, "nestor_http_request_duration_seconds", "histogram", "Time from a request's head to its answer.");
  answer_time_.write(out, "nestor_http_request_duration_seconds", {});
  describe(out, "nestor_http_connections", "gauge", "Open connections of the API.");
  sample(out, "nestor_http_connections", {}, now.connections);
  describe(out, "nestor_event_streams", "gauge", "Readers of events as they happen.");
  sample(out, "nestor_event_streams", {}, now.streams);
  describe(out, "nestor_events_kept", "gauge", "Events that can still be read.");
  sample(out, "nestor_events_kept", {}, now.events_kept);
  describe(out, "nestor_node_accepting", "gauge", "1 while new sandboxes are taken, 0 while draining.");
  sample(out, "nestor_node_accepting", {}, now.takes_new ? 1 : 0);
  describe(out, "nestor_log_lines_dropped_total", "counter", "Lines of the log that nobody read in time.");
  sample(out, "nestor_log_lines_dropped_total", {}, now.lines_dropped);
  describe(out, "nestor_audit_failures_total", "counter", "Lines that the audit log could not take.");
  sample(out, "nestor_audit_failures_total", {}, now.audit_failures);
  describe(out, "nestor_traces_total", "counter", "Traces of starts, by what became of them.");
  sample(out, "nestor_traces_total", label("outcome", "sent"), now.traces.sent);
  sample(out, "nestor_traces_total", label("outcome", "dropped"), now.traces.dropped);
  describe(out, "nestor_traces_waiting", "gauge", "Traces that wait for the collector.");
  sample(out, "nestor_traces_waiting", {}, now.traces.waiting);
  return out;
}

} // namespace nestor::api
