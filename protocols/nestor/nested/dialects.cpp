#include <nestor/nested/dialect.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested {

#define NESTOR_DIALECT(name) const dialect& name##_dialect();
#include <nestor/nested/dialects.def>
#undef NESTOR_DIALECT

namespace {

// Times that "already exists" may meet a name that was just deleted: once is a race, three times is another writer.
constexpr std::uint8_t clashes_max = 3;

bool holds(const std::vector<std::string>& sorted, std::string_view name) {
  return std::ranges::binary_search(sorted, name, std::ranges::less{}, [](std::string_view x) { return x; });
}

const digest* find(const std::vector<std::pair<std::string, digest>>& list, std::string_view name) {
  auto at = std::ranges::find(list, name, [](const auto& entry) -> std::string_view { return entry.first; });
  return at == list.end() ? nullptr : &at->second;
}

/// The public host that a server may show for a git provider that was given none.
std::string_view public_host(std::string_view git_provider) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> hosts{{{"github", "github.com"},
                                                                                {"gitlab", "gitlab.com"},
                                                                                {"bitbucket", "bitbucket.org"},
                                                                                {"azure_devops", "dev.azure.com"}}};
  for (const auto& [name, host] : hosts)
    if (name == git_provider)
      return host;
  return {};
}

} // namespace

std::span<const dialect* const> dialects() {
  static const std::array table{
#define NESTOR_DIALECT(name) &name##_dialect(),
#include <nestor/nested/dialects.def>
#undef NESTOR_DIALECT
  };
  return table;
}

const dialect* dialect_named(std::string_view name) {
  for (const auto* candidate : dialects())
    if (candidate->name == name)
      return candidate;
  return nullptr;
}

bool owns_everything(const push_order& order) {
  return order.why == purpose::configure && !order.refuse_existing;
}

bool was_ours(const std::vector<std::pair<std::string, digest>>& before, std::string_view name) {
  return find(before, name) != nullptr;
}
bool git_provider_was_ours(const push_order& order, std::string_view name) {
  return order.before && was_ours(order.before->git_providers, name);
}
bool secret_was_ours(const push_order& order, std::string_view name) {
  return order.before && was_ours(order.before->secrets, name);
}

bool is_wanted_git_provider(const push_order& order, std::string_view name) {
  return order.wanted && std::ranges::any_of(order.wanted->git_providers,
                                             [&](const git_credential& c) { return c.git_provider == name; });
}
bool is_wanted_secret(const push_order& order, std::string_view name) {
  return order.wanted &&
         std::ranges::any_of(order.wanted->secrets, [&](const custom_secret& s) { return s.name == name; });
}

bool unchanged(const std::vector<std::pair<std::string, digest>>& before,
               const std::vector<std::pair<std::string, digest>>& target, std::string_view name) {
  const auto* a = find(before, name);
  const auto* b = find(target, name);
  return a && b && *a == *b;
}

bool may_skip_settings(const walk& w) {
  return w.order->why == purpose::update && w.order->before && w.order->key && w.order->before->settings &&
         w.order->before->settings == w.target.settings;
}
bool may_skip_git_provider(const walk& w, std::string_view name) {
  return w.order->why == purpose::update && w.order->before && w.order->key &&
         unchanged(w.order->before->git_providers, w.target.git_providers, name);
}
bool may_skip_secret(const walk& w, std::string_view name) {
  return w.order->why == purpose::update && w.order->before && w.order->key &&
         unchanged(w.order->before->secrets, w.target.secrets, name);
}

void plan_secrets(walk& w) {
  const auto& order = *w.order;
  w.changes.clear();
  auto remove = [&](const std::string& name) { w.changes.push_back({.write = false, .name = name}); };
  for (const auto& name : w.secrets_listed)
    if (!is_wanted_secret(order, name) && (secret_was_ours(order, name) || owns_everything(order)))
      remove(name);
  if (order.why == purpose::withdraw || !order.wanted)
    return;
  for (std::size_t i = 0; i < order.wanted->secrets.size(); ++i) {
    const auto& name = order.wanted->secrets[i].name;
    bool listed = holds(w.secrets_listed, name);
    if (listed && may_skip_secret(w, name))
      continue;
    if (listed)
      remove(name);
    w.changes.push_back({.write = true, .name = name, .item = i, .known_absent = !listed});
  }
}

outcome settle_clash(walk& w, const question& asked, bool& applied) {
  auto& change = w.changes[w.item];
  applied = change.known_absent && change.maybe_there;
  if (applied)
    return {};
  if (++change.clashes > clashes_max)
    return {outcome::kind::refused, false,
            failure_at(asked, errc::not_confirmed, "keeps coming back: another client writes it")};
  change.maybe_there = false;
  auto name = change.name; // `change` moves away
  w.changes.insert(w.changes.begin() + static_cast<std::ptrdiff_t>(w.item), {.write = false, .name = name});
  return {};
}

std::string secrets_difference(const walk& w, const std::vector<std::string>& listed) {
  const auto& order = *w.order;
  if (order.wanted && order.why != purpose::withdraw)
    for (const auto& item : order.wanted->secrets)
      if (!holds(listed, item.name))
        return "the secret '" + item.name + "' is not there";
  for (const auto& name : listed)
    if ((order.why == purpose::withdraw || !is_wanted_secret(order, name)) &&
        (secret_was_ours(order, name) || owns_everything(order)))
      return "a secret that is not wanted is still there"; // foreign names may say things; ours need not
  return {};
}

std::string git_providers_difference(const walk& w, const std::vector<shown_git_provider>& shown) {
  const auto& order = *w.order;
  if (order.wanted && order.why != purpose::withdraw)
    for (const auto& c : order.wanted->git_providers) {
      auto at = std::ranges::find(shown, c.git_provider, &shown_git_provider::name);
      if (at == shown.end())
        return "the git provider '" + c.git_provider + "' is not there";
      auto host = c.host.value_or("");
      if (at->host_shown && at->host != host && !(host.empty() && at->host == public_host(c.git_provider)))
        return "the git provider '" + c.git_provider + "' has another host";
    }
  for (const auto& seen : shown)
    if ((order.why == purpose::withdraw || !is_wanted_git_provider(order, seen.name)) &&
        (git_provider_was_ours(order, seen.name) || owns_everything(order)))
      return "a git provider that is not wanted is still there";
  return {};
}

outcome differs(walk& w, std::string what) {
  if (w.order->why == purpose::deep_probe) {
    w.drifted = true;
    w.drift = std::move(what);
    return {};
  }
  auto code = w.order->why == purpose::withdraw ? errc::withdraw_failed : errc::not_confirmed;
  return {outcome::kind::refused, false, failure{code, step::verify, "read back: " + what, 0, {}}};
}

} // namespace nestor::nested
