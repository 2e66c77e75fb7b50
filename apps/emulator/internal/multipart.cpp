#include <emulator/internal/multipart.hpp>

namespace nestor::emulator {
namespace {

/// The value of `key="…"` or `key=…` in a header's parameters.
std::string parameter_of(std::string_view header, std::string_view key) {
  auto wanted = std::string{key} + "=";
  for (auto at = header.find(wanted); at != std::string_view::npos; at = header.find(wanted, at + 1)) {
    if (at > 0 && header[at - 1] != ' ' && header[at - 1] != ';')
      continue;
    auto value = header.substr(at + wanted.size());
    if (value.starts_with('"'))
      return std::string{value.substr(1, value.find('"', 1) - 1)};
    return std::string{value.substr(0, value.find_first_of("; \r\n"))};
  }
  return {};
}

std::string_view disposition_of(std::string_view head) {
  while (!head.empty()) {
    auto line = head.substr(0, head.find("\r\n"));
    if (line.size() > 20 && (line[0] == 'C' || line[0] == 'c') && line.find("isposition:") != std::string_view::npos)
      return line;
    head.remove_prefix(line.size() == head.size() ? line.size() : line.size() + 2);
  }
  return {};
}

} // namespace

std::optional<std::vector<form_part>> form_parts(std::string_view content_type, std::string_view body) {
  auto boundary = parameter_of(content_type, "boundary");
  if (boundary.empty())
    return std::nullopt;
  auto mark = "--" + boundary;
  std::vector<form_part> parts;
  auto at = body.find(mark);
  while (at != std::string_view::npos) {
    auto rest = body.substr(at + mark.size());
    if (rest.starts_with("--"))
      return parts;
    auto head_end = rest.find("\r\n\r\n");
    auto end = rest.find("\r\n" + mark);
    if (head_end == std::string_view::npos || end == std::string_view::npos || end < head_end)
      return std::nullopt;
    auto line = disposition_of(rest.substr(0, head_end));
    parts.push_back({parameter_of(line, "name"), parameter_of(line, "filename"),
                     rest.substr(head_end + 4, end < head_end + 4 ? 0 : end - head_end - 4)});
    at = body.find(mark, at + mark.size() + end);
  }
  return std::nullopt;
}

const form_part* part_named(const std::vector<form_part>& parts, std::string_view name) {
  for (const auto& p : parts)
    if (p.name == name)
      return &p;
  return nullptr;
}

} // namespace nestor::emulator
