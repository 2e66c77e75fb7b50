#include <nestor/nested/dialect_parts.hpp>

#include <algorithm>
#include <array>

namespace nestor::nested {
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

bool unchanged(const std::vector<std::pair<std::string, digest>>& before,
               const std::vector<std::pair<std::string, digest>>& target, std::string_view name) {
  const auto* a = find(before, name);
  const auto* b = find(target, name);
  return a && b && *a == *b;
}

/// Can this run tell by digests what the server holds?
bool knows(const walk& w) {
  return w.order->why == purpose::update && w.order->before && w.order->key;
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

bool withdraws(const walk& w) {
  return w.order->why == purpose::withdraw;
}

walked all_done(const walk& w) {
  walked done{w.settings_evidence, step::settings};
  if (w.git_evidence < done.strength)
    done = {w.git_evidence, step::git_providers};
  if (w.secrets_evidence < done.strength)
    done = {w.secrets_evidence, step::secrets};
  return done;
}

question ask(topic about, step at, http::method verb, std::string path, milliseconds timeout) {
  question q;
  q.about = about;
  q.at = at;
  q.verb = verb;
  q.path = std::move(path);
  q.timeout = timeout;
  q.mutates = verb != http::method::get;
  return q;
}

turn finished(question& q, json_object& body) {
  if (!body.finish())
    return failure_at(q, errc::configuration_refused, "not UTF-8 text, so JSON cannot carry it");
  return std::move(q);
}

bool owns_everything(const push_order& order) {
  return order.why == purpose::configure && !order.refuse_existing;
}

bool settings_were_ours(const push_order& order) {
  return order.before && order.before->settings;
}
bool git_provider_was_ours(const push_order& order, std::string_view name) {
  return order.before && find(order.before->git_providers, name);
}
bool secret_was_ours(const push_order& order, std::string_view name) {
  return order.before && find(order.before->secrets, name);
}

bool is_wanted_git_provider(const push_order& order, std::string_view name) {
  return order.wanted && std::ranges::any_of(order.wanted->git_providers,
                                             [&](const git_credential& c) { return c.git_provider == name; });
}
bool is_wanted_secret(const push_order& order, std::string_view name) {
  return order.wanted &&
         std::ranges::any_of(order.wanted->secrets, [&](const custom_secret& s) { return s.name == name; });
}

bool may_skip_settings(const walk& w) {
  return knows(w) && w.order->before->settings && w.order->before->settings == w.target.settings;
}
bool may_skip_git_provider(const walk& w, std::string_view name) {
  return knows(w) && unchanged(w.order->before->git_providers, w.target.git_providers, name);
}
bool may_skip_secret(const walk& w, std::string_view name) {
  return knows(w) && unchanged(w.order->before->secrets, w.target.secrets, name);
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

outcome already_configured(step at, std::string what) {
  return {outcome::kind::refused, false, failure{errc::already_configured, at, std::move(what), 0, {}}};
}

outcome not_as_defined(const question& asked, std::string_view what) {
  return {outcome::kind::again, false, failure_at(asked, errc::nested_protocol, what, 200)};
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

outcome names_confirmed(walk& w, std::string difference, evidence& strength, bool some) {
  if (!difference.empty())
    return differs(w, std::move(difference));
  strength = some ? evidence::presence : evidence::value;
  return {};
}

bool some_git_providers(const walk& w) {
  return w.order->wanted && !w.order->wanted->git_providers.empty();
}
bool some_secrets(const walk& w) {
  return w.order->wanted && !w.order->wanted->secrets.empty();
}

outcome settings_emptied(walk& w, const std::vector<std::string>& filled) {
  if (settings_were_ours(*w.order) && !filled.empty())
    return differs(w, "the setting '" + filled.front() + "' still has a value");
  return {};
}

} // namespace nestor::nested
