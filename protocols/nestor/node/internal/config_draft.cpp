#include <nestor/node/internal/config_draft.hpp>

#include <algorithm>
#include <array>

namespace nestor::internal {
namespace {

// -- what config_fields.def says of a value; its table keeps numbers in range -----------------------------------------

milliseconds time_of(const taken& v) {
  return milliseconds{v.number};
}
std::size_t size_of(const taken& v) {
  return static_cast<std::size_t>(v.number);
}
std::uint32_t small_of(const taken& v) {
  return static_cast<std::uint32_t>(v.number);
}
std::vector<std::string> lower_case(std::vector<std::string> all) {
  for (auto& each : all)
    std::ranges::transform(each, each.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return all;
}
log_level level_of(const std::string& word) {
  return word == "debug"     ? log_level::debug
         : word == "warning" ? log_level::warning
         : word == "error"   ? log_level::error
                             : log_level::info;
}

constexpr std::array takers{
#define NESTOR_CONFIG_FIELD(path, type, default_text, take, description, example)                                      \
  config_taker{[]([[maybe_unused]] config_draft& d, [[maybe_unused]] taken&& v) {                                      \
    [[maybe_unused]] auto& c = d.config;                                                                               \
    take;                                                                                                              \
  }},
#include <nestor/node/config_fields.def>
#undef NESTOR_CONFIG_FIELD
};

} // namespace

config_taker config_taker_of(std::size_t row) {
  return takers.at(row);
}

} // namespace nestor::internal
