#include <nestor/api/trace_book.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::api {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t traceparent_size = 55; // 00-TRACE-SPAN-FLAGS
constexpr int kind_internal = 1;             // opentelemetry.proto.trace.v1.Span.SpanKind
constexpr int status_ok = 1, status_error = 2;

template <class Bytes>
std::string hex(const Bytes& bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::uint8_t byte : bytes)
    out.append({digits[byte >> 4U], digits[byte & 15U]});
  return out;
}

std::string hex(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(number >> (56U - 8U * i));
  return hex(bytes);
}

std::optional<std::uint64_t> number_of(std::string_view digits) {
  std::uint64_t value = 0;
  for (char c : digits) // from_chars takes upper case, too, which the standard forbids
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
      return std::nullopt;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return failed == std::errc{} && end == digits.data() + digits.size() ? std::optional{value} : std::nullopt;
}

std::string nanoseconds(wall_time at) {
  return std::to_string(at.ms) + "000000"; // 64-bit numbers are text in OTLP's JSON
}

json attribute(std::string_view name, std::string_view text) {
  return {{"key", std::string{name}}, {"value", {{"stringValue", std::string{text}}}}};
}

json attribute(std::string_view name, std::uint64_t number) {
  return {{"key", std::string{name}}, {"value", {{"intValue", std::to_string(number)}}}};
}

json status_of(const std::optional<errc>& why) {
  return why ? json{{"code", status_error}, {"message", std::string{row_of(*why).title}}} : json{{"code", status_ok}};
}

std::string text_of(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace

std::optional<trace_context> read_traceparent(std::string_view text) {
  bool longer = text.size() > traceparent_size && text[traceparent_size] == '-' && !text.starts_with("00");
  if (text.size() < traceparent_size || (text.size() > traceparent_size && !longer))
    return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  auto version = number_of(text.substr(0, 2));
  auto high = number_of(text.substr(3, 16)), low = number_of(text.substr(19, 16));
  auto span = number_of(text.substr(36, 16)), flags = number_of(text.substr(53, 2));
  if (!version || *version == 0xff || !high || !low || !span || !flags || (*high == 0 && *low == 0) || *span == 0)
    return std::nullopt;
  trace_context read{{}, *span, (*flags & 1U) != 0};
  for (std::size_t i = 0; i < 8; ++i) {
    read.trace[i] = static_cast<std::uint8_t>(*high >> (56U - 8U * i));
    read.trace[8 + i] = static_cast<std::uint8_t>(*low >> (56U - 8U * i));
  }
  return read;
}

std::string to_text(const trace_context& context) {
  return "00-" + hex(context.trace) + "-" + hex(context.span) + (context.sampled ? "-01" : "-00");
}

trace_book::start* trace_book::find(const std::string& sandbox) {
  auto found = open_.find(sandbox);
  return found == open_.end() ? nullptr : &found->second;
}

void trace_book::begin(const std::string& sandbox, const trace_seed& seed, wall_time now, std::string tenant) {
  if (open_.size() >= open_max)
    return;
  auto root = seed.span == 0 ? 1 : seed.span; // zero is no id
  open_.try_emplace(sandbox, start{seed.trace, root, 0, root + 1, true, now, std::move(tenant), {}});
}

bool trace_book::join(const std::string& sandbox, const trace_context& parent) {
  auto* of = find(sandbox);
  if (!of)
    return false;
  of->trace = parent.trace;
  of->parent = parent.span;
  of->sampled = parent.sampled;
  return true;
}

void trace_book::step_began(const std::string& sandbox, step at, wall_time now) {
  if (auto* of = find(sandbox); of && of->spans.size() < spans_max)
    of->spans.push_back({at, of->next++, now, {}, 1, 0, std::nullopt});
}

void trace_book::step_ended(const std::string& sandbox, step at, wall_time now, milliseconds took, std::uint16_t tries,
                            attempt number, const std::optional<failure>& why) {
  auto* of = find(sandbox);
  if (!of || of->spans.empty() || of->spans.back().at != at || of->spans.back().ended.ms != 0)
    return;
  auto& last = of->spans.back();
  last.ended = std::max(now, last.began);
  last.began = std::max(of->began, wall_time{last.ended.ms - took.count()});
  last.tries = tries;
  last.number = number;
  if (why)
    last.why = why->code;
}

std::string trace_book::span_text(const start& of, const span& one, wall_time now) {
  json made{{"traceId", hex(of.trace)},
            {"spanId", hex(one.id)},
            {"parentSpanId", hex(of.root)},
            {"name", std::string{nestor::name_of(one.at)}},
            {"kind", kind_internal},
            {"startTimeUnixNano", nanoseconds(one.began)},
            {"endTimeUnixNano", nanoseconds(one.ended.ms == 0 ? now : one.ended)},
            {"attributes", {attribute("nestor.attempt", one.number), attribute("nestor.tries", one.tries)}},
            {"status", status_of(one.why)}};
  if (one.why)
    made["attributes"].push_back(attribute("error.type", nestor::name_of(*one.why)));
  return text_of(made);
}

std::optional<std::string> trace_book::end(const std::string& sandbox, wall_time now, std::string_view status,
                                           std::optional<errc> why) {
  auto taken = open_.extract(sandbox);
  if (taken.empty() || !taken.mapped().sampled)
    return std::nullopt;
  const auto& of = taken.mapped();
  json root{
    {"traceId", hex(of.trace)},
    {"spanId", hex(of.root)},
    {"name", "sandbox start"},
    {"kind", kind_internal},
    {"startTimeUnixNano", nanoseconds(of.began)},
    {"endTimeUnixNano", nanoseconds(std::max(now, of.began))},
    {"attributes",
     {attribute("nestor.sandbox", sandbox), attribute("nestor.tenant", of.tenant), attribute("nestor.status", status)}},
    {"status", status_of(why)}};
  if (of.parent != 0)
    root["parentSpanId"] = hex(of.parent);
  if (why)
    root["attributes"].push_back(attribute("error.type", nestor::name_of(*why)));
  auto all = text_of(root);
  for (const auto& each : of.spans)
    all += "," + span_text(of, each, now);
  return all;
}

std::optional<trace_context> trace_book::context_of(const std::string& sandbox) const {
  auto found = open_.find(sandbox);
  if (found == open_.end())
    return std::nullopt;
  const auto& of = found->second;
  bool at_work = !of.spans.empty() && of.spans.back().ended.ms == 0;
  return trace_context{of.trace, at_work ? of.spans.back().id : of.root, of.sampled};
}

std::string otlp_body(std::string_view spans, std::string_view version, std::string_view installation) {
  json resource{{"attributes",
                 {attribute("service.name", "nestor"), attribute("service.version", version),
                  attribute("service.instance.id", installation)}}};
  return R"({"resourceSpans":[{"resource":)" + text_of(resource) +
         R"(,"scopeSpans":[{"scope":{"name":"nestor"},"spans":[)" + std::string{spans} + "]}]}]}";
}

} // namespace nestor::api
