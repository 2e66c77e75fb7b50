#include <nestor/sandbox/spec_fields.hpp>

#include <nestor/core/intensity.hpp>
#include <nestor/sandbox/internal/field_types.hpp>

#include <algorithm>
#include <array>

namespace nestor {
namespace {

constexpr std::size_t shown_name_max = 64; // characters of a member's name in a path

/// "auto" and the dialects of this build, as users write them.
const std::string& dialect_words() {
  static const std::string words = [] {
    std::string all = "auto"
#define NESTOR_DIALECT(name) " " #name
#include <nestor/nested/dialects.def>
#undef NESTOR_DIALECT
      ;
    std::ranges::replace(all, '_', '-');
    return all;
  }();
  return words;
}

using internal::field_types::argv;
using internal::field_types::choice;
using internal::field_types::duration;
using internal::field_types::integer;
using internal::field_types::json;
using internal::field_types::map;
using internal::field_types::memory;
using internal::field_types::number;
using internal::field_types::object;
using internal::field_types::secret;
using internal::field_types::settings;
using internal::field_types::text;

const std::vector<spec_field>& table() {
  static const std::vector<spec_field> fields = [] {
    const std::string_view dialect_choices = dialect_words();
    return std::vector<spec_field>{
#define NESTOR_SPEC_FIELD(path, type, default_text, needs, take, description, example)                                 \
  spec_field{path, type, default_text, field_needs::needs, description, example},
#include <nestor/sandbox/spec_fields.def>
#undef NESTOR_SPEC_FIELD
    };
  }();
  return fields;
}

std::string_view last_segment(std::string_view path) {
  auto dot = path.rfind('.');
  return dot == path.npos ? path : path.substr(dot + 1);
}

/// Same number of segments, each equal or `*`.
bool matches(std::string_view pattern, std::string_view path) {
  while (true) {
    auto a = pattern.find('.');
    auto b = path.find('.');
    auto wanted = pattern.substr(0, a);
    if ((wanted != "*" && wanted != path.substr(0, b)) || (a == pattern.npos) != (b == path.npos))
      return false;
    if (a == pattern.npos)
      return true;
    pattern.remove_prefix(a + 1);
    path.remove_prefix(b + 1);
  }
}

bool plain_word(std::string_view name) {
  return !name.empty() && name.size() <= shown_name_max && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '$';
  });
}

std::string plain_number(double value) {
  auto text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.'))
    text.pop_back();
  return text;
}

std::string memory_text(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < units.size() && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + std::string{units.at(unit)};
}

} // namespace

std::string_view spec_field::name() const {
  return last_segment(path);
}

std::string_view spec_field::parent() const {
  auto dot = path.rfind('.');
  return dot == path.npos ? std::string_view{} : path.substr(0, dot);
}

bool spec_field::nullable() const {
  return default_text == "null" || type.kind == field_kind::object || type.kind == field_kind::map ||
         type.kind == field_kind::settings || type.kind == field_kind::json;
}

field_table spec_fields() {
  return table();
}

const spec_field* field_at(field_table table, std::string_view path) {
  auto found = std::ranges::find_if(table, [&](const spec_field& f) { return f.path == path; });
  if (found == table.end())
    found = std::ranges::find_if(table, [&](const spec_field& f) { return matches(f.path, path); });
  return found == table.end() ? nullptr : &*found;
}

std::vector<const spec_field*> fields_in(field_table table, std::string_view path) {
  std::vector<const spec_field*> inside;
  for (const auto& f : table)
    if (f.parent() == path)
      inside.push_back(&f);
  return inside;
}

std::string probably_meant(field_table table, std::string_view parent, std::string_view name) {
  std::vector<std::string_view> here;
  for (const auto* f : fields_in(table, parent))
    here.push_back(f->name());
  auto near = nearest(name, here);
  if (near && edit_distance(name, *near) <= 1)
    return std::string{*near};
  for (const auto& f : table) // the right name in the wrong place
    if (f.name() == name && f.path.find('*') == f.path.npos)
      return std::string{f.path};
  return near ? std::string{*near} : std::string{};
}

std::string to_string(const field_type& t) {
  auto range = [](std::string least, std::string most) {
    return "from " + std::move(least) + " to " + std::move(most);
  };
  switch (t.kind) {
    case field_kind::text: return "text: " + std::string{expectation_of(t.rule)};
    case field_kind::integer: return "an integer " + range(std::to_string(t.least), std::to_string(t.most));
    case field_kind::number: return "a number " + range(plain_number(t.least_number), plain_number(t.most_number));
    case field_kind::duration:
      return "a duration such as 500ms, 120s, 30m or 24h, " +
             range(to_duration_text(milliseconds{t.least}), to_duration_text(milliseconds{t.most}));
    case field_kind::memory:
      return "a memory size such as 512MiB or 4GiB, " + range(memory_text(t.least), memory_text(t.most));
    case field_kind::choice: {
      std::string all = "one of ";
      for (auto word : words_of(t))
        all.append(all.size() == 7 ? "" : ", ").append(word);
      return all;
    }
    case field_kind::argv: return "a list of arguments (argv, never a shell string)";
    case field_kind::texts: return "a list of texts: " + std::string{expectation_of(t.rule)};
    case field_kind::object: return "an object";
    case field_kind::map: return "a map by name";
    case field_kind::secret: return "a secret reference: {$env: NAME}, {$file: PATH} or {$literal: TEXT}";
    case field_kind::settings: return "an object, with secret references anywhere";
    case field_kind::json: return "an object, taken as it is";
  }
  return {};
}

std::vector<std::string_view> words_of(const field_type& type) {
  std::vector<std::string_view> words;
  for (auto rest = type.words; !rest.empty();) {
    auto blank = std::min(rest.find(' '), rest.size());
    words.push_back(rest.substr(0, blank));
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return words;
}

bool honours(const providers::provider& who, field_needs what) {
  switch (what) {
    case field_needs::any: return true;
    case field_needs::command: return who.can.command;
    case field_needs::image: return who.can.image;
    case field_needs::resources: return who.can.resources;
    case field_needs::rents: return who.undo == providers::compensation::destroy;
    case field_needs::adopts: return who.undo == providers::compensation::withdraw;
    case field_needs::leases: return who.can.leases;
    case field_needs::activity: return false; // no provider tells whether somebody uses a runtime
  }
  return false;
}

std::string honoured_by(field_needs what) {
  if (what == field_needs::any)
    return "all";
  std::string kinds;
  for (const auto* p : providers::all())
    if (honours(*p, what))
      kinds.append(kinds.empty() ? "" : ", ").append(p->kind);
  return kinds.empty() ? "none of this build" : kinds;
}

std::string member_path(std::string_view parent, std::string_view name) {
  std::string path{parent};
  if (plain_word(name)) {
    path.append(path.empty() ? "" : ".").append(name);
    return path;
  }
  path += "[\"";
  for (char c : name.substr(0, shown_name_max)) // cut between bytes of a character: shown as '?'
    path += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e || c == '"' ? '?' : c;
  path += name.size() > shown_name_max ? "…\"]" : "\"]";
  return path;
}

std::string element_path(std::string_view parent, std::size_t index) {
  return std::string{parent} + "[" + std::to_string(index) + "]";
}

} // namespace nestor
