// `auto`: which dialect a nested server speaks, found out with GETs alone. A server in trouble (5xx, no answer) is
// asked again and is never evidence; `generic` is never chosen, because a server that says nothing about itself may be
// anything. It refuses to know the dialects' insides: it knows what each shows of itself.
#pragma once

#include <nestor/nested/answer.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace nestor::nested {

/// What one round of looking has seen so far.
struct detection {
  std::uint8_t asked = 0;                  ///< of the round's questions, how many were answered
  std::array<std::uint16_t, 3> statuses{}; ///< of their answers; 0: none
  bool unsure = false;                     ///< one was in trouble: the round decides nothing
  failure trouble{};                       ///< ... the last such
};

/// What to ask next in this round; `/api/settings` first, because it alone tells the V0 server.
question detection_question(const detection& d);

/// The name of a dialect; nothing: the round goes on; or it ends the detection.
using detected = std::variant<std::monostate, std::string, failure>;
detected detection_heard(detection& d, const question& asked, const http::response& r);
void detection_lost(detection& d, const failure& why);

/// True when every question of the round was asked. Then `unsure` says whether to ask all again.
bool detection_over(const detection& d);
/// `dialect_unknown`, with the statuses that were seen.
failure dialect_unknown(const detection& d);

} // namespace nestor::nested
