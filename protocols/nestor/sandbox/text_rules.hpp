// What a text in a specification may look like: names, addresses, durations, sizes, and how to find the word that was
// meant. Knows no document and no field; spec_fields.def says which field follows which rule.
#pragma once

#include <nestor/core/time.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nestor {

enum class text_rule : std::uint8_t {
  any,  ///< prose: every character but NUL
  line, ///< no control characters: becomes a header, an argument or an environment value
  sandbox_name,
  label_key,
  label_value,
  provider_name,
  git_provider,
  secret_name,
  env_name,
  env_name_or_none,
  url,
  path,
  host,
  header_name,
  count_
};

/// What the rule asks for, as a message says it after "expected".
std::string_view expectation_of(text_rule rule);
bool obeys(text_rule rule, std::string_view text);

/// `500ms`, `120s`, `30m`, `24h`: one whole number and one unit. Nothing for other texts and for more than 10 years.
std::optional<milliseconds> parse_duration(std::string_view text);
/// The shortest text that `parse_duration` reads back.
std::string to_duration_text(milliseconds value);

/// Bytes: `512MiB`, `4GiB`, `1TiB`, `64KiB`, `1048576B`. Nothing for other texts and beyond 2^53.
std::optional<std::uint64_t> parse_memory(std::string_view text);

/// True when there is a control character (0x00–0x1f, 0x7f) in `text`.
bool has_control(std::string_view text);

/// Levenshtein distance, of texts up to `word_max` characters; longer ones are as far apart as they are long.
inline constexpr std::size_t word_max = 64;
std::size_t edit_distance(std::string_view a, std::string_view b);
/// The nearest of `known` when it is near enough to have been meant (a third of its length, at least 2), else nothing.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> known);

} // namespace nestor
