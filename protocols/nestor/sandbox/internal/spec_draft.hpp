// A specification while it is being read, and what is done with each field's value once it is known to be of the right
// type. Knows no document; spec_fields.def connects it to the fields.
#pragma once

#include <nestor/sandbox/internal/json_tree.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace nestor::internal {

/// A field's value after its checks. Only what its kind has is set.
struct taken {
  std::string name;        ///< the user's name for it, in a map
  std::string text;        ///< text, choice; of free JSON the canonical text
  std::int64_t number = 0; ///< integer, milliseconds, bytes
  double real = 0;
  std::vector<std::string> list;
  std::optional<secret_reference> reference;
};

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
