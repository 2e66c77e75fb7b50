// What is said to the agent in an E2B sandbox (envd) and what it says: streams of the Connect protocol, in JSON.
#pragma once

#include <nestor/core/secret.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace nestor::providers::internal::e2b {

/// One message: a flag byte, four bytes of length, JSON.
wiped_string enveloped(const wiped_string& message);

/// What the stream of one process told.
struct process_story {
  std::optional<int> status; ///< of its end; nothing: it did not come
  std::string out, err;
  std::string trouble; ///< the protocol's own word for an error: "deadline_exceeded"; empty: none
};
process_story read_stream(std::string_view frames);

} // namespace nestor::providers::internal::e2b
