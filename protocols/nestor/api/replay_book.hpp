// Idempotency-Key: the same key and body get the same answer without anything being done twice. Per tenant and route,
// for 24 hours, a bounded number of them. Pure: time is an argument.
#pragma once

#include <nestor/api/token_book.hpp>
#include <nestor/core/time.hpp>
#include <nestor/http/message.hpp>

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
  static constexpr std::chrono::hours kept_for{24};
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
};

} // namespace nestor::api
