// The fields of a specification as a table: what the reader checks documents against, `nestor explain` prints and
// docs/spec.md is generated from. spec_fields.def is the one list; this file gives it types. The node's configuration
// has a table of the same form (node/config_fields.hpp).
#pragma once

#include <nestor/providers/provider.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor {

enum class field_kind : std::uint8_t {
  text,
  integer,
  number,
  duration,
  memory,
  choice,
  argv,
  texts,
  object,
  map,
  secret,
  settings,
  json
};

/// What a field's value may be. Only the members that its kind uses are set.
struct field_type {
  field_kind kind = field_kind::object;
  text_rule rule = text_rule::any; ///< of a text, of a list's texts, and of a map's keys
  std::int64_t least = 0;          ///< of an integer, of a duration in milliseconds, of a memory size in bytes
  std::int64_t most = 0;
  double least_number = 0;
  double most_number = 0;
  std::string_view words;      ///< of a choice, separated by a blank
  std::size_t entries_max = 0; ///< of a map
};

/// What a provider must be able to do for the field to mean something.
enum class field_needs : std::uint8_t { any, command, image, resources, rents, adopts, leases, activity };

struct spec_field {
  std::string_view path; ///< `*` for a name of the user's choice
  field_type type;
  std::string_view default_text; ///< empty: none; "(required)"
  field_needs needs = field_needs::any;
  std::string_view description; ///< one sentence
  std::string_view example;     ///< a YAML value

  [[nodiscard]] std::string_view name() const;   ///< last segment of the path
  [[nodiscard]] std::string_view parent() const; ///< path of the enclosing field; empty at the top
  [[nodiscard]] bool required() const { return default_text == "(required)"; }
  [[nodiscard]] bool nullable() const; ///< null may be written for it
};

using field_table = std::span<const spec_field>;

/// nullptr when there is none; names in a map match its `*`: "labels.team" finds "labels.*".
const spec_field* field_at(field_table table, std::string_view path);
/// Those directly inside `path` ("" for the top).
std::vector<const spec_field*> fields_in(field_table table, std::string_view path);
/// The field of `parent` that was probably meant by `name`: by its name there, or, as a whole path, by its name
/// anywhere else. Empty when nothing is near.
std::string probably_meant(field_table table, std::string_view parent, std::string_view name);

/// Every field of a specification, in the order of spec_fields.def.
field_table spec_fields();
inline const spec_field* spec_field_at(std::string_view path) {
  return field_at(spec_fields(), path);
}
inline std::vector<const spec_field*> spec_fields_in(std::string_view path) {
  return fields_in(spec_fields(), path);
}

/// "integer from 0 to 65535", "one of refuse, overwrite": as `explain` prints it and messages say it.
std::string to_string(const field_type& type);
std::vector<std::string_view> words_of(const field_type& type);

bool honours(const providers::provider& who, field_needs what);
/// "all", or the kinds of this build that honour the field, or what a provider must be able to do.
std::string honoured_by(field_needs what);

/// Largest document, in bytes: a specification is a few KiB, secrets come from outside; more is a mistake or an attack.
inline constexpr std::size_t spec_bytes_max = std::size_t{1} << 20U;
/// Longest line of a document and of any text in it, in bytes: what a terminal, an editor and an argument list survive.
inline constexpr std::size_t spec_line_max = std::size_t{32} << 10U;
/// Deepest nesting: an MCP configuration is six deep.
inline constexpr std::size_t spec_depth_max = 32;
/// Most arguments of a command: a command line is written by hand.
inline constexpr std::size_t spec_argv_max = 256;
/// Largest resolved secret, in bytes: a private key is 4 KiB, a service account 3 KiB.
inline constexpr std::size_t secret_bytes_max = std::size_t{64} << 10U;

/// A member's path: `a.b`, or `a["odd name"]` when the name is no plain word. Long names are cut, control characters
/// replaced: a path is printable.
std::string member_path(std::string_view parent, std::string_view name);
std::string element_path(std::string_view parent, std::size_t index);

} // namespace nestor
