// `generic`: the idempotent contract of architecture §1: one POST per git provider and per secret, 200 each, and
// DELETE for what went. Looking is optional: a server without the GETs is believed on its answers, and the evidence says
// so. It refuses to assume more: nothing is inferred from what such a server does not say.
#include <nestor/http/url.hpp>
#include <nestor/nested/dialect.hpp>
#include <nestor/nested/json_text.hpp>
#include <nestor/nested/settings_match.hpp>

#include <algorithm>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

constexpr dialect_timeouts within{
  .look = 10s,
  .settings = 10s,
  .git_provider_each = 20s, // it may validate the token at several hosts
  .git_provider_more = 5s,
  .secret = 10s,
};

// Looks for what has to go, before the last looks confirm it. Twice would already mean that somebody else writes.
enum class stage : std::uint8_t {
  look, settings, git_providers, secrets, verify_settings, verify_git_providers, verify_secrets, done
};
constexpr std::array configuring{stage::look, stage::settings, stage::git_providers, stage::secrets,
                                 stage::verify_settings, stage::verify_git_providers, stage::verify_secrets, stage::done};
constexpr std::array withdrawing{stage::secrets, stage::git_providers, stage::settings, stage::verify_settings,
                                 stage::verify_git_providers, stage::verify_secrets, stage::done};
constexpr std::array looking{stage::verify_settings, stage::verify_git_providers, stage::verify_secrets, stage::done};

bool withdraws(const walk& w) { return w.order->why == purpose::withdraw; }

stage stage_of(const walk& w) {
  switch (w.order->why) {
    case purpose::withdraw: return withdrawing.at(w.at);
    case purpose::probe:
    case purpose::deep_probe: return looking.at(w.at);
    case purpose::configure:
    case purpose::update:
    case purpose::restore: break;
  }
  return configuring.at(w.at);
}

bool nothing_to_do(const walk& w) {
  switch (stage_of(w)) {
    case stage::look: return w.looked || !w.order->refuse_existing;
    case stage::settings:
      return w.item != 0 || (withdraws(w) ? !(w.order->before && w.order->before->settings) : may_skip_settings(w));
    case stage::git_providers: return w.item >= w.git_deletes.size() + w.git_writes.size();
    case stage::secrets: return w.item >= w.changes.size();
    case stage::verify_settings:
    case stage::verify_git_providers:
    case stage::verify_secrets: return w.item != 0;
    case stage::done: return false;
  }
  return false;
}

void plan(walk& w) {
  const auto& order = *w.order;
  if (order.before) {
    for (const auto& [name, had] : order.before->git_providers)
      if (withdraws(w) || !is_wanted_git_provider(order, name))
        w.git_deletes.push_back(name);
    for (const auto& [name, had] : order.before->secrets)
      if (withdraws(w) || !is_wanted_secret(order, name))
        w.changes.push_back({.write = false, .name = name});
  }
  if (!order.wanted || withdraws(w))
    return;
  for (std::size_t i = 0; i < order.wanted->git_providers.size(); ++i)
    if (!may_skip_git_provider(w, order.wanted->git_providers[i].git_provider))
      w.git_writes.push_back(i);
  for (std::size_t i = 0; i < order.wanted->secrets.size(); ++i)
    if (!may_skip_secret(w, order.wanted->secrets[i].name))
      w.changes.push_back({.write = true, .name = order.wanted->secrets[i].name, .item = i});
}

void advance(walk& w) {
  while (stage_of(w) != stage::done && nothing_to_do(w)) {
    ++w.at;
    w.item = 0;
  }
}

void begin(walk& w) {
  plan(w);
  advance(w);
}

/// Back to a stage that was left: what a look showed has to go first.
void go_back(walk& w, stage to) {
  w.at = 0;
  while (stage_of(w) != to)
    ++w.at;
  w.item = 0;
}

// -- questions -------------------------------------------------------------------------------------------------------

question ask(topic about, step at, http::method verb, std::string path, milliseconds timeout) {
  question q;
  q.about = about;
  q.at = at;
  q.verb = verb;
  q.path = std::move(path);
  q.timeout = timeout;
  q.strict = false; // the contract says 200 and nothing about the body
  q.mutates = verb != http::method::get;
  return q;
}

bool optional_member(wiped_string& body, std::string_view name, const std::optional<std::string>& value) {
  if (!value)
    return true;
  body += ",\"";
  body += name;
  body += "\":";
  return append_json(body, *value);
}

turn finished_body(question q, bool good) {
  q.body += '}';
  if (!good)
    return failure_at(q, errc::configuration_refused, "is not UTF-8 text, which JSON cannot carry");
  return q;
}

