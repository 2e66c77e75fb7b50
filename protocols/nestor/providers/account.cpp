#include <nestor/providers/account.hpp>

#include <algorithm>

namespace nestor::providers {
namespace {

template <class Value>
const Value& value_of(const std::vector<std::pair<std::string, Value>>& pairs, std::string_view name) {
  static const Value none;
  auto at = std::ranges::find(pairs, name, &std::pair<std::string, Value>::first);
  return at == pairs.end() ? none : at->second;
}

} // namespace

std::string_view account::text(std::string_view field) const {
  return value_of(settings, field);
}

const secret& account::key(std::string_view field) const {
  return value_of(secrets, field);
}

const secret& account::token(std::string_view of) const {
  return value_of(proven.tokens, of);
}

} // namespace nestor::providers
