// JSON as text: written by appending, read as a stream of leaves. It knows no document tree, because building one per
// sandbox costs more than all its networking, and a tree would leave copies of secrets in memory that nobody wipes.
#pragma once

#include <nestor/core/secret.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace nestor::nested {

/// Appends `text` as a JSON string, quotes included. False when `text` is not UTF-8: then nothing is appended, because
/// JSON cannot carry it and a replaced byte would be another secret.
bool append_json(wiped_string& out, std::string_view text);

/// Writes a JSON object at the end of a text, member by member, nested ones included.
class json_object {
public:
  explicit json_object(wiped_string& out) : out_(out) { out_ += '{'; }
  void member(std::string_view name, std::string_view text);
  void member(std::string_view name, const secret& text);
  void member(std::string_view name, const std::optional<std::string>& text); ///< null when there is none
  void open(std::string_view name);
  void close();
  /// Ends the object. False when a text was not UTF-8: then what was written must not be sent.
  [[nodiscard]] bool finish();

private:
  void name(std::string_view name);
  wiped_string& out_;
  bool first_ = true;
  bool good_ = true;
};

enum class json_kind : std::uint8_t { null, boolean, number, string, array, object };

/// One value of a document. An array or object is reported when it ends, after what it holds.
struct json_leaf {
  std::string_view path; ///< JSON pointer (RFC 6901); empty for the document itself. Valid during the call only
  json_kind kind;
  std::string_view text; ///< the scalar's text, a string unescaped; of an array or object the number of its elements
};

/// Deepest nesting that is read: an MCP configuration is five deep, anything deeper is no answer of a nested server.
inline constexpr std::size_t json_depth_max = 32;
/// Bytes of the largest document that is read: settings and name lists are a few KiB.
inline constexpr std::size_t json_bytes_max = std::size_t{4} << 20U;

namespace detail {
using leaf_sink = void (*)(void*, const json_leaf&);
bool read_json(std::string_view text, leaf_sink sink, void* context);
} // namespace detail

/// Calls `on_leaf` for every value of `text`. False when it is not one whole JSON document within the limits; some
/// leaves may have been reported by then.
template <class Use>
bool read_json(std::string_view text, Use&& on_leaf) {
  using use = std::remove_reference_t<Use>;
  return detail::read_json(
    text, [](void* context, const json_leaf& leaf) { (*static_cast<use*>(context))(leaf); }, &on_leaf);
}

/// One segment of a JSON pointer as the key it stands for (~1 is '/', ~0 is '~').
std::string unescape_pointer(std::string_view segment);

} // namespace nestor::nested
