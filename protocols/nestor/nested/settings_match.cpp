#include <nestor/nested/json_text.hpp>
#include <nestor/nested/settings_match.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::nested {
namespace {

constexpr std::string_view git_providers_path = "/provider_tokens_set";
constexpr std::string_view flag_suffix = "_set";
/// Null keeps it, and there is no value that empties it: null is confirmed by definition.
constexpr std::string_view never_emptied = "/user_consents_to_analytics";

struct wanted_leaf {
  std::string path;
  json_kind kind;
  wiped_string text;
  bool secret = false;
  bool flag_shown = false; ///< the server says whether there is a value
  bool flag = false;
  bool shown = false;
  bool hidden = false; ///< shown as null or as asterisks
  bool masked = false; ///< shown as asterisks: there is a value
  bool equal = false;
};

bool blank(json_kind kind, std::string_view text) {
  return kind == json_kind::null ||
         (kind == json_kind::string && text.find_first_not_of(" \t\r\n") == std::string_view::npos);
}

bool asterisks(json_kind kind, std::string_view text) {
  return kind == json_kind::string && text.size() >= 3 && text.find_first_not_of('*') == std::string_view::npos;
}

bool top_level(std::string_view path) {
  return path.size() > 1 && path.find('/', 1) == std::string_view::npos;
}

std::optional<double> as_number(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value} : std::nullopt;
}

/// What the server's schema takes for a truth value.
std::optional<bool> as_boolean(std::string_view text) {
  std::string low{text};
  std::ranges::transform(low, low.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (std::string_view yes : {"true", "1", "yes", "on", "y", "t"})
    if (low == yes)
      return true;
  for (std::string_view no : {"false", "0", "no", "off", "n", "f"})
    if (low == no)
      return false;
  return std::nullopt;
}

/// "50" is stored as 50 and "yes" as true: the kinds may differ where the shown kind can be read from the wanted text.
bool same_value(json_kind wanted, std::string_view wanted_text, const json_leaf& shown) {
  if (wanted == shown.kind && wanted_text == shown.text)
    return true;
  if (blank(wanted, wanted_text))
    return blank(shown.kind, shown.text);
  if (shown.kind == json_kind::number && wanted != json_kind::null) {
    auto a = as_number(wanted_text);
    return a && a == as_number(shown.text);
  }
  if (shown.kind == json_kind::boolean) {
    auto a = as_boolean(wanted_text);
    return a && *a == (shown.text == "true");
  }
  return false;
}

class comparison {
public:
  explicit comparison(const configuration& wanted) {
    read_json(wanted.settings, [&](const json_leaf& leaf) {
      if (leaf.path.empty() || leaf.kind == json_kind::object)
        return; // a server may add members with their defaults
      bool is_secret = std::ranges::find(wanted.secret_settings, leaf.path) != wanted.secret_settings.end();
      leaves_.push_back({std::string{leaf.path}, leaf.kind, wiped_string{leaf.text}, is_secret});
    });
    std::ranges::sort(leaves_, {}, &wanted_leaf::path);
  }

  void see(const json_leaf& leaf) {
    if (leaf.kind == json_kind::object)
      return; // its members were seen
    if (auto* wanted = find(leaf.path)) {
      wanted->shown = true;
      wanted->masked = asterisks(leaf.kind, leaf.text);
      wanted->hidden = wanted->masked || leaf.kind == json_kind::null;
      wanted->equal = same_value(wanted->kind, wanted->text, leaf);
    } else if (leaf.path.ends_with("/url")) { // a server given as a bare URL comes back as an object
      auto* short_form = find(leaf.path.substr(0, leaf.path.size() - 4));
      if (short_form && short_form->kind == json_kind::string) {
        short_form->shown = true;
        short_form->equal = short_form->text == leaf.text;
      }
    } else if (leaf.kind == json_kind::boolean && top_level(leaf.path) && leaf.path.ends_with(flag_suffix)) {
      auto* flagged = find(leaf.path.substr(0, leaf.path.size() - flag_suffix.size()));
      if (flagged) {
        flagged->flag_shown = true;
        flagged->flag = leaf.text == "true";
      } else if (leaf.text == "true") {
        surplus_.emplace_back(leaf.path.substr(1, leaf.path.size() - 1 - flag_suffix.size()));
      }
    }
  }

  settings_match result(showing how) const {
    settings_match match{true, false, {}, evidence::value};
    for (const auto& leaf : leaves_)
      match.any_shown |= leaf.shown || leaf.flag_shown;
    for (const auto& leaf : leaves_) {
      auto strength = strength_of(leaf, how);
      if (strength == evidence::none)
        return {false, match.any_shown, leaf.path, evidence::none};
      match.strength = std::min(match.strength, strength);
    }
    if (how == showing::places && !surplus_.empty())
      return {false, match.any_shown, "/" + surplus_.front(), evidence::none};
    return match;
  }

private:
  wanted_leaf* find(std::string_view path) {
    auto at = std::ranges::lower_bound(leaves_, path, {}, &wanted_leaf::path);
    return at != leaves_.end() && at->path == path ? &*at : nullptr;
  }

  /// How well this member is confirmed; none when it is not.
  static evidence strength_of(const wanted_leaf& leaf, showing how) {
    bool has_value = !blank(leaf.kind, leaf.text);
    if (leaf.flag_shown && (leaf.secret || !leaf.shown || leaf.hidden)) {
      if (leaf.flag != has_value)
        return evidence::none;
      return has_value && !leaf.equal ? evidence::presence : evidence::value;
    }
    if (leaf.equal)
      return evidence::value;
    if (!has_value && leaf.path == never_emptied)
      return evidence::value;
    if (!has_value) // absent is as good as empty
      return !leaf.shown || leaf.hidden ? evidence::value : evidence::none;
    if (leaf.masked)
      return evidence::presence;
    if (!leaf.secret || how == showing::values)
      return evidence::none;
    if (leaf.shown && leaf.hidden) // there is a place for it; whether it is filled is not told
      return evidence::answer;
    return leaf.shown || how == showing::places ? evidence::none : evidence::answer;
  }

  std::vector<wanted_leaf> leaves_;
  std::vector<std::string> surplus_;
};

void note(shown_settings& shown, const json_leaf& leaf) {
  if (leaf.path.empty()) {
    shown.whole = leaf.kind == json_kind::object;
    return;
  }
  if (leaf.path.starts_with(git_providers_path)) {
    auto rest = leaf.path.substr(git_providers_path.size());
    if (rest.empty())
      shown.tells_git_providers = leaf.kind == json_kind::object || leaf.kind == json_kind::null;
    else if (top_level(rest))
      shown.git_providers.push_back({unescape_pointer(rest.substr(1)),
                                     leaf.kind == json_kind::string ? std::string{leaf.text} : std::string{},
                                     leaf.kind == json_kind::string || leaf.kind == json_kind::null});
    return;
  }
  if (!top_level(leaf.path))
    return;
  auto name = leaf.path.substr(1);
  for (auto kept : kept_by_null) {
    bool has_value = name == kept ? !blank(leaf.kind, leaf.text)
                                  : name.ends_with(flag_suffix) && leaf.text == "true" &&
                                      name.substr(0, name.size() - flag_suffix.size()) == kept;
    if (has_value && std::ranges::find(shown.filled, kept) == shown.filled.end())
      shown.filled.emplace_back(kept);
  }
}

void finish(shown_settings& shown, bool whole) {
  shown.whole = shown.whole && whole;
  std::ranges::sort(shown.git_providers, {}, &shown_git_provider::name);
  std::ranges::sort(shown.filled);
}

} // namespace

