// One request on its way through a dialect's route table, and the table's form. A dialect is a list of routes; a new
// one is a file that defines such a list and a line in `dialect_models()`.
#pragma once

#include <nested_server/model.hpp>
#include <nested_server/schema.hpp>

#include <nestor/http/message.hpp>

#include <span>
#include <string>
#include <string_view>

namespace nestor::nested_server {

struct dialect_model;

struct exchange {
  const dialect_model& dialect;
  const model_options& options;
  const circumstances& around;
  server_state& state;
  const http::request& request;
  std::string_view query;     ///< without '?', still encoded
  std::string_view parameter; ///< what stands for {name} in the route, decoded
  instant now;
  model_reply reply;

  /// An answer that is JSON.
  void answer(std::uint16_t status, wiped_string json);
  /// `{"<member>":"<text>"}`
  void say(std::uint16_t status, std::string_view name, std::string_view text);
  /// 500: what an exception becomes there.
  void fail();
  /// The request's header; empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  /// A JSON body's faults, as this dialect shows them.
  [[nodiscard]] schema_faults no_faults() const;
  /// 422.
  void refuse(const schema_faults& faults);
  /// The body as JSON; after a 422 nothing.
  std::optional<wiped_json> body();
  /// The body as an object that follows `rules`; after a 422 nothing.
  std::optional<wiped_json> body(std::span<const field_rule> rules, unknown_fields unknown = unknown_fields::dropped);
};

/// `path` holds at most one {name}, which stands for one segment.
struct route {
  http::method verb;
  std::string_view label; ///< "POST /api/settings": verb and path, for judges
  void (*handle)(exchange&);

  [[nodiscard]] std::string_view path() const { return label.substr(label.find(' ') + 1); }
};

struct dialect_model {
  std::string_view name;
  std::span<const route> routes;
  bool rate_limited = false; ///< unless switched off
  /// May a request to `path` below /api go on? False: it was answered.
  bool (*admit)(exchange& x, std::string_view path);
  std::string_view failure_type = "text/plain; charset=utf-8"; ///< of a 5xx
  std::string_view failure_body = "Internal Server Error";
  std::string_view unauthorized = R"({"error":"Invalid token"})"; ///< body of a 401 that a fault makes
  bool faults_redacted = false;                                   ///< a 422 does not echo what was sent
};

/// Every dialect this server speaks.
std::span<const dialect_model* const> dialect_models();

// -- routes that dialects share --------------------------------------------------------------------------------------

/// With the session key, where there is one; else 401.
bool admit_with_key(exchange& x, std::string_view path);
/// In a time that does not depend on where they differ.
bool same_key(std::string_view a, std::string_view b);
void answer_alive(exchange& x);
/// `{uptime, idle_time, resources}`.
void answer_server_info(exchange& x);
/// Is this token one that the git provider refuses, or can its host not be asked?
bool token_refused(const exchange& x, std::string_view token);
/// 401 `{"error":"Invalid token. …"}`.
void refuse_token(exchange& x, std::string_view git_provider);

// -- the dialects' own files -----------------------------------------------------------------------------------------

const dialect_model& openhands_model();
const dialect_model& agent_server_model();
const dialect_model& generic_model();

// agent_server_settings.cpp
void show_agent_settings(exchange& x);
void change_agent_settings(exchange& x);
void add_mcp_server(exchange& x);
void change_mcp_server(exchange& x);
void delete_mcp_server(exchange& x);

// agent_server_conversations.cpp
void start_agent_conversation(exchange& x);
void search_agent_conversations(exchange& x);
void show_agent_conversation(exchange& x);
void delete_agent_conversation(exchange& x);
void tell_agent_conversation(exchange& x);
void run_agent_conversation(exchange& x);
void pause_agent_conversation(exchange& x);
void send_agent_event(exchange& x);
void pause_every_agent_conversation(exchange& x);

// openhands_conversations.cpp
void create_conversation(exchange& x);
void show_conversation(exchange& x);
void delete_conversation(exchange& x);
void show_events(exchange& x);
void add_event(exchange& x);
void add_message(exchange& x);
void start_conversation(exchange& x);
void stop_conversation(exchange& x);
void set_experiment(exchange& x);

} // namespace nestor::nested_server
