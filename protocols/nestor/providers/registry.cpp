#include <nestor/providers/provider.hpp>

#include <array>

namespace nestor::providers {

#define NESTOR_PROVIDER(kind) const provider& kind##_provider();
#include <nestor/providers/providers.def>
#undef NESTOR_PROVIDER

std::span<const provider* const> all() {
  static const std::array table{
#define NESTOR_PROVIDER(kind) &kind##_provider(),
#include <nestor/providers/providers.def>
#undef NESTOR_PROVIDER
  };
  return table;
}

const provider* of_kind(std::string_view kind) {
  for (const auto* candidate : all())
    if (candidate->kind == kind)
      return candidate;
  return nullptr;
}

} // namespace nestor::providers
