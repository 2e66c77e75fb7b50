#include <nestor/nested/conversation.hpp>

#include <nestor/http/url.hpp>
#include <nestor/nested/agent_secrets.hpp>
#include <nestor/nested/dialect_parts.hpp>

#include <sodium.h>

#include <array>
#include <utility>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

// It clones a repository and starts an agent before it answers (contract §3.1: 60 s and more).
constexpr milliseconds start_within{120'000};
constexpr milliseconds look_within{10'000};
// Requests of one run whose answers are lost although nothing came of them: after that the server does not start any.
constexpr std::uint8_t lost_max = 3;
constexpr std::string_view path = "/api/conversations";

/// Its id as that server writes it: UUIDs are 8-4-4-4-12, version 8 (made by a rule of ours), RFC 9562's variant.
std::string id_for(const dialect& how, std::string hex) {
  if (!how.conversations.ids_are_uuids || hex.size() != 32)
    return hex;
  hex[12] = '8';
  hex[16] = 'a';
  for (std::size_t at : {20U, 16U, 12U, 8U})
    hex.insert(at, 1, '-');
  return hex;
}

turn start_question(const walk& w, const dialect& how) {
  auto q = ask(topic::start_conversation, step::ready, http::method::post, std::string{path}, start_within);
  q.mutates = false; // it changes nothing of the configuration
  q.strict = false;  // 201: it is new
  const auto& given = w.order->conversation;
  auto from = given.find('{');
  auto to = given.rfind('}');
  if (from == std::string::npos || to == std::string::npos || to <= from)
    return failure_at(q, errc::configuration_refused, "is no object");
  wiped_string more;
  json_object body{more};
  if (!w.talk.named && !w.talk.nameless)
    body.member("conversation_id", std::string_view{w.talk.id});
  if (how.conversations.hold_secrets && !w.talk.has_secrets && agent_secrets_wanted(w) != 0) {
    body.open("secrets");
    for (std::size_t i = 0; i < agent_secrets_wanted(w); ++i) {
      auto each = agent_secret_at(w, i);
      body.open(each.name);
      body.member("kind", std::string_view{"StaticSecret"});
      body.member("value", *each.value);
      body.close();
    }
    body.close();
  }
  if (!body.finish())
    return failure_at(q, errc::configuration_refused, "holds a secret that is not UTF-8 text");
  bool none_given = given.find_first_not_of(" \t\r\n", from + 1) == to;
  bool none_added = more == "{}";
  q.body.reserve(given.size() + more.size() + 1);
  q.body.append(given, from, to - from);
  if (!none_given && !none_added)
    q.body += ',';
  q.body.append(more, 1);
  return q;
}

/// Of the conversation that an answer shows; empty: it shows none.
std::string id_in(const dialect& how, const http::response& r) {
  std::string id;
  bool whole = read_json(r.body, [&](const json_leaf& leaf) {
    if (leaf.path == how.conversations.id_path && leaf.kind == json_kind::string)
      id = leaf.text;
  });
  return whole ? id : std::string{};
}

/// It may run, or nothing may have come of it: that is looked for where it can be.
void lost(walk& w, const question& q, std::string_view what) {
  auto code = w.talk.nameless ? errc::conversation_unknown : errc::not_confirmed; // it was looked for
  ++w.talk.lost;
  w.talk.why = failure_at(q, code, what);
}

outcome heard_look(walk& w, const dialect& how, const question& q, const http::response& r) {
  constexpr std::uint16_t not_found = 404;
  auto facts = facts_of(r);
  bool absent =
    how.conversations.ids_are_uuids ? r.status == not_found && facts.detail : r.status == q.success && r.body == "null";
  if (absent) {
    w.talk.looks = false;
    if (std::exchange(w.talk.said, false))
      lost(w, q, "it was said to be started, and is not there");
    return {};
  }
  auto judged = judge(q, r, facts);
  if (judged.is == kind::refused) // whoever may not look cannot say that there is none
    judged.why.code = errc::conversation_unknown;
  if (judged.is != kind::good)
    return judged;
  if (id_in(how, r).empty())
    return not_as_defined(q, "shows no conversation");
  w.talk.started = true;
  return {};
}

/// What the V0 server says in a word of its own, in words of ours.
std::string_view reason_in(const http::response& r) {
  std::string_view reason;
  read_json(r.body, [&](const json_leaf& leaf) {
    if (leaf.path != "/msg_id")
      return;
    if (leaf.text == "STATUS$ERROR_LLM_AUTHENTICATION")
      reason = "the nested server has no usable key for its language model (llm_api_key)";
    else if (leaf.text == "CONFIGURATION$SETTINGS_NOT_FOUND")
      reason = "the nested server has no settings";
  });
  return reason;
}

outcome heard_start(walk& w, const dialect& how, const question& q, const http::response& r) {
  constexpr std::uint16_t bad = 400, unauthorized = 401, not_found = 404, not_valid = 422;
  auto refused = [&](errc code, std::string_view what) {
    return outcome{kind::refused, false, failure_at(q, code, what, r.status)};
  };
  if (r.status == not_valid && how.conversations.id_may_be_refused && !w.talk.named && !w.talk.nameless) {
    if (w.order->asked_before) // perhaps as far as without an id
      return refused(errc::conversation_unknown, "it was asked for before, and goes by an id of the server's own");
    w.talk.nameless = true;
    w.talk.lost = 0; // all of this run named an id: they were refused, too
    return {};
  }
  auto facts = facts_of(r);
  if (auto reason = r.status == bad ? reason_in(r) : std::string_view{}; !reason.empty())
    return refused(errc::configuration_refused, reason);
  if (r.status == unauthorized && facts.body == answer_facts::shape::other_json)
    return refused(errc::configuration_refused, "its repository is out of reach of the git providers that are set");
  if (r.status == not_found && facts.detail)
    return refused(errc::configuration_refused, "what it names is not on this server: an agent profile?");
  auto judged = judge(q, r, facts);
  auto id = judged.is == kind::good ? id_in(how, r) : std::string{};
  if (judged.is == kind::good && id.empty()) {
    judged = not_as_defined(q, "names no conversation");
    judged.ambiguous = true;
  }
  if (judged.is == kind::good) { // read back before it counts
    w.talk.id = std::move(id);
    w.talk.said = w.talk.looks = true;
  } else if (judged.is == kind::again && judged.ambiguous) {
    lost_conversation(w, q);
  }
  return judged;
}

} // namespace

std::string conversation_id_of(const sandbox_id& sandbox, attempt number) {
  auto text = "conversation " + sandbox.text + " " + std::to_string(number);
  std::array<unsigned char, 16> bytes{};
  crypto_generichash(bytes.data(), bytes.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                     nullptr, 0);
  std::string hex(2 * bytes.size() + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), bytes.data(), bytes.size());
  hex.pop_back();
  return hex;
}

