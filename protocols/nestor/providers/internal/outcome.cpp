#include <nestor/providers/internal/outcome.hpp>

#include <nestor/core/redact.hpp>

#include <algorithm>

namespace nestor::providers::internal {
namespace {

// Characters of a provider's own words in a cause: a sentence, not a page.
constexpr std::size_t said_max = 240;

} // namespace

errc broken(stage now) {
  switch (now) {
    case stage::proving:
    case stage::looking: return errc::provider_unavailable;
    case stage::creating:
    case stage::created: return errc::create_unknown;
    case stage::ending: break;
  }
  return errc::destroy_failed;
}

errc code_of(stage now, http::transport_error why) {
  if (!http::never_sent(why) || now == stage::created || now == stage::ending)
    return broken(now);
  if (why == http::transport_error::address_refused)
    return errc::address_refused;
  if (why == http::transport_error::tls_refused)
    return errc::tls_refused;
  return errc::provider_unavailable;
}

step step_of(stage now) {
  return now == stage::ending ? step::destroy : now == stage::proving ? step::authenticate : step::provision;
}

std::string without_keys(const account& who, std::string text) {
  std::vector<secret> keys;
  for (const auto* pairs : {&who.secrets, &who.proven.tokens})
    for (const auto& [name, key] : *pairs)
      keys.push_back(key);
  text = redact(std::move(text), keys);
  std::ranges::replace_if(
    text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  if (text.size() > said_max)
    text = text.substr(0, said_max) + "…";
  return text;
}

std::string beginning(const account& who, std::string_view doing) {
  return who.name + " while " + std::string{doing} + ": ";
}

} // namespace nestor::providers::internal
