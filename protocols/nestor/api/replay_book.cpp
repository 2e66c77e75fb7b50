#include <nestor/api/replay_book.hpp>

#include <algorithm>

namespace nestor::api {
namespace {

constexpr std::size_t key_length_max = 128; // characters: a UUID has 36

failure refusal(errc code, std::string cause) {
  return {code, step::queue, std::move(cause), 0, {}};
}

std::string hex(const nested::digest& d) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (auto byte : d.bytes)
    text.append({digits[byte >> 4U], digits[byte & 15U]});
  return text;
}

} // namespace

replay_book::verdict replay_book::begin(const std::string& scope, std::string_view key, std::string_view body,
                                        instant now) {
  bool printable = std::ranges::all_of(key, [](char c) { return c > ' ' && c < '\x7f'; });
  if (key.empty() || key.size() > key_length_max || !printable)
    return refusal(errc::request_invalid, "Idempotency-Key is 1 to 128 printable characters");
  forget(now);
  auto hash = hash_of(body);
  name which{scope, key};
  auto [at, added] = kept_.try_emplace(which, record{hash, now, nullptr});
  if (added) {
    order_.emplace_back(now, std::move(which));
    return fresh{};
  }
  if (at->second.body != hash)
    return refusal(errc::key_reused, "the Idempotency-Key came with another body before");
  if (at->second.answer)
    return at->second.answer;
  return refusal(errc::key_in_progress, "the first request with this Idempotency-Key is being answered");
}

void replay_book::finish(const std::string& scope, std::string_view key, http::response answer) {
  if (auto at = kept_.find(name{scope, key}); at != kept_.end())
    at->second.answer = std::make_shared<const http::response>(std::move(answer));
}

void replay_book::give_up(const std::string& scope, std::string_view key) {
  kept_.erase(name{scope, key});
}

void replay_book::know_earlier(std::vector<journal::replay_mark> marks) {
  for (auto& each : marks) {
    auto key = each.key;
    earlier_.insert_or_assign(std::move(key), std::move(each));
  }
}

std::optional<expected<sandbox_id>> replay_book::earlier(const journal::replay_mark& asked) const {
  auto at = earlier_.find(asked.key);
  if (at == earlier_.end() || at->second.since.ms + milliseconds{kept_for}.count() <= asked.since.ms)
    return std::nullopt;
  if (at->second.body != asked.body)
    return expected<sandbox_id>{refusal(errc::key_reused, "the Idempotency-Key came with another body before")};
  return expected<sandbox_id>{at->second.sandbox};
}

journal::replay_mark mark_of(const std::string& scope, std::string_view key, std::string_view body,
                             const secret& node_secret, wall_time now) {
  nested::digest_key with{0, node_secret};
  wiped_string name{"idempotency key\n"};
  name.append(scope).append("\n").append(key);
  wiped_string content{"idempotent body\n"};
  content.append(body);
  return {hex(digest_of(name, with)), hex(digest_of(content, with)), {}, now};
}

/// Names that were given up stay in the order until their turn; one that came again has a later `since`.
void replay_book::forget(instant now) {
  while (!order_.empty() && (order_.front().first + kept_for <= now || order_.size() >= keys_max)) {
    auto at = kept_.find(order_.front().second);
    if (at != kept_.end() && at->second.since == order_.front().first)
      kept_.erase(at);
    order_.pop_front();
  }
}

} // namespace nestor::api
