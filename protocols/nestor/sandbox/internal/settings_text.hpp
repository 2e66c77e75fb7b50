// Secret references, and the free JSON they may stand in. Here is decided where a secret belongs: a bare text in such
// a place is refused, because it would be treated as printable.
#pragma once

#include <nestor/sandbox/configuration_source.hpp>
#include <nestor/sandbox/internal/json_tree.hpp>

#include <optional>
#include <string>
#include <vector>

namespace nestor::internal {

inline constexpr std::string_view reference_advice =
  "write {$env: NAME}, {$file: PATH}, or {$literal: TEXT} if it is meant";

/// An object that was meant as a reference: some member's name starts with '$'.
bool meant_as_reference(const json_tree& value);

/// The reference, or nothing and a fault.
std::optional<secret_reference> read_reference(const json_tree& value, const std::string& path, bool bench,
                                               std::vector<fault>& faults);

/// True when `text` may stand where it does as far as placeholders go; else there is a fault.
bool placeholders_fit(std::string_view text, const std::string& path, bool bench, std::vector<fault>& faults);

/// Free JSON without secrets: references and (outside of a bench, unless `prose`) placeholders are faults.
std::string read_free_json(const json_tree& value, const std::string& path, bool bench, bool prose,
                           std::vector<fault>& faults);

/// Settings: references anywhere. Precondition: `value` is an object.
void read_settings(const json_tree& value, const std::string& path, bool bench, configuration_source& into,
                   std::vector<fault>& faults);

} // namespace nestor::internal
