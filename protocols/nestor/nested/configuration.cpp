#include <nestor/nested/configuration.hpp>
#include <nestor/nested/json_text.hpp>

#include <sodium.h>

#include <algorithm>
#include <stdexcept>

namespace nestor::nested {
namespace {

// Length-prefixed fields ("4:text"), optional ones with a '-' when absent: no two sequences of fields give one text.
void put(wiped_string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}
void put_optional(wiped_string& out, const std::optional<std::string>& text) {
  if (text)
    put(out, *text);
  else
    out += '-';
}
void put(wiped_string& out, const secret& text) {
  text.expose([&](std::string_view plain) { put(out, plain); });
}

void put(wiped_string& out, const git_credential& c) {
  put(out, c.git_provider);
  put(out, c.token);
  put_optional(out, c.host);
  put_optional(out, c.user_id);
}
void put(wiped_string& out, const custom_secret& s) {
  put(out, s.name);
  put(out, s.value);
  put(out, s.description);
}

// The first letter keeps the three kinds apart: a secret's digest is never a git provider's.
template <class Item>
digest item_digest(char kind, const Item& item, const digest_key& key) {
  wiped_string text(1, kind);
  put(text, item);
  return digest_of(text, key);
}

std::vector<std::string> members_with_a_value(std::string_view settings) {
  std::vector<std::string> names;
  read_json(settings, [&](const json_leaf& leaf) {
    bool top_level = leaf.path.size() > 1 && leaf.path.find('/', 1) == std::string_view::npos;
    if (top_level && leaf.kind != json_kind::null && !(leaf.kind == json_kind::string && leaf.text.empty()))
      names.push_back(unescape_pointer(leaf.path.substr(1)));
  });
  std::ranges::sort(names);
  return names;
}

} // namespace

wiped_string canonical(const configuration& c) {
  wiped_string text;
  text.reserve(c.settings.size() + 64 + 128 * (c.git_providers.size() + c.secrets.size()));
  text += 's';
  put(text, c.settings);
  for (const auto& pointer : c.secret_settings) {
    text += 'p';
    put(text, pointer);
  }
  for (const auto& credential : c.git_providers) {
    text += 'g';
    put(text, credential);
  }
  for (const auto& item : c.secrets) {
    text += 'x';
    put(text, item);
  }
  return text;
}

std::vector<secret> secrets_of(const configuration& c) {
  std::vector<secret> all;
  for (const auto& credential : c.git_providers)
    all.push_back(credential.token);
  for (const auto& item : c.secrets)
    all.push_back(item.value);
  auto is_secret = [&](std::string_view path) {
    return std::ranges::any_of(c.secret_settings, [&](std::string_view pointer) {
      return path.starts_with(pointer) && (path.size() == pointer.size() || path[pointer.size()] == '/');
    });
  };
  read_json(c.settings, [&](const json_leaf& leaf) {
    bool scalar = leaf.kind == json_kind::string || leaf.kind == json_kind::number;
    if (scalar && !leaf.text.empty() && is_secret(leaf.path))
      all.push_back(secret::copy_of(leaf.text));
  });
  return all;
}

digest digest_of(std::string_view text, const digest_key& key) {
  digest result;
  result.key_id = key.id;
  key.bytes.expose([&](std::string_view bytes) {
    if (bytes.size() != crypto_generichash_KEYBYTES) // an unkeyed digest would be the oracle that the key prevents
      throw std::invalid_argument{"a digest key has 32 bytes"};
    crypto_generichash(result.bytes.data(), result.bytes.size(), reinterpret_cast<const unsigned char*>(text.data()),
                       text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  });
  return result;
}

digest digest_of(const configuration& c, const digest_key& key) {
  return digest_of(canonical(c), key);
}

delivery delivery_of(const configuration& c, const digest_key& key) {
  delivery result;
  result.settings = item_digest('s', c.settings, key);
  result.settings_members = members_with_a_value(c.settings);
  result.git_providers.reserve(c.git_providers.size());
  for (const auto& credential : c.git_providers)
    result.git_providers.emplace_back(credential.git_provider, item_digest('g', credential, key));
  result.secrets.reserve(c.secrets.size());
  for (const auto& item : c.secrets)
    result.secrets.emplace_back(item.name, item_digest('x', item, key));
  return result;
}

bool removes(const delivery& before, const configuration& wanted) {
  auto gone = [](const auto& had, const auto& now, auto name) {
    return std::ranges::any_of(had, [&](const auto& entry) {
      return std::ranges::none_of(now, [&](const auto& item) { return item.*name == entry.first; });
    });
  };
  if (gone(before.git_providers, wanted.git_providers, &git_credential::git_provider) ||
      gone(before.secrets, wanted.secrets, &custom_secret::name))
    return true;
  auto now = members_with_a_value(wanted.settings);
  return !std::ranges::includes(now, before.settings_members);
}

} // namespace nestor::nested
