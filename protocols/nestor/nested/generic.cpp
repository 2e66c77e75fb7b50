// `generic`: the idempotent contract of architecture §1: one POST per git provider and per secret, 200 each, and
// DELETE for what went. Looking is optional: a server without the GETs is believed on its answers, and the evidence
// says so. It refuses to assume more: nothing is inferred from what such a server does not say.
#include <nestor/http/url.hpp>
#include <nestor/nested/dialect_parts.hpp>
#include <nestor/nested/listing.hpp>
#include <nestor/nested/settings_match.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

constexpr auto within = usual_timeouts;

// What only a look shows to be too much sends the walk back once; a second time somebody else would be writing.
enum class stage : std::uint8_t {
  look,
  settings,
  git_providers,
  secrets,
  verify_settings,
  verify_git_providers,
  verify_secrets,
  done
};
constexpr std::array configuring{stage::look,
                                 stage::settings,
                                 stage::git_providers,
                                 stage::secrets,
                                 stage::verify_settings,
                                 stage::verify_git_providers,
                                 stage::verify_secrets,
                                 stage::done};
constexpr std::array withdrawing{
  stage::secrets,        stage::git_providers, stage::settings, stage::verify_settings, stage::verify_git_providers,
  stage::verify_secrets, stage::done};
constexpr std::array looking{stage::verify_settings, stage::verify_git_providers, stage::verify_secrets, stage::done};

constexpr itinerary<stage> stages{configuring, withdrawing, looking};

stage stage_of(const walk& w) {
  return stages.at(w);
}

