// The API's description, OpenAPI 3.1, made from the table of routes and the table of the specification's fields, and
// the reference page made from the same. Pure.
#pragma once

#include <nestor/api/route.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace nestor::api {

/// The document as JSON. `indent` < 0: one line.
std::string openapi_document(std::string_view version, int indent = -1);

/// Every status that the route may answer, ascending: its success, its errors, those of every route, 401 and 403 where
/// a token is needed, 200 of a dry run.
std::vector<std::uint16_t> statuses_of(const route& r);

/// docs/api.md.
std::string api_page();

} // namespace nestor::api
