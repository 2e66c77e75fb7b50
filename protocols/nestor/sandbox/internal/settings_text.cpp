#include <nestor/sandbox/internal/settings_text.hpp>

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/placeholder.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace nestor::internal {
namespace {

constexpr std::string_view reference_form = "an object with exactly one of $env, $file, $literal";
constexpr std::size_t file_path_max = 4096; // bytes: PATH_MAX

std::string lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

/// Does a member of this name hold a secret? The list of interfaces §3, in any case of letters.
bool names_a_secret(std::string_view name) {
  auto text = lower(name);
  return text == "password" || text.ends_with("_key") || text.ends_with("_token") || text.ends_with("_secret");
}

std::string pointer_to(const std::string& parent, std::string_view name) {
  std::string pointer = parent + "/";
  for (char c : name) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
  return pointer;
}

class settings_writer {
public:
  settings_writer(configuration_source& into, bool bench, std::vector<fault>& faults)
      : into_(into), bench_(bench), faults_(faults) {}

  struct place {
    std::string path;
    std::string pointer;
    bool secret = false; ///< a bare text here is a secret
    bool mcp = false;    ///< inside an MCP configuration
  };

  void write(const json_tree& value, const place& at) {
    if (meant_as_reference(value)) {
      reference(value, at);
    } else if (value.what == json_is::object) {
      object(value, at);
    } else if (value.what == json_is::array) {
      array(value, at);
    } else {
      scalar(value, at);
    }
  }
  void finish() {
    if (!text_.empty())
      into_.settings.push_back({std::exchange(text_, {}), std::nullopt});
  }

private:
  void reference(const json_tree& value, const place& at) {
    auto found = read_reference(value, at.path, bench_, faults_);
    if (!found)
      return;
    into_.settings.push_back({std::exchange(text_, {}), into_.settings_secrets.size()});
    into_.settings_secrets.push_back({std::move(*found), at.pointer});
  }
  void object(const json_tree& value, const place& at) {
    text_ += '{';
    const char* comma = "";
    for (const auto* m : sorted_members(value)) {
      text_ += std::exchange(comma, ",");
      nested::append_json(text_, m->name);
      text_ += ':';
      place inside{member_path(at.path, m->name), pointer_to(at.pointer, m->name), at.secret, at.mcp};
      inside.mcp = at.mcp || lower(m->name).starts_with("mcp");
      inside.secret = at.secret || names_a_secret(m->name) || (at.mcp && lower(m->name) == "env");
      placeholders_fit(m->name, inside.path, false, faults_); // names never count
      write(m->value, inside);
    }
    text_ += '}';
  }
  void array(const json_tree& value, const place& at) {
    text_ += '[';
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      text_ += i == 0 ? "" : ",";
      write(value.items[i], {element_path(at.path, i), at.pointer + "/" + std::to_string(i), at.secret, at.mcp});
    }
    text_ += ']';
  }
  void scalar(const json_tree& value, const place& at) {
    bool plain = value.what == json_is::null || value.what == json_is::boolean;
    if (at.secret && !plain) { // a password of digits is a number to YAML
      faults_.push_back(
        {errc::spec_invalid, at.path, "a secret reference", "bare " + bare_name(value), std::string{reference_advice}});
    } else if (value.what == json_is::string) {
      placeholders_fit(value.text, at.path, bench_, faults_);
      nested::append_json(text_, value.text);
    } else {
      append_scalar(text_, value);
    }
  }
  static std::string bare_name(const json_tree& value) { return value.what == json_is::string ? "text" : "number"; }

  configuration_source& into_;
  bool bench_;
  std::vector<fault>& faults_;
  wiped_string text_;
};

void check_free_json(const json_tree& value, const std::string& path, bool bench, bool prose,
                     std::vector<fault>& faults) {
  if (meant_as_reference(value)) {
    faults.push_back(
      {errc::spec_invalid, path, "JSON without secret references", "a reference", "secrets belong in `configuration`"});
    return;
  }
  if (value.what == json_is::string && !prose)
    placeholders_fit(value.text, path, bench, faults);
  for (std::size_t i = 0; i < value.items.size(); ++i)
    check_free_json(value.items[i], element_path(path, i), bench, prose, faults);
  for (const auto& m : value.members)
    check_free_json(m.value, member_path(path, m.name), bench, prose, faults);
}

} // namespace

bool meant_as_reference(const json_tree& value) {
  return std::ranges::any_of(value.members, [](const json_member& m) { return m.name.starts_with('$'); });
}

std::optional<secret_reference> read_reference(const json_tree& value, const std::string& path, bool bench,
                                               std::vector<fault>& faults) {
  constexpr std::array<std::string_view, 3> kinds{"$env", "$file", "$literal"};
  auto refuse = [&](std::string got, std::string advice) {
    faults.push_back({errc::spec_invalid, path, std::string{reference_form}, std::move(got), std::move(advice)});
    return std::nullopt;
  };
  if (value.members.size() != 1)
    return refuse("an object of " + std::to_string(value.members.size()) + " members", {});
  const auto& [name, content] = value.members.front();
  auto kind = std::ranges::find(kinds, std::string_view{name});
  if (kind == kinds.end()) {
    auto near = nearest(name, kinds);
    return refuse("another member", near ? "did you mean " + std::string{*near} + "?" : std::string{});
  }
  if (content.what != json_is::string)
    return refuse(std::string{kind_name(content)} + " as its value",
                  content.what == json_is::array || content.what == json_is::object ? "it is text"
                                                                                    : "it is text: quote it");
  secret_reference result;
  result.kind = static_cast<reference_kind>(kind - kinds.begin());
  result.path = path;
  if (result.kind == reference_kind::literal) {
    if (!placeholders_fit(content.text, path, bench, faults))
      return std::nullopt;
    result.literal = secret::copy_of(content.text);
    return result;
  }
  result.name = std::string{content.text};
  bool fits = result.kind == reference_kind::env
                ? obeys(text_rule::env_name, result.name)
                : !result.name.empty() && result.name.size() <= file_path_max && !has_control(result.name);
  if (!fits)
    return refuse("text that is none", result.kind == reference_kind::env
                                         ? "$env takes the name of an environment variable"
                                         : "$file takes a path");
  return result;
}

bool placeholders_fit(std::string_view text, const std::string& path, bool bench, std::vector<fault>& faults) {
  if (!counts(text))
    return true;
  if (!bench) {
    faults.push_back(
      {errc::spec_invalid, path, "text without placeholders", "a placeholder", "{index} is for `nestor bench` only"});
    return false;
  }
  if (pattern::of(text))
    return true;
  faults.push_back({errc::spec_invalid,
                    path,
                    "a placeholder such as {index}, {index:08}, {11000+index} or {11000+index%64}",
                    "another form of it",
                    {}});
  return false;
}

std::string read_free_json(const json_tree& value, const std::string& path, bool bench, bool prose,
                           std::vector<fault>& faults) {
  check_free_json(value, path, bench, prose && !bench, faults);
  wiped_string text;
  append_canonical(text, value);
  return std::string{text};
}

void read_settings(const json_tree& value, const std::string& path, bool bench, configuration_source& into,
                   std::vector<fault>& faults) {
  settings_writer writer{into, bench, faults};
  writer.write(value, {path, {}, false, false});
  writer.finish();
}

} // namespace nestor::internal
