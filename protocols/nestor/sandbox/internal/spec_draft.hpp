// A specification while it is being read, and what is done with each field's value once it is known to be of the right
// type. Knows no document; spec_fields.def connects it to the fields.
#pragma once

#include <nestor/sandbox/internal/field_value.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace nestor::internal {

struct draft {
  sandbox_spec spec;
  runtime_spec runtime;
  std::optional<secret_reference> session_key;
  configuration_source configuration;
};

using taker = void (*)(draft&, taken&&);

/// Of the field in row `row` of `spec_fields()`.
taker taker_of(std::size_t row);

} // namespace nestor::internal
