// Takes secrets out of text that others wrote, in every form they are likely to wear: raw, JSON-escaped, URL-encoded,
// base64 (all three alignments) and hex.
#pragma once

#include <nestor/core/secret.hpp>

#include <span>
#include <string>

namespace nestor {

/// `text` with every occurrence of a secret of at least `redact_length_min` characters replaced by `<secret>`. Of a
/// secret of several lines (a key file) each line counts, too: others print it line by line, or only its end.
std::string redact(std::string text, std::span<const secret> secrets);

/// Shorter values would blank out ordinary words; they are no secrets worth the name.
inline constexpr std::size_t redact_length_min = 4;
/// A line of a secret that is shorter may be anything ("}", "end").
inline constexpr std::size_t redact_line_min = 8;

} // namespace nestor
