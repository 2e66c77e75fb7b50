// The client verbs' conversation with a node: one request after the other, its answer or the reason why there is none.
// Knows no verb.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/http/message.hpp>

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nestor::cli {

struct client_options {
  std::string server; ///< empty: NESTOR_SERVER, else http://127.0.0.1:7077
  std::string token;  ///< empty: NESTOR_TOKEN, the file NESTOR_TOKEN_FILE, else the local node's own
};

/// Somebody pressed Ctrl-C while an answer was awaited.
struct interrupted_by_user {};
/// Nothing came back, or nothing that a node says. `what` says where and why.
struct node_unreachable {
  std::string what;
};

struct api_answer {
  std::uint16_t status = 0;
  http::response raw;
  [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
  /// Throws node_unreachable when it is no JSON.
  [[nodiscard]] nlohmann::ordered_json json() const;
  /// Of a refusal: what the node says, or what little can be said of it.
  [[nodiscard]] failure why() const;
  [[nodiscard]] std::string header(std::string_view name) const;
};

struct api_request {
  http::method verb = http::method::get;
  std::string target;
  wiped_string body{};
  std::string type{}; ///< Content-Type; empty: application/json where there is a body
  std::vector<http::header> headers{};
  milliseconds within{30'000};
};

class api_client {
public:
  /// Throws node_unreachable when the server's URL is none.
  explicit api_client(const client_options& options);
  ~api_client();
  api_client(const api_client&) = delete;
  api_client& operator=(const api_client&) = delete;

  /// Throws node_unreachable and interrupted_by_user.
  api_answer ask(api_request what);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace nestor::cli
