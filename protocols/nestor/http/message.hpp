// HTTP messages as plain values. No socket, no parser: io turns them into bytes and back.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::http {

enum class method : std::uint8_t { get, head, post, put, patch, del };
std::string_view name_of(method m);
std::optional<method> method_named(std::string_view name);

/// A header of a request. The value may be a key, so it lives in wiped memory.
struct header {
  std::string name;
  wiped_string value;
};

/// What is sent. Host, Content-Length and Connection are the client's business; a body without a Content-Type header
/// is sent as application/json.
struct request {
  method verb = method::get;
  std::string target = "/"; ///< origin-form: path and query, already percent-encoded
  std::vector<header> headers;
  wiped_string body;
};

/// What came back. Bounded by the client that read it (io/http_client.hpp: header and body limits).
struct response {
  std::uint16_t status = 0; ///< 100–599
  std::vector<std::pair<std::string, std::string>> headers;
  wiped_string body;

  /// The first header of that name, compared without case; nullptr when there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const;
};

/// Names are compared without case (ASCII).
bool same_header_name(std::string_view a, std::string_view b);

/// RFC 9110 §10.2.3, the delay form only, in seconds; fractions as some servers send them. Nothing when malformed or
/// negative; capped at one day so that it cannot overflow.
std::optional<milliseconds> parse_retry_after(std::string_view value);

/// Why there is no response at all.
enum class transport_error : std::uint8_t {
  refused,         ///< nobody listens; nothing was sent
  unreachable,     ///< no route, or the name has no usable address; nothing was sent
  name_unresolved, ///< the look-up failed; nothing was sent
  address_refused, ///< our own address rules forbid it; nothing was sent
  tls_refused,     ///< certificate or handshake; nothing of ours was sent
  reset,           ///< the connection broke: the request may have taken effect
  timed_out,       ///< the deadline passed: the request may have taken effect
  malformed,       ///< the bytes that came are no HTTP response: it may have taken effect
  too_large,       ///< header or body beyond the limit: it may have taken effect
  overloaded,      ///< our own queue is full; nothing was sent
  count_
};
std::string_view name_of(transport_error e);

/// True when the request certainly had no effect because it was never sent.
constexpr bool never_sent(transport_error e) {
  return e != transport_error::reset && e != transport_error::timed_out && e != transport_error::malformed &&
         e != transport_error::too_large;
}

} // namespace nestor::http
