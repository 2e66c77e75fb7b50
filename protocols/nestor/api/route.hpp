// The API's routes as one table, and how a request's target finds its row. Dispatch, OpenAPI, the generated reference
// and the tests of tenancy read the same rows. Pure; knows no socket.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor::api {

/// What a token may do; each includes the ones before it.
enum class role : std::uint8_t { anyone, read, write, admin };
std::string_view name_of(role r);
std::optional<role> role_named(std::string_view name);

enum class endpoint : std::uint8_t {
#define NESTOR_ROUTE(what, verb, path, needed, success, takes, gives, parameters, errors, summary) what,
#include <nestor/api/routes.def>
#undef NESTOR_ROUTE
  count_
};

struct route {
  endpoint what;
  std::string_view name; ///< operationId
  http::method verb;
  std::string_view path; ///< at most one `{parameter}`
  role needs;
  std::uint16_t success;
  std::string_view takes; ///< "media/type Schema", or empty
  std::string_view gives; ///< schema; a text's media type; empty
  std::string_view parameters;
  std::string_view errors;
  std::string_view summary;
};

std::span<const route> routes();

struct parameter {
  std::string_view name;
  std::string_view in;     ///< query, header
  std::string_view schema; ///< JSON
  std::string_view description;
  bool repeats = false;
};
std::span<const parameter> parameters();
bool takes_parameter(const route& r, std::string_view name);

/// The words of a table's cell.
std::vector<std::string_view> words(std::string_view cell);

/// A request's target, taken apart. Names and values are percent-decoded and UTF-8 without control characters.
struct target {
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;

  /// The first of that name; nullptr when there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const;
};

/// request_invalid when it is no path with an optional query, or not as said above. A dot segment, an empty one and an
/// encoded slash are just segments that no route has.
expected<target> parse_target(std::string_view text);

struct matched {
  const route* where = nullptr;
  std::string argument; ///< of the path's parameter
};

/// route_unknown or method_refused (then its cause lists the methods there are). HEAD finds GET's row.
expected<matched> match(http::method verb, const target& of);
/// "GET, HEAD, POST": what the path of `of` knows.
std::string methods_of(const target& of);

/// request_invalid for a query parameter that the route does not have, or has once and got twice.
expected<void> check_query(const route& where, const target& of);

} // namespace nestor::api
