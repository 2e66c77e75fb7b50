// What REST providers have in common: calls to the account's own API, and what answers mean before a provider's own
// rules are looked at. Pure; knows no provider.
#pragma once

#include <nestor/http/url.hpp>
#include <nestor/providers/provider.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers {

/// A call to `target` (path and query, percent-encoded) below the URL that the account's field holds. The host is of
/// the node's own configuration, so it may be on loopback or private. Carries no key yet.
http_call api_call(const account& who, std::string_view url_field, http::method verb, std::string_view target,
                   wiped_string body = {});
/// The same to a URL that the provider gave: an address like any other's.
http_call given_call(const account& who, const http::url& base, http::method verb, std::string_view target,
                     wiped_string body = {});

/// Adds `name: <before><key>`; the key never leaves wiped memory.
void add_key(http_call& call, std::string_view name, const secret& key, std::string_view before = {});

/// How far a conversation has come decides what a bad answer leaves open.
enum class stage : std::uint8_t {
  proving,  ///< the credential; nothing was asked to be created
  looking,  ///< what is there
  creating, ///< the create itself
  created,  ///< something is there, or may be: nothing but proof of its absence is a plain failure (R5)
  ending
};

/// The HTTP response of a reply; null when there was none.
const http::response* response_of(const io_reply& reply);
/// 2xx.
bool succeeded(const http::response* response);
bool has_status(const http::response* response, std::uint16_t status);
/// 401 or 403: asking again with the same key only annoys.
bool refuses_us(const http::response* response);

/// What a reply that is no success means at that stage, with the provider's own words in its cause, bounded and without
/// a key in it: 401, 403, 429 with its time in any spelling of Retry-After, other 4xx, 5xx, a redirect, no answer.
/// `doing` completes "while ": "creating a sandbox".
failure failure_of(const account& who, stage now, std::string_view doing, const io_reply& reply);
/// For what was answered 2xx and is still not what the API defines.
failure not_understood(const account& who, stage now, std::string_view doing, std::string_view what);

/// The same of a request that has a command run (R11): a failure when it was never sent, or refused; else nobody knows.
progress<observation> not_run(const account& who, std::string_view doing, const io_reply& reply);

/// The longest of Retry-After, Retry-After-<throttler> and retry-after-ms.
std::optional<milliseconds> retry_after_of(const http::response& response);

/// "2026-11-21T19:44:34.408Z", offsets included (RFC 3339).
std::optional<wall_time> parse_time(std::string_view text);

/// Delay before the next poll: 100 ms for the first five seconds, then a tenth longer each time, to one second.
milliseconds poll_after(const heard& so_far);

/// Percent-encodes one query value.
std::string query_value(std::string_view text);

} // namespace nestor::providers
