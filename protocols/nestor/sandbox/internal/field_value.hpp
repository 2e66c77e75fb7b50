// One value of a document, held to its field's type.
#pragma once

#include <nestor/sandbox/internal/json_tree.hpp>
#include <nestor/sandbox/secret_reference.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

/// A name that nobody knows, as messages show it: whole when it is as short as a field's, for a longer one may be a
/// pasted token.
std::string shown_name(std::string_view name);

/// An integer, a number, a duration, a memory size or a choice; a text, whose rule is the caller's to ask. Fills
/// `into`; false and a fault when it is none.
bool read_scalar(const field_type& type, const json_tree& node, const std::string& path, taken& into,
                 std::vector<fault>& faults);

} // namespace nestor::internal
