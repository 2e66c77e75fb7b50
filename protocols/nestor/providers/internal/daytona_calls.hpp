// Daytona's wire: what is sent to its API and to the toolbox of a sandbox, and what a sandbox's description says.
// Facts of the API: open server v0.190.0 and SDK 0.218.0 (2026).
#pragma once

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/rest.hpp>

#include <string>
#include <string_view>

namespace nestor::providers::internal::daytona {

// The server holds a create or a start for up to 30 s before it answers.
inline constexpr milliseconds held_call_within{45'000};
inline constexpr milliseconds call_within{15'000};

/// What a sandbox's state means to us. New words of the API count as `changing`.
enum class life : std::uint8_t {
  changing,
  started,
  resting, ///< stopped, paused, archived: there, and nothing runs
  broken,
  going, ///< being destroyed
  gone
};

struct sandbox {
  std::string id;
  std::string state; ///< the API's own word
  life now = life::changing;
  std::string trouble;    ///< why it is broken
  std::string toolbox;    ///< URL
  std::string start;      ///< what starts its nested server; empty: its image does
  bool leased = false;    ///< it is stopped when nobody uses it …
  bool ephemeral = false; ///< … and deleted when it is stopped
  nlohmann::json labels;
};

sandbox sandbox_of(const nlohmann::json& description);

/// Variable in a sandbox's environment that holds the line which starts its nested server: whoever resumes it has
/// nothing else to know it from.
inline constexpr std::string_view start_variable = "NESTOR_START";

/// To the API, with the key.
http_call api(const account& who, http::method verb, const std::string& target, wiped_string body = {});
http_call create(const account& who, const provision_order& order);
/// GET by id or name.
http_call look_up(const account& who, std::string_view id_or_name);
/// POST /sandbox/ID/`what`.
http_call change(const account& who, std::string_view id, std::string_view what);
http_call preview_url(const account& who, std::string_view id, std::uint16_t port);
/// A page of what bears these labels.
http_call list(const account& who, const nlohmann::json& labels, std::string_view cursor);

/// To the toolbox, with the key. The caller has seen to it that the key may go there.
http_call tool(const account& who, const http::url& toolbox, http::method verb, std::string_view id,
               std::string_view path, wiped_string body = {});

/// Where a port of a sandbox is reached, from the answer to `preview_url`. Without session key.
std::optional<runtime> reached(const account& who, std::string_view id, const http::response& answer);
/// The port that `reached` was asked for; 0 when the host does not begin with one.
std::uint16_t port_of(const runtime& what);

struct page {
  std::vector<nlohmann::json> items;
  std::string next; ///< empty: that was the last
};
/// Nothing when the answer is no list.
std::optional<page> page_of(const http::response& answer);

} // namespace nestor::providers::internal::daytona
