// `openhands`: the V0 nested server as it really is (contract §3). Its POSTs replace what they do not mention, so
// settings and the map of git providers are always sent whole; its secrets are created once and never overwritten, so a
// change is a delete and a create. It refuses to know how often and when a question is repeated.
//
// Only the last git provider of a map gets a verdict from the server. So n tokens are n maps, each with one token in it
// and the ones before it kept by an empty token; every token is judged on its own, and a refused one never gets past.
#include <nestor/http/url.hpp>
#include <nestor/nested/dialect_parts.hpp>
#include <nestor/nested/listing.hpp>
#include <nestor/nested/settings_match.hpp>

#include <algorithm>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

constexpr auto within = usual_timeouts;

enum class stage : std::uint8_t {
  look,
  settings,
  look_again,
  git_providers,
  list,
  secrets,
  verify_secrets,
  verify_settings,
  done
};

// Secrets are read back first: when their file is corrupt, only their own list says so; the settings say 401.
constexpr std::array configuring{stage::look, stage::settings, stage::look_again,     stage::git_providers,
                                 stage::list, stage::secrets,  stage::verify_secrets, stage::verify_settings,
                                 stage::done};
/// Backwards: what was written last goes first.
constexpr std::array withdrawing{
  stage::list,           stage::secrets,         stage::look, stage::git_providers, stage::settings,
  stage::verify_secrets, stage::verify_settings, stage::done};
constexpr std::array looking{stage::verify_secrets, stage::verify_settings, stage::done};

constexpr itinerary<stage> stages{configuring, withdrawing, looking};

stage stage_of(const walk& w) {
  return stages.at(w);
}

// -- what each stage has to do ---------------------------------------------------------------------------------------

std::size_t maps_of(const walk& w) {
  return w.git_writes.size() + (w.git_clear ? 1U : 0U);
}

bool writes_settings(const walk& w) {
  if (withdraws(w))
    return w.settings_exist && settings_were_ours(*w.order);
  return !(w.settings_exist && may_skip_settings(w));
}

/// Keys that the server has and that get a value: it shows that there is one, and not which. So they are emptied first;
/// that there is one again proves that the new one arrived.
std::vector<std::string> replaced_keys(const walk& w) {
  std::vector<std::string> names;
  if (!withdraws(w) && w.settings_exist)
    for (std::string name : {"llm_api_key", "search_api_key"})
      if (std::ranges::find(w.filled, name) != w.filled.end() && has_value(w.order->wanted->settings, name))
        names.push_back(std::move(name));
  return names;
}

std::size_t settings_writes(const walk& w) {
  return !writes_settings(w) ? 0 : replaced_keys(w).empty() ? 1 : 2;
}

bool nothing_to_do(const walk& w) {
  switch (stage_of(w)) {
    case stage::look: return w.looked;
    case stage::settings: return w.item >= settings_writes(w);
    // On a server that is not ours its git providers show only once there are settings; ours must not wipe them.
    case stage::look_again: return w.item != 0 || !(w.order->refuse_existing && !w.settings_exist);
    case stage::git_providers: return w.item >= maps_of(w);
    case stage::list: return w.item != 0;
    case stage::secrets: return w.item >= w.changes.size();
    case stage::verify_settings: return w.item != 0;
    case stage::verify_secrets: return w.item != 0;
    case stage::done: return false;
  }
  return false;
}

void plan_git_providers(walk& w) {
  const auto& order = *w.order;
  w.git_kept.clear();
  w.git_writes.clear();
  w.git_clear = false;
  bool surplus = false;
  for (const auto& shown : w.git_shown) {
    if (!withdraws(w) && is_wanted_git_provider(order, shown.name))
      continue;
    if (git_provider_was_ours(order, shown.name) || owns_everything(order))
      surplus = true;
    else
      w.git_kept.push_back({shown.name, shown.host.empty() ? std::nullopt : std::optional{shown.host}, std::nullopt});
  }
  if (order.wanted && !withdraws(w)) {
    for (std::size_t i = 0; i < order.wanted->git_providers.size(); ++i) {
      const auto& c = order.wanted->git_providers[i];
      auto at = std::ranges::find(w.git_shown, c.git_provider, &shown_git_provider::name);
      bool there = at != w.git_shown.end();
      bool same_host = there && (!at->host_shown || at->host == c.host.value_or(""));
      if (there && same_host && may_skip_git_provider(w, c.git_provider)) {
        w.git_kept.push_back({c.git_provider, c.host, c.user_id});
        continue;
      }
      // Taken away before the new one is sent: then its name, read back, proves that the new token arrived. Also, the
      // server would judge the token it has at a new host, and that verdict may hide the new token's.
      if (there)
        w.git_clear = true;
      w.git_writes.push_back(i);
    }
  }
  if (w.git_writes.empty() && surplus)
    w.git_clear = true;
}

