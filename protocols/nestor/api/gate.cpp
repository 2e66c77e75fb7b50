#include <nestor/api/gate.hpp>

#include <algorithm>
#include <array>
#include <cctype>

namespace nestor::api {
namespace {

constexpr std::array<std::string_view, 3> loopback_names{"localhost", "127.0.0.1", "[::1]"};
constexpr std::string_view scheme_prefix = "Bearer ";

failure refusal(errc code, std::string cause) {
  return {code, step::queue, std::move(cause), 0, {}};
}

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// "name:port" without its port; empty when it is no authority.
std::string name_in(std::string_view authority) {
  auto name = lower(authority);
  auto colon = name.find(':', name.starts_with('[') ? std::min(name.find(']'), name.size()) : 0);
  auto port = colon == name.npos ? std::string{} : name.substr(colon + 1);
  bool digits = std::ranges::all_of(port, [](unsigned char c) { return std::isdigit(c) != 0; });
  constexpr std::size_t port_digits_max = 5;
  return digits && port.size() <= port_digits_max ? name.substr(0, colon) : std::string{};
}

expected<void> check_host(const http::request& head, const gate_rules& rules) {
  auto host = only_header(head, "Host");
  if (!host)
    return host.error();
  if (!*host)
    return refusal(errc::request_invalid, "there is no Host header");
  auto name = name_in(**host);
  bool ours = std::ranges::find(loopback_names, name) != loopback_names.end() ||
              std::ranges::find(rules.hosts, name) != rules.hosts.end();
  if (!ours)
    return refusal(errc::host_refused, "the Host header names another host");
  auto origin = only_header(head, "Origin");
  if (!origin)
    return origin.error();
  if (*origin && lower(**origin) != (rules.tls ? "https://" : "http://") + lower(**host))
    return refusal(errc::origin_refused, "the Origin header is not this node's own");
  auto site = only_header(head, "Sec-Fetch-Site");
  if (!site)
    return site.error();
  if (*site && **site != "same-origin" && **site != "none")
    return refusal(errc::origin_refused, "the request comes from a page of another site");
  return {};
}

expected<caller> caller_of(const http::request& head, const route& where, const token_book& tokens) {
  auto given = only_header(head, "Authorization");
  if (!given)
    return given.error();
  if (!*given) {
    if (where.needs == role::anyone)
      return caller{};
    return refusal(errc::token_missing, "there is no Authorization header");
  }
  auto text = **given;
  bool bearer = text.size() > scheme_prefix.size() && lower(text.substr(0, scheme_prefix.size())) == "bearer ";
  const auto* known = bearer ? tokens.find(text.substr(scheme_prefix.size())) : nullptr;
  if (!known) {
    if (where.needs == role::anyone)
      return caller{};
    return refusal(errc::token_refused, "the Authorization header holds no token of this node");
  }
  if (known->may < where.needs)
    return refusal(errc::forbidden, "the token's role is " + std::string{name_of(known->may)} + "; the route needs " +
                                      std::string{name_of(where.needs)});
  return caller{known->id, known->tenant, known->may};
}

bool has_body(const http::request& head) {
  auto length = only_header(head, "Content-Length");
  auto coding = only_header(head, "Transfer-Encoding");
  return (length && *length && **length != "0") || (coding && *coding);
}

expected<void> check_body(const http::request& head, const route& where) {
  auto type = only_header(head, "Content-Type");
  if (!type)
    return type.error();
  auto takes = words(where.takes);
  if (takes.empty())
    return has_body(head) ? expected<void>{refusal(errc::request_invalid, "the route takes no body")}
                          : expected<void>{};
  auto essence = lower(type->value_or("")); // "application/json; charset=utf-8"
  essence.resize(std::min(essence.find(';'), essence.size()));
  while (essence.ends_with(' '))
    essence.pop_back();
  if (essence != takes.front())
    return refusal(errc::media_type_refused, "the route takes " + std::string{takes.front()});
  return {};
}

/// Two lengths are how one request is smuggled inside another.
expected<void> check_framing(const http::request& head) {
  auto length = only_header(head, "Content-Length");
  auto coding = only_header(head, "Transfer-Encoding");
  if (!length)
    return length.error();
  if (!coding)
    return coding.error();
  if (*length && *coding)
    return refusal(errc::request_invalid, "Content-Length and Transfer-Encoding exclude each other");
  if (*coding && lower(**coding) != "chunked")
    return refusal(errc::request_invalid, "the only Transfer-Encoding there is, is chunked");
  return {};
}

} // namespace

expected<std::optional<std::string_view>> only_header(const http::request& head, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& h : head.headers)
    if (http::same_header_name(h.name, name)) {
      if (found)
        return refusal(errc::request_invalid, "there is more than one " + std::string{name} + " header");
      found = std::string_view{h.value};
    }
  return found;
}

expected<admitted> admit(const http::request& head, const gate_rules& rules, const token_book& tokens) {
  if (auto framed = check_framing(head); !framed)
    return framed.error();
  auto asked = parse_target(head.target);
  if (!asked)
    return asked.error();
  if (auto here = check_host(head, rules); !here)
    return here.error();
  auto what = match(head.verb, *asked);
  if (!what)
    return what.error();
  if (auto query = check_query(*what->where, *asked); !query)
    return query.error();
  auto who = caller_of(head, *what->where, tokens);
  if (!who)
    return who.error();
  if (auto body = check_body(head, *what->where); !body)
    return body.error();
  return admitted{std::move(*what), std::move(*asked), std::move(*who)};
}

} // namespace nestor::api
