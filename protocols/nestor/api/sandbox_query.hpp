// Requests about sandboxes, read into values: which page, which generation, may this caller rent there. Pure.
#pragma once

#include <nestor/api/gate.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/providers/account.hpp>
#include <nestor/sandbox/view.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace nestor::api {

struct sandbox_query {
  std::size_t limit = 50; ///< 1–200
  std::string after;      ///< the cursor: the last id of the page before
  std::map<std::string, std::string> labels;
  std::optional<status> word;
};
/// request_invalid, naming the parameter.
expected<sandbox_query> read_sandbox_query(const target& of);

struct event_query {
  std::size_t limit = 200;            ///< 1–200
  std::optional<std::uint64_t> after; ///< the query's `after`, else the header's Last-Event-ID
  std::uint32_t wait = 0;             ///< seconds, 0–60
  bool stream = false;                ///< the Accept header names text/event-stream
};
expected<event_query> read_event_query(const http::request& head, const target& of);

/// "true" or "false"; absent is false.
expected<bool> read_flag(const target& of, std::string_view name);

/// `"3"`: that generation; `*`: whichever is current, nothing. generation_missing without the header.
expected<std::optional<generation>> read_if_match(const http::request& head);

/// False: to this caller the account does not exist, because it is others'.
bool may_use(const providers::account& account, const caller& who);
/// Renting out the node's own machine is for its admins, unless the account lists tenants.
std::optional<failure> forbidden_here(const providers::account& account, const caller& who);

} // namespace nestor::api
