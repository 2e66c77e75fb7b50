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

struct exchange {
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
  /// 500 as plain text: what an exception becomes there.
  void fail();
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
  bool rate_limited; ///< unless switched off
};

/// Every dialect this server speaks.
std::span<const dialect_model* const> dialect_models();

// -- routes that dialects share --------------------------------------------------------------------------------------

void answer_alive(exchange& x);
/// `{uptime, idle_time, resources}`.
void answer_server_info(exchange& x);
/// Is this token one that the git provider refuses, or can its host not be asked?
bool token_refused(const exchange& x, std::string_view token);
/// 401 `{"error":"Invalid token. …"}`.
void refuse_token(exchange& x, std::string_view git_provider);

// -- the dialects' own files -----------------------------------------------------------------------------------------

const dialect_model& openhands_model();
const dialect_model& generic_model();

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
