#include <nested_server/exchange.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>

namespace nestor::nested_server {
namespace {

constexpr std::string_view state_root = "/s/";

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

const dialect_model* model_named(std::string_view name) {
  auto all = dialect_models();
  auto at = std::ranges::find(all, name, [](const dialect_model* d) { return d->name; });
  return at == all.end() ? nullptr : *at;
}

int hex_value(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/// Percent-decoded as frameworks do it before they route: an encoded slash is a slash. Malformed ones stay as they are.
std::string decoded(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  for (std::size_t i = 0; i < path.size(); ++i) {
    int high = path[i] == '%' && i + 2 < path.size() ? hex_value(path[i + 1]) : -1;
    int low = high >= 0 ? hex_value(path[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += path[i];
    }
  }
  return out;
}

/// Does `path` have the form of `pattern`? What stands for {name} goes to `parameter`.
bool matches(std::string_view pattern, std::string_view path, std::string_view& parameter) {
  auto open = pattern.find('{');
  if (open == std::string_view::npos)
    return pattern == path;
  auto suffix = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= open + suffix.size() || path.compare(0, open, pattern, 0, open) != 0 || !path.ends_with(suffix))
    return false;
  parameter = path.substr(open, path.size() - open - suffix.size());
  return parameter.find('/') == std::string_view::npos;
}

struct found_route {
  const route* at = nullptr;
  bool other_verb = false; ///< the path exists, with another method
  std::string_view parameter;
};

found_route find_route(std::span<const route> routes, http::method verb, std::string_view path) {
  found_route found;
  for (const auto& r : routes) {
    std::string_view parameter;
    if (!matches(r.path(), path, parameter))
      continue;
    if (r.verb == verb)
      return {&r, false, parameter};
    found.other_verb = true;
  }
  return found;
}

void answer_unrouted(exchange& x, const found_route& found, std::span<const route> routes, std::string_view path) {
  if (found.other_verb)
    return x.answer(405, R"({"detail":"Method Not Allowed"})");
  bool slash_only = path.size() > 1 && path.ends_with('/');
  auto shorter = slash_only ? find_route(routes, x.request.verb, path.substr(0, path.size() - 1)) : found_route{};
  if (shorter.at || shorter.other_verb) {
    x.reply.response.status = 307;
    x.reply.response.headers.emplace_back("Location", std::string{path.substr(0, path.size() - 1)});
    return;
  }
  x.answer(404, R"({"detail":"Not Found"})");
}

} // namespace

std::span<const dialect_model* const> dialect_models() {
  static const std::array all{&openhands_model(), &agent_server_model(), &generic_model()};
  return all;
}

std::vector<std::string> dialect_names() {
  std::vector<std::string> names;
  for (const auto* each : dialect_models())
    names.emplace_back(each->name);
  return names;
}

target_parts parts_of(std::string_view target) {
  target_parts parts;
  auto mark = target.find('?');
  parts.path = target.substr(0, mark);
  if (mark != std::string_view::npos)
    parts.query = target.substr(mark + 1);
  if (!parts.path.starts_with(state_root))
    return parts;
  auto end = std::min(parts.path.find('/', state_root.size()), parts.path.size());
  auto name = parts.path.substr(state_root.size(), end - state_root.size());
  if (name.empty() || name.size() > state_name_max || !std::ranges::all_of(name, name_character))
    return parts; // no such state: the root server has no such path
  parts.prefix = parts.path.substr(0, end);
  parts.path.remove_prefix(end);
  if (parts.path.empty())
    parts.path = "/";
  return parts;
}

server_model::server_model(model_options options, instant started)
    : options_(std::move(options)), dialect_(model_named(options_.dialect)), started_(started) {
  if (dialect_)
    return;
  std::string text = "there is no dialect '" + options_.dialect + "'; there are:";
  for (const auto& name : dialect_names())
    text += " " + name;
  throw std::invalid_argument(text);
}

server_state server_model::fresh(instant now) const {
  server_state state;
  state.started = now;
  state.active = now;
  state.dormant = options_.deferred_init;
  return state;
}

server_model::seat* server_model::seat_of(std::string_view prefix) {
  if (prefix.empty() && root_)
    return root_;
  auto at = seats_.find(prefix);
  if (at == seats_.end()) {
    if (seats_.size() >= states_max)
      return nullptr;
    at = seats_.emplace(prefix, seat{fresh(started_), {}}).first;
  }
  if (prefix.empty())
    root_ = &at->second;
  return &at->second;
}

server_state* server_model::state_of(std::string_view prefix) {
  auto* at = seat_of(prefix);
  return at ? &at->state : nullptr;
}

traffic* server_model::traffic_of(std::string_view prefix) {
  auto* at = seat_of(prefix);
  return at ? &at->carried : nullptr;
}

void server_model::reset(std::string_view prefix, instant now) {
  if (auto* at = seat_of(prefix))
    at->state = fresh(now);
}

void server_model::reset(instant now) {
  started_ = now;
  for (auto& [prefix, at] : seats_)
    at.state = fresh(now);
}

bool server_model::authorized(const http::request& request) const {
  if (options_.session_key.empty())
    return true;
  auto at = std::ranges::find_if(request.headers,
                                 [](const auto& h) { return http::same_header_name(h.name, "X-Session-API-Key"); });
  return at != request.headers.end() &&
         options_.session_key.expose([&](std::string_view key) { return same_key(key, at->value); });
}

http::response server_model::failure_answer(std::uint16_t status) const {
  http::response r;
  r.status = status;
  if (status >= 500) { // what an exception becomes
    r.headers.emplace_back("Content-Type", dialect_->failure_type);
    r.body = dialect_->failure_body;
  } else {
    r.body = status == 401 ? dialect_->unauthorized : std::string_view{R"({"detail":"As the fault says"})"};
  }
  return r;
}

model_reply server_model::handle(const http::request& request, instant now, std::string_view client,
                                 const circumstances& around) {
  auto parts = parts_of(request.target);
  auto* state = state_of(parts.prefix);
  if (!state) {
    model_reply reply;
    reply.response.status = 503;
    reply.response.body = R"({"detail":"There are too many states"})";
    return reply;
  }
  exchange x{*dialect_, options_, around, *state, request, parts.query, {}, now, {}};
  auto verdict = rate_verdict::pass;
  if (options_.rate_limit && dialect_->rate_limited)
    verdict = state->limiter.admit(client, now);
  if (verdict == rate_verdict::delay)
    x.reply.delay = rate_delay;
  std::string plain;
  auto path = parts.path;
  if (path.find('%') != std::string_view::npos)
    path = plain = decoded(path);
  auto routes = dialect_->routes;
  auto found = find_route(routes, request.verb, path);
  if (state->requests.empty())
    state->requests.resize(routes.size() + 1);
  ++state->requests[found.at ? static_cast<std::size_t>(found.at - routes.data()) : routes.size()];
  if (verdict == rate_verdict::refuse) {
    x.say(429, "message", "Too many requests");
    x.reply.response.headers.emplace_back("Retry-After", "1");
    return std::move(x.reply);
  }
  bool closed = path.starts_with("/api/") || path == "/api";
  if (closed && !dialect_->admit(x, path))
    return std::move(x.reply);
  if (closed)
    state->active = now;
  x.parameter = found.parameter;
  if (found.at)
    found.at->handle(x);
  else
    answer_unrouted(x, found, routes, path);
  return std::move(x.reply);
}

// -- for judges ------------------------------------------------------------------------------------------------------

const server_state* server_model::find(std::string_view prefix) const {
  auto at = seats_.find(prefix);
  return at == seats_.end() ? nullptr : &at->second.state;
}

std::string server_model::settings_text(std::string_view prefix) const {
  const auto* state = find(prefix);
  return state && state->settings ? std::string{std::string_view{state->settings->dump()}} : std::string{};
}

std::vector<std::pair<std::string_view, std::uint32_t>> server_model::requests(std::string_view prefix) const {
  std::vector<std::pair<std::string_view, std::uint32_t>> counts;
  const auto* state = find(prefix);
  for (std::size_t i = 0; state && i < state->requests.size(); ++i)
    counts.emplace_back(i < dialect_->routes.size() ? dialect_->routes[i].label : std::string_view{"other"},
                        state->requests[i]);
  return counts;
}

std::uint32_t server_model::requests_to(std::string_view label, std::string_view prefix) const {
  for (const auto& [name, count] : requests(prefix))
    if (name == label)
      return count;
  return 0;
}

std::vector<std::string> server_model::prefixes() const {
  std::vector<std::string> names;
  for (const auto& [prefix, at] : seats_)
    names.push_back(prefix);
  std::ranges::sort(names);
  return names;
}

} // namespace nestor::nested_server
