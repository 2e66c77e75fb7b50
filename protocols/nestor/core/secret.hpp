// Plaintext credentials as a type: one copy in memory, wiped with its last handle, impossible to print, compared in
// constant time, with one greppable door (`expose`). The limits, said aloud: the kernel's socket buffers, the TLS
// library and a JSON document it was parsed from hold copies of their own; this is hygiene, not a vault.
#pragma once

#include <cstddef>
#include <cstring>
#include <iosfwd>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace nestor {

/// Overwrites `size` bytes at `bytes` in a way the optimiser keeps.
void wipe(void* bytes, std::size_t size) noexcept;

/// Wipes the characters of `text` (its whole capacity) and empties it.
void wipe(std::string& text) noexcept;

/// Allocator that wipes what it frees.
template <class T>
struct wiping_allocator {
  using value_type = T;
  wiping_allocator() = default;
  template <class U>
  wiping_allocator(const wiping_allocator<U>&) noexcept {} // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept {
    wipe(p, n * sizeof(T));
    ::operator delete(p);
  }
  friend bool operator==(wiping_allocator, wiping_allocator) { return true; }
};

/// A string whose heap memory is wiped when freed. Short values stay inside the object (no heap); use `secret` for
/// keys.
using wiped_string = std::basic_string<char, std::char_traits<char>, wiping_allocator<char>>;

class secret {
public:
  secret() = default;

  /// Takes the characters and wipes the caller's copy.
  explicit secret(std::string&& source);

  /// Copies `source`; for literals and values whose owner wipes them.
  static secret copy_of(std::string_view source);

  [[nodiscard]] bool empty() const { return !cell_ || cell_->size == 0; }

  /// The only way to the characters. Do not keep the view beyond the call.
  template <class Use>
  decltype(auto) expose(Use&& use) const {
    return std::forward<Use>(use)(cell_ ? std::string_view{cell_->bytes.get(), cell_->size} : std::string_view{});
  }

  /// Constant time in the content, not in the length.
  friend bool operator==(const secret& a, const secret& b);

  /// What every printer, logger and CAF's own stringification gets.
  friend std::string to_string(const secret&) { return "<secret>"; }
  friend std::ostream& operator<<(std::ostream&, const secret&) = delete;

private:
  struct cell {
    std::unique_ptr<char[]> bytes;
    std::size_t size = 0;
    explicit cell(std::string_view source);
    cell(const cell&) = delete;
    cell& operator=(const cell&) = delete;
    ~cell();
  };
  std::shared_ptr<const cell> cell_;
};

} // namespace nestor
