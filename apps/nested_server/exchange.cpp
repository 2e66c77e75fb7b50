#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace nestor::nested_server {
namespace {

/// FastAPI reads a body as JSON when its type says so, or says nothing.
bool declares_json(const http::request& request) {
  auto at =
    std::ranges::find_if(request.headers, [](const auto& h) { return http::same_header_name(h.name, "Content-Type"); });
  if (at == request.headers.end())
    return true;
  std::string_view type{at->value};
  type = type.substr(0, type.find_first_of("; "));
  return type.starts_with("application/") && (type.ends_with("/json") || type.ends_with("+json"));
}

wiped_string seconds_text(microseconds time) {
  std::array<char, 32> text{};
  auto us = std::max<std::int64_t>(time.count(), 0);
  auto length = std::snprintf(text.data(), text.size(), "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                              static_cast<long long>(us % 1'000'000));
  return {text.data(), static_cast<std::size_t>(length)};
}

} // namespace

void exchange::answer(std::uint16_t status, wiped_string json) {
  reply.response.status = status;
  reply.response.body = std::move(json);
}

void exchange::say(std::uint16_t status, std::string_view name, std::string_view text) {
  reply.response.status = status;
  auto& out = reply.response.body;
  out = '{';
  append_name(out, name);
  append_text(out, text);
  out += '}';
}

void exchange::fail() {
  reply.response.status = 500;
  reply.response.headers.emplace_back("Content-Type", dialect.failure_type);
  reply.response.body = dialect.failure_body;
}

std::string_view exchange::header(std::string_view name) const {
  auto at = std::ranges::find_if(request.headers, [&](const auto& h) { return http::same_header_name(h.name, name); });
  return at == request.headers.end() ? std::string_view{} : std::string_view{at->value};
}

schema_faults exchange::no_faults() const {
  return schema_faults{dialect.faults_redacted};
}

void exchange::refuse(const schema_faults& faults) {
  answer(422, faults.body());
}

std::optional<wiped_json> exchange::body() {
  auto faults = no_faults();
  auto text = std::string_view{request.body};
  if (text.empty()) {
    faults.add("missing", whole_body, "Field required", nullptr);
  } else if (!declares_json(request)) {
    faults.add("model_attributes_type", whole_body,
               "Input should be a valid dictionary or object to extract fields from", request.body);
  } else if (auto parsed = parse_json(text)) {
    return parsed;
  } else {
    faults.add("json_invalid", within(whole_body, std::size_t{0}), "JSON decode error", wiped_json::object(),
               R"({"error":"Expecting value"})");
  }
  refuse(faults);
  return std::nullopt;
}

std::optional<wiped_json> exchange::body(std::span<const field_rule> rules, unknown_fields unknown) {
  auto value = body();
  if (!value)
    return std::nullopt;
  auto faults = no_faults();
  coerce_object(*value, rules, unknown, whole_body, faults);
  if (faults.none())
    return value;
  refuse(faults);
  return std::nullopt;
}

bool same_key(std::string_view a, std::string_view b) {
  if (a.size() != b.size())
    return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

bool admit_with_key(exchange& x, std::string_view) {
  if (x.options.session_key.empty() ||
      x.options.session_key.expose([&](std::string_view key) { return same_key(key, x.header("X-Session-API-Key")); }))
    return true;
  x.answer(401, R"({"detail":"Unauthorized"})");
  return false;
}

void answer_alive(exchange& x) {
  x.answer(200, R"({"status":"ok"})");
}

void answer_server_info(exchange& x) {
  wiped_string out = "{\"uptime\":";
  out += seconds_text(x.now - x.state.started);
  out += ",\"idle_time\":";
  out += seconds_text(x.now - x.state.active);
  // The shape is what clients read; a server that does nothing but remember has no figures worth measuring.
  out += R"(,"resources":{"cpu_percent":0.0,"memory":{"rss":0,"vms":0,"percent":0.0},)"
         R"("disk":{"total":0,"used":0,"free":0,"percent":0.0},"io":{"read_bytes":0,"write_bytes":0}}})";
  x.answer(200, std::move(out));
}

bool token_refused(const exchange& x, std::string_view token) {
  return x.around.git_hosts_unreachable ||
         std::ranges::any_of(x.options.refused_tokens, [&](const auto& prefix) { return token.starts_with(prefix); });
}

void refuse_token(exchange& x, std::string_view git_provider) {
  std::string text = "Invalid token. Please make sure it is a valid ";
  text += git_provider;
  text += " token.";
  x.say(401, "error", text);
}

} // namespace nestor::nested_server
