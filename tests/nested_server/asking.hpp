// Asks a server model in the tests' words, with a time that only moves when a test says so.
#pragma once

#include <nested_server/faulty_server.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace nestor::nested_server::testing {

inline http::request ask(std::string_view verb_and_target, std::string_view body = {}, std::string_view key = {}) {
  http::request request;
  auto space = verb_and_target.find(' ');
  request.verb = *http::method_named(verb_and_target.substr(0, space));
  request.target = verb_and_target.substr(space + 1);
  request.body = body;
  if (!key.empty())
    request.headers.push_back({"x-session-api-key", wiped_string{key}});
  return request;
}

inline model_options options_of(std::string_view dialect) {
  model_options options;
  options.dialect = dialect;
  return options;
}

/// A model and the moment it is asked at. `pace` passes before each request: slow enough for the rate limit.
struct asked_model {
  explicit asked_model(model_options options = {}) : model(std::move(options)) {}

  http::response answer(std::string_view verb_and_target, std::string_view body = {}) {
    now = now + pace;
    return model.handle(ask(verb_and_target, body), now, "127.0.0.1").response;
  }
  /// "200 {…}"
  std::string operator()(std::string_view verb_and_target, std::string_view body = {}) {
    auto r = answer(verb_and_target, body);
    return std::to_string(r.status) + " " + std::string{std::string_view{r.body}};
  }
  nlohmann::json json(std::string_view verb_and_target, std::string_view body = {}) {
    auto r = answer(verb_and_target, body);
    return nlohmann::json::parse(r.body.begin(), r.body.end());
  }
  /// The git providers held, with their tokens: "github=t gitlab=u".
  [[nodiscard]] std::string tokens() const {
    std::string text;
    for (const auto& [name, entry] : model.find()->git_providers)
      text += (text.empty() ? "" : " ") + name + "=" + std::string{std::string_view{entry.token}};
    return text;
  }

  server_model model;
  instant now{};
  microseconds pace{200'000};
};

} // namespace nestor::nested_server::testing
