// A type's fields, listed once. Inspection, printing, equality and round-trip tests are derived from the list, and
// a field left out of it does not compile. Knows no serialisation library: actors/nestor/actors/caf.hpp adapts it.
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace nestor {

template <class Class, class Member>
struct field_of {
  std::string_view name;
  Member Class::*pointer;
};

template <class Class, class Member>
constexpr field_of<Class, Member> field(std::string_view name, Member Class::*pointer) {
  return {name, pointer};
}

/// A type that names itself and its fields: `type_name` and `static constexpr auto describe()`.
template <class T>
concept described = requires {
  T::type_name;
  T::describe();
};

namespace detail {
struct any_value {
  template <class T>
  operator T() const; // NOLINT(google-explicit-constructor): converts to any member, never called
};

template <class T, class... Args>
constexpr std::size_t count_members() {
  if constexpr (requires { T{Args{}..., any_value{}}; })
    return count_members<T, Args..., any_value>();
  else
    return sizeof...(Args);
}
} // namespace detail

/// How many members the aggregate `T` has.
template <class T>
constexpr std::size_t member_count = detail::count_members<T>();

/// True when `T::describe()` lists every member. Meant for a `static_assert` beside the type.
template <described T>
constexpr bool describes_every_field = std::tuple_size_v<decltype(T::describe())> == member_count<T>;

} // namespace nestor