bool nothing_to_do(const walk& w) {
  switch (stage_of(w)) {
    case stage::look: return w.looked || !w.order->refuse_existing;
    case stage::settings: return w.item != 0 || (withdraws(w) ? !settings_were_ours(*w.order) : may_skip_settings(w));
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
  stages.advance(w, nothing_to_do, [](walk&) {});
}

void begin(walk& w) {
  plan(w);
  advance(w);
}

// -- questions -------------------------------------------------------------------------------------------------------

/// The contract says 200, and nothing about the body.
question loosely(topic about, step at, http::method verb, std::string path, milliseconds timeout) {
  auto q = ask(about, at, verb, std::move(path), timeout);
  q.strict = false;
  return q;
}

turn git_question(const walk& w) {
  constexpr std::string_view path = "/api/add-git-providers";
  auto time = within.git_provider_each + within.git_provider_more;
  if (w.item < w.git_deletes.size()) {
    const auto& name = w.git_deletes[w.item];
    auto q = loosely(topic::delete_git_provider, step::git_providers, http::method::del,
                     std::string{path} + "/" + http::encode_segment(name), within.git_provider_more);
    q.subject = name;
    return q;
  }
  const auto& c = w.order->wanted->git_providers[w.git_writes[w.item - w.git_deletes.size()]];
  auto q = loosely(topic::write_git_provider, step::git_providers, http::method::post, std::string{path}, time);
  q.subject = c.git_provider;
  json_object body{q.body};
  body.member("provider", std::string_view{c.git_provider});
  body.member("token", c.token);
  if (c.host)
    body.member("host", c.host);
  if (c.user_id)
    body.member("user_id", c.user_id);
  return finished(q, body);
}

turn secret_question(const walk& w) {
  const auto& change = w.changes[w.item];
  if (!change.write) {
    auto q = loosely(topic::delete_secret, step::secrets, http::method::del,
                     "/api/secrets/" + http::encode_segment(change.name), within.secret);
    q.subject = change.name;
    return q;
  }
  const auto& item = w.order->wanted->secrets[change.item];
  auto q = loosely(topic::write_secret, step::secrets, http::method::post, "/api/secrets", within.secret);
  q.subject = change.name;
  json_object body{q.body};
  body.member("name", std::string_view{item.name});
  body.member("value", item.value);
  if (!item.description.empty())
    body.member("description", std::string_view{item.description});
  return finished(q, body);
}

turn settings_question(const walk& w) {
  auto q = loosely(topic::write_settings, step::settings, http::method::post, "/api/settings", within.settings);
  if (withdraws(w))
    q.body = "{}";
  else
    q.body = w.order->wanted->settings;
  return q;
}

turn next(const walk& w) {
  auto get = [](topic about, step at, std::string path) {
    return loosely(about, at, http::method::get, std::move(path), within.look);
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
  return all_done(w);
}

// -- answers ---------------------------------------------------------------------------------------------------------

/// A server that offers no such GET: no evidence beyond its answers, and no error either.
bool cannot_look(const question& q, const http::response& r, const answer_facts& facts) {
  if (q.verb != http::method::get)
    return false;
  return (r.status == 404 && !facts.settings_not_found) || r.status == 405 || r.status == 501 || r.status == 204 ||
         (r.status == 200 &&
          (facts.body == answer_facts::shape::empty || facts.body == answer_facts::shape::other_json));
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
  w.look_refused = true;
}

bool has_members(std::string_view body) {
  bool some = false;
  read_json(body, [&](const json_leaf& leaf) { some |= leaf.path.empty() && leaf.text != "0"; });
  return some;
}

outcome look(walk& w, const http::response& r, bool missing) {
  if (!missing && !settings_were_ours(*w.order) && has_members(r.body))
    return already_configured(step::settings, "the server has settings");
  w.looked = true;
  return {};
}

outcome verify_settings(walk& w, const http::response& r, bool missing) {
  w.item = 1;
  std::string_view body = missing ? std::string_view{"{}"} : std::string_view{r.body};
  shown_settings shown;
  if (withdraws(w))
    return settings_emptied(w, read_settings(body).filled);
  auto match = match_settings(*w.order->wanted, body, shown, showing::some);
  w.looks_offered = w.looks_offered || missing || match.any_shown;
  // A server that answers 200 to everything shows nothing of ours; whether this one does is seen by its lists.
  if (!match.equal && !missing && !match.any_shown) {
    w.settings_silent = true;
    w.settings_evidence = evidence::answer;
    return {};
  }
  if (!match.equal)
    return differs(w, "the setting at " + match.difference + " is not the wanted one");
  w.settings_evidence = match.strength;
  return {};
}

outcome verify_git_providers(walk& w, const http::response& r) {
  auto shown = read_git_providers(r.body, "/providers");
  w.item = 1;
  if (!shown) {
    w.git_evidence = evidence::answer;
    return {};
  }
  w.looks_offered = true;
  if (owns_everything(*w.order) && !std::exchange(w.git_swept, true)) {
    w.git_writes.clear();
    w.git_deletes.clear();
    for (const auto& seen : *shown)
      if (!is_wanted_git_provider(*w.order, seen.name))
        w.git_deletes.push_back(seen.name);
    if (!w.git_deletes.empty()) {
      w.changes.clear(); // they were made
      stages.go_to(w, stage::git_providers);
      return {};
    }
  }
  return names_confirmed(w, git_providers_difference(w, *shown), w.git_evidence, some_git_providers(w));
}

outcome verify_secrets(walk& w, const http::response& r) {
  auto names = read_secret_names(r.body, "/secrets");
  w.item = 1;
  if (!names) {
    w.secrets_evidence = evidence::answer;
    return {};
  }
  w.looks_offered = true;
  if (owns_everything(*w.order) && !std::exchange(w.secrets_swept, true)) {
    w.changes.clear();
    for (const auto& name : *names)
      if (!is_wanted_secret(*w.order, name))
        w.changes.push_back({.write = false, .name = name});
    if (!w.changes.empty()) {
      stages.go_to(w, stage::secrets);
      return {};
    }
  }
  return names_confirmed(w, secrets_difference(w, *names), w.secrets_evidence, some_secrets(w));
}

outcome learn(walk& w, const http::response& r, bool missing) {
  switch (stage_of(w)) {
    case stage::look: return look(w, r, missing);
    case stage::verify_settings: return verify_settings(w, r, missing);
    case stage::verify_git_providers: return verify_git_providers(w, r);
    case stage::verify_secrets: return verify_secrets(w, r);
    case stage::settings:
    case stage::git_providers:
    case stage::secrets: ++w.item; break;
    case stage::done: break;
  }
  return {};
}

/// A server that can be looked at is held to it: a look that failed beside one that did not is taken again, once.
outcome finish(walk& w) {
  advance(w);
  if (stage_of(w) != stage::done || !w.looks_offered)
    return {};
  if (std::exchange(w.settings_silent, false))
    return differs(w, "the settings are not shown");
  if (all_done(w).strength == evidence::answer && w.look_refused && !std::exchange(w.looked_twice, true))
    stages.go_to(w, stage::verify_settings);
  return {};
}

outcome heard(walk& w, const question& q, const http::response& r) {
  auto facts = facts_of(r);
  if (cannot_look(q, r, facts)) {
    note_no_look(w);
    return finish(w);
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
  auto result = learn(w, r, judged.is == kind::missing);
  return result.is == kind::good ? finish(w) : result;
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
