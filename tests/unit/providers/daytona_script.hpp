// What Daytona's transcripts have in common: one sandbox of ours, its questions and its usual answers.
#pragma once

#include "support/provider_script.hpp"

#include <nlohmann/json.hpp>

namespace nestor::providers::testing::daytona {

using nlohmann::json;

inline const std::string api_key = "dtn_CANARY0123456789abcdef0123456789abcdef0123456789abcdef0123456789";
inline const std::string id = "3f5bc82b-929f-423d-9600-b791d4f6239a";
inline const std::string name = "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb-3";
inline const std::string by_id = "GET /api/sandbox/" + id;
inline const std::string by_name = "GET /api/sandbox/" + name;
inline const std::string create = "POST /api/sandbox";
inline const std::string end = "DELETE /api/sandbox/" + id;
inline const std::string open_shell = "POST /toolbox/" + id + "/process/session";
inline const std::string look_into_shell = "GET /toolbox/" + id + "/process/session/nestor";
inline const std::string run = look_into_shell.substr(4).insert(0, "POST ") + "/exec";
inline const std::string preview = by_id + "/ports/3000/preview-url";
inline const std::string our_list =
  "GET /api/sandbox?labels=%7B%22nestor-attempt%22%3A%223%22%2C%22nestor-installation%22%3A%22nsi-"
  "aaaaaaaaaaaaaaaaaaaaaaaaaa%22%2C%22nestor-sandbox%22%3A%22nst-bbbbbbbbbbbbbbbbbbbbbbbbbb%22%7D&limit=200";

inline const provider& self() {
  return *of_kind("daytona");
}

inline account some_account() {
  account who;
  who.name = "daytona";
  who.speaks = &self();
  who.settings = {{"api_url", "https://app.daytona.io/api"}, {"target", "us"}};
  who.secrets = {{"api_key", secret::copy_of(api_key)}};
  return who;
}

inline json description(std::string_view state, std::string_view desired = "started") {
  return {{"id", id},
          {"name", name},
          {"state", state},
          {"desiredState", desired},
          {"labels",
           {{"nestor-installation", "nsi-aaaaaaaaaaaaaaaaaaaaaaaaaa"},
            {"nestor-sandbox", "nst-bbbbbbbbbbbbbbbbbbbbbbbbbb"},
            {"nestor-attempt", "3"}}},
          {"env", {{"NESTOR_START", "serve --now"}}},
          {"autoStopInterval", 0},
          {"autoDeleteInterval", -1},
          {"createdAt", "2026-11-21T19:44:25.270Z"},
          {"toolboxProxyUrl", "https://proxy.app.daytona.io/toolbox"}};
}

inline io_reply is(std::string_view state, std::string_view desired = "started") {
  return answer(200, description(state, desired).dump());
}

inline io_reply with(std::string_view member, json value, std::string_view state = "started") {
  auto d = description(state);
  d[std::string{member}] = std::move(value);
  return answer(200, d.dump());
}

inline io_reply error(int status, std::string_view message, reply_headers headers = {}) {
  json body{{"path", "/api/x"}, {"statusCode", status}, {"error", "Phrase"}, {"message", message}};
  return answer(static_cast<std::uint16_t>(status), body.dump(), std::move(headers));
}

inline const io_reply missing = error(404, "Sandbox with ID or name x not found");
inline const io_reply opened = answer(201);
inline const io_reply started =
  answer(202, R"({"cmdId":"6a86cdc3","output":null,"stdout":null,"stderr":null,"exitCode":null})");

inline io_reply reachable(std::string_view token = "CANARY-preview") {
  return answer(
    200, json{{"sandboxId", id}, {"url", "https://3000-" + id + ".proxy.app.daytona.io"}, {"token", token}}.dump());
}

inline const io_reply no_items = answer(200, R"({"items":[],"nextCursor":null})");

using script = std::vector<turn>;

/// The way from a running sandbox to a runtime.
inline script then_reached(script before) {
  for (auto& each : script{{open_shell, opened}, {run, started}, {preview, reachable()}})
    before.push_back(each);
  return before;
}

inline auto provisioned(script turns, const provision_order& order = some_order()) {
  return hold(self().provision, some_account(), order, std::move(turns));
}
inline auto observed(script turns) {
  return hold(self().observe, some_account(), some_order(), std::move(turns));
}

inline runtime rented() {
  runtime what;
  what.ref = id;
  what.where = endpoint{true, "3000-" + id + ".proxy.app.daytona.io", 443, {}};
  what.session_key = secret::copy_of("CANARY-session-key");
  return what;
}

inline bool is_absent(const sighting& seen) {
  return std::holds_alternative<absent>(seen);
}

} // namespace nestor::providers::testing::daytona
