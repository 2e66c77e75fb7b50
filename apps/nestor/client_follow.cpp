#include "client_follow.hpp"

#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/http/url.hpp>
#include <nestor/io/clock.hpp>

#include <algorithm>
#include <iostream>

namespace nestor::cli {
namespace {

constexpr std::int64_t hold_max_s = 30; // how long the node may hold an answer back; below every time-out on the way
constexpr milliseconds hold_slack{15'000};

void show_event(terminal& out, const ordered_json& event) {
  if (cell(event, "kind") != "step" || cell(event, "outcome") == "running")
    return;
  bool bad = cell(event, "outcome") == "failed";
  auto line = cell(event, "outcome") + "  " + cell(event, "took_ms") + " ms";
  if (bad && event.contains("failure"))
    line += "  " + cell(event["failure"], "code") + ": " + cell(event["failure"], "cause");
  out.line(io::steady_now(), cell(event, "step"), bad ? tone::bad : tone::good, line);
}

/// What the status is worth to whoever waits: an exit code, or nothing while it may still come.
std::optional<int> verdict(const std::string& status, const std::string& wanted) {
  bool over = status == "Destroyed" || status == "Failed";
  if (wanted == "destroyed")
    return over ? std::optional<int>{done} : std::nullopt;
  if (wanted == "paused")
    return status == "Paused" ? std::optional<int>{done} : over ? std::optional<int>{failed} : std::nullopt;
  if (status == "Ready")
    return done;
  return over || status == "Quarantined" || status == "Destroying" ? std::optional<int>{failed} : std::nullopt;
}

std::string one_event(const ordered_json& event) {
  auto text = cell(event, "at") + "  " + cell(event, "sandbox") + "  ";
  if (cell(event, "kind") == "status")
    return text + cell(event, "status") + "  generation " + cell(event, "observed_generation");
  if (cell(event, "kind") == "access")
    return text + "access handed out to " + cell(event, "token");
  text += cell(event, "step") + " " + cell(event, "outcome");
  if (event.contains("failure"))
    text += ": " + cell(event["failure"], "code") + ": " + cell(event["failure"], "cause");
  return text;
}

} // namespace

int await_status(api_client& node, const client_verb& o, const std::string& id, const std::string& wanted) {
  terminal out{stderr, o.colour, io::steady_now()};
  auto until = io::steady_now() + microseconds{static_cast<std::int64_t>(o.timeout_s * 1e6)};
  auto target = "/v1/sandboxes/" + http::encode_segment(id);
  std::uint64_t seen = 0;
  for (;;) {
    auto now = node.ask({http::method::get, target});
    if (!now.ok())
      return complain(now);
    auto sandbox = now.json();
    auto code = verdict(cell(sandbox, "status"), wanted);
    auto left = std::chrono::floor<std::chrono::seconds>(until - io::steady_now()).count();
    auto hold = code ? 0 : std::clamp<std::int64_t>(left, 0, hold_max_s);
    api_request events{http::method::get,
                       target + "/events?after=" + std::to_string(seen) + "&wait=" + std::to_string(hold)};
    events.within = std::chrono::seconds{hold} + hold_slack;
    auto came = node.ask(std::move(events));
    if (!came.ok())
      return complain(came);
    auto page = came.json();
    for (const auto& each : page["items"])
      show_event(out, each);
    seen = page["last_id"].get<std::uint64_t>();
    if (code) {
      show_sandboxes(sandbox, o);
      if (*code != done && sandbox["failure"].is_object())
        std::cerr << "nestor: " << failure_in_words(sandbox["failure"]) << '\n';
      return *code;
    }
    if (left > 0)
      continue;
    std::cerr << "nestor: " << id << " is " << cell(sandbox, "status") << " after " << o.timeout_s
              << " s and goes on; wait longer with --timeout, or end it: nestor sandbox delete " << id << '\n';
    return timed_out;
  }
}

int follow_events(api_client& node, const client_verb& o, const std::string& target) {
  std::uint64_t seen = 0;
  for (bool first = true;; first = false) {
    auto hold = first || !o.follow ? std::int64_t{0} : hold_max_s;
    auto query = std::string{first ? "?" : "?after=" + std::to_string(seen) + "&"} + "wait=" + std::to_string(hold);
    api_request events{http::method::get, target + query};
    events.within = std::chrono::seconds{hold} + hold_slack;
    auto came = node.ask(std::move(events));
    if (!came.ok())
      return complain(came);
    auto page = came.json();
    if (page["gap"].get<bool>() && !first)
      std::cerr << "nestor: some events are older than the node remembers\n";
    for (const auto& each : page["items"]) {
      auto line = o.as == shape::json ? each.dump(-1, ' ', false, ordered_json::error_handler_t::replace)
                                      : printable(one_event(each));
      std::cout << line << '\n';
    }
    std::cout.flush();
    auto before = std::exchange(seen, page["last_id"].get<std::uint64_t>());
    if (!o.follow && (page["items"].empty() || before == seen))
      return done;
  }
}

std::string story_of(const ordered_json& sandbox) {
  auto called = cell(sandbox, "name") == "-" ? cell(sandbox, "id") : cell(sandbox, "name");
  std::string text = called + " is " + cell(sandbox, "status") + ": a sandbox of the provider " +
                     cell(sandbox, "provider") + ", for the tenant " + cell(sandbox, "tenant") + ".\n";
  if (sandbox["runtime"].is_object())
    text += "Its runtime is " + cell(sandbox["runtime"], "ref") + ", attempt " + cell(sandbox["runtime"], "attempt") +
            ", and speaks " + cell(sandbox["runtime"], "dialect") + ".\n";
  text += "It holds generation " + cell(sandbox, "observed_generation") + " of its configuration; " +
          cell(sandbox, "generation") + " is wanted.\n\nWhat happened:\n";
  for (const auto& each : sandbox["timeline"]) {
    text += "  " + cell(each, "started_at") + "  " + cell(each, "step") + ": " + cell(each, "outcome");
    if (cell(each, "attempts") != "1")
      text += ", tried " + cell(each, "attempts") + " times";
    text += "\n";
  }
  std::string not_so;
  for (const auto& each : sandbox["conditions"])
    if (auto message = cell(each, "message"); message != "-" && !message.empty())
      not_so += "  " + cell(each, "type") + ": " + message + "\n";
  if (!not_so.empty())
    text += "\nWhat stands against it:\n" + not_so;
  if (sandbox["failure"].is_object())
    text += "\n" + failure_in_words(sandbox["failure"]) + "\n";
  return text;
}

} // namespace nestor::cli
