#include <emulator/internal/call.hpp>

#include <nestor/core/backoff.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace nestor::emulator {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string lower(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

template <class Use>
void each_parameter(std::string_view query, Use use) {
  while (!query.empty()) {
    auto end = query.find('&');
    auto pair = query.substr(0, end);
    auto equals = pair.find('=');
    use(pair.substr(0, equals), equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
}

constexpr std::string_view base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace

std::string call::header(std::string_view name) const {
  for (const auto& h : request.headers)
    if (http::same_header_name(h.name, name))
      return std::string{h.value};
  return {};
}

bool call::has_header(std::string_view name) const {
  return std::ranges::any_of(request.headers, [&](const auto& h) { return http::same_header_name(h.name, name); });
}

std::vector<std::string> call::parameters(std::string_view name) const {
  std::vector<std::string> found;
  each_parameter(query, [&](std::string_view key, std::string_view value) {
    if (decoded(key, true) == name)
      found.push_back(decoded(value, true));
  });
  return found;
}

std::optional<std::string> call::parameter(std::string_view name) const {
  auto found = parameters(name);
  return found.empty() ? std::nullopt : std::optional{found.front()};
}

std::optional<json> call::object() const {
  if (request.body.empty())
    return json::object();
  auto parsed = json::parse(request.body.begin(), request.body.end(), nullptr, false);
  return parsed.is_object() ? std::optional{std::move(parsed)} : std::nullopt;
}

void call::answer(http::response r) const {
  wire_reply reply;
  reply.response = std::move(r);
  back->reply(std::move(reply));
}

void call::answer(std::uint16_t status) const {
  http::response r;
  r.status = status;
  answer(std::move(r));
}

void call::answer(std::uint16_t status, const json& body) const {
  answer(response_of(status, body));
}

call_ref take_call(const http::request& request, const affliction& ill, caller back) {
  auto c = std::make_shared<call>();
  c->request = request;
  auto mark = request.target.find('?');
  c->path = request.target.substr(0, mark);
  if (mark != std::string::npos)
    c->query = request.target.substr(mark + 1);
  auto host = c->header("Host");
  c->host = lower(host.substr(0, host.rfind(':') == std::string::npos ? host.size() : host.rfind(':')));
  c->ill = ill;
  c->back = std::move(back);
  return c;
}

bool fits(std::string_view pattern, std::string_view path, std::vector<std::string>& args) {
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() != '/' || path.front() != '/')
      return false;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
    if (pattern == "{*}") {
      args.emplace_back(path);
      return true;
    }
    auto wanted = pattern.substr(0, pattern.find('/'));
    auto given = path.substr(0, path.find('/'));
    if (wanted == "{}") {
      if (given.empty())
        return false;
      args.push_back(percent_decoded(given));
    } else if (wanted != given) {
      return false;
    }
    pattern.remove_prefix(wanted.size());
    path.remove_prefix(given.size());
  }
  return pattern.empty() && (path.empty() || path == "/");
}

http::response response_of(std::uint16_t status, const json& body) {
  http::response r;
  r.status = status;
  r.headers.emplace_back("Content-Type", "application/json; charset=utf-8");
  auto text = body.dump(-1, ' ', false, json::error_handler_t::replace);
  r.body.assign(text.data(), text.size());
  return r;
}

std::string percent_decoded(std::string_view text) {
  return decoded(text, false);
}

std::optional<port_host> port_host_of(std::string_view host) {
  auto label = host.substr(0, host.find('.'));
  auto dash = label.find('-');
  port_host found;
  if (dash == std::string_view::npos || label.size() == host.size())
    return std::nullopt;
  auto digits = label.substr(0, dash);
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), found.port);
  found.name = label.substr(dash + 1);
  bool good = !digits.empty() && failed == std::errc{} && end == digits.data() + digits.size() && found.port > 0;
  return good && !found.name.empty() ? std::optional{found} : std::nullopt;
}

std::string text_at(const json& object, std::string_view name) {
  auto at = object.find(std::string{name});
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

std::int64_t number_at(const json& object, std::string_view name, std::int64_t fallback) {
  auto at = object.find(std::string{name});
  return at != object.end() && at->is_number() ? at->get<std::int64_t>() : fallback;
}

bool flag_at(const json& object, std::string_view name, bool fallback) {
  auto at = object.find(std::string{name});
  return at != object.end() && at->is_boolean() ? at->get<bool>() : fallback;
}

variables variables_at(const json& object, std::string_view name) {
  variables pairs;
  auto at = object.find(std::string{name});
  if (at != object.end() && at->is_object())
    for (const auto& [key, value] : at->items())
      pairs.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return pairs;
}

json object_of(const variables& pairs) {
  auto object = json::object();
  for (const auto& [key, value] : pairs)
    object[key] = value;
  return object;
}

std::string iso_time(std::int64_t ms) {
  std::time_t seconds = ms / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  auto length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  length += static_cast<std::size_t>(
    std::snprintf(text.data() + length, text.size() - length, ".%03dZ", static_cast<int>(ms % 1'000)));
  return {text.data(), length};
}

std::string hex_id(std::uint64_t& seed, std::size_t digits) {
  std::string id;
  while (id.size() < digits)
    id += "0123456789abcdef"[next_random(seed) % 16];
  return id;
}

std::string uuid(std::uint64_t& seed) {
  auto id = hex_id(seed, 32);
  id[12] = '4';
  id[16] = "89ab"[next_random(seed) % 4];
  for (std::size_t dash : {8, 13, 18, 23})
    id.insert(dash, "-");
  return id;
}

std::string word_id(std::uint64_t& seed, std::size_t letters) {
  std::string id;
  while (id.size() < letters)
    id += "abcdefghijklmnopqrstuvwxyz0123456789"[next_random(seed) % 36];
  return id;
}

std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8U | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? base64_letters[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

std::optional<std::string> base64_decoded(std::string_view text) {
  while (text.ends_with('='))
    text.remove_suffix(1);
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (char c : text) {
    auto value = base64_letters.find(c);
    if (value == std::string_view::npos)
      return std::nullopt;
    group = group << 6U | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(group >> static_cast<unsigned>(bits) & 0xFFU);
    }
  }
  return out;
}

bool image_exists(std::string_view image) {
  return !image.starts_with("no-such");
}
bool image_serves(std::string_view image) {
  return !image.starts_with("bare");
}

bool rate_window::take(instant now) {
  if (most_ == 0)
    return true;
  if (taken_ == 0 || now - begun_ >= length_) {
    begun_ = now;
    taken_ = 0;
  }
  return taken_ < most_ && ++taken_ > 0;
}

std::int64_t rate_window::seconds_left(instant now) const {
  auto left = length_ - (now - begun_);
  return std::max<std::int64_t>(1, (left.count() + 999'999) / 1'000'000);
}

http::request inner_request(const call& c, std::span<const std::string_view> own_headers) {
  constexpr std::array<std::string_view, 8> of_the_connection{
    "Host", "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade", "TE", "Expect"};
  http::request inner;
  inner.verb = c.request.verb;
  inner.target = c.request.target;
  inner.body = c.request.body;
  auto named = [](const auto& list, const http::header& h) {
    return std::ranges::any_of(list, [&](std::string_view name) { return http::same_header_name(h.name, name); });
  };
  for (const auto& h : c.request.headers)
    if (!named(of_the_connection, h) && !named(own_headers, h))
      inner.headers.push_back(h);
  inner.headers.push_back({"X-Forwarded-Host", wiped_string{c.host.data(), c.host.size()}});
  return inner;
}

} // namespace nestor::emulator
