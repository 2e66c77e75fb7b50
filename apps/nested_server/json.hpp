// JSON documents as the nested server keeps them: nlohmann's tree over strings whose heap memory is wiped. Knows no
// HTTP. A tree, unlike in the node, because this side stores, merges and echoes what it was sent.
#pragma once

#include <nestor/core/secret.hpp>

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested_server {

using wiped_json = nlohmann::basic_json<std::map, std::vector, wiped_string>;

/// Nothing when `text` is not one whole JSON document, or is nested deeper than `nested::json_depth_max` (a document of
/// brackets only would otherwise exhaust the stack when it is written back).
std::optional<wiped_json> parse_json(std::string_view text);

/// Appends `value` as JSON text.
void append(wiped_string& out, const wiped_json& value);
/// Appends `text` as a JSON string; what is not UTF-8 becomes "".
void append_text(wiped_string& out, std::string_view text);
/// The same, or null.
void append_text_or_null(wiped_string& out, const std::optional<std::string>& text);
/// `,"name":` without the comma after an opening bracket.
void append_name(wiped_string& out, std::string_view name);

/// The member's value; nullptr when `object` is no object or has none of that name.
const wiped_json* member(const wiped_json& object, std::string_view name);
/// The member's text; empty when it is absent, null or no string.
std::string_view text_member(const wiped_json& object, std::string_view name);
/// The member's text; nothing when it is absent, null or no string.
std::optional<std::string> optional_text_member(const wiped_json& object, std::string_view name);
/// A string's characters; empty for everything else.
std::string_view text_of(const wiped_json& value);

/// Only white space, or nothing.
bool blank(std::string_view text);

} // namespace nestor::nested_server
