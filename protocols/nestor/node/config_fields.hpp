// The fields of the node's configuration as a table: what its reader checks documents against, which variables stand
// for them, what `nestor config view` and `nestor explain` print and docs/config.md is generated from.
// config_fields.def is the one list; the fields of an account are, besides, in its provider kind's own table.
#pragma once

#include <nestor/sandbox/spec_fields.hpp>

#include <string>

namespace nestor {

/// In the order of config_fields.def.
field_table config_fields();

/// The variable that wins over the document: `NESTOR_LOG_LEVEL` of `log.level`. Empty: there is none, of lists,
/// objects, accounts and secrets.
std::string variable_of(const spec_field& field);

} // namespace nestor
