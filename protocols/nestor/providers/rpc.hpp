// What gRPC providers have in common: calls to the account's own server, and what answers mean before a provider's own
// rules are looked at. Messages are bytes here. Pure; knows no provider.
#pragma once

#include <nestor/providers/rest.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers {

/// gRPC's status codes.
enum class rpc_code : std::uint8_t {
  ok,
  cancelled,
  unknown,
  invalid_argument,
  deadline_exceeded,
  not_found,
  already_exists,
  permission_denied,
  resource_exhausted,
  failed_precondition,
  aborted,
  out_of_range,
  unimplemented,
  internal,
  unavailable,
  data_loss,
  unauthenticated,
  count_
};
/// "NOT_FOUND"; "17" for what is none of them.
std::string name_of_status(int status);

/// A call of "/package.Service/Method" at the server that the account's URL field names. Carries no key yet.
grpc_call rpc_call(const account& who, std::string_view url_field, std::string_view method, wiped_string message);
void add_metadata(grpc_call& call, std::string_view name, std::string_view value);
/// The key never leaves wiped memory.
void add_key(grpc_call& call, std::string_view name, const secret& key);

/// The answer of a reply; null when there was none.
const grpc_answer* answer_of(const io_reply& reply);
bool succeeded(const grpc_answer* answer);
bool has_status(const grpc_answer* answer, rpc_code status);
/// UNAUTHENTICATED or PERMISSION_DENIED: asking again with the same key only annoys.
bool refuses_us(const grpc_answer* answer);

/// As its HTTP sister `failure_of`. `throttled`: the server says that it did nothing yet, and when to ask again.
failure rpc_failure(const account& who, stage now, std::string_view doing, const io_reply& reply,
                    std::optional<milliseconds> throttled = {});

} // namespace nestor::providers
