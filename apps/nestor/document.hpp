// A file that a person wrote, YAML or JSON, as JSON text, with the place of every member so that a fault can point at
// its line. YAML is held to what JSON can say: 1.2 core types, one document, no anchors, aliases, merge keys or tags;
// so no document can grow while it is read. Knows no field.
#pragma once

#include <nestor/core/expected.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/sandbox/fault.hpp>

#include <map>
#include <string>
#include <string_view>

namespace nestor::cli {

/// Counted from 1; columns in characters as the parser counts them.
struct position {
  int line = 1;
  int column = 1;
};

struct document {
  std::string file; ///< as messages name it
  wiped_string json;
  std::map<std::string, position, std::less<>> places; ///< by path, as faults spell it
};

/// `file` may be "-" for standard input. At most 1 MiB, lines of at most 32 KiB, UTF-8. A document that begins with
/// '{' or '[' is JSON, everything else YAML. The failure's cause is "FILE:LINE:COLUMN: PATH: what is wrong".
expected<document> read_document(const std::string& file);
/// The same for a text that was read already.
expected<document> to_document(std::string name, std::string_view text);

/// "FILE:LINE:COLUMN: PATH: message"; the place is the nearest enclosing one that is known.
std::string located(const document& from, const fault& f);

} // namespace nestor::cli
