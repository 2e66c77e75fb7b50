// A value or the failure in its place. GCC 12 has no std::expected; this is the part of it that we use.
#pragma once

#include <nestor/core/failure.hpp>

#include <utility>
#include <variant>

namespace nestor {

template <class T>
class [[nodiscard]] expected {
public:
  expected(T value) : content_(std::move(value)) {}   // NOLINT(google-explicit-constructor)
  expected(failure why) : content_(std::move(why)) {} // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return content_.index() == 0; }
  T& operator*() { return std::get<0>(content_); }
  const T& operator*() const { return std::get<0>(content_); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  failure& error() { return std::get<1>(content_); }
  const failure& error() const { return std::get<1>(content_); }

private:
  std::variant<T, failure> content_;
};

template <>
class [[nodiscard]] expected<void> {
public:
  expected() = default;
  expected(failure why) : failed_(std::move(why)) {} // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !failed_; }
  const failure& error() const { return *failed_; }

private:
  std::optional<failure> failed_;
};

} // namespace nestor
