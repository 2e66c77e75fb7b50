#include <nestor/node/config_fields.hpp>

#include <nestor/sandbox/internal/field_types.hpp>

namespace nestor {
namespace {

using internal::field_types::choice;
using internal::field_types::duration;
using internal::field_types::integer;
using internal::field_types::map;
using internal::field_types::number;
using internal::field_types::object;
using internal::field_types::secret;
using internal::field_types::text;
using internal::field_types::texts;

const std::vector<spec_field>& table() {
  static const std::vector<spec_field> fields{
#define NESTOR_CONFIG_FIELD(path, type, default_text, take, description, example)                                      \
  spec_field{path, type, default_text, field_needs::any, description, example},
#include <nestor/node/config_fields.def>
#undef NESTOR_CONFIG_FIELD
  };
  return fields;
}

bool one_line(field_kind kind) {
  return kind == field_kind::text || kind == field_kind::integer || kind == field_kind::number ||
         kind == field_kind::duration || kind == field_kind::memory || kind == field_kind::choice;
}

} // namespace

field_table config_fields() {
  return table();
}

std::string variable_of(const spec_field& field) {
  if (!one_line(field.type.kind) || field.path.find('*') != field.path.npos)
    return {};
  std::string name = "NESTOR_";
  for (char c : field.path)
    name += c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
  return name;
}

} // namespace nestor
