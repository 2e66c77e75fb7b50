#include <nestor/sandbox/internal/field_value.hpp>

#include <algorithm>

namespace nestor::internal {
namespace {

constexpr std::size_t unknown_name_max = 32; // characters

std::string_view advice_for(field_kind wanted, const json_tree& node) {
  if (node.what == json_is::null || node.what > json_is::number)
    return {};
  if (wanted == field_kind::duration)
    return "give it a unit: 120s";
  if (wanted == field_kind::memory)
    return "give it a unit: 4GiB";
  return wanted == field_kind::text ? "quote it" : "";
}

} // namespace

std::string shown_name(std::string_view name) {
  return name.size() <= unknown_name_max ? std::string{name} : "(a name of " + std::to_string(name.size()) + " bytes)";
}

bool read_scalar(const field_type& type, const json_tree& node, const std::string& path, taken& into,
                 std::vector<fault>& faults) {
  auto wrong = [&](std::string_view got, std::string advice = {}) {
    faults.push_back({errc::spec_invalid, path, to_string(type), std::string{got}, std::move(advice)});
    return false;
  };
  if (type.kind == field_kind::integer) {
    if (node.what != json_is::integer)
      return wrong(kind_name(node));
    into.number = node.integer;
    return (into.number >= type.least && into.number <= type.most) || wrong(std::to_string(into.number));
  }
  if (type.kind == field_kind::number) {
    if (node.what != json_is::integer && node.what != json_is::number)
      return wrong(kind_name(node));
    into.real = node.number;
    return (into.real >= type.least_number && into.real <= type.most_number) || wrong("one outside of that");
  }
  if (node.what != json_is::string)
    return wrong(kind_name(node), std::string{advice_for(type.kind, node)});
  into.text = std::string{node.text};
  if (type.kind == field_kind::text)
    return true;
  if (type.kind == field_kind::choice) {
    auto words = words_of(type);
    if (std::ranges::find(words, std::string_view{into.text}) != words.end())
      return true;
    auto near = nearest(into.text, words);
    return wrong("another word", near ? "did you mean " + std::string{*near} + "?" : std::string{});
  }
  if (type.kind == field_kind::duration) {
    auto parsed = parse_duration(into.text);
    into.number = parsed ? parsed->count() : -1;
  } else {
    auto parsed = parse_memory(into.text);
    into.number = parsed ? static_cast<std::int64_t>(*parsed) : -1;
  }
  return (into.number >= type.least && into.number <= type.most) ||
         wrong(into.number < 0 ? "text that is none" : "one outside of that");
}

} // namespace nestor::internal
