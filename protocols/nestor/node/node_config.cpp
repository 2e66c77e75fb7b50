#include <nestor/node/node_config.hpp>

#include <nestor/http/url.hpp>
#include <nestor/node/internal/serve_reader.hpp>
#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/internal/json_tree.hpp>
#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <algorithm>
#include <array>

namespace nestor {
namespace {

using namespace internal;
using providers::account_field;
using providers::account_source;
using providers::field_holds;

// Accounts of a node: a handful is usual, one per tenant and provider a lot.
constexpr std::size_t accounts_max = 256;
// What the configuration may ask of a rate and a number at a time; beyond, it is a typing error.
constexpr double creates_per_second_max = 10'000;
constexpr std::int64_t starting_max_max = 100'000;
constexpr milliseconds create_settles_max{3'600'000}; // an hour: an answer that is later than that comes from nobody
constexpr std::int64_t sandboxes_max_max = 10'000'000;

constexpr std::array<std::string_view, 7> node_members{"journal", "keys",   "providers", "addresses",
                                                       "resolve", "limits", "ca_file"};
constexpr std::array<std::string_view, 1> keys_members{"file"};
constexpr std::string_view journal_expected =
  "sqlite:// and the path of a file, such as sqlite:///var/lib/nestor/journal.db, or postgresql://USER@HOST/DATABASE";
/// What every account may be told, whatever its kind.
constexpr std::array<std::string_view, 7> account_members{
  "kind", "tenants", "creates_per_second", "starting_max", "create_settles", "ca_file", "key_hosts"};

class walk {
public:
  walk(const environment_lookup& environment, std::vector<fault>& faults)
      : environment_(environment), faults_(faults) {}

  void document(const json_tree& root, node_config& into) {
    auto book = std::make_shared<providers::account_book>(*providers::built_in_accounts());
    if (!is(json_is::object, root, {}, "an object of fields"))
      return;
    std::vector<std::string_view> members(node_members.begin(), node_members.end());
    members.insert(members.end(), serve_members.begin(), serve_members.end());
    known(root, {}, members);
    if (const auto* all = member(root, "providers"))
      accounts(*all, *book);
    implied(*book);
    durable(root, into);
    if (const auto* addresses = member(root, "addresses"); addresses && is_object(*addresses, "addresses")) {
      known(*addresses, "addresses", std::array<std::string_view, 1>{"allow"});
      texts(member(*addresses, "allow"), "addresses.allow", "a list of ranges such as 10.0.0.0/8",
            into.addresses_allow);
    }
    if (const auto* names = member(root, "resolve"); names && is_object(*names, "resolve"))
      for (const auto& each : names->members)
        if (auto address = text(each.value, member_path("resolve", each.name), "an address"))
          into.resolve.emplace(each.name, std::move(*address));
    if (const auto* file = member(root, "ca_file"))
      into.ca_file = text(*file, "ca_file", "the path of a PEM file").value_or("");
    if (const auto* limits = member(root, "limits"); limits && is_object(*limits, "limits")) {
      known(*limits, "limits", std::array<std::string_view, 3>{"sandboxes", serve_limits[0], serve_limits[1]});
      if (auto most = whole(member(*limits, "sandboxes"), "limits.sandboxes", sandboxes_max_max))
        into.sandboxes_max = static_cast<std::size_t>(*most);
    }
    read_serve(root, environment_, into.serve, faults_);
    into.accounts = std::move(book);
  }

private:
  // -- values -----------------------------------------------------------------------------------------------------

  void refuse(std::string path, std::string expected, std::string_view got, std::string advice = {}) {
    faults_.push_back({errc::spec_invalid, std::move(path), std::move(expected), std::string{got}, std::move(advice)});
  }
  bool is(json_is wanted, const json_tree& node, const std::string& path, std::string expected) {
    if (node.what != wanted)
      refuse(path, std::move(expected), kind_name(node));
    return node.what == wanted;
  }
  bool is_object(const json_tree& node, const std::string& path) {
    return is(json_is::object, node, path, "an object");
  }
  static const json_tree* member(const json_tree& object, std::string_view name) {
    const auto* found = object.member(name);
    return found && found->what != json_is::null ? found : nullptr;
  }
  void known(const json_tree& object, const std::string& path, std::span<const std::string_view> names) {
    for (const auto& m : object.members)
      if (std::ranges::find(names, std::string_view{m.name}) == names.end()) {
        auto near = nearest(m.name, names);
        std::string all;
        for (auto name : names)
          all.append(all.empty() ? "known here: " : ", ").append(name);
        refuse(member_path(path, m.name), {}, "unknown field", near ? "did you mean " + std::string{*near} + "?" : all);
      }
  }
  std::optional<std::string> text(const json_tree& node, const std::string& path, std::string expected,
                                  text_rule rule = text_rule::line) {
    if (!is(json_is::string, node, path, expected))
      return std::nullopt;
    std::string value{node.text};
    if (value.empty() || !obeys(rule, value))
      return refuse(path, std::move(expected), value.empty() ? "nothing" : "another text"), std::nullopt;
    return value;
  }
  void texts(const json_tree* node, const std::string& path, const std::string& expected,
             std::vector<std::string>& into) {
    if (!node || !is(json_is::array, *node, path, expected))
      return;
    for (std::size_t i = 0; i < node->items.size(); ++i)
      if (auto each = text(node->items[i], element_path(path, i), expected))
        into.push_back(std::move(*each));
  }
  std::optional<std::int64_t> whole(const json_tree* node, const std::string& path, std::int64_t most) {
    if (!node)
      return std::nullopt;
    if (node->what != json_is::integer || node->integer < 1 || node->integer > most)
      return refuse(path, "a whole number from 1 to " + std::to_string(most), kind_name(*node)), std::nullopt;
    return node->integer;
  }

