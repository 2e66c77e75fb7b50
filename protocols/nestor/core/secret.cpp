#include <nestor/core/secret.hpp>

#include <sodium.h>

namespace nestor {

void wipe(void* bytes, std::size_t size) noexcept {
  if (size != 0)
    sodium_memzero(bytes, size);
}

void wipe(std::string& text) noexcept {
  wipe(text.data(), text.capacity());
  text.clear();
}

secret::cell::cell(std::string_view source) : bytes(std::make_unique<char[]>(source.size())), size(source.size()) {
  if (size != 0)
    std::memcpy(bytes.get(), source.data(), size);
}

secret::cell::~cell() {
  wipe(bytes.get(), size);
}

secret::secret(std::string&& source) : cell_(std::make_shared<const cell>(source)) {
  wipe(source);
}

secret secret::copy_of(std::string_view source) {
  secret result;
  result.cell_ = std::make_shared<const cell>(source);
  return result;
}

bool operator==(const secret& a, const secret& b) {
  return a.expose([&](std::string_view x) {
    return b.expose([&](std::string_view y) {
      return x.size() == y.size() && (x.empty() || sodium_memcmp(x.data(), y.data(), x.size()) == 0);
    });
  });
}

} // namespace nestor
