// The last lines of what a process wrote, bounded, with secrets taken out before anybody sees them. Knows no process.
#pragma once

#include <nestor/core/secret.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::io {

/// Replaces every occurrence of every non-empty secret by `<redacted>`. For text that is about to be shown or kept.
std::string redact(std::string_view text, std::span<const secret> secrets);

class output_tail {
public:
  static constexpr std::size_t most = 16'384; ///< bytes kept: a stack trace with its context

  void append(std::string_view bytes);

  /// Whole lines, redacted, valid ASCII or UTF-8 as it came but for control characters, which become blanks. What was
  /// cut off at the front takes the rest of its line with it: half a secret would not be recognised.
  [[nodiscard]] std::string text(std::span<const secret> secrets) const;

private:
  wiped_string kept_;
  bool cut_ = false;
};

} // namespace nestor::io
