#include <nestor/http/message.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::http {
namespace {

constexpr std::array<std::string_view, 6> method_names{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};

constexpr std::array<std::string_view, static_cast<std::size_t>(transport_error::count_)> transport_names{
  "connection refused",       "unreachable",          "name not resolved",
  "address not allowed",      "TLS refused",          "connection reset",
  "no answer in time",        "not an HTTP response", "answer too large",
  "too many requests waiting"};
static_assert(!transport_names.back().empty());

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

std::string_view name_of(method m) {
  return method_names.at(static_cast<std::size_t>(m));
}

std::optional<method> method_named(std::string_view name) {
  for (std::size_t i = 0; i < method_names.size(); ++i)
    if (method_names[i] == name)
      return static_cast<method>(i);
  return std::nullopt;
}

bool same_header_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* response::find(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same_header_name(key, name))
      return &value;
  return nullptr;
}

std::optional<milliseconds> parse_retry_after(std::string_view value) {
  constexpr double most_seconds = 86'400;
  double seconds = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds, std::chars_format::fixed);
  if (error != std::errc{} || end != value.data() + value.size() || !(seconds >= 0))
    return std::nullopt;
  return milliseconds{static_cast<std::int64_t>(std::min(seconds, most_seconds) * 1000)};
}

std::string_view name_of(transport_error e) {
  return transport_names.at(static_cast<std::size_t>(e));
}

} // namespace nestor::http
