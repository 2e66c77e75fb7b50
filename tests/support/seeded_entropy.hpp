// Randomness that a seed gives again.
#pragma once

#include <nestor/actors/seams.hpp>

#include <cstdint>
#include <span>

namespace nestor::tests {

struct seeded_entropy final : actors::entropy_port {
  std::uint64_t state;
  explicit seeded_entropy(std::uint64_t seed) : state(seed) {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (auto& b : bytes)
      b = static_cast<std::uint8_t>(next_random_byte());
  }
  std::uint64_t next_random_byte() { return (state = state * 6364136223846793005ULL + 1442695040888963407ULL) >> 33U; }
};

} // namespace nestor::tests
