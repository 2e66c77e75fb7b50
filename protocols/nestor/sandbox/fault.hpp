// What is wrong with a document: one fault per place, said so that it can be corrected without looking anything up.
// It names places, names and kinds; it has no way to hold a value where a secret may be.
#pragma once

#include <nestor/core/failure.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nestor {

struct fault {
  errc code = errc::spec_invalid; ///< spec_invalid, capability_missing or secret_unresolved
  std::string path;               ///< "policy.restarts.max"; empty: the document itself
  std::string expected;           ///< "a duration such as …"; empty when `got` says it all
  std::string got;                ///< the kind of what was there, never the value
  std::string advice;             ///< what to do; may be empty

  friend bool operator==(const fault&, const fault&) = default;
};

/// Without the path: "unknown field; did you mean probe_every?", "expected an integer from 0 to 16, got text".
std::string message_of(const fault& f);
/// With it: "policy.restarts.max: expected …".
std::string to_string(const fault& f);

/// All of them as one failure, one per line in its cause. Precondition: there is at least one.
failure to_failure(std::span<const fault> faults);

/// What was read, or every fault that was found in it (then there is no value).
template <class T>
struct [[nodiscard]] checked {
  std::optional<T> value;
  std::vector<fault> faults;

  explicit operator bool() const { return value.has_value(); }
  T& operator*() { return *value; }
  const T& operator*() const { return *value; }
  T* operator->() { return &*value; }
  const T* operator->() const { return &*value; }
};

} // namespace nestor
