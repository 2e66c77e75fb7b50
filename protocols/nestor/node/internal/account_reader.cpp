// The accounts of a node's configuration: what every account may be told is in config_fields.def, the rest in its
// provider kind's own table.
#include <nestor/node/internal/config_walk.hpp>

#include <nestor/http/url.hpp>
#include <nestor/node/config_fields.hpp>
#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <algorithm>

namespace nestor::internal {
namespace {

using providers::account_source;
using providers::field_holds;

constexpr std::string_view account_row = "providers.*";

/// Of every text in an account.
field_type account_text() {
  field_type t;
  t.kind = field_kind::text;
  t.rule = text_rule::line;
  return t;
}

std::string_view expectation_of_account(field_holds what) {
  return what == field_holds::url ? "an http or https URL" : "text";
}

bool has_own_name(const account_source& of) {
  return of.plain.name == of.plain.speaks->kind;
}

/// "https://api.{domain}" with the account's own domain.
std::string filled(std::string_view fallback, const providers::account& who) {
  std::string result{fallback};
  auto open = result.find('{');
  auto close = result.find('}');
  if (open != std::string::npos && close != std::string::npos)
    result.replace(open, close - open + 1, who.text(std::string_view{result}.substr(open + 1, close - open - 1)));
  return result;
}

} // namespace

void config_walk::accounts(const json_tree& all) {
  const auto& book = *field_at(config_fields(), "providers");
  if (all.members.size() > book.type.entries_max)
    refuse("providers", "at most " + std::to_string(book.type.entries_max) + " accounts",
           std::to_string(all.members.size()));
  for (const auto& each : all.members) {
    auto path = member_path("providers", shown_name(each.name));
    if (!obeys(book.type.rule, each.name))
      refuse(path, "as its name: " + std::string{expectation_of(book.type.rule)}, "another name");
    else if (each.value.what != json_is::object)
      refuse(path, "an object", kind_name(each.value));
    else
      account(each.name, each.value, path);
  }
}

void config_walk::implied_accounts() {
  for (const auto* speaks : providers::all()) {
    if (draft_.accounts.contains(speaks->kind) || speaks->fields.empty())
      continue;
    bool demanding = std::ranges::any_of(speaks->fields, &providers::account_field::required);
    bool meant = std::ranges::any_of(speaks->fields, [&](const providers::account_field& field) {
      return (field.required || !demanding) && !field.env.empty() && environment_(std::string{field.env});
    });
    json_tree nothing;
    nothing.what = json_is::object;
    if (meant)
      account(std::string{speaks->kind}, nothing, "providers." + std::string{speaks->kind});
  }
}

const providers::provider* config_walk::kind_of(const std::string& name, const json_tree& node,
                                                const std::string& path) {
  auto kind = name;
  const auto* said = member(node, "kind");
  if (said && !text(account_text(), *said, path + ".kind", kind))
    return nullptr;
  if (const auto* speaks = providers::of_kind(kind))
    return speaks;
  std::vector<std::string_view> kinds;
  std::string all;
  for (const auto* each : providers::all()) {
    kinds.push_back(each->kind);
    all.append(all.empty() ? "kinds of this build: " : ", ").append(each->kind);
  }
  auto near = nearest(kind, kinds);
  refuse(path + (said ? ".kind" : ""), "a provider's kind", "another word",
         near ? "did you mean kind: " + std::string{*near} + "?" : all);
  return nullptr;
}

void config_walk::account(const std::string& name, const json_tree& node, const std::string& path) {
  const auto* speaks = kind_of(name, node, path);
  if (!speaks)
    return;
  auto source = std::make_shared<account_source>();
  source->plain.name = name;
  source->plain.speaks = speaks;
  std::vector<std::string_view> own;
  for (const auto& field : speaks->fields) {
    own.push_back(field.name);
    account_field(field, member(node, field.name), member_path(path, field.name), *source);
  }
  draft_.account = source.get();
  object(node, path, account_row, own);
  draft_.account = nullptr;
  finish(*source, path);
  draft_.accounts[name] = std::move(source);
}

/// The document's word, else the environment's where the account has its kind's own name.
void config_walk::account_field(const providers::account_field& field, const json_tree* node, const std::string& path,
                                account_source& into) {
  std::string name{field.name};
  bool in_environment =
    !node && has_own_name(into) && !field.env.empty() && environment_(std::string{field.env}).has_value();
  if (!node && !in_environment)
    return;
  if (field.what == field_holds::secret) {
    std::optional<secret_reference> from;
    if (in_environment)
      from = secret_reference{reference_kind::env, std::string{field.env}, {}, std::string{field.env}};
    else if (meant_as_reference(*node))
      from = read_reference(*node, path, false, faults_);
    else
      refuse(path, "a secret reference", kind_name(*node), std::string{reference_advice});
    if (!from)
      return;
    into.origins.emplace_back(name, from->kind == reference_kind::env    ? "environment " + from->name
                                    : from->kind == reference_kind::file ? "file " + from->name
                                                                         : "the configuration");
    draft_.config.told.push_back(
      {account_row, path, shown_reference(*from), in_environment ? std::string{field.env} : ""});
    into.secrets.emplace_back(std::move(name), std::move(*from));
    return;
  }
  std::string value;
  if (in_environment)
    value = *environment_(std::string{field.env});
  else if (!text(account_text(), *node, path, value))
    return;
  into.origins.emplace_back(name, in_environment ? "environment " + std::string{field.env} : "the configuration");
  draft_.config.told.push_back({account_row, path, value, in_environment ? std::string{field.env} : ""});
  into.plain.settings.emplace_back(std::move(name), std::move(value));
}

/// Fallbacks, and what the values must be now that all are known.
void config_walk::finish(account_source& of, const std::string& path) {
  for (const auto& field : of.plain.speaks->fields) {
    if (field.what == field_holds::secret)
      continue; // whether it can be looked up is seen when it is
    auto at = member_path(path, field.name);
    if (of.plain.text(field.name).empty() && !field.fallback.empty())
      of.plain.settings.emplace_back(field.name, filled(field.fallback, of.plain));
    auto value = of.plain.text(field.name);
    if (value.empty() && field.required)
      refuse(at, std::string{expectation_of_account(field.what)}, "nothing",
             field.env.empty() ? std::string{} : "or set " + std::string{field.env});
    if (!value.empty() && field.what == field_holds::url && !http::parse_url(value))
      refuse(at, std::string{expectation_of_account(field.what)}, "another text");
  }
}

} // namespace nestor::internal
