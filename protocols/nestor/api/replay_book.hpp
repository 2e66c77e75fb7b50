// Idempotency-Key: the same key and body get the same answer without anything being done twice. Per tenant and route,
// for 24 hours, a bounded number of them. Pure: time is an argument.
#pragma once

#include <nestor/api/token_book.hpp>
#include <nestor/core/time.hpp>
#include <nestor/http/message.hpp>
#include <nestor/journal/records.hpp>

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace nestor::api {

class replay_book {
public:
  /// Interfaces: keys live a day.
  static constexpr std::chrono::hours kept_for = journal::replay_kept_for;
  /// An answer is about 2 KiB, so this is 40 MiB at most. Beyond it the oldest answers are forgotten first.
  static constexpr std::size_t keys_max = 20'000;

  struct fresh {};
  using verdict = std::variant<fresh, std::shared_ptr<const http::response>, failure>;

  /// `fresh`: do it, then `finish` or `give_up`. An answer: say that. Else key_in_progress or key_reused.
  /// `scope`: tenant and route; `key`: 1–128 printable characters (else request_invalid).
  verdict begin(const std::string& scope, std::string_view key, std::string_view body, instant now);
  void finish(const std::string& scope, std::string_view key, http::response answer);
  /// Nothing was done: the key is free again.
  void give_up(const std::string& scope, std::string_view key);

  /// Marks of an earlier process: their sandboxes are told instead of their answers.
  void know_earlier(std::vector<journal::replay_mark> marks);
  /// The sandbox that the key made in an earlier process; key_reused when that was another body. Nothing: it made none,
  /// or more than a day ago.
  [[nodiscard]] std::optional<expected<sandbox_id>> earlier(const journal::replay_mark& asked) const;

  [[nodiscard]] std::size_t size() const { return kept_.size(); }

private:
  using name = std::pair<std::string, std::string>;
  struct record {
    token_hash body{};
    instant since{};
    std::shared_ptr<const http::response> answer; ///< null: it is being done
  };
  void forget(instant now);

  std::map<name, record> kept_;
  std::deque<std::pair<instant, name>> order_;
  std::map<std::string, journal::replay_mark> earlier_; ///< by key
};

/// What is durable of a key: digests under the node's own secret, from which nobody can test a guess. `scope` and `key`
/// as for `begin`.
journal::replay_mark mark_of(const std::string& scope, std::string_view key, std::string_view body,
                             const secret& node_secret, wall_time now);

} // namespace nestor::api