turn git_question(const walk& w) {
  constexpr std::string_view path = "/api/add-git-providers";
  auto time = within.git_provider_each + within.git_provider_more;
  if (w.item < w.git_deletes.size()) {
    const auto& name = w.git_deletes[w.item];
    auto q = ask(topic::delete_git_provider, step::git_providers, http::method::del,
                 std::string{path} + "/" + http::encode_segment(name), within.git_provider_more);
    q.subject = name;
    return q;
  }
  const auto& c = w.order->wanted->git_providers[w.git_writes[w.item - w.git_deletes.size()]];
  auto q = ask(topic::write_git_provider, step::git_providers, http::method::post, std::string{path}, time);
  q.subject = c.git_provider;
  q.body = "{\"provider\":";
  bool good = append_json(q.body, c.git_provider);
  q.body += ",\"token\":";
  good = good && c.token.expose([&](std::string_view token) { return append_json(q.body, token); });
  good = good && optional_member(q.body, "host", c.host) && optional_member(q.body, "user_id", c.user_id);
  return finished_body(std::move(q), good);
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
  q.body = "{\"name\":";
  bool good = append_json(q.body, item.name);
  q.body += ",\"value\":";
  good = good && item.value.expose([&](std::string_view value) { return append_json(q.body, value); });
  if (!item.description.empty()) {
    q.body += ",\"description\":";
    good = good && append_json(q.body, item.description);
  }
  return finished_body(std::move(q), good);
}

turn settings_question(const walk& w) {
  auto q = ask(topic::write_settings, step::settings, http::method::post, "/api/settings", within.settings);
  if (withdraws(w))
    q.body = "{}";
  else
    q.body = w.order->wanted->settings;
  return q;
}

turn next(const walk& w) {
  auto get = [](topic about, step at, std::string path) {
    return ask(about, at, http::method::get, std::move(path), within.look);
  };
  switch (stage_of(w)) {
    case stage::look: return get(topic::read_settings, step::settings, "/api/settings");
    case stage::settings: return settings_question(w);
    case stage::git_providers: return git_question(w);
    case stage::secrets: return secret_question(w);
    case stage::verify_settings: return get(topic::read_settings, step::verify, "/api/settings");
    case stage::verify_git_providers: return get(topic::read_git_providers, step::verify, "/api/git-providers");
    case stage::verify_secrets: return get(topic::read_secrets, step::verify, "/api/secrets");
    case stage::done: break;
  }
  return walked{std::min({w.settings_evidence, w.git_evidence, w.secrets_evidence})};
}

// -- answers ---------------------------------------------------------------------------------------------------------

/// A server that offers no such GET: no evidence beyond its answers, and no error either.
bool cannot_look(const question& q, const http::response& r, const answer_facts& facts) {
  if (q.verb != http::method::get)
    return false;
  return (r.status == 404 && !facts.settings_not_found) || r.status == 405 || r.status == 501 ||
         (r.status == 200 && (facts.body == answer_facts::shape::empty || facts.body == answer_facts::shape::other_json));
}

void note_no_look(walk& w) {
  switch (stage_of(w)) {
    case stage::look: w.looked = true; break;
    case stage::verify_settings: w.settings_evidence = evidence::answer; break;
    case stage::verify_git_providers: w.git_evidence = evidence::answer; break;
    case stage::verify_secrets: w.secrets_evidence = evidence::answer; break;
    case stage::settings:
    case stage::git_providers:
    case stage::secrets:
    case stage::done: break;
  }
  w.item = 1;
}

bool has_members(std::string_view body) {
  bool some = false;
  read_json(body, [&](const json_leaf& leaf) { some |= leaf.path.empty() && leaf.text != "0"; });
  return some;
}

outcome look(walk& w, const http::response& r, bool missing) {
  bool ours = w.order->before && w.order->before->settings;
  if (!missing && !ours && has_members(r.body))
    return {kind::refused, false, failure{errc::already_configured, step::settings, "the server has settings", 0, {}}};
  w.looked = true;
  return {};
}

outcome verify_settings(walk& w, const http::response& r, bool missing) {
  w.item = 1;
  if (withdraws(w)) {
    auto shown = missing ? shown_settings{} : read_settings(r.body);
    if (w.order->before && w.order->before->settings && !shown.filled.empty())
      return differs(w, "the setting '" + shown.filled.front() + "' still has a value");
    return {};
  }
  shown_settings shown;
  auto match = match_settings(*w.order->wanted, missing ? std::string_view{"{}"} : std::string_view{r.body}, shown, false);
  if (!match.equal)
    return differs(w, "the setting at " + match.difference + " is not the wanted one");
  w.settings_evidence = match.strength;
  return {};
}

