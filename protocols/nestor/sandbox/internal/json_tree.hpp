// A JSON document as a tree, strictly read: one document, UTF-8, no member twice, bounded depth and lines. Exists
// because a reader that lists every fault needs the whole document, and because its texts are wiped when it goes.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/sandbox/fault.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::internal {

enum class json_is : std::uint8_t { null, boolean, integer, number, string, array, object };

struct json_member;

struct json_tree {
  json_is what = json_is::null;
  bool flag = false;
  std::int64_t integer = 0;
  double number = 0; ///< of a number and an integer
  wiped_string text; ///< of a string: unescaped; of a number: canonical
  std::vector<json_tree> items;
  std::vector<json_member> members; ///< in the order of the document

  [[nodiscard]] const json_tree* member(std::string_view name) const;
};

struct json_member {
  std::string name;
  json_tree value;
};

/// "null", "a boolean", "an integer", "a number", "text", "a list", "an object": never the value.
std::string_view kind_name(const json_tree& value);

/// The tree, or every fault that keeps it from being one.
checked<json_tree> read_tree(std::string_view json);

/// Appends the canonical text: members sorted by name, no white space. False: some text is not UTF-8.
bool append_canonical(wiped_string& out, const json_tree& value);
/// The canonical text of a number or a boolean or null.
void append_scalar(wiped_string& out, const json_tree& value);
/// The members, sorted by name.
std::vector<const json_member*> sorted_members(const json_tree& object);

} // namespace nestor::internal
