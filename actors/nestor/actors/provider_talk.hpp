// Carries providers' conversations for one actor: puts their questions to the io seam, in time, and brings the replies
// to the pure function that asked. Knows no provider and keeps nothing of what was said but what the question carried.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/providers/key_rule.hpp>

#include <functional>
#include <unordered_map>
#include <variant>

namespace nestor::actors {

class provider_talk {
public:
  /// `self` hands every `io_done` and `woken` to `hear`.
  provider_talk(self_ptr<> self, surroundings_ptr around) : self_(self), around_(std::move(around)) {}

  template <class Result>
  using outcome_of = std::variant<Result, failure>;

  /// Holds the conversation; `over` gets what came of it, once, perhaps before this returns. `carried`: what it begins
  /// with, as if a question had carried it.
  template <class Result, class Order>
  void begin(providers::operation<Result, Order> what, std::shared_ptr<const providers::account> who,
             std::shared_ptr<const Order> order, std::function<void(outcome_of<Result>)> over,
             wiped_string carried = {});
  void hear(io_done& done);
  void hear(const woken& alarm);

private:
  struct conversation {
    /// One turn of it: the next question, or nothing when it is over.
    std::function<std::optional<providers::ask>(const providers::heard&)> turn;
    instant began{};
    std::uint32_t asked = 0;
    providers::place at = 0;
    wiped_string carried;
    std::optional<io_request> later;
  };

  void go_on(conversation held, const io_reply* reply);
  static std::optional<failure> objection(const providers::account& who, const providers::ask& question,
                                          std::uint32_t asked);

  self_ptr<> self_;
  surroundings_ptr around_;
  std::uint64_t ticket_ = 0;
  std::unordered_map<std::uint64_t, conversation> open_;
};

template <class Result, class Order>
void provider_talk::begin(providers::operation<Result, Order> what, std::shared_ptr<const providers::account> who,
                          std::shared_ptr<const Order> order, std::function<void(outcome_of<Result>)> over,
                          wiped_string carried) {
  conversation held;
  held.carried = std::move(carried);
  held.began = around_->clock->now();
  held.turn = [what, who = std::move(who), order = std::move(order),
               over = std::move(over)](const providers::heard& so_far) -> std::optional<providers::ask> {
    auto come_to = what(*who, *order, so_far);
    if (auto* question = std::get_if<providers::ask>(&come_to)) {
      auto wrong = objection(*who, *question, so_far.asked);
      if (!wrong)
        return std::move(*question);
      over(std::move(*wrong));
    } else if (auto* why = std::get_if<failure>(&come_to)) {
      over(std::move(*why));
    } else {
      over(std::move(std::get<Result>(come_to)));
    }
    return std::nullopt;
  };
  go_on(std::move(held), nullptr);
}

} // namespace nestor::actors