void begin_conversation(walk& w, const dialect& how) {
  w.talk.id = id_for(how, w.order->conversation_id);
  read_json(w.order->conversation, [&](const json_leaf& leaf) {
    if (leaf.path == "/conversation_id" && leaf.kind == json_kind::string && !leaf.text.empty()) {
      w.talk.id = leaf.text;
      w.talk.named = true;
    }
    w.talk.has_secrets |= leaf.path == "/secrets";
  });
  w.talk.looks = w.order->asked_before;
}

turn next_of_conversation(const walk& w, const dialect& how) {
  if (!how.conversations.there)
    return failure{
      errc::capability_missing, step::ready, "the dialect '" + std::string{how.name} + "' has no conversations", 0, {}};
  if (w.talk.started)
    return walked{};
  if (w.talk.nameless && w.talk.lost != 0)
    return *w.talk.why;
  if (w.talk.looks) { // also for one that was said to be started
    auto q = ask(topic::read_conversation, step::ready, http::method::get,
                 std::string{path} + "/" + http::encode_segment(w.talk.id), look_within);
    q.strict = false;
    return q;
  }
  if (w.talk.lost >= lost_max)
    return *w.talk.why;
  return start_question(w, how);
}

outcome heard_of_conversation(walk& w, const dialect& how, const question& asked, const http::response& r) {
  return asked.about == topic::read_conversation ? heard_look(w, how, asked, r) : heard_start(w, how, asked, r);
}

void lost_conversation(walk& w, const question& asked) {
  if (asked.about == topic::read_conversation)
    return;
  lost(w, asked, "its answer was lost");
  w.talk.looks = !w.talk.nameless;
}

} // namespace nestor::nested