void advance(walk& w) {
  stages.advance(w, nothing_to_do, [](walk& at) {
    if (stage_of(at) == stage::git_providers)
      plan_git_providers(at);
  });
}

// -- questions -------------------------------------------------------------------------------------------------------

question read(topic about, step at, std::string path) {
  return ask(about, at, http::method::get, std::move(path), within.look);
}

question settings_question(const walk& w) {
  auto q = ask(topic::write_settings, step::settings, http::method::post, "/api/settings", within.settings);
  if (withdraws(w)) {
    std::vector<std::string> all(kept_by_null.begin(), kept_by_null.end());
    q.body = settings_body("{}", all);
    return q;
  }
  q.body = settings_body(w.order->wanted->settings, w.filled);
  if (w.item + 1 < settings_writes(w))
    q.body = emptied(q.body, replaced_keys(w));
  return q;
}

turn git_question(const walk& w) {
  bool clearing = w.git_clear && w.item == 0;
  if (clearing && withdraws(w) && w.git_kept.empty())
    return ask(topic::clear_git_providers, step::git_providers, http::method::post, "/api/unset-provider-tokens",
               within.git_provider_more);
  auto q = ask(clearing ? topic::clear_git_providers : topic::write_git_provider, step::git_providers,
               http::method::post, "/api/add-git-providers",
               clearing ? within.git_provider_more : within.git_provider_each + within.git_provider_more);
  q.body.reserve(128 + 64 * (w.git_kept.size() + w.item));
  json_object body{q.body};
  auto add = [&](std::string_view name, const secret& token, const auto& from) {
    body.open(name);
    body.member("host", from.host);
    body.member("token", token);
    body.member("user_id", from.user_id);
    body.close();
  };
  const secret keep; // an empty token keeps the stored one
  body.open("provider_tokens");
  for (const auto& kept : w.git_kept)
    add(kept.name, keep, kept);
  if (!clearing) {
    auto last = w.item - (w.git_clear ? 1U : 0U);
    for (std::size_t i = 0; i <= last; ++i) {
      const auto& c = w.order->wanted->git_providers[w.git_writes[i]];
      add(c.git_provider, i == last ? c.token : keep, c);
      q.subject = c.git_provider;
    }
  }
  body.close();
  return finished(q, body);
}

turn secret_question(const walk& w) {
  const auto& change = w.changes[w.item];
  if (!change.write) {
    auto q = ask(topic::delete_secret, step::secrets, http::method::del,
                 "/api/secrets/" + http::encode_segment(change.name), within.secret);
    q.subject = change.name;
    return q;
  }
  const auto& item = w.order->wanted->secrets[change.item];
  auto q = ask(topic::write_secret, step::secrets, http::method::post, "/api/secrets", within.secret);
  q.subject = change.name;
  q.success = 201;
  q.body.reserve(64 + item.name.size() + item.description.size());
  json_object body{q.body};
  body.member("description", std::string_view{item.description});
  body.member("name", std::string_view{item.name});
  body.member("value", item.value);
  return finished(q, body);
}

turn next(const walk& w) {
  switch (stage_of(w)) {
    case stage::look:
    case stage::look_again: return read(topic::read_settings, step::settings, "/api/settings");
    case stage::settings: return settings_question(w);
    case stage::git_providers: return git_question(w);
    case stage::list: return read(topic::read_secrets, step::secrets, "/api/secrets");
    case stage::secrets: return secret_question(w);
    case stage::verify_settings: return read(topic::read_settings, step::verify, "/api/settings");
    case stage::verify_secrets: return read(topic::read_secrets, step::verify, "/api/secrets");
    case stage::done: break;
  }
  return all_done(w);
}

// -- answers ---------------------------------------------------------------------------------------------------------

outcome saw_settings(walk& w, const question& q, const http::response& r, bool missing) {
  shown_settings shown;
  if (!missing) {
    shown = read_settings(r.body);
    if (!shown.whole || !shown.tells_git_providers)
      return not_as_defined(q, "shows no settings with git providers");
  }
  bool first = stage_of(w) == stage::look;
  if (first) {
    if (!missing && w.order->refuse_existing && !settings_were_ours(*w.order))
      return already_configured(step::settings, "the server has settings");
    w.looked = true;
    w.settings_exist = !missing;
  } else {
    w.item = 1;
  }
  w.filled = std::move(shown.filled);
  w.git_shown = std::move(shown.git_providers);
  return {};
}