/// Names in a list that is a member of the answer: strings, or objects with one of `keys`.
bool read_names(std::string_view body, std::string_view list, std::span<const std::string_view> keys,
                std::vector<std::string>& names, std::vector<shown_git_provider>* hosts) {
  bool found = false;
  read_json(body, [&](const json_leaf& leaf) {
    if (leaf.path == list) {
      found = leaf.kind == json_kind::array;
      return;
    }
    if (!leaf.path.starts_with(list) || leaf.path.size() <= list.size() + 1 || leaf.kind != json_kind::string)
      return;
    auto rest = leaf.path.substr(list.size() + 1);
    auto slash = rest.find('/');
    auto key = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    if (slash == std::string_view::npos || std::ranges::find(keys, key) != keys.end())
      names.emplace_back(leaf.text);
    else if (key == "host" && hosts)
      hosts->push_back({std::string{rest.substr(0, slash)}, std::string{leaf.text}, true});
  });
  return found;
}

outcome unknown_shape(const question& q) {
  return {kind::again, false, failure_at(q, errc::nested_protocol, "shows no list", 200)};
}

outcome verify_git_providers(walk& w, const question& q, const http::response& r) {
  constexpr std::array<std::string_view, 2> keys{"provider", "name"};
  std::vector<std::string> names;
  if (!read_names(r.body, "/providers", keys, names, nullptr))
    return unknown_shape(q);
  std::vector<shown_git_provider> shown;
  for (const auto& name : names) {
    shown.push_back({name, {}, false});
    bool surplus = owns_everything(*w.order) && !is_wanted_git_provider(*w.order, name);
    if (surplus && std::ranges::find(w.git_deletes, name) == w.git_deletes.end()) {
      w.git_writes.clear();
      w.git_deletes.push_back(name);
    }
  }
  if (owns_everything(*w.order) && w.git_writes.empty() && !w.git_deletes.empty() && !w.git_clear &&
      std::ranges::any_of(names, [&](const auto& name) { return !is_wanted_git_provider(*w.order, name); })) {
    w.git_clear = true; // once: a second surplus is somebody else's writing
    go_back(w, stage::git_providers);
    return {};
  }
  w.item = 1;
  auto difference = git_providers_difference(w, shown);
  if (!difference.empty())
    return differs(w, std::move(difference));
  w.git_evidence = w.order->wanted && !w.order->wanted->git_providers.empty() ? evidence::presence : evidence::value;
  return {};
}

outcome verify_secrets(walk& w, const question& q, const http::response& r) {
  constexpr std::array<std::string_view, 1> keys{"name"};
  std::vector<std::string> names;
  if (!read_names(r.body, "/secrets", keys, names, nullptr))
    return unknown_shape(q);
  std::ranges::sort(names);
  if (owns_everything(*w.order) && w.secrets_listed.empty()) {
    w.changes.clear();
    for (const auto& name : names)
      if (!is_wanted_secret(*w.order, name))
        w.changes.push_back({.write = false, .name = name});
    if (!w.changes.empty()) {
      w.secrets_listed = std::move(names); // once: a second surplus is somebody else's writing
      go_back(w, stage::secrets);
      return {};
    }
  }
  w.item = 1;
  auto difference = secrets_difference(w, names);
  if (!difference.empty())
    return differs(w, std::move(difference));
  w.secrets_evidence = w.order->wanted && !w.order->wanted->secrets.empty() ? evidence::presence : evidence::value;
  return {};
}

outcome learn(walk& w, const question& q, const http::response& r, bool missing) {
  switch (stage_of(w)) {
    case stage::look: return look(w, r, missing);
    case stage::verify_settings: return verify_settings(w, r, missing);
    case stage::verify_git_providers: return verify_git_providers(w, q, r);
    case stage::verify_secrets: return verify_secrets(w, q, r);
    case stage::settings:
    case stage::git_providers:
    case stage::secrets: ++w.item; break;
    case stage::done: break;
  }
  return {};
}

outcome heard(walk& w, const question& q, const http::response& r) {
  auto facts = facts_of(r);
  if (cannot_look(q, r, facts)) {
    note_no_look(w);
    advance(w);
    return {};
  }
  auto judged = judge(q, r, facts);
  // Nothing there to delete: no such route would say the same, and then nothing of the kind was ever written.
  if (q.verb == http::method::del && r.status == 404)
    judged = {kind::missing, false, {}};
  if (judged.is != kind::good && judged.is != kind::missing) {
    if (judged.is == kind::exists)
      judged.is = kind::refused;
    return judged;
  }
  auto result = learn(w, q, r, judged.is == kind::missing);
  if (result.is == kind::good)
    advance(w);
  return result;
}

void lost(walk&, const question&) {
  // nop: every request of this contract may be repeated
}

} // namespace

const dialect& generic_dialect() {
  static const dialect self{
    .name = "generic",
    .summary = "the idempotent contract: one POST per git provider and per secret, 200 each",
    .settings = evidence::value,
    .git_providers = evidence::presence,
    .secrets = evidence::presence,
    .within = within,
    .begin = begin,
    .next = next,
    .heard = heard,
    .lost = lost,
  };
  return self;
}

} // namespace nestor::nested
