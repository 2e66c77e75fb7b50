#include <nestor/nested/json_text.hpp>
#include <nestor/nested/listing.hpp>

#include <algorithm>
#include <utility>

namespace nestor::nested {
namespace {

/// The path below one element of the array at `root`: "" for the element itself; nothing for what is elsewhere.
std::optional<std::string_view> below_element(std::string_view path, std::string_view root) {
  if (!path.starts_with(root) || path.size() <= root.size() + 1 || path[root.size()] != '/')
    return std::nullopt;
  auto slash = path.find('/', root.size() + 1);
  return slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
}

} // namespace

std::optional<std::vector<listed_secret>> read_secrets(std::string_view body, std::string_view root) {
  bool found = false;
  bool named = false;
  std::vector<listed_secret> listed;
  listed_secret entry; // its members come before the object that ends it
  bool whole = read_json(body, [&](const json_leaf& leaf) {
    if (leaf.path == root)
      found = leaf.kind == json_kind::array;
    auto member = below_element(leaf.path, root);
    if (!member)
      return;
    if (*member == "description") {
      entry.description = leaf.kind == json_kind::string ? leaf.text : std::string_view{};
    } else if (leaf.kind == json_kind::string && (member->empty() || *member == "name")) {
      entry.name = leaf.text;
      named = true;
    }
    if (member->empty()) {
      if (std::exchange(named, false))
        listed.push_back(std::move(entry));
      entry = {};
    }
  });
  if (!found || !whole)
    return std::nullopt;
  std::ranges::sort(listed, {}, &listed_secret::name);
  return listed;
}

std::optional<std::vector<std::string>> read_secret_names(std::string_view body, std::string_view root) {
  auto listed = read_secrets(body, root);
  if (!listed)
    return std::nullopt;
  std::vector<std::string> names;
  names.reserve(listed->size());
  for (auto& each : *listed)
    names.push_back(std::move(each.name));
  return names;
}

std::optional<std::vector<shown_git_provider>> read_git_providers(std::string_view body, std::string_view root) {
  bool found = false;
  std::vector<shown_git_provider> shown;
  shown_git_provider entry; // its members come before the object that ends it
  bool whole = read_json(body, [&](const json_leaf& leaf) {
    if (leaf.path == root)
      found = leaf.kind == json_kind::array;
    auto member = below_element(leaf.path, root);
    if (!member)
      return;
    if (*member == "host") {
      entry.host_shown = leaf.kind == json_kind::string || leaf.kind == json_kind::null;
      entry.host = leaf.kind == json_kind::string ? leaf.text : std::string_view{};
    } else if (leaf.kind == json_kind::string && (member->empty() || *member == "provider" || *member == "name")) {
      entry.name = leaf.text;
    }
    if (member->empty() && !entry.name.empty())
      shown.push_back(std::exchange(entry, {}));
  });
  return found && whole ? std::optional{std::move(shown)} : std::nullopt;
}

} // namespace nestor::nested
