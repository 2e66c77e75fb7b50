// Runloop's wire: what is sent to its API, and what a devbox's description says. Facts of the API: SDK 1.32.0 and the
// published specification (2026).
#pragma once

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>

#include <string>
#include <string_view>

namespace nestor::providers::internal::runloop {

inline constexpr milliseconds call_within{30'000}; // as the SDK
// Without a lease the provider ends a devbox after at most this long.
inline constexpr std::chrono::seconds lifetime_max{172'800};

enum class life : std::uint8_t {
  changing, ///< booting, suspending, resuming, and words that are new to us
  running,
  suspended,
  ended ///< shutdown or failure: nothing of it is left but its description
};

struct devbox {
  std::string id;
  std::string status; ///< the API's own word
  life now = life::changing;
  std::string trouble; ///< why it failed or was shut down
  nlohmann::json metadata;
  nlohmann::json tunnel; ///< null: it has none
};

devbox devbox_of(const nlohmann::json& description);

/// Variable in a devbox's environment that holds the line which starts its nested server: processes end with a suspend,
/// and whoever resumes it has nothing else to know it from.
inline constexpr std::string_view start_variable = "NESTOR_START";

/// To the API, with the key.
http_call api(const account& who, http::method verb, const std::string& target, wiped_string body = {});
http_call create(const account& who, const provision_order& order);
http_call look_up(const account& who, std::string_view id);
/// POST /v1/devboxes/ID/`what`.
http_call act(const account& who, std::string_view id, std::string_view what, wiped_string body = {});
/// Answers when it is in one of these states, or 408 after `held`.
http_call wait_for(const account& who, std::string_view id, std::span<const std::string_view> statuses,
                   std::chrono::seconds held);
/// The same of a command in it.
http_call wait_for_command(const account& who, std::string_view id, std::string_view execution,
                           std::chrono::seconds held);
/// A page of all devboxes there ever were: lists have no filter but one for a state.
http_call list(const account& who, std::string_view after_id, std::string_view status = {});

/// "https://{port}-{key}.tunnel.runloop.ai": as configured, else as the API's own host makes it.
std::string tunnel_shape(const account& who);
/// Why that is no shape of an address.
std::optional<std::string> fault_of_shape(const std::string& shape);
/// Where a port is reached through `tunnel`. Without session key. Nothing when there is no tunnel.
std::optional<runtime> reached(const account& who, std::string_view id, const nlohmann::json& tunnel,
                               std::uint16_t port);
/// The port that `reached` was asked for; 0 when it is not to be seen.
std::uint16_t port_of(const account& who, const runtime& what);

struct page {
  std::vector<nlohmann::json> items;
  std::string next; ///< empty: that was the last
};
/// Nothing when the answer is no list, or one that cannot go on.
std::optional<page> page_of(const http::response& answer);

/// Before anything is created: what it cannot honour.
expected<void> validate(const runtime_spec& spec);

} // namespace nestor::providers::internal::runloop
