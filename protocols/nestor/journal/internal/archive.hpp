// The two directions of the codec over one list of fields: a writer that appends to wiped memory, a reader that takes
// from bytes nobody vouches for. After the first thing that does not fit the reader gives defaults, and is not `whole`.
#pragma once

#include <nestor/core/failure.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace nestor::journal::internal {

template <class T, class... Us>
concept any_of = (std::same_as<std::remove_const_t<T>, Us> || ...);

/// Enumerations that are stored by name. `named_as(text, result)` of each is found by its own namespace.
template <class T>
concept stored_by_name = any_of<T, errc, step>;

class writer {
public:
  static constexpr bool reads = false;
  writer() { out_.reserve(usual_bytes); }

  template <class... Ts>
  void operator()(const Ts&... xs) {
    (one(xs), ...);
  }
  void number(std::uint64_t x) {
    for (; x >= 0x80; x >>= 7U)
      out_.push_back(static_cast<char>(x | 0x80));
    out_.push_back(static_cast<char>(x));
  }
  void text(std::string_view x) {
    number(x.size());
    out_.append(x);
  }
  wiped_string take() { return std::move(out_); }

private:
  template <class T>
  void one(const T& x) {
    if constexpr (std::same_as<T, double>)
      number(std::bit_cast<std::uint64_t>(x));
    else if constexpr (stored_by_name<T>)
      text(name_of(x));
    else if constexpr (std::is_enum_v<T>)
      number(static_cast<std::uint64_t>(x));
    else if constexpr (std::signed_integral<T> && !std::same_as<T, bool>)
      number((static_cast<std::uint64_t>(x) << 1U) ^ static_cast<std::uint64_t>(std::int64_t{x} >> 63U));
    else if constexpr (std::integral<T>)
      number(x);
    else
      fields(*this, x);
  }
  void one(const milliseconds& x) { one(static_cast<std::int64_t>(x.count())); }
  void one(const std::string& x) { text(x); }
  void one(const wiped_string& x) { text(x); }
  void one(const secret& x) {
    x.expose([&](std::string_view v) { text(v); });
  }
  template <std::size_t N>
  void one(const std::array<std::uint8_t, N>& x) {
    out_.append(reinterpret_cast<const char*>(x.data()), N);
  }
  template <class A, class B>
  void one(const std::pair<A, B>& x) {
    one(x.first);
    one(x.second);
  }
  template <class T>
  void one(const std::optional<T>& x) {
    number(x ? 1 : 0);
    if (x)
      one(*x);
  }
  template <class T>
  void one(const std::shared_ptr<const T>& x) {
    number(x ? 1 : 0);
    if (x)
      one(*x);
  }
  template <class T>
  void one(const std::vector<T>& x) {
    number(x.size());
    for (const auto& each : x)
      one(each);
  }
  void one(const std::map<std::string, std::string>& x) {
    number(x.size());
    for (const auto& each : x)
      one(each);
  }

  static constexpr std::size_t usual_bytes = 1'024; // growing means copying and wiping
  wiped_string out_;
};

class reader {
public:
  static constexpr bool reads = true;
  explicit reader(std::string_view bytes) : left_(bytes) {}

  template <class... Ts>
  void operator()(Ts&... xs) {
    (one(xs), ...);
  }
  std::uint64_t number() {
    std::uint64_t x = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      auto byte = take(1);
      if (byte.empty())
        return 0;
      auto bits = static_cast<std::uint8_t>(byte[0]);
      x |= std::uint64_t{bits & 0x7FU} << shift;
      if (bits < 0x80)
        return x;
    }
    return fail(), 0;
  }
  std::string_view text() { return take(number()); }
  void fail() {
    whole_ = false;
    left_ = {};
  }
  /// Everything that was read was there.
  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] bool empty() const { return left_.empty(); }

private:
  std::string_view take(std::uint64_t size) {
    if (size > left_.size())
      return fail(), std::string_view{};
    auto taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  /// How many elements follow: each takes a byte at least.
  std::size_t count() {
    auto n = number();
    if (n > left_.size())
      return fail(), 0;
    return n;
  }

  template <class T>
  void one(T& x) {
    if constexpr (std::same_as<T, double>) {
      x = std::bit_cast<double>(number());
    } else if constexpr (stored_by_name<T>) {
      named(x);
    } else if constexpr (std::is_enum_v<T>) {
      auto n = number();
      n <= static_cast<std::uint64_t>(last_of(T{})) ? void(x = static_cast<T>(n)) : fail();
    } else if constexpr (std::signed_integral<T> && !std::same_as<T, bool>) {
      auto n = number();
      x = static_cast<T>((n >> 1U) ^ (~(n & 1U) + 1U));
    } else if constexpr (std::integral<T>) {
      auto n = number();
      x = static_cast<T>(n);
      if (static_cast<std::uint64_t>(x) != n)
        fail();
    } else {
      fields(*this, x);
    }
  }
  void named(errc& x) {
    auto found = errc_named(text());
    x = found.value_or(errc::internal); // a code that has gone since says no more than that
  }
  void named(step& x) {
    auto found = step_named(text());
    found ? void(x = *found) : fail();
  }
  void one(milliseconds& x) {
    std::int64_t n = 0;
    one(n);
    x = milliseconds{n};
  }
  void one(std::string& x) { x = text(); }
  void one(wiped_string& x) { x = text(); }
  void one(secret& x) {
    auto t = text();
    x = t.empty() ? secret{} : secret::copy_of(t);
  }
  template <std::size_t N>
  void one(std::array<std::uint8_t, N>& x) {
    auto bytes = take(N);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      x[i] = static_cast<std::uint8_t>(bytes[i]);
  }
  template <class A, class B>
  void one(std::pair<A, B>& x) {
    one(x.first);
    one(x.second);
  }
  template <class T>
  void one(std::optional<T>& x) {
    if (bool there = false; one(there), there)
      one(x.emplace());
  }
  template <class T>
  void one(std::shared_ptr<const T>& x) {
    bool there = false;
    one(there);
    if (!there)
      return;
    auto made = std::make_shared<T>();
    one(*made);
    x = std::move(made);
  }
  template <class T>
  void one(std::vector<T>& x) {
    auto n = count();
    x.reserve(n < reserved_max ? n : reserved_max);
    for (std::size_t i = 0; i < n && whole_; ++i)
      one(x.emplace_back());
  }
  void one(std::map<std::string, std::string>& x) {
    for (auto n = count(); n > 0 && whole_; --n) {
      std::pair<std::string, std::string> each;
      one(each);
      x.insert(std::move(each));
    }
  }

  static constexpr std::size_t reserved_max = 1'024; // a length that lies reserves no more than that
  std::string_view left_;
  bool whole_ = true;
};

} // namespace nestor::journal::internal
