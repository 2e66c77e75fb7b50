// What the world is shown of a sandbox: conditions, timeline, one word of status. Holds no secret.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/ids.hpp>
#include <nestor/core/step.hpp>
#include <nestor/core/time.hpp>
#include <nestor/nested/evidence.hpp>
#include <nestor/supervision/lifecycle.hpp>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nestor {

/// The one derived word for people.
enum class status : std::uint8_t {
  queued,
  starting,
  ready,
  updating,
  paused,
  unknown,
  quarantined,
  destroying,
  failed,
  destroyed,
  count_
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(status::count_)> status_names{
  "Queued", "Starting", "Ready", "Updating", "Paused", "Unknown", "Quarantined", "Destroying", "Failed", "Destroyed"};
static_assert(!status_names.back().empty());
constexpr std::string_view name_of(status s) {
  return status_names[static_cast<std::size_t>(s)];
}
/// Nothing will change any more.
constexpr bool ended(status s) {
  return s == status::failed || s == status::destroyed;
}

status status_of(const supervision::state& s);

enum class truth : std::uint8_t { no, yes, unknown };
std::string_view name_of(truth t); ///< "True", "False", "Unknown"

struct condition {
  std::string_view type;
  truth status = truth::unknown;
  std::string_view reason; ///< one CamelCase-free word: a phase or an error code
  std::string message;
};

/// All conditions, always in the same order; `Conversation` only where one is wanted.
std::vector<condition> conditions_of(const supervision::state& s, const supervision::policy& p);

enum class outcome : std::uint8_t { running, ok, failed };
std::string_view name_of(outcome o);

struct timeline_entry {
  step at = step::queue;
  outcome result = outcome::running;
  std::uint16_t attempts = 1;
  wall_time started;
  wall_time ended; ///< 0 while running
};

struct sandbox_view {
  sandbox_id id;
  std::string name;
  std::string tenant = "default";
  std::string provider;
  std::map<std::string, std::string> labels;
  nestor::status word = status::queued;
  generation wanted = 0;
  generation observed = 0;
  std::vector<condition> conditions;
  nested::evidence strength = nested::evidence::none;
  step weakest = step::settings; ///< whose evidence that is: no other step has a weaker one
  std::string runtime_ref;
  attempt number = 0;
  incarnation fence = 0;
  std::string dialect;
  wall_time created;
  std::vector<timeline_entry> timeline;
  std::optional<failure> why;
};

/// The sandbox object of the HTTP API. `indent` < 0: one line.
std::string to_json(const sandbox_view& view, int indent = -1);

/// A failure as the sandbox object shows it.
std::string to_json(const failure& f);

/// RFC 3339 with milliseconds, UTC.
std::string to_text(wall_time at);

} // namespace nestor
