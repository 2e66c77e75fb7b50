// http(s) URLs, parsed once and kept in parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nestor::http {

/// An absolute http or https URL without user information and fragment.
struct url {
  bool tls = false;
  std::string host;       ///< lower case; IPv6 without brackets
  std::uint16_t port = 0; ///< never 0 after parsing: 80 or 443 when not written
  std::string path;       ///< starts with '/', or empty; no trailing '/'; query kept out

  friend auto operator<=>(const url&, const url&) = default;
};

/// Nothing when `text` is not such a URL (other scheme, user information, fragment, query, bad port or host, control
/// characters, longer than 2,048 characters).
std::optional<url> parse_url(std::string_view text);

/// The normal form: what `parse_url` of it gives back is equal. Default ports are left out.
std::string to_string(const url& u);

/// Joins the URL's path with `target` ("/api/settings").
std::string join_path(const url& u, std::string_view target);

/// Percent-encodes everything but RFC 3986's unreserved characters, for one path segment.
std::string encode_segment(std::string_view segment);

} // namespace nestor::http