outcome saw_secrets(walk& w, const question& q, const http::response& r) {
  auto names = read_secret_names(r.body, "/custom_secrets");
  if (!names)
    return not_as_defined(q, "shows no list of secrets");
  if (stage_of(w) == stage::verify_secrets) {
    w.item = 1;
    return names_confirmed(w, secrets_difference(w, *names), w.secrets_evidence, some_secrets(w));
  }
  w.secrets_listed = std::move(*names);
  w.item = 1;
  if (w.order->refuse_existing)
    for (const auto& name : w.secrets_listed)
      if (is_wanted_secret(*w.order, name) && !secret_was_ours(*w.order, name))
        return already_configured(step::secrets, "the server has a secret '" + name + "' already");
  plan_secrets(w);
  return {};
}

outcome verify_settings(walk& w, const question& q, const http::response& r, bool missing) {
  w.item = 1;
  if (missing && withdraws(w))
    return {};
  if (missing)
    return differs(w, "there are no settings");
  shown_settings shown;
  settings_match match{true, false, {}, evidence::value};
  if (withdraws(w) || !w.order->wanted)
    shown = read_settings(r.body);
  else
    match = match_settings(*w.order->wanted, r.body, shown, showing::places);
  if (!shown.whole || !shown.tells_git_providers) {
    w.item = 0;
    return not_as_defined(q, "shows no settings with git providers");
  }
  if (withdraws(w))
    if (auto left = settings_emptied(w, shown.filled); left.is != kind::good)
      return left;
  if (!match.equal)
    return differs(w, "the setting at " + match.difference + " is not the wanted one");
  w.settings_evidence = match.strength;
  return names_confirmed(w, git_providers_difference(w, shown.git_providers), w.git_evidence, some_git_providers(w));
}

outcome changed_secret(walk& w, const question& q, const outcome& judged) {
  auto& change = w.changes[w.item];
  if (judged.is == kind::exists) {
    bool applied = false;
    auto result = settle_clash(w, q, applied);
    if (applied)
      ++w.item;
    return result;
  }
  if (!change.write && w.item + 1 < w.changes.size() && w.changes[w.item + 1].name == change.name)
    w.changes[w.item + 1].known_absent = true;
  ++w.item;
  return {};
}

outcome learn(walk& w, const question& q, const http::response& r, const outcome& judged) {
  bool missing = judged.is == kind::missing;
  switch (q.about) {
    case topic::read_settings:
      return q.at == step::verify ? verify_settings(w, q, r, missing) : saw_settings(w, q, r, missing);
    case topic::read_secrets: return saw_secrets(w, q, r);
    case topic::write_secret:
    case topic::delete_secret: return changed_secret(w, q, judged);
    case topic::write_settings:
    case topic::write_git_provider:
    case topic::clear_git_providers: ++w.item; return {};
    case topic::read_git_providers:
    case topic::read_secret_value:
    case topic::read_conversations:
    case topic::read_init:
    case topic::write_init:
    case topic::delete_git_provider:
    case topic::write_conversation: // this dialect has no such route
    case topic::read_conversation:
    case topic::start_conversation: break; // heard elsewhere
  }
  return {};
}

void lost(walk& w, const question& q) {
  if (q.about == topic::write_secret)
    w.changes[w.item].maybe_there = true;
}

outcome heard(walk& w, const question& q, const http::response& r) {
  bool read_below = q.verb == http::method::get && r.status == q.success;
  auto judged = judge(q, r, read_below ? first_facts_of(r) : facts_of(r));
  if (judged.is == kind::again && judged.ambiguous)
    lost(w, q);
  // The store is written without a lock or an atomic rename: after our writes a failing list means it is broken.
  if (judged.is == kind::again && q.about == topic::read_secrets && r.status == 500 && w.wrote)
    judged.why.code = errc::store_corrupt;
  if (judged.is == kind::again || judged.is == kind::refused)
    return judged;
  auto result = learn(w, q, r, judged);
  if (result.is == kind::good)
    advance(w);
  return result;
}

void begin(walk& w) {
  advance(w);
}

} // namespace

const dialect& openhands_dialect() {
  static const dialect self{
    .name = "openhands",
    .summary = "the V0 nested server: whole settings, whole map of git providers, secrets by delete and create",
    .settings = evidence::value,
    .git_providers = evidence::presence,
    .secrets = evidence::presence,
    .within = within,
    .begin = begin,
    .next = next,
    .heard = heard,
    .lost = lost,
    .conversations = {.there = true, .id_may_be_refused = true, .id_path = "/conversation_id"},
  };
  return self;
}

} // namespace nestor::nested
