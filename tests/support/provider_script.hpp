// Holds one conversation with a provider against a script of what is asked and answered, in virtual time.
#pragma once

#include <nestor/providers/key_rule.hpp>
#include <nestor/providers/provider.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nestor::providers::testing {

using reply_headers = std::vector<std::pair<std::string, std::string>>;

inline io_reply answer(std::uint16_t status, std::string_view body = {}, reply_headers headers = {}) {
  return http_reply{http::response{status, std::move(headers), wiped_string{body}}};
}
inline io_reply broke(http::transport_error why) {
  return http_reply{why};
}

/// One exchange: what must be asked, as "POST /path?query", and what comes back.
struct turn {
  std::string asked;
  io_reply reply;
  milliseconds takes{1};
  bool repeats = false; ///< answers every such question from now on
};

/// A request as it was put.
struct put {
  http_call call;
  milliseconds after{0}; ///< it was to be asked so much later
  milliseconds at{0};    ///< since the conversation began
  std::string line() const { return std::string{http::name_of(call.request.verb)} + " " + call.request.target; }
  std::string body() const { return std::string{call.request.body}; }
  std::string header(std::string_view name) const {
    for (const auto& each : call.request.headers)
      if (http::same_header_name(each.name, name))
        return std::string{each.value};
    return {};
  }
};

template <class Result>
struct told {
  std::variant<Result, failure> came;
  std::vector<put> asked;
  milliseconds took{0};
  [[nodiscard]] bool fine() const { return came.index() == 0; }
  const Result& result() const {
    INFO((fine() ? std::string{} : to_string(why())));
    REQUIRE(fine());
    return std::get<0>(came);
  }
  const failure& why() const {
    REQUIRE_FALSE(came.index() == 0);
    return std::get<1>(came);
  }
  std::string lines() const {
    std::string all;
    for (const auto& each : asked)
      all += each.line() + "\n";
    return all;
  }
};

/// What no request may do, whatever is asked of whom: carry a key to a stranger.
inline void check_keys(const account& who, const http_call& call) {
  CHECK_FALSE(carries_key_astray(who, io_request{call}));
}

/// Fails when another question is put than the script says, or one too few.
template <class Result, class Order>
told<Result> hold(operation<Result, Order> what, const account& who, const Order& order, std::vector<turn> script) {
  told<Result> story{failure{}, {}, {}};
  heard so_far;
  wiped_string carried;
  io_reply reply;
  std::size_t next = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto come_to = what(who, order, so_far);
    story.took = so_far.elapsed;
    auto* question = std::get_if<ask>(&come_to);
    if (!question) {
      if (auto* why = std::get_if<failure>(&come_to))
        story.came = std::move(*why);
      else
        story.came = std::move(std::get<Result>(come_to));
      INFO("asked:\n" << story.lines());
      auto unasked = next < script.size() && !script[next].repeats ? script[next].asked : std::string{};
      CHECK(unasked.empty());
      return story;
    }
    auto call = std::get<http_call>(question->request);
    check_keys(who, call);
    story.asked.push_back({call, question->after, so_far.elapsed + question->after});
    INFO("asked:\n" << story.lines());
    if (next + 1 < script.size() && script[next].repeats && script[next].asked != story.asked.back().line())
      ++next;
    REQUIRE(next < script.size());
    REQUIRE(story.asked.back().line() == script[next].asked);
    reply = script[next].reply;
    carried = question->carried;
    so_far =
      heard{question->at, &reply, carried, so_far.asked + 1, so_far.elapsed + question->after + script[next].takes};
    if (!script[next].repeats)
      ++next;
  }
  FAIL("the conversation does not end");
  return story;
}

inline labels some_labels() {
  return {{"nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"}, 3};
}

inline provision_order some_order() {
  provision_order order;
  order.stamp = some_labels();
  auto spec = std::make_shared<runtime_spec>();
  spec->command = {"nestor-nested-server", "--log", "it's"};
  spec->port = 3000;
  spec->env = {{"LOG_LEVEL", "info"}};
  order.spec = std::move(spec);
  order.session_key = secret::copy_of("CANARY-session-key");
  return order;
}

template <class Change>
provision_order order_with(Change change) {
  auto order = some_order();
  auto spec = std::make_shared<runtime_spec>(*order.spec);
  change(*spec);
  order.spec = std::move(spec);
  return order;
}

inline std::string header_of(const runtime& what, std::string_view name) {
  for (const auto& each : what.headers)
    if (http::same_header_name(each.name, name))
      return std::string{each.value};
  return {};
}

} // namespace nestor::providers::testing
