// The schema rules of the V0 server's request bodies: what is coerced, what is refused, and the 422 that says so. The
// shape of the faults (type, loc, msg, input) and that `input` echoes the offending value, secrets included, are the
// real server's (contract §3); the node has to cope with them. Knows no routes and no state.
#pragma once

#include <nested_server/json.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace nestor::nested_server {

/// Where in the body: a name or an index within the outer place. Lives on the validator's stack.
struct place {
  const place* outer = nullptr;
  std::string_view name;
  std::size_t index = 0; ///< counts when `name` has no characters at all (data() == nullptr)
};
inline constexpr place whole_body{nullptr, "body", 0};
inline place within(const place& outer, std::string_view name) {
  return {&outer, name, 0};
}
inline place within(const place& outer, std::size_t index) {
  return {&outer, {}, index};
}

/// Collects what is wrong with a body.
class schema_faults {
public:
  /// `redacted`: what was sent is not echoed.
  explicit schema_faults(bool redacted = false) : redacted_(redacted) {}
  /// `context` is a JSON object's text or empty.
  void add(std::string_view type, const place& where, std::string_view message, const wiped_json& input,
           std::string_view context = {});
  [[nodiscard]] bool none() const { return list_.empty(); }
  /// `{"detail":[…]}`.
  [[nodiscard]] wiped_string body() const;

private:
  bool redacted_;
  wiped_string list_;
};

enum class field_kind : std::uint8_t {
  text,         ///< a string and nothing else
  integer,      ///< 50, 50.0, "50", true
  decimal,      ///< 0.5, "0.5", 1
  truth,        ///< true, 1, "yes" …
  texts,        ///< an array of strings
  text_map,     ///< an object whose values are strings
  mcp,          ///< the MCP configuration
  git_provider, ///< one of `git_provider_names`
  object,       ///< any object
  objects,      ///< an array of them
};

/// One field of a schema. Absence is always allowed unless `required`.
struct field_rule {
  std::string_view name;
  field_kind kind;
  bool nullable = true;
  bool required = false;
  std::int64_t least = INT64_MIN; ///< of integers
  std::int64_t most = INT64_MAX;
};

/// What the V0 server knows (contract §7). Its public hosts are the provider's own.
inline constexpr std::array<std::string_view, 5> git_provider_names{"github", "gitlab", "bitbucket", "azure_devops",
                                                                    "enterprise_sso"};
bool known_git_provider(std::string_view name);

/// Makes `value` what `rule` says, in place, or adds what is wrong.
void coerce(wiped_json& value, const field_rule& rule, const place& where, schema_faults& faults);

enum class unknown_fields : std::uint8_t { dropped, refused };
/// Checks and coerces every member of `object`; without `rules` for a member it is dropped or refused.
void coerce_object(wiped_json& object, std::span<const field_rule> rules, unknown_fields unknown, const place& where,
                   schema_faults& faults);
/// The key of a map is not a git provider.
void refuse_git_provider(std::string_view name, const place& map, schema_faults& faults);

} // namespace nestor::nested_server