  // -- what outlives the process -------------------------------------------------------------------------------------

  void durable(const json_tree& root, node_config& into) {
    if (const auto* at = member(root, "journal"))
      into.journal = text(*at, "journal", std::string{journal_expected}).value_or("");
    auto begins = [&](std::string_view scheme) {
      return into.journal.starts_with(scheme) && into.journal.size() > scheme.size();
    };
    if (!into.journal.empty() && !begins(journal_scheme) && !begins(postgresql_scheme))
      refuse("journal", std::string{journal_expected}, "another text");
    if (const auto* keys = member(root, "keys"); keys && is_object(*keys, "keys")) {
      known(*keys, "keys", keys_members);
      if (const auto* file = member(*keys, "file"))
        into.keys_file = text(*file, "keys.file", "the path of a file").value_or("");
    }
  }

  // -- accounts -----------------------------------------------------------------------------------------------------

  void accounts(const json_tree& all, providers::account_book& book) {
    if (!is_object(all, "providers"))
      return;
    if (all.members.size() > accounts_max)
      refuse("providers", "at most " + std::to_string(accounts_max) + " accounts", std::to_string(all.members.size()));
    for (const auto& each : all.members) {
      auto path = member_path("providers", each.name);
      if (!obeys(text_rule::provider_name, each.name))
        refuse(path, "as its name: " + std::string{expectation_of(text_rule::provider_name)}, "another name");
      else if (is_object(each.value, path))
        account(each.name, each.value, path, book);
    }
  }

  const providers::provider* kind_of(const std::string& name, const json_tree& node, const std::string& path) {
    auto kind = name;
    if (const auto* said = member(node, "kind"))
      kind = text(*said, path + ".kind", "a provider's kind").value_or("");
    const auto* speaks = providers::of_kind(kind);
    if (speaks)
      return speaks;
    std::vector<std::string_view> kinds;
    std::string all;
    for (const auto* each : providers::all()) {
      kinds.push_back(each->kind);
      all.append(all.empty() ? "kinds of this build: " : ", ").append(each->kind);
    }
    auto near = nearest(kind, kinds);
    refuse(path + (member(node, "kind") ? ".kind" : ""), "a provider's kind", "another word",
           near ? "did you mean kind: " + std::string{*near} + "?" : all);
    return nullptr;
  }

  void account(const std::string& name, const json_tree& node, const std::string& path, providers::account_book& book) {
    const auto* speaks = kind_of(name, node, path);
    if (!speaks)
      return;
    std::vector<std::string_view> names(account_members.begin(), account_members.end());
    for (const auto& field : speaks->fields)
      names.push_back(field.name);
    known(node, path, names);
    auto source = std::make_shared<account_source>();
    source->plain.name = name;
    source->plain.speaks = speaks;
    for (const auto& field : speaks->fields)
      take(field, member(node, field.name), member_path(path, field.name), *source);
    common(node, path, *source);
    finish(*source, path);
    book[name] = std::move(source);
  }

  void common(const json_tree& node, const std::string& path, account_source& source) {
    auto& into = source.plain;
    texts(member(node, "tenants"), path + ".tenants", "a list of tenants", into.tenants);
    texts(member(node, "key_hosts"), path + ".key_hosts", "a list of host names, or endings such as .example.com",
          into.key_hosts);
    if (const auto* file = member(node, "ca_file"))
      into.ca_file = text(*file, path + ".ca_file", "the path of a PEM file").value_or("");
    if (auto most = whole(member(node, "starting_max"), path + ".starting_max", starting_max_max))
      into.limits.starting_max = static_cast<std::uint32_t>(*most);
    if (const auto* settles = member(node, "create_settles")) {
      auto value = settles->what == json_is::string ? parse_duration(settles->text) : std::nullopt;
      if (!value || *value > create_settles_max)
        refuse(path + ".create_settles", "a duration such as 90s, at most 1h", kind_name(*settles));
      else
        source.create_settles = *value;
    }
    const auto* rate = member(node, "creates_per_second");
    if (!rate)
      return;
    bool number = rate->what == json_is::integer || rate->what == json_is::number;
    if (!number || rate->number <= 0 || rate->number > creates_per_second_max)
      return refuse(path + ".creates_per_second", "a number above 0, at most 10000", kind_name(*rate));
    into.limits.creates_per_second = rate->number;
  }

