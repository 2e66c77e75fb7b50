// `agent-server`: the newer nested server (contract §4). Settings are merged, so what goes is named and the rest is
// left to its defaults (agent_settings.hpp); secrets are upserted, and everything can be read back in clear, so its
// evidence is `value`. A server started without its user (a warm pool's) is dormant until an init gives it our key.
//
// It has no place for git providers: a token is a secret of the name GITHUB_TOKEN, and what else is known of it stands
// in the description, where the agent reads it. What a running conversation holds is its own copy: it is told what
// changed, and an empty value is how it forgets; nothing reads that back, so the evidence is then `answer`.
#include <nestor/http/url.hpp>
#include <nestor/nested/agent_secrets.hpp>
#include <nestor/nested/agent_settings.hpp>
#include <nestor/nested/dialect_parts.hpp>
#include <nestor/nested/listing.hpp>
#include <nestor/nested/settings_match.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

constexpr dialect_timeouts within{
  .look = 10s,
  .settings = 10s,
  .git_provider_each = 10s, // tokens are stored, nobody is asked about them
  .git_provider_more = 0s,
  .secret = 10s,
};
constexpr milliseconds init_within = 30s; // it starts the services that were left out, and clones nothing yet
// Inits of one run: a lost answer is looked after, so a second one is for a first that never arrived.
constexpr std::uint8_t wakes_max = 3;
// Conversations that one run tells: beyond it something else than a sandbox answers. It runs a handful at a time.
constexpr std::size_t conversations_max = 1'000;
constexpr std::string_view secrets_path = "/api/settings/secrets";

enum class stage : std::uint8_t {
  fit,
  wake,
  look,
  list,
  settings,
  git_providers,
  secrets,
  conversations,
  tell,
  verify_names,
  verify_values,
  verify_settings,
  done
};
constexpr std::array configuring{stage::fit,      stage::wake,          stage::look,          stage::list,
                                 stage::settings, stage::git_providers, stage::secrets,       stage::conversations,
                                 stage::tell,     stage::verify_names,  stage::verify_values, stage::verify_settings,
                                 stage::done};
/// Backwards: what was written last goes first.
constexpr std::array withdrawing{
  stage::wake,          stage::list, stage::secrets,      stage::git_providers,   stage::look, stage::settings,
  stage::conversations, stage::tell, stage::verify_names, stage::verify_settings, stage::done};
constexpr std::array looking{stage::verify_names, stage::verify_values, stage::verify_settings, stage::done};
constexpr itinerary<stage> stages{configuring, withdrawing, looking};

stage stage_of(const walk& w) {
  return stages.at(w);
}

// -- what each stage has to do ---------------------------------------------------------------------------------------

bool writes_settings(const walk& w) {
  return withdraws(w) ? settings_were_ours(*w.order) : !may_skip_settings(w);
}

bool git_left(const walk& w) {
  return w.item < w.changes.size() && w.changes[w.item].git;
}

std::size_t first_secret(const walk& w) {
  auto at = std::ranges::find(w.changes, false, &secret_change::git);
  return static_cast<std::size_t>(at - w.changes.begin());
}

bool nothing_to_do(const walk& w) {
  switch (stage_of(w)) {
    case stage::fit: return w.misplaced.empty();
    case stage::look: return w.looked || !(writes_settings(w) || w.order->refuse_existing);
    case stage::settings: return w.item != 0 || !writes_settings(w);
    case stage::git_providers: return !git_left(w);
    case stage::secrets: return first_secret(w) + w.item >= w.changes.size();
    case stage::conversations: return w.item != 0 || w.changes.empty();
    case stage::tell: return w.item >= w.conversations.size();
    case stage::verify_values: return w.item >= agent_secrets_wanted(w);
    case stage::wake:
    case stage::list:
    case stage::verify_names:
    case stage::verify_settings: return w.item != 0;
    case stage::done: return false;
  }
  return false;
}

/// Tokens first; of each kind what goes before what comes.
void plan_changes(walk& w) {
  w.changes.clear();
  for (const auto& name : w.secrets_listed)
    if (!is_wanted_agent_secret(w, name) && (agent_secret_was_ours(w, name) || owns_everything(*w.order)))
      w.changes.push_back({.write = false, .name = name, .git = git_provider_before(w, name) != nullptr});
  for (std::size_t i = 0; i < agent_secrets_wanted(w); ++i) {
    auto each = agent_secret_at(w, i);
    bool listed = std::ranges::binary_search(w.secrets_listed, each.name);
    bool same = each.git ? may_skip_git_provider(w, *each.said) : may_skip_secret(w, *each.said);
    if (!listed || !same)
      w.changes.push_back({.write = true, .name = each.name, .item = each.item, .git = each.git});
  }
  std::ranges::stable_sort(w.changes, std::ranges::greater{}, &secret_change::git);
}