bool has_value(std::string_view settings, std::string_view name) {
  bool found = false;
  read_json(settings, [&](const json_leaf& leaf) {
    found |= leaf.path.size() == name.size() + 1 && leaf.path.substr(1) == name && !blank(leaf.kind, leaf.text);
  });
  return found;
}

shown_settings read_settings(std::string_view body) {
  shown_settings shown;
  bool whole = read_json(body, [&](const json_leaf& leaf) { note(shown, leaf); });
  finish(shown, whole);
  return shown;
}

settings_match match_settings(const configuration& wanted, std::string_view body, shown_settings& shown, showing how) {
  comparison compared{wanted};
  shown = {};
  bool whole = read_json(body, [&](const json_leaf& leaf) {
    note(shown, leaf);
    compared.see(leaf);
  });
  finish(shown, whole);
  auto match = shown.whole ? compared.result(how) : settings_match{};
  if (how == showing::places && match.equal) // what null would have kept must be gone when it is not wanted
    for (const auto& name : shown.filled)
      if (!has_value(wanted.settings, name))
        return {false, match.any_shown, "/" + name, evidence::none};
  return match;
}

wiped_string emptied(std::string_view settings, std::span<const std::string> names) {
  wiped_string body;
  body.reserve(settings.size() + 32 * names.size());
  body += settings;
  for (const auto& name : names) {
    body.pop_back(); // canonical: an object without white space, so this is its '}'
    if (body.size() > 1)
      body += ',';
    append_json(body, name); // of two members of one name the last one counts
    body += ":\"\"}";
  }
  return body;
}

wiped_string settings_body(std::string_view settings, std::span<const std::string> clear) {
  std::vector<std::string> unwanted;
  for (const auto& name : clear)
    if (!has_value(settings, name))
      unwanted.push_back(name);
  return emptied(settings, unwanted);
}

} // namespace nestor::nested
