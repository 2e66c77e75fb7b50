// Texts that count: `{index}`, `{index:08}`, `{11000+index}`, `{11000+index%64}` in a bench specification. Knows no
// specification; it turns one text into parts once, so that giving it a number costs an append per part.
#pragma once

#include <nestor/core/secret.hpp>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nestor {

/// Largest index a bench run may use: 100 million sandboxes is beyond any machine, and eight digits keep names short.
inline constexpr std::uint64_t bench_index_max = 99'999'999;

/// `base + index % modulus`, written with at least `width` digits.
struct placeholder {
  std::uint64_t base = 0;
  std::uint64_t modulus = 0; ///< 0: none
  std::uint8_t width = 0;    ///< zero-padded to this; at most 20
  [[nodiscard]] std::uint64_t value(std::uint64_t index) const {
    return base + (modulus == 0 ? index : index % modulus);
  }
};

/// A text cut at its placeholders.
class pattern {
public:
  /// Nothing when a placeholder was meant but is not one (`{index+}`, `{idx…` is plain text).
  static std::optional<pattern> of(std::string_view text);

  /// False: the text is the same for every index.
  [[nodiscard]] bool counts() const { return !parts_.empty(); }

  /// Appends `text` as it is, placeholders unseen.
  void add_plain(std::string_view text) { rest_ += text; }
  void add(const pattern& more) {
    for (const auto& p : more.parts_) {
      rest_ += p.before;
      parts_.push_back({std::exchange(rest_, {}), p.number});
    }
    rest_ += more.rest_;
  }

  template <class Text>
  void append_to(Text& out, std::uint64_t index) const {
    for (const auto& p : parts_) {
      out.append(std::string_view{p.before});
      append_number(out, p.number, index);
    }
    out.append(std::string_view{rest_});
  }
  [[nodiscard]] std::string text(std::uint64_t index) const {
    std::string out;
    append_to(out, index);
    return out;
  }

private:
  struct part {
    wiped_string before; // a secret's text may count, too
    placeholder number;
  };

  template <class Text>
  static void append_number(Text& out, const placeholder& number, std::uint64_t index) {
    char digits[24];
    auto* end = std::to_chars(digits, digits + sizeof digits, number.value(index)).ptr;
    auto length = static_cast<std::size_t>(end - digits);
    if (length < number.width)
      out.append(number.width - length, '0');
    out.append(digits, length);
  }

  std::vector<part> parts_;
  wiped_string rest_;
};

/// True when `text` holds a placeholder, well-formed or not.
bool counts(std::string_view text);

} // namespace nestor
