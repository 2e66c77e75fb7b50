// What one nested server holds: settings, git providers, secrets, conversations, and what a judge wants to know about
// it. One per path prefix. A value: copying it and throwing the copy away is how an answer without effect is made.
#pragma once

#include <nested_server/json.hpp>
#include <nested_server/rate_limit.hpp>

#include <nestor/core/time.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested_server {

struct git_provider_entry {
  wiped_string token;
  std::optional<std::string> user_id;
  std::optional<std::string> host;
};

struct secret_entry {
  wiped_string value;
  std::string description;
};

enum class conversation_status : std::uint8_t { starting, running, stopped };

struct conversation {
  conversation_status status = conversation_status::starting;
  std::optional<std::string> repository;
  std::optional<std::string> branch;
  std::optional<std::string> git_provider;
  std::vector<wiped_json> events;
  std::map<std::string, wiped_string, std::less<>> secrets; ///< agent-server: its own copies
};

/// Conversations of one server; one more is refused. The V0 server's own limit is on running ones, and lower.
inline constexpr std::size_t conversations_max = 1'000;
/// Events of one conversation; one more is refused. Nobody reads them here but tests.
inline constexpr std::size_t events_max = 10'000;

struct server_state {
  std::optional<wiped_json> settings; ///< an object; nothing before the first write
  std::map<std::string, git_provider_entry, std::less<>> git_providers;
  std::map<std::string, secret_entry, std::less<>> secrets;
  bool secret_store = false; ///< the V0 server's secrets file exists
  std::map<std::string, conversation, std::less<>> conversations;
  std::uint64_t next_conversation = 1;

  bool dormant = false;                                  ///< agent-server: waits for its init
  std::optional<std::vector<wiped_string>> session_keys; ///< agent-server: given by the init; any of them will do

  instant started; ///< of the server; uptime counts from here
  instant active;  ///< latest request under /api
  rate_limiter limiter;
  std::vector<std::uint32_t> requests; ///< by route of the dialect's table; the last is everything else
};

/// Requests being answered at this moment, counted by whoever carries them. Not part of the state: it survives a reset.
struct traffic {
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_max = 0;
};

} // namespace nestor::nested_server
