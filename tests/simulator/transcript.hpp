// Everything that happened in a run, a line each: what people read of a failure, and what proves that a seed gives the
// same run again.
#pragma once

#include <nestor/core/ids.hpp>

#include <emulator/clockwork.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace nestor::simulation {

class transcript {
public:
  explicit transcript(const emulator::clockwork& time) : time_(time) {}

  void say(std::string_view who, std::string_view what);
  /// `s1`, `s2` … in the order in which they were first heard of: what is in no table yet stays as it is.
  [[nodiscard]] std::string alias(const sandbox_id& id) const;
  void name(const sandbox_id& id);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::uint64_t hash() const { return std::hash<std::string>{}(text_); }

private:
  const emulator::clockwork& time_;
  std::map<sandbox_id, std::size_t> names_;
  std::string text_;
};

} // namespace nestor::simulation