void advance(walk& w) {
  stages.advance(w, nothing_to_do, [](walk&) {});
}

void begin(walk& w) {
  if (w.order->wanted && !withdraws(w)) {
    auto placed = place_settings(w.order->wanted->settings);
    w.placed = std::move(placed.text);
    w.misplaced = placed.objection.empty() ? agent_secrets_misfit(w) : std::move(placed.objection);
  } else {
    w.placed = "{}";
  }
  advance(w);
}

// -- questions -------------------------------------------------------------------------------------------------------

question read(topic about, step at, std::string path) {
  return ask(about, at, http::method::get, std::move(path), within.look);
}

std::string path_of_secret(std::string_view name) {
  return std::string{secrets_path} + "/" + http::encode_segment(name);
}

turn wake_question(const walk& w) {
  if (w.wakes >= wakes_max)
    return failure{
      errc::nested_error, step::alive, "the server is dormant and stays so, whatever init it is sent", 0, {}};
  if (!w.dormant) {
    auto q = read(topic::read_init, step::alive, "/api/init");
    q.key_header = {}; // it is open
    return q;
  }
  auto q = ask(topic::write_init, step::alive, http::method::post, "/api/init", init_within);
  q.key_header = "X-Init-API-Key"; // what a dormant server takes for its secret is the key that it was started with
  q.body = "{}";
  bool good = true;
  if (!w.order->session_key.empty()) {
    q.body = R"({"session_api_keys":[)";
    w.order->session_key.expose([&](std::string_view key) { good = append_json(q.body, key); });
    q.body += "]}";
  }
  return good ? turn{std::move(q)}
              : turn{failure_at(q, errc::configuration_refused, "the session key is not UTF-8 text")};
}

turn change_question(const walk& w, const secret_change& change) {
  auto at = change.git ? step::git_providers : step::secrets;
  if (!change.write) {
    const auto* git_provider = git_provider_before(w, change.name);
    auto q = ask(git_provider ? topic::delete_git_provider : topic::delete_secret, at, http::method::del,
                 path_of_secret(change.name), within.secret);
    q.subject = git_provider ? *git_provider : change.name;
    return q;
  }
  auto from = agent_secret_of(*w.order->wanted, change.git, change.item);
  auto q = ask(change.git ? topic::write_git_provider : topic::write_secret, at, http::method::put,
               std::string{secrets_path}, within.secret);
  q.subject = *from.said;
  json_object body{q.body};
  body.member("name", std::string_view{from.name});
  body.member("value", *from.value);
  body.member("description", std::string_view{from.description});
  return finished(q, body);
}

turn tell_question(const walk& w) {
  const auto& id = w.conversations[w.item];
  auto q = ask(topic::write_conversation, step::secrets, http::method::post,
               "/api/conversations/" + http::encode_segment(id) + "/secrets", within.secret);
  q.subject = id;
  json_object body{q.body};
  body.open("secrets");
  for (const auto& change : w.changes) {
    if (change.write)
      body.member(change.name, *agent_secret_of(*w.order->wanted, change.git, change.item).value);
    else
      body.member(change.name, std::string_view{}); // a conversation forgets nothing, but it uses no empty value
  }
  body.close();
  return finished(q, body);
}

question value_question(const walk& w) {
  auto each = agent_secret_at(w, w.item);
  auto q = read(topic::read_secret_value, step::verify, path_of_secret(each.name));
  q.subject = each.name;
  q.strict = false;
  return q;
}

turn next(const walk& w) {
  switch (stage_of(w)) {
    case stage::fit: return failure{errc::configuration_refused, step::settings, w.misplaced, 0, {}};
    case stage::wake: return wake_question(w);
    case stage::look: return read(topic::read_settings, step::settings, "/api/settings");
    case stage::list: return read(topic::read_secrets, step::secrets, std::string{secrets_path});
    case stage::settings: {
      auto q = ask(topic::write_settings, step::settings, http::method::patch, "/api/settings", within.settings);
      q.body = settings_patch(w.placed, w.shown);
      return q;
    }
    case stage::git_providers: return change_question(w, w.changes[w.item]);
    case stage::secrets: return change_question(w, w.changes[first_secret(w) + w.item]);
    case stage::conversations: {
      auto path = std::string{"/api/conversations/search?limit=100"};
      if (!w.next_page.empty())
        path += "&page_id=" + http::encode_segment(w.next_page);
      return read(topic::read_conversations, step::secrets, std::move(path));
    }
    case stage::tell: return tell_question(w);
    case stage::verify_names: return read(topic::read_secrets, step::verify, std::string{secrets_path});
    case stage::verify_values: return value_question(w);
    case stage::verify_settings: {
      auto q = read(topic::read_settings, step::verify, "/api/settings");
      q.in_clear = !withdraws(w); // nothing is compared then
      return q;
    }
    case stage::done: break;
  }
  return all_done(w);
}

