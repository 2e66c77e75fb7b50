#include <nestor/nested/dialect.hpp>

#include <array>

namespace nestor::nested {

#define NESTOR_DIALECT(name) const dialect& name##_dialect();
#include <nestor/nested/dialects.def>
#undef NESTOR_DIALECT

std::span<const dialect* const> dialects() {
  static const std::array table{
#define NESTOR_DIALECT(name) &name##_dialect(),
#include <nestor/nested/dialects.def>
#undef NESTOR_DIALECT
  };
  return table;
}

const dialect* dialect_named(std::string_view name) {
  for (const auto* candidate : dialects())
    if (candidate->name == name)
      return candidate;
  return nullptr;
}

} // namespace nestor::nested
