#include <nestor/core/failure.hpp>

#include <array>

namespace nestor {
namespace {

constexpr std::array table{
#define NESTOR_ERRC(code, status, what_helps, whose, title, remedy)                                                    \
  errc_row{errc::code, #code, status, rung::what_helps, blame::whose, title, remedy},
#include <nestor/core/errc.def>
#undef NESTOR_ERRC
};
static_assert(table.size() == static_cast<std::size_t>(errc::count_));

} // namespace

std::span<const errc_row> errc_table() {
  return table;
}

const errc_row& row_of(errc code) {
  return table.at(static_cast<std::size_t>(code));
}

std::optional<errc> errc_named(std::string_view name) {
  for (const auto& row : table)
    if (row.name == name)
      return row.code;
  return std::nullopt;
}

std::string_view name_of(errc code) {
  return row_of(code).name;
}

std::string to_string(errc code) {
  return std::string{name_of(code)};
}

rung helps(const failure& f) {
  return row_of(f.code).helps;
}

bool retryable(const failure& f) {
  return helps(f) != rung::give_up;
}

std::string to_string(const failure& f) {
  std::string text{name_of(f.code)};
  text += " at ";
  text += name_of(f.at);
  if (!f.cause.empty())
    text.append(": ").append(f.cause);
  return text;
}

} // namespace nestor
