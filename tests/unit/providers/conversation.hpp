// A provider's conversation held in a test: each question is answered by a function of the test, time passes as the
// questions ask for it, and everything that was asked is kept.
#pragma once

#include <nestor/providers/key_rule.hpp>
#include <nestor/providers/provider.hpp>

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nestor::tests {

using namespace nestor::providers;

inline constexpr std::string_view test_key = "key-CANARY-0123456789abcdef";
inline constexpr std::string_view test_session_key = "session-CANARY-fedcba9876543210";
/// More questions than any conversation may ask: thirty minutes of polls every 100 ms.
inline constexpr std::uint32_t questions_max = 20'000;
/// What every exchange takes.
inline constexpr milliseconds exchange_takes{50};

/// An account of that kind as a configuration without a word would make it, with a key for every secret.
inline account account_of(const provider& kind) {
  account who;
  who.name = "test-" + std::string{kind.kind};
  who.speaks = &kind;
  for (const auto& field : kind.fields) {
    std::string name{field.name};
    if (field.what == field_holds::secret)
      who.secrets.emplace_back(name, secret::copy_of(std::string{test_key} + "-" + name));
    else if (field.what == field_holds::url && (field.required || !field.fallback.empty()))
      who.settings.emplace_back(name, "https://api." + std::string{kind.kind} + ".test");
    else if (!field.fallback.empty())
      who.settings.emplace_back(name, field.fallback);
  }
  return who;
}

inline labels test_labels() {
  return {{"nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"}, 3};
}

/// A specification that this kind accepts; which fields it needs it says itself.
inline std::shared_ptr<runtime_spec> spec_for(const provider& kind) {
  auto spec = std::make_shared<runtime_spec>();
  if (kind.undo == compensation::withdraw) {
    spec->url = "http://127.0.0.1:3000";
    return spec;
  }
  if (kind.can.command)
    spec->command = {"nestor-nested-server", "--loud"};
  if (kind.can.image)
    spec->image = "acme-agent";
  spec->port = 8000;
  spec->env = {{"LOG_LEVEL", "info"}};
  return spec;
}

inline provision_order order_for(const provider& kind) {
  provision_order order;
  order.stamp = test_labels();
  order.spec = spec_for(kind);
  order.session_key = secret::copy_of(test_session_key);
  return order;
}

inline io_reply replied(std::uint16_t status, std::string_view body = {},
                        std::vector<std::pair<std::string, std::string>> headers = {}) {
  http::response response;
  response.status = status;
  response.headers = std::move(headers);
  response.body = wiped_string{body};
  return http_reply{std::move(response)};
}
inline io_reply broke(http::transport_error why) {
  return http_reply{why};
}
/// gRPC's own status, 0 with a message.
inline io_reply said(int status, std::string_view message = {}, std::string words = {},
                     std::vector<std::pair<std::string, std::string>> trailers = {}) {
  return grpc_reply{grpc_answer{status, std::move(words), std::move(trailers), wiped_string{message}}};
}

template <class Result>
struct held {
  std::variant<Result, failure> came = failure{};
  std::vector<ask> asked;
  milliseconds took{0};
  bool ended = true; ///< within `questions_max`

  [[nodiscard]] const failure* why() const { return std::get_if<failure>(&came); }
  [[nodiscard]] const Result* result() const { return std::get_if<Result>(&came); }
};

/// The request of a question that is an HTTP call.
inline const http_call& call_of(const ask& question) {
  return std::get<http_call>(question.request);
}
/// "POST /sandboxes".
inline std::string line_of(const ask& question) {
  const auto* call = std::get_if<http_call>(&question.request);
  return call ? std::string{http::name_of(call->request.verb)} + " " + call->request.target : std::string{"other"};
}
inline std::string header_of(const ask& question, std::string_view name) {
  for (const auto& header : call_of(question).request.headers)
    if (http::same_header_name(header.name, name))
      return std::string{std::string_view{header.value}};
  return {};
}
inline std::string body_of(const ask& question) {
  return std::string{std::string_view{call_of(question).request.body}};
}

/// Everything that a request says, for searching.
inline std::string text_of(const io_request& request) {
  std::string text;
  if (const auto* call = std::get_if<http_call>(&request)) {
    text = call->to.host + "\n" + call->request.target + "\n";
    for (const auto& header : call->request.headers)
      text.append(header.name).append(": ").append(std::string_view{header.value}).append("\n");
    text += std::string_view{call->request.body};
  }
  if (const auto* call = std::get_if<grpc_call>(&request)) {
    text = call->to.host + "\n" + call->method + "\n";
    for (const auto& each : call->metadata)
      text.append(each.name).append(": ").append(std::string_view{each.value}).append("\n");
    text += std::string_view{call->message};
  }
  return text;
}

template <class Result, class Order>
held<Result> converse(operation<Result, Order> what, const account& who, const Order& order,
                      const std::function<io_reply(const ask&, std::size_t)>& answer, wiped_string carried = {}) {
  held<Result> all;
  heard so_far;
  so_far.carried = carried;
  io_reply reply;
  for (;;) {
    auto step = what(who, order, so_far);
    if (auto* result = std::get_if<Result>(&step))
      return all.came = std::move(*result), all;
    if (auto* why = std::get_if<failure>(&step))
      return all.came = std::move(*why), all;
    auto& question = std::get<ask>(step);
    all.took += question.after + exchange_takes;
    carried = question.carried;
    so_far.at = question.at;
    all.asked.push_back(std::move(question));
    if (all.asked.size() > questions_max)
      return all.ended = false, all;
    reply = answer(all.asked.back(), all.asked.size() - 1);
    so_far.reply = &reply;
    so_far.carried = carried;
    so_far.asked = static_cast<std::uint32_t>(all.asked.size());
    so_far.elapsed = all.took;
  }
}

} // namespace nestor::tests
