// Modal's wire: what is sent to its control plane, and what its answers say. Facts: SDK 0.11.1 (JavaScript, 2026) and
// the Python client 1.5. Messages are in modal.proto.
#pragma once

#include <nestor/providers/rpc.hpp>

#include <nestor_messages/modal.pb.h>

#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers::internal::modal {

namespace message = nestor::modal;

// Calls have no time-out of their own; those that the server may hold say for how long, and this comes on top.
inline constexpr milliseconds call_within{30'000};
inline constexpr milliseconds create_within{120'000};
/// The provider's own limit for a sandbox.
inline constexpr std::chrono::seconds lifetime_max{86'400};

/// The token of a proof.
inline constexpr std::string_view auth_token = "auth_token";

/// Sandboxes are of two kinds with calls of their own, and which one it is its id says: `sb-` and 22 letters and digits
/// are the older kind.
bool is_older(std::string_view sandbox_id);

wiped_string bytes_of(const google::protobuf::MessageLite& message);
/// "0190f6b2-…": the first 16 bytes as a random UUID (version 4); missing ones are 0.
std::string uuid_of(std::string_view random);

/// A call of that method with all that a call carries but the proof's token.
grpc_call unproven_call(const account& who, std::string_view method, const google::protobuf::MessageLite& request);
grpc_call call_of(const account& who, std::string_view method, const google::protobuf::MessageLite& request);
/// About a sandbox, of its own kind: "SandboxWait" is "SandboxWaitV2" for the newer one.
grpc_call call_about(const account& who, std::string_view sandbox_id, std::string_view method,
                     const google::protobuf::MessageLite& request);

/// Nothing when there is no answer with status OK, or its bytes are no such message.
template <class Message>
std::optional<Message> read(const io_reply& reply) {
  const auto* answer = answer_of(reply);
  Message read;
  if (!succeeded(answer) || !read.ParseFromArray(answer->message.data(), static_cast<int>(answer->message.size())))
    return std::nullopt;
  return read;
}

/// What a throttled call must wait for: only an error that carries the retry policy is one.
std::optional<milliseconds> throttle_of(const io_reply& reply);
/// `rpc_failure`, with the throttle.
failure failure_in(const account& who, stage now, std::string_view doing, const io_reply& reply);
/// Why there is no message in it: a failure, or bytes that are none.
failure unread(const account& who, stage now, std::string_view doing, const io_reply& reply);

/// When a JSON web token should be renewed: half way through its life, or a minute before its end where it does not
/// tell its beginning. Nothing when it tells no end.
std::optional<wall_time> renew_at(std::string_view jwt);

// -- requests -----------------------------------------------------------------------------------------------------

grpc_call app(const account& who, bool create);
grpc_call image(const account& who, const std::string& app_id, const std::string& builder, const std::string& image);
grpc_call join_image(const account& who, const std::string& image_id, const std::string& last_entry);
grpc_call create(const account& who, const provision_order& order, const std::string& app_id,
                 const std::string& image_id);
grpc_call named(const account& who, const std::string& name);
/// Sandboxes older than `before` (nothing: all that are not over) with these tags.
grpc_call list(const account& who, const std::string& app_id,
               const std::vector<std::pair<std::string, std::string>>& tags, std::string_view before);
/// Held by the server for `held` at most.
grpc_call tunnels(const account& who, const std::string& id, std::chrono::seconds held);
/// How it is now.
grpc_call poll(const account& who, const std::string& id);
grpc_call terminate(const account& who, const std::string& id);

// -- answers ------------------------------------------------------------------------------------------------------

/// Ended, whatever how.
bool is_over(const message::Result& result);
/// "terminated", "failed: no such file".
std::string words_of(const message::Result& result);

/// Where the port is reached; nothing when no tunnel leads to it. Without session key.
std::optional<runtime> reached(const account& who, std::string_view id,
                               const google::protobuf::RepeatedPtrField<message::Tunnel>& tunnels, std::uint16_t port);

bool bears(const message::Info& seen, const std::vector<std::pair<std::string, std::string>>& tags);
std::string tag_of(const message::Info& seen, std::string_view name);
/// Where the next page begins, exactly; empty when it cannot be told.
std::string before_of(const message::Page& page);

} // namespace nestor::providers::internal::modal
