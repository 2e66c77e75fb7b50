#include <nestor/api/token_book.hpp>

#include <nestor/sandbox/text_rules.hpp>

#include <nlohmann/json.hpp>
#include <sodium.h>

#include <algorithm>

namespace nestor::api {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t id_bytes = 8;
constexpr std::size_t text_bytes = 32;
constexpr std::string_view digits = "0123456789abcdef";

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (auto byte : bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

bool unhex(std::string_view text, std::span<std::uint8_t> into) {
  if (text.size() != 2 * into.size())
    return false;
  for (std::size_t i = 0; i < into.size(); ++i) {
    auto high = digits.find(text[2 * i]);
    auto low = digits.find(text[2 * i + 1]);
    if (high == digits.npos || low == digits.npos)
      return false;
    into[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

failure bad(std::string cause) {
  return {errc::spec_invalid, step::queue, std::move(cause), 0, {}};
}

} // namespace

token_hash hash_of(std::string_view token) {
  token_hash hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(token.data()), token.size(),
                     nullptr, 0);
  return hash;
}

bool is_tenant(std::string_view text) {
  return obeys(text_rule::sandbox_name, text);
}

minted mint(std::span<const std::uint8_t> entropy, std::string tenant, role may, std::string note, wall_time now) {
  auto text = "nsk-" + hex(entropy.subspan(id_bytes, text_bytes));
  token_entry entry{"tok-" + hex(entropy.first(id_bytes)), std::move(tenant), may, std::move(note), now, hash_of(text)};
  return {secret{std::move(text)}, std::move(entry)};
}

const token_entry* token_book::find(std::string_view bearer) const {
  auto hash = hash_of(bearer);
  const token_entry* found = nullptr;
  for (const auto& entry : entries_)
    if (sodium_memcmp(entry.hash.data(), hash.data(), hash.size()) == 0)
      found = &entry;
  return found;
}

bool token_book::revoke(std::string_view id) {
  return std::erase_if(entries_, [&](const token_entry& e) { return e.id == id; }) > 0;
}

std::string to_json(const token_book& book) {
  auto list = json::array();
  for (const auto& e : book.entries())
    list.push_back({{"id", e.id},
                    {"tenant", e.tenant},
                    {"role", name_of(e.may)},
                    {"note", e.note},
                    {"created_ms", e.created.ms},
                    {"blake2b", hex(e.hash)}});
  return json{{"tokens", std::move(list)}}.dump(2, ' ', false, json::error_handler_t::replace);
}

expected<token_book> read_token_book(std::string_view text) {
  auto root = json::parse(text.begin(), text.end(), nullptr, false);
  if (!root.is_object() || !root.contains("tokens") || !root["tokens"].is_array())
    return bad("it is no JSON object with a list `tokens`");
  token_book book;
  for (const auto& item : root["tokens"]) {
    auto word = [&](const char* name) {
      auto found = item.find(name);
      return found != item.end() && found->is_string() ? found->get<std::string>() : std::string{};
    };
    if (!item.is_object())
      return bad("a token is no object");
    token_entry entry{word("id"), word("tenant"), role::read, word("note"), {}, {}};
    auto may = role_named(word("role"));
    if (entry.id.empty() || !is_tenant(entry.tenant) || !may || *may == role::anyone ||
        !unhex(word("blake2b"), entry.hash))
      return bad("a token lacks its id, tenant, role or hash");
    entry.may = *may;
    if (auto made = item.find("created_ms"); made != item.end() && made->is_number_integer())
      entry.created.ms = made->get<std::int64_t>();
    book.add(std::move(entry));
  }
  return book;
}

} // namespace nestor::api
