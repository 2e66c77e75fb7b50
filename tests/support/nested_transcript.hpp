// Drives a push_plan against canned answers in virtual time and writes down what it asked, one line per request.
#pragma once

#include <nestor/nested/push_plan.hpp>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nestor::nested::testing {

inline http::response answer(std::uint16_t status, std::string_view body,
                             std::vector<std::pair<std::string, std::string>> headers = {}) {
  return {status, std::move(headers), wiped_string{body}};
}

inline secret text_secret(std::string_view text) {
  return secret::copy_of(text);
}

inline std::shared_ptr<const digest_key> some_key() {
  return std::make_shared<const digest_key>(digest_key{7, text_secret("0123456789abcdef0123456789abcdef")});
}

/// "GET /api/settings" → its answers in turn; the last one repeats.
using canned = std::map<std::string, std::vector<http_reply>>;

struct outcome_of_run {
  push_plan::action last;
  std::vector<std::string> asked; ///< "POST /api/secrets {body}"
  std::vector<std::string> targets;
  std::vector<bool> mutated;
  milliseconds waited{0};
  bool confirmed() const { return std::holds_alternative<confirmation>(last); }
  const confirmation& done() const { return std::get<confirmation>(last); }
  const failure& why() const { return std::get<run_failed>(last).why; }
};

using responder = std::function<http_reply(const send_request&)>;

/// Every request takes 1 ms. Throws when a run does not end.
inline outcome_of_run drive(push_order order, const responder& respond, instant now = {}) {
  outcome_of_run run{run_failed{}, {}, {}, {}, {}};
  push_plan plan{std::move(order), now};
  for (int i = 0; i < 100'000; ++i) {
    auto what = plan.next(now);
    if (auto* wait = std::get_if<wait_for>(&what)) {
      if (wait->time <= milliseconds{0})
        throw std::logic_error{"a wait for nothing"};
      now = now + wait->time;
      run.waited += wait->time;
      continue;
    }
    if (auto* send = std::get_if<send_request>(&what)) {
      std::string line{http::name_of(send->request.verb)};
      line += " " + send->request.target;
      run.targets.push_back(send->request.target);
      run.mutated.push_back(send->mutates);
      if (!send->request.body.empty())
        line += " " + std::string{send->request.body};
      run.asked.push_back(line);
      auto reply = respond(*send);
      now = now + milliseconds{1};
      plan.on_reply(reply, now);
      continue;
    }
    run.last = std::move(what);
    return run;
  }
  throw std::logic_error{"the run does not end"};
}

inline responder canned_server(canned answers) {
  auto shared = std::make_shared<canned>(std::move(answers));
  auto turns = std::make_shared<std::map<std::string, std::size_t>>();
  return [shared, turns](const send_request& send) -> http_reply {
    std::string key{http::name_of(send.request.verb)};
    key += " " + send.request.target;
    auto found = shared->find(key);
    if (found == shared->end())
      return answer(404, R"({"detail":"Not Found"})");
    auto& turn = (*turns)[key];
    auto index = std::min(turn++, found->second.size() - 1);
    return found->second.at(index);
  };
}

inline outcome_of_run drive(push_order order, canned answers) {
  return drive(std::move(order), canned_server(std::move(answers)));
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines)
    text += line + "\n";
  return text;
}

/// Settings with a key, two git providers, two secrets: what most tests push.
inline configuration usual() {
  configuration c;
  c.settings = R"({"agent":"CodeActAgent","llm_api_key":"CANARY-llm","llm_model":"m"})";
  c.secret_settings = {"/llm_api_key"};
  c.git_providers = {{"github", text_secret("CANARY-gh"), {}, {}},
                     {"gitlab", text_secret("CANARY-gl"), "git.acme.test", {}}};
  c.secrets = {{"API_TOKEN", text_secret("CANARY-api"), ""}, {"DEPLOY_KEY", text_secret("CANARY-deploy"), "ships it"}};
  return c;
}

inline std::shared_ptr<const configuration> shared(configuration c) {
  return std::make_shared<const configuration>(std::move(c));
}

inline push_order order_for(configuration c, std::string dialect = "openhands") {
  push_order order;
  order.wanted = shared(std::move(c));
  order.dialect = std::move(dialect);
  order.session_key = text_secret("CANARY-session");
  order.key = some_key();
  return order;
}

constexpr std::string_view alive_ok = R"({"status":"ok"})";
constexpr std::string_view stored = R"({"message":"Settings stored"})";
constexpr std::string_view git_stored = R"({"message":"Git providers stored"})";
constexpr std::string_view created = R"({"message":"Secret created successfully"})";
constexpr std::string_view no_settings = R"({"error":"Settings not found"})";
constexpr std::string_view settings_as_wanted =
  R"({"agent":"CodeActAgent","language":null,"llm_api_key":null,"llm_api_key_set":true,"llm_model":"m",)"
  R"("provider_tokens_set":{"github":null,"gitlab":"git.acme.test"},"search_api_key_set":false})";
constexpr std::string_view secrets_as_wanted =
  R"({"custom_secrets":[{"name":"API_TOKEN","description":""},{"name":"DEPLOY_KEY","description":"ships it"}]})";
constexpr std::string_view no_secrets = R"({"custom_secrets":[]})";

/// A V0 server that is new and does as told.
inline canned fresh_openhands() {
  return {
    {"GET /alive", {answer(200, alive_ok)}},
    {"GET /api/settings", {answer(404, no_settings), answer(200, settings_as_wanted)}},
    {"POST /api/settings", {answer(200, stored)}},
    {"POST /api/add-git-providers", {answer(200, git_stored)}},
    {"GET /api/secrets", {answer(200, no_secrets), answer(200, secrets_as_wanted)}},
    {"POST /api/secrets", {answer(201, created)}},
  };
}

} // namespace nestor::nested::testing
