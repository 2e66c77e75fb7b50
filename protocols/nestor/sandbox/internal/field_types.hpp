// How the tables of fields spell their types: `text(text_rule::line)`, `duration("1s", "24h")`.
#pragma once

#include <nestor/sandbox/spec_fields.hpp>

namespace nestor::internal::field_types {

inline field_type of_kind(field_kind kind) {
  field_type t;
  t.kind = kind;
  return t;
}
inline field_type object() {
  return of_kind(field_kind::object);
}
inline field_type argv() {
  return of_kind(field_kind::argv);
}
inline field_type secret() {
  return of_kind(field_kind::secret);
}
inline field_type settings() {
  return of_kind(field_kind::settings);
}
inline field_type json() {
  return of_kind(field_kind::json);
}
inline field_type text(text_rule rule) {
  auto t = of_kind(field_kind::text);
  t.rule = rule;
  return t;
}
inline field_type map(text_rule keys, std::size_t entries_max) {
  auto t = of_kind(field_kind::map);
  t.rule = keys;
  t.entries_max = entries_max;
  return t;
}
inline field_type integer(std::int64_t least, std::int64_t most) {
  auto t = of_kind(field_kind::integer);
  t.least = least;
  t.most = most;
  return t;
}
inline field_type number(double least, double most) {
  auto t = of_kind(field_kind::number);
  t.least_number = least;
  t.most_number = most;
  return t;
}
inline field_type duration(std::string_view least, std::string_view most) {
  auto t = of_kind(field_kind::duration);
  t.least = parse_duration(least)->count();
  t.most = parse_duration(most)->count();
  return t;
}
inline field_type memory(std::string_view least, std::string_view most) {
  auto t = of_kind(field_kind::memory);
  t.least = static_cast<std::int64_t>(*parse_memory(least));
  t.most = static_cast<std::int64_t>(*parse_memory(most));
  return t;
}
inline field_type choice(std::string_view words) {
  auto t = of_kind(field_kind::choice);
  t.words = words;
  return t;
}
/// A list, of which every element obeys.
inline field_type texts(text_rule rule) {
  auto t = text(rule);
  t.kind = field_kind::texts;
  return t;
}

} // namespace nestor::internal::field_types