  /// One field: the document's word, else the environment's where the account has its kind's own name.
  void take(const account_field& field, const json_tree* node, const std::string& path, account_source& into) {
    std::string name{field.name};
    auto origin = [&](std::string from) { into.origins.emplace_back(name, std::move(from)); };
    if (field.what == field_holds::secret) {
      auto from = node ? reference(*node, path) : from_environment(field, into);
      if (!from)
        return;
      origin(from->kind == reference_kind::env    ? "environment " + from->name
             : from->kind == reference_kind::file ? "file " + from->name
                                                  : "the configuration");
      into.secrets.emplace_back(std::move(name), std::move(*from));
      return;
    }
    if (node) {
      if (auto value = text(*node, path, field.what == field_holds::url ? "an http or https URL" : "text"))
        into.plain.settings.emplace_back(name, std::move(*value)), origin("the configuration");
      return;
    }
    bool own_name = into.plain.name == into.plain.speaks->kind;
    if (auto value = own_name && !field.env.empty() ? environment_(std::string{field.env}) : std::nullopt) {
      into.plain.settings.emplace_back(name, std::move(*value));
      origin("environment " + std::string{field.env});
    }
  }

  std::optional<secret_reference> reference(const json_tree& node, const std::string& path) {
    if (meant_as_reference(node))
      return read_reference(node, path, false, faults_);
    refuse(path, "a secret reference", kind_name(node), std::string{reference_advice});
    return std::nullopt;
  }
  std::optional<secret_reference> from_environment(const account_field& field, const account_source& of) {
    bool own_name = of.plain.name == of.plain.speaks->kind;
    if (!own_name || field.env.empty() || !environment_(std::string{field.env}))
      return std::nullopt;
    return secret_reference{reference_kind::env, std::string{field.env}, {}, std::string{field.env}};
  }

  /// Fallbacks, and what the values must be now that all are known.
  void finish(account_source& of, const std::string& path) {
    for (const auto& field : of.plain.speaks->fields) {
      if (field.what == field_holds::secret)
        continue; // whether it can be looked up is seen when it is
      auto at = member_path(path, field.name);
      if (of.plain.text(field.name).empty() && !field.fallback.empty())
        of.plain.settings.emplace_back(field.name, filled(field.fallback, of.plain));
      auto value = of.plain.text(field.name);
      if (value.empty() && field.required)
        refuse(at, field.what == field_holds::url ? "an http or https URL" : "text", "nothing",
               field.env.empty() ? std::string{} : "or set " + std::string{field.env});
      if (!value.empty() && field.what == field_holds::url && !http::parse_url(value))
        refuse(at, "an http or https URL", "another text");
    }
  }

  /// "https://api.{domain}" with the account's own domain.
  static std::string filled(std::string_view fallback, const providers::account& who) {
    std::string result{fallback};
    auto open = result.find('{');
    auto close = result.find('}');
    if (open != std::string::npos && close != std::string::npos)
      result.replace(open, close - open + 1, who.text(std::string_view{result}.substr(open + 1, close - open - 1)));
    return result;
  }

  /// Kinds that nobody named, but whose tools' variables are set.
  void implied(providers::account_book& book) {
    for (const auto* speaks : providers::all()) {
      if (book.contains(speaks->kind) || speaks->fields.empty())
        continue;
      bool demanding = std::ranges::any_of(speaks->fields, &account_field::required);
      bool meant = std::ranges::any_of(speaks->fields, [&](const account_field& field) {
        return (field.required || !demanding) && !field.env.empty() && environment_(std::string{field.env});
      });
      json_tree nothing;
      nothing.what = json_is::object;
      if (meant)
        account(std::string{speaks->kind}, nothing, "providers." + std::string{speaks->kind}, book);
    }
  }

  const environment_lookup& environment_;
  std::vector<fault>& faults_;
};

} // namespace

checked<node_config> read_node_config(std::string_view json, const environment_lookup& environment) {
  auto tree = read_tree(json);
  if (!tree)
    return {std::nullopt, std::move(tree.faults)};
  node_config config;
  std::vector<fault> faults;
  walk{environment, faults}.document(*tree, config);
  if (!faults.empty())
    return {std::nullopt, std::move(faults)};
  return {std::move(config), {}};
}

} // namespace nestor
