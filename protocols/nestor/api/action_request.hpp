// The body of POST /v1/sandboxes/{id}/actions. Pure.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/runtime/action.hpp>

#include <string_view>

namespace nestor::api {

/// request_invalid, naming the member, for what is no action: no JSON object, an unknown member, a text that is too
/// long or holds a NUL, a time out of range.
expected<action> read_action(std::string_view body);

} // namespace nestor::api
