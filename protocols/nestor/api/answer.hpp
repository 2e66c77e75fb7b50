// What the API says: responses made of values, headers included. Pure.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace nestor::api {

/// `body` is JSON already.
http::response json_answer(std::uint16_t status, std::string_view body);
http::response text_answer(std::uint16_t status, std::string_view body);

/// RFC 9457, with Retry-After where trying again later helps, WWW-Authenticate where a token does, Allow from
/// `methods`. `instance`: the path that was asked for, never a query.
http::response problem_answer(const failure& why, std::string_view instance = {}, std::string_view methods = {});

/// Seconds after which trying again makes sense: the failure's own word, else the usual one for its status; 0: never.
std::uint32_t retry_after_seconds(const failure& why);

/// What never may be stored on the way: every answer but the document and the page.
void forbid_storing(http::response& answer);

} // namespace nestor::api
