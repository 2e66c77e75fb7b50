// What client verbs print: objects in the shape that was asked for, refusals with their remedy, and documents on their
// way to a node with their secrets looked up here.
#pragma once

#include "client_verbs.hpp"
#include "document.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace nestor::cli {

using nlohmann::ordered_json;

/// Says why on standard error, with the remedy; `from` (may be null) lets faults of a document point at their lines.
/// The exit code: 2 bad input, 3 refused or missing, 1 failed.
int complain(const api_answer& refusal, const document* from = nullptr);

/// An object or `{items: […]}` of sandboxes, in the shape that `o.as` says.
void show_sandboxes(const ordered_json& what, const client_verb& o);
/// Any object in json or yaml; false when another shape is wanted.
bool show_whole(const ordered_json& what, const client_verb& o);
/// Rows as columns that line up, control characters taken out.
void show_table(const std::vector<std::vector<std::string>>& rows);
std::string to_yaml(const ordered_json& what);
/// A member as text without control characters; "-" when it is missing or null.
std::string cell(const ordered_json& object, const char* name);
/// "git_token_refused at git_providers: …", and what to do.
std::string failure_in_words(const ordered_json& failure);

/// JSON ready to be sent: `$env` and `$file` looked up, everywhere if `everywhere`, else in `configuration` and
/// `runtime.session_key`. Nothing when there were faults, which are said.
std::optional<wiped_string> document_to_send(const document& from, bool everywhere);

} // namespace nestor::cli
