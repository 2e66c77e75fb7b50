#include <nestor/io/output_tail.hpp>

#include <algorithm>

namespace nestor::io {
namespace {

constexpr std::string_view replacement = "<redacted>";

} // namespace

std::string redact(std::string_view text, std::span<const secret> secrets) {
  std::string result{text};
  auto size_of = [](const secret& one) { return one.expose([](std::string_view plain) { return plain.size(); }); };
  std::vector<secret> longest_first{secrets.begin(), secrets.end()}; // one may be the beginning of another
  std::ranges::sort(longest_first, std::ranges::greater{}, size_of);
  for (const auto& one : longest_first)
    one.expose([&](std::string_view plain) {
      if (plain.empty())
        return;
      for (auto at = result.find(plain); at != std::string::npos; at = result.find(plain, at + replacement.size()))
        result.replace(at, plain.size(), replacement);
    });
  return result;
}

void output_tail::append(std::string_view bytes) {
  if (bytes.size() >= most) {
    cut_ = true;
    kept_.assign(bytes.substr(bytes.size() - most));
    return;
  }
  // Room for twice as much, so that the front is cut once per `most` bytes and not with every write.
  if (kept_.size() + bytes.size() > 2 * most) {
    cut_ = true;
    kept_.erase(0, kept_.size() + bytes.size() - most);
  }
  kept_ += bytes;
}

std::string output_tail::text(std::span<const secret> secrets) const {
  std::string_view tail = kept_;
  bool cut = cut_ || tail.size() > most;
  if (tail.size() > most)
    tail.remove_prefix(tail.size() - most);
  if (cut) {
    auto line = tail.find('\n');
    tail.remove_prefix(line == std::string_view::npos ? tail.size() : line + 1);
  }
  auto result = redact(tail, secrets);
  std::ranges::replace_if(
    result, [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; }, ' ');
  return result;
}

} // namespace nestor::io
