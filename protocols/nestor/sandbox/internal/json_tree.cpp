#include <nestor/sandbox/internal/json_tree.hpp>

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <unordered_set>

namespace nestor::internal {
namespace {

// Its strings, the lexer's token buffer among them, are wiped when freed.
using wiped_json = nlohmann::basic_json<std::map, std::vector, wiped_string>;

template <class Number>
void append_number(wiped_string& out, Number value) {
  std::array<char, 32> digits{};
  auto* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

std::size_t longest_line(std::string_view text) {
  std::size_t longest = 0;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    longest = std::max(longest, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return longest;
}

/// What nlohmann's parser calls. Faults of content are collected; broken syntax and depth end the reading.
class builder {
public:
  explicit builder(checked<json_tree>& result) : result_(result) {}

  bool null() { return place({}); }
  bool boolean(bool value) {
    json_tree t;
    t.what = json_is::boolean;
    t.flag = value;
    return place(std::move(t));
  }
  bool number_integer(std::int64_t value) {
    json_tree t;
    t.what = json_is::integer;
    t.integer = value;
    t.number = static_cast<double>(value);
    append_number(t.text, value);
    return place(std::move(t));
  }
  bool number_unsigned(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return number_integer(static_cast<std::int64_t>(value));
    json_tree t;
    t.what = json_is::number;
    t.number = static_cast<double>(value);
    append_number(t.text, value);
    return place(std::move(t));
  }
  bool number_float(double value, std::string_view) {
    json_tree t;
    t.what = json_is::number;
    t.number = value;
    append_number(t.text, value);
    if (t.text.find_first_of(".e") == wiped_string::npos)
      t.text += ".0"; // a server may tell 1 from 1.0
    return place(std::move(t));
  }
  bool string(wiped_string& value) {
    json_tree t;
    t.what = json_is::string;
    t.text = std::move(value);
    if (longest_line(t.text) > spec_line_max)
      faults().push_back({errc::spec_invalid, here(), "lines of at most 32 KiB", "a longer one", {}});
    return place(std::move(t));
  }
  bool binary(wiped_json::binary_t&) { return false; } // JSON text has none
  bool start_object(std::size_t) { return open(json_is::object); }
  bool start_array(std::size_t) { return open(json_is::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(wiped_string& name) {
    auto& top = open_.back();
    top.key.assign(name.data(), name.size());
    if (!top.seen.insert(top.key).second)
      faults().push_back(
        {errc::spec_invalid, member_path(top.path, top.key), "each name once", "the same name twice", {}});
    return true;
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) {
    faults().push_back(
      {errc::spec_invalid, {}, "one JSON document in UTF-8", "something else at byte " + std::to_string(at), {}});
    return false;
  }

private:
  struct level {
    json_tree tree;
    std::string path;
    std::string key;
    std::unordered_set<std::string> seen;
  };

  std::vector<fault>& faults() { return result_.faults; }

  std::string here() const {
    if (open_.empty())
      return {};
    const auto& top = open_.back();
    return top.tree.what == json_is::object ? member_path(top.path, top.key)
                                            : element_path(top.path, top.tree.items.size());
  }
  bool open(json_is what) {
    if (open_.size() == spec_depth_max) {
      faults().push_back({errc::spec_invalid, here(), "nesting of at most 32 levels", "deeper nesting", {}});
      return false;
    }
    level next;
    next.tree.what = what;
    next.path = here();
    open_.push_back(std::move(next));
    return true;
  }
  bool close() {
    auto done = std::move(open_.back().tree);
    open_.pop_back();
    return place(std::move(done));
  }
  bool place(json_tree value) {
    if (open_.empty())
      result_.value = std::move(value);
    else if (auto& top = open_.back(); top.tree.what == json_is::object)
      top.tree.members.push_back({top.key, std::move(value)});
    else
      top.tree.items.push_back(std::move(value));
    return true;
  }

  checked<json_tree>& result_;
  std::vector<level> open_;
};

} // namespace

const json_tree* json_tree::member(std::string_view name) const {
  auto found = std::ranges::find_if(members, [&](const json_member& m) { return m.name == name; });
  return found == members.end() ? nullptr : &found->value;
}

std::string_view kind_name(const json_tree& value) {
  constexpr std::array<std::string_view, 7> names{"null", "a boolean", "an integer", "a number",
                                                  "text", "a list",    "an object"};
  return names.at(static_cast<std::size_t>(value.what));
}

checked<json_tree> read_tree(std::string_view json) {
  checked<json_tree> result;
  if (json.size() > spec_bytes_max) {
    result.faults.push_back({errc::spec_invalid, {}, "a document of at most 1 MiB", "a larger one", {}});
    return result;
  }
  builder build{result};
  wiped_json::sax_parse(json.begin(), json.end(), &build);
  if (!result.faults.empty())
    result.value.reset();
  return result;
}

std::vector<const json_member*> sorted_members(const json_tree& object) {
  std::vector<const json_member*> sorted;
  sorted.reserve(object.members.size());
  for (const auto& m : object.members)
    sorted.push_back(&m);
  std::ranges::sort(sorted, {}, [](const json_member* m) -> std::string_view { return m->name; });
  return sorted;
}

void append_scalar(wiped_string& out, const json_tree& value) {
  if (value.what == json_is::null)
    out += "null";
  else if (value.what == json_is::boolean)
    out += value.flag ? "true" : "false";
  else
    out += value.text;
}

bool append_canonical(wiped_string& out, const json_tree& value) {
  const char* comma = "";
  bool fine = true;
  switch (value.what) {
    case json_is::string: return nested::append_json(out, value.text);
    case json_is::array:
      out += '[';
      for (const auto& item : value.items) {
        out += std::exchange(comma, ",");
        fine = append_canonical(out, item) && fine;
      }
      out += ']';
      return fine;
    case json_is::object:
      out += '{';
      for (const auto* m : sorted_members(value)) {
        out += std::exchange(comma, ",");
        fine = nested::append_json(out, m->name) && fine;
        out += ':';
        fine = append_canonical(out, m->value) && fine;
      }
      out += '}';
      return fine;
    case json_is::null:
    case json_is::boolean:
    case json_is::integer:
    case json_is::number: append_scalar(out, value); return true;
  }
  return fine;
}

} // namespace nestor::internal
