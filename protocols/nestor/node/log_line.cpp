#include <nestor/node/log_line.hpp>

#include <nestor/sandbox/view.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace nestor {
namespace {

constexpr std::array<std::string_view, 4> level_names{"debug", "info", "warning", "error"};
constexpr std::size_t field_min = 32; // bytes: a name, its quotes and a number

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// As it is where a reader cannot mistake it; else in quotes.
std::string word(const std::string& text) {
  auto plain = [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\'; };
  return std::ranges::all_of(text, plain) ? text : quoted(text);
}

} // namespace

std::string_view name_of(log_level level) {
  return level_names[static_cast<std::size_t>(level)];
}

std::optional<log_level> log_level_named(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i)
    if (level_names[i] == name)
      return static_cast<log_level>(i);
  return std::nullopt;
}

log_line& log_line::with(std::string_view name, std::string_view text) {
  if (text.empty())
    return *this;
  std::string kept{text.substr(0, value_max)};
  if (kept.size() < text.size())
    kept += "…";
  fields_.emplace_back(std::string{name}, std::move(kept));
  return *this;
}

log_line& log_line::with(std::string_view name, std::uint64_t number) {
  fields_.emplace_back(std::string{name}, number);
  return *this;
}

std::string log_line::text(log_format as) const {
  bool json = as == log_format::json;
  auto at = to_text(at_);
  std::string out =
    json ? R"({"time":")" + at + R"(","level":")" + std::string{name_of(level_)} + R"(","event":)" + quoted(event_)
         : at + " " + std::string{name_of(level_)} + " " + word(event_);
  for (const auto& [name, value] : fields_) {
    const auto* text = std::get_if<std::string>(&value);
    auto shown = !text ? std::to_string(std::get<std::uint64_t>(value)) : json ? quoted(*text) : word(*text);
    if (out.size() + name.size() + shown.size() + field_min > line_max)
      continue; // the later, smaller ones may still fit
    out += json ? ",\"" + name + "\":" + shown : " " + name + "=" + shown;
  }
  out += json ? "}\n" : "\n";
  return out;
}

} // namespace nestor