// -- answers ---------------------------------------------------------------------------------------------------------

void lost(walk& w, const question& q) {
  if (q.about != topic::write_init)
    return; // everything else may be repeated
  ++w.wakes;
  w.dormant = false;
}

outcome heard_init(walk& w, const question& q, const http::response& r, const outcome& judged) {
  if (r.status == 404) { // it is not a deferred one
    w.item = 1;
    return {};
  }
  if (judged.is != kind::good)
    return judged;
  std::string state;
  read_json(r.body, [&](const json_leaf& leaf) {
    if (leaf.path == "/state")
      state = leaf.text;
  });
  if (state == "initializing")
    return {kind::again, false, failure_at(q, errc::nested_busy, "it is still waking", r.status)};
  w.dormant = state == "dormant";
  if (!w.dormant && state != "ready")
    return not_as_defined(q, "shows no state of the three");
  if (w.dormant && withdraws(w))
    stages.go_to(w, stage::done); // it holds nothing, and would take nothing
  else if (!w.dormant)
    w.item = 1;
  return {};
}

outcome heard_waking(walk& w, const question& q, const outcome& judged) {
  lost(w, q); // look again, whatever the answer was: another init may have been there first
  if (judged.is == kind::good || judged.why.status == 400)
    return {};
  auto result = judged;
  if (result.why.code == errc::session_key_refused)
    result.why = failure_at(q, errc::session_key_refused, "its secret key is not the session key", result.why.status);
  return result;
}

outcome saw_settings(walk& w, const question& q, const http::response& r) {
  auto shown = read_agent_settings(r.body, w.placed);
  if (!shown.whole)
    return not_as_defined(q, "shows no agent_settings");
  if (w.order->refuse_existing && shown.filled && !settings_were_ours(*w.order))
    return already_configured(step::settings, "the server has settings");
  w.looked = true;
  w.shown = r.body;
  return {};
}

outcome saw_names(walk& w, const question& q, const http::response& r) {
  auto listed = read_secrets(r.body, "/secrets");
  if (!listed)
    return not_as_defined(q, "shows no list of secrets");
  w.item = 1;
  w.secrets_listed.clear();
  for (auto& each : *listed)
    w.secrets_listed.push_back(std::move(each.name));
  if (w.order->refuse_existing)
    for (const auto& name : w.secrets_listed)
      if (is_wanted_agent_secret(w, name) && !agent_secret_was_ours(w, name))
        return already_configured(step::secrets, "the server has a secret '" + name + "' already");
  plan_changes(w);
  return {};
}

std::string names_difference(const walk& w, const std::vector<listed_secret>& listed) {
  for (std::size_t i = 0; i < agent_secrets_wanted(w); ++i) {
    auto each = agent_secret_at(w, i);
    auto at = std::ranges::find(listed, each.name, &listed_secret::name);
    if (at == listed.end())
      return "the secret '" + each.name + "' is not there";
    if (at->description != each.description)
      return "the secret '" + each.name + "' has another description";
  }
  for (const auto& each : listed)
    if (!is_wanted_agent_secret(w, each.name) && (agent_secret_was_ours(w, each.name) || owns_everything(*w.order)))
      return "a secret that is not wanted is still there";
  return {};
}

outcome saw_conversations(walk& w, const question& q, const http::response& r) {
  bool items = false;
  w.next_page.clear();
  bool whole = read_json(r.body, [&](const json_leaf& leaf) {
    bool of_item = leaf.path.starts_with("/items/") && leaf.path.ends_with("/id") &&
                   std::ranges::count(leaf.path, '/') == 3; // "/items/0/id"
    if (of_item && leaf.kind == json_kind::string)
      w.conversations.emplace_back(leaf.text);
    else if (leaf.path == "/items")
      items = leaf.kind == json_kind::array;
    else if (leaf.path == "/next_page_id" && leaf.kind == json_kind::string)
      w.next_page = leaf.text;
  });
  if (!whole || !items)
    return not_as_defined(q, "shows no conversations");
  std::ranges::sort(w.conversations); // a page that is asked for again adds nothing twice
  w.conversations.erase(std::unique(w.conversations.begin(), w.conversations.end()), w.conversations.end());
  if (w.conversations.size() > conversations_max)
    return {kind::refused, false, failure_at(q, errc::nested_protocol, "there are more than a sandbox ever has")};
  w.item = w.next_page.empty() ? 1 : 0;
  return {};
}

