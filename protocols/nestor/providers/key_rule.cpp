#include <nestor/providers/key_rule.hpp>

#include <nestor/http/url.hpp>

#include <algorithm>

namespace nestor::providers {
namespace {

// Shorter texts are no keys, and would be found in anything.
constexpr std::size_t key_length_min = 8;

/// ".x.y" stands for everything below x.y, anything else for itself.
bool matches(std::string_view host, std::string_view rule) {
  return rule.starts_with('.') ? host.size() > rule.size() && host.ends_with(rule) : host == rule;
}

bool holds(std::string_view text, const secret& key) {
  return key.expose([&](std::string_view k) { return k.size() >= key_length_min && text.find(k) != text.npos; });
}

template <class Headers>
bool any_holds(const account& who, std::string_view target, const Headers& headers, std::string_view body) {
  auto found = [&](const auto& named) {
    const secret& key = named.second;
    return holds(target, key) || holds(body, key) ||
           std::ranges::any_of(headers, [&](const auto& header) { return holds(header.value, key); });
  };
  return std::ranges::any_of(who.secrets, found) || std::ranges::any_of(who.proven.tokens, found);
}

} // namespace

bool key_may_go_to(const account& who, std::string_view host) {
  auto rule = [&](std::string_view each) { return matches(host, each); };
  if (std::ranges::any_of(who.key_hosts, rule) || std::ranges::any_of(who.speaks->key_hosts, rule))
    return true;
  return std::ranges::any_of(who.speaks->fields, [&](const account_field& field) {
    auto url = field.what == field_holds::url ? http::parse_url(who.text(field.name)) : std::nullopt;
    return url && url->host == host;
  });
}

bool carries_key_astray(const account& who, const io_request& request) {
  if (const auto* call = std::get_if<http_call>(&request))
    return !key_may_go_to(who, call->to.host) &&
           any_holds(who, call->request.target, call->request.headers, call->request.body);
  if (const auto* call = std::get_if<grpc_call>(&request))
    return !key_may_go_to(who, call->to.host) && any_holds(who, call->method, call->metadata, call->message);
  return false;
}

} // namespace nestor::providers
