#include <nestor/providers/account_book.hpp>

#include <nestor/providers/provider.hpp>

#include <algorithm>

namespace nestor::providers {
namespace {

failure missing(const account_source& source, std::string_view field, const std::string& cause) {
  return failure{errc::credential_missing,
                 step::authenticate,
                 "providers." + source.plain.name + "." + std::string{field} + ": " + cause,
                 0,
                 {}};
}

/// Variables speak for the account that is named like its kind only.
std::string unset(const account& who, const account_field& field) {
  bool own_name = who.name == who.speaks->kind;
  return !own_name || field.env.empty() ? "not set" : "not set, and neither is " + std::string{field.env};
}

} // namespace

const std::shared_ptr<const account_book>& built_in_accounts() {
  static const std::shared_ptr<const account_book> book = [] {
    auto made = std::make_shared<account_book>();
    for (const auto* each : all())
      if (!each->authenticate && each->fields.empty()) {
        auto source = std::make_shared<account_source>();
        source->plain.name = each->kind;
        source->plain.speaks = each;
        made->emplace(each->kind, std::move(source));
      }
    return made;
  }();
  return book;
}

const account_source* account_named(const account_book& book, std::string_view name) {
  auto at = book.find(name);
  return at == book.end() ? nullptr : at->second.get();
}

expected<account> resolve(const account_source& source, const secret_lookup& lookup) {
  auto resolved = source.plain;
  for (const auto& [field, from] : source.secrets) {
    auto value = from.kind == reference_kind::literal ? expected<secret>{from.literal} : lookup(from.kind, from.name);
    if (!value)
      return missing(source, field, value.error().cause);
    resolved.secrets.emplace_back(field, std::move(*value));
  }
  for (const auto& field : source.plain.speaks->fields)
    if (field.required && field.what == field_holds::secret && resolved.key(field.name).empty())
      return missing(source, field.name, unset(source.plain, field));
  return resolved;
}

} // namespace nestor::providers