/// Text as it is, so nothing but the value itself says that the answer is whole: one that differs is read once more.
outcome saw_value(walk& w, const question& q, const http::response& r, const outcome& judged) {
  auto each = agent_secret_at(w, w.item);
  bool same = each.value->expose([&](std::string_view value) { return value == std::string_view{r.body}; });
  if (!same && facts_of(r).body == answer_facts::shape::html)
    return judged;
  if (!same && !std::exchange(w.doubted, true))
    return {kind::again, false, failure_at(q, errc::not_confirmed, "not the wanted value")};
  w.doubted = false;
  ++w.item;
  return same ? outcome{} : differs(w, "the secret '" + each.name + "' has another value");
}

outcome verify_settings(walk& w, const question& q, const http::response& r) {
  auto shown = read_agent_settings(r.body, w.placed);
  if (!shown.whole)
    return not_as_defined(q, "shows no agent_settings");
  w.item = 1;
  if (withdraws(w))
    return settings_emptied(w, shown.surplus.empty() ? std::vector<std::string>{} : std::vector{shown.surplus});
  configuration placed;
  placed.settings = w.placed;
  shown_settings seen;
  auto match = match_settings(placed, r.body, seen, showing::values);
  if (!match.equal || !shown.surplus.empty())
    return differs(w, "the setting at " + (match.equal ? shown.surplus : match.difference) + " is not the wanted one");
  w.settings_evidence = match.strength;
  return {};
}

outcome learn(walk& w, const question& q, const http::response& r) {
  switch (q.about) {
    case topic::read_settings: return q.at == step::verify ? verify_settings(w, q, r) : saw_settings(w, q, r);
    case topic::read_secrets: {
      if (q.at != step::verify)
        return saw_names(w, q, r);
      auto listed = read_secrets(r.body, "/secrets");
      if (!listed)
        return not_as_defined(q, "shows no list of secrets");
      w.item = 1;
      auto difference = names_difference(w, *listed);
      return difference.empty() ? outcome{} : differs(w, std::move(difference));
    }
    case topic::read_conversations: return saw_conversations(w, q, r);
    case topic::write_conversation: {
      auto told = [&](bool git) { return std::ranges::any_of(w.changes, [=](const auto& c) { return c.git == git; }); };
      if (told(true))
        w.git_evidence = evidence::answer;
      if (told(false))
        w.secrets_evidence = evidence::answer;
      ++w.item;
      return {};
    }
    case topic::write_settings:
    case topic::write_git_provider:
    case topic::delete_git_provider:
    case topic::write_secret:
    case topic::delete_secret: ++w.item; return {};
    case topic::read_init:
    case topic::write_init:
    case topic::read_secret_value:
    case topic::read_git_providers:
    case topic::read_conversation:
    case topic::start_conversation:
    case topic::clear_git_providers: break; // heard elsewhere, or no routes here
  }
  return {};
}

outcome answered(walk& w, const question& q, const http::response& r) {
  auto judged = judge(q, r);
  if (q.about == topic::read_init)
    return heard_init(w, q, r, judged);
  if (q.about == topic::write_init)
    return heard_waking(w, q, judged);
  if (q.about == topic::read_secret_value && r.status == q.success)
    return saw_value(w, q, r, judged);
  if (q.verb == http::method::del && r.status == 404)
    return learn(w, q, r);                                       // gone already
  if (q.about == topic::write_conversation && r.status == 404) { // it ended meanwhile
    ++w.item;
    return {};
  }
  // Its files are read before they are written: it says so when it cannot (contract §4).
  if (q.about == topic::write_settings && r.status == 409)
    judged.why.code = errc::store_corrupt;
  return judged.is == kind::good ? learn(w, q, r) : judged;
}

outcome heard(walk& w, const question& q, const http::response& r) {
  auto result = answered(w, q, r);
  if (result.is == kind::good)
    advance(w);
  return result;
}

} // namespace

const dialect& agent_server_dialect() {
  static const dialect self{
    .name = "agent-server",
    .summary = "the newer nested server: settings merged, secrets upserted, everything read back by value",
    .settings = evidence::value,
    .git_providers = evidence::value,
    .secrets = evidence::value,
    .within = within,
    .begin = begin,
    .next = next,
    .heard = heard,
    .lost = lost,
    .conversations = {.there = true, .ids_are_uuids = true, .hold_secrets = true, .id_path = "/id"},
  };
  return self;
}

} // namespace nestor::nested
