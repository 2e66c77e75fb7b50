// What is decided of a request by its head alone, before a byte of its body is read: does it address this node, does no
// web page send it, is there such a route, who asks, and may they. Pure, and the only place where that is decided.
#pragma once

#include <nestor/api/route.hpp>
#include <nestor/api/token_book.hpp>

#include <string>
#include <vector>

namespace nestor::api {

struct gate_rules {
  std::vector<std::string> hosts; ///< names that the node answers to besides loopback's; lower case, without port
  bool tls = false;
};

struct caller {
  std::string token; ///< id; empty: nobody in particular
  std::string tenant;
  role may = role::anyone;

  /// Whose sandboxes exist for them: everyone's for an admin, else their tenant's.
  [[nodiscard]] std::string sees() const { return may == role::admin ? std::string{} : tenant; }
};

struct admitted {
  matched what;
  target asked;
  caller who;
};

/// In this order: request_invalid (a head that two readers could understand in two ways, a target that is none),
/// host_refused, origin_refused, route_unknown, method_refused, request_invalid (the query), token_missing,
/// token_refused, forbidden, media_type_refused. Failures of a missing or refused token are all alike for a route.
expected<admitted> admit(const http::request& head, const gate_rules& rules, const token_book& tokens);

/// The value of a header that is there once; nothing when there is none; request_invalid when there are several.
expected<std::optional<std::string_view>> only_header(const http::request& head, std::string_view name);

} // namespace nestor::api
