// A specification for many sandboxes: read once, checked once, given a number per sandbox. What does not count is
// shared by all of them. Exists because a bench that spends its time building specifications measures itself.
#pragma once

#include <nestor/sandbox/placeholder.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace nestor {

class spec_template {
public:
  /// `source` was read with `reading::bench`. Only literals count among secrets: what a variable or a file holds is
  /// taken as it is.
  static checked<spec_template> of(const spec_source& source, const secret_lookup& lookup);

  /// The specification of sandbox `index` (0 … bench_index_max). About a microsecond.
  [[nodiscard]] sandbox_spec expand(std::uint64_t index) const;

private:
  /// A text that counts: the how-manieth of its visitor's, and what it is made of.
  struct counted_text {
    std::size_t ordinal;
    pattern text;
  };
  struct counted_secret {
    std::size_t item;
    pattern text;
  };

  void cut_texts();
  void cut_configuration(const configuration_source& source);
  [[nodiscard]] std::shared_ptr<const runtime_spec> runtime(std::uint64_t index) const;
  [[nodiscard]] std::shared_ptr<const nested::configuration> configuration(std::uint64_t index) const;

  sandbox_spec base_;
  std::vector<counted_text> sandbox_texts_;
  std::vector<counted_text> runtime_texts_;
  std::optional<pattern> session_key_;
  /// The settings as one pattern, secrets included, when any part of it counts.
  std::optional<pattern> settings_;
  std::vector<counted_text> git_texts_; ///< hosts and users: 2 × item, 2 × item + 1
  std::vector<counted_secret> git_tokens_;
  std::vector<counted_text> secret_descriptions_; ///< by item
  std::vector<counted_secret> secret_values_;
};

} // namespace nestor
