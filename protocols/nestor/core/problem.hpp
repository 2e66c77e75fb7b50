// A failure as RFC 9457 problem details, and back: how our API says what went wrong, and how its clients read it.
// Knows no HTTP beyond the status; everything but the context comes from the error table.
#pragma once

#include <nestor/core/failure.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace nestor {

inline constexpr std::string_view problem_media_type = "application/problem+json";
/// Bytes of the largest problem that is read: a cause lists faults, it is no log.
inline constexpr std::size_t problem_bytes_max = std::size_t{256} << 10U;

/// `type` urn:nestor:error:CODE, `title`, `status`, `detail`, `instance` (when given), and the extension members
/// `code`, `step`, `message`, `cause`, `retryable`, `remedy`, `upstream_status` and `retry_after_ms` (when known).
/// Bytes of the cause that are not UTF-8 are replaced.
std::string to_problem(const failure& f, std::string_view instance = {});

/// Nothing when `json` is no problem of ours (size, syntax, types, or a code or step that this build does not know).
std::optional<failure> from_problem(std::string_view json);

} // namespace nestor
