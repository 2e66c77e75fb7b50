#include <nestor/nested/answer.hpp>
#include <nestor/nested/json_text.hpp>

#include <algorithm>

namespace nestor::nested {
namespace {

using kind = outcome::kind;

constexpr std::string_view blanks = " \t\r\n";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_git(topic about) {
  return about == topic::write_git_provider || about == topic::clear_git_providers ||
         about == topic::delete_git_provider;
}
bool is_read(topic about) {
  return about <= topic::read_init; // the last of them
}
bool is_delete(topic about) {
  return about == topic::delete_secret || about == topic::delete_git_provider;
}

std::optional<milliseconds> asked_to_wait(const http::response& r) {
  const auto* value = r.find("Retry-After");
  auto time = value ? http::parse_retry_after(*value) : std::nullopt;
  return time ? std::optional{std::min(*time, retry_after_max)} : std::nullopt;
}

outcome refused(const question& asked, errc code, std::string_view what, const http::response& r) {
  return {kind::refused, false, failure_at(asked, code, what, r.status)};
}

outcome again(const question& asked, errc code, std::string_view what, const http::response& r, bool ambiguous) {
  outcome result{kind::again, ambiguous, failure_at(asked, code, what, r.status)};
  result.why.retry_after = asked_to_wait(r);
  return result;
}

/// The status says done; does the body agree?
outcome judge_success(const question& asked, const http::response& r, const answer_facts& facts) {
  using shape = answer_facts::shape;
  if (facts.body == shape::html)
    return again(asked, errc::nested_protocol, "answered with a page, not by the nested server", r, true);
  if (facts.body == shape::broken)
    return again(asked, errc::nested_protocol, "answered with broken JSON", r, true);
  if (facts.body == shape::object && facts.error)
    return again(asked, errc::nested_error, "answered with success and an error in it", r, true);
  if (asked.strict && facts.body != shape::object)
    return again(asked, errc::nested_protocol, "answered with something else than a JSON object", r, true);
  return {};
}

/// 401 means three things, told apart by the body and by what was asked (contract §0, fact 6).
outcome judge_unauthorized(const question& asked, const http::response& r, const answer_facts& facts) {
  if (facts.detail || !facts.error)
    return refused(asked, errc::session_key_refused, "needs a session key, and ours was refused", r);
  if (is_git(asked.about)) // the token, or that git provider's host is down: the answers are the same
    return again(asked, errc::git_token_refused, "refused by the git provider, or its host is unreachable", r, false);
  return again(asked, errc::nested_error, "failed inside the nested server", r, !is_read(asked.about));
}

outcome judge_client_error(const question& asked, const http::response& r, const answer_facts& facts) {
  switch (r.status) {
    case 400:
      if (asked.about == topic::write_secret && facts.already_exists)
        return {kind::exists, false, failure_at(asked, errc::not_confirmed, "already there", r.status)};
      return refused(asked, errc::configuration_refused, "refused by the nested server", r);
    case 413: return refused(asked, errc::configuration_refused, "too large for the nested server", r);
    case 422: // its body echoes the values
      return refused(asked, errc::configuration_refused, "not valid for the nested server", r);
    case 401: return judge_unauthorized(asked, r, facts);
    case 403:
      if (facts.detail)
        return refused(asked, errc::session_key_refused, "needs a session key, and ours was refused", r);
      return again(asked, errc::nested_protocol, "forbidden", r, false);
    case 404:
      if (is_delete(asked.about) && facts.body == answer_facts::shape::object && !facts.detail)
        return {kind::missing, false, failure_at(asked, errc::not_confirmed, "not there", r.status)};
      if (asked.about == topic::read_settings && facts.settings_not_found)
        return {kind::missing, false, failure_at(asked, errc::not_confirmed, "not there", r.status)};
      return again(asked, errc::nested_protocol, "no such path on this server: another dialect?", r, false);
    case 408: return again(asked, errc::nested_timeout, "took too long", r, true);
    case 409: return again(asked, errc::nested_error, "a conflict inside the nested server", r, false);
    case 425:
    case 429: return again(asked, errc::nested_busy, "too fast for the nested server", r, false);
    default: return again(asked, errc::nested_protocol, "answered with a status the dialect does not define", r, false);
  }
}

} // namespace

answer_facts first_facts_of(const http::response& r) {
  using shape = answer_facts::shape;
  answer_facts facts;
  auto start = r.body.find_first_not_of(blanks);
  if (start != wiped_string::npos)
    facts.body = r.body[start] == '<' ? shape::html : r.body[start] == '{' ? shape::object : shape::other_json;
  return facts;
}

answer_facts facts_of(const http::response& r) {
  using shape = answer_facts::shape;
  auto facts = first_facts_of(r);
  if (facts.body == shape::empty || facts.body == shape::html)
    return facts;
  std::string_view body{r.body};
  auto last = shape::other_json;
  bool whole = read_json(body, [&](const json_leaf& leaf) {
    if (leaf.path.empty())
      last = leaf.kind == json_kind::object ? shape::object : shape::other_json;
    else if (leaf.path == "/error") {
      facts.error = leaf.kind != json_kind::null;
      facts.already_exists |= contains(leaf.text, "already exists");
      facts.settings_not_found |= contains(leaf.text, "ettings not found");
    } else if (leaf.path == "/message")
      facts.already_exists |= contains(leaf.text, "already exists");
    else if (leaf.path == "/detail")
      facts.detail = true;
  });
  facts.body = whole ? last : shape::broken;
  return facts;
}

outcome judge(const question& asked, const http::response& r, const answer_facts& facts) {
  bool loosely = !asked.strict && (r.status == 201 || r.status == 204);
  if (r.status == asked.success || loosely)
    return judge_success(asked, r, facts);
  if (r.status >= 200 && r.status <= 299)
    return again(asked, errc::nested_protocol, "answered with a success the dialect does not define", r, true);
  if (r.status >= 300 && r.status <= 399)
    return again(asked, errc::nested_protocol, "redirected, which is never followed", r, false);
  if (r.status >= 400 && r.status <= 499)
    return judge_client_error(asked, r, facts);
  if (r.status >= 500)
    return again(asked, errc::nested_error, "failed inside the nested server", r, true);
  return again(asked, errc::nested_protocol, "answered with a status the dialect does not define", r, true);
}

outcome judge(const question& asked, const http::response& r) {
  return judge(asked, r, facts_of(r));
}

outcome judge(const question& asked, http::transport_error e) {
  using http::transport_error;
  auto code = errc::nested_unreachable;
  auto is = kind::again;
  switch (e) {
    case transport_error::timed_out: code = errc::nested_timeout; break;
    case transport_error::malformed:
    case transport_error::too_large: code = errc::nested_protocol; break;
    case transport_error::name_unresolved: code = errc::name_unresolved; break;
    case transport_error::overloaded: code = errc::overloaded; break;
    case transport_error::address_refused:
      code = errc::address_refused;
      is = kind::refused;
      break;
    case transport_error::tls_refused: code = errc::tls_refused; break;
    case transport_error::refused:
    case transport_error::unreachable:
    case transport_error::reset:
    case transport_error::count_: break;
  }
  std::string what = "no answer: ";
  what += http::name_of(e);
  return {is, !http::never_sent(e), failure_at(asked, code, what)};
}

std::string subject_of(const question& asked) {
  auto named = [&](std::string_view what) { return std::string{what} + " '" + asked.subject + "'"; };
  switch (asked.about) {
    case topic::read_settings: return "reading the settings";
    case topic::read_git_providers: return "reading the git providers";
    case topic::read_secrets: return "listing the secrets";
    case topic::read_secret_value: return named("reading the secret");
    case topic::read_conversations: return "listing the conversations";
    case topic::read_conversation: return "looking for the conversation";
    case topic::read_init: return "asking whether the server is dormant";
    case topic::write_init: return "waking the dormant server";
    case topic::write_settings: return "the settings";
    case topic::write_git_provider: return named("the git provider");
    case topic::clear_git_providers: return "clearing the git providers";
    case topic::write_secret: return named("the secret");
    case topic::delete_secret: return named("deleting the secret");
    case topic::delete_git_provider: return named("deleting the git provider");
    case topic::write_conversation: return named("the secrets of the conversation");
    case topic::start_conversation: return "the conversation";
  }
  return {};
}

failure failure_at(const question& asked, errc code, std::string_view what, std::uint16_t status) {
  failure result;
  result.code = code;
  result.at = asked.at;
  result.cause = subject_of(asked);
  result.cause += ": ";
  result.cause += what;
  if (status != 0)
    result.cause += " (" + std::to_string(status) + ")";
  result.status = status;
  return result;
}

} // namespace nestor::nested
