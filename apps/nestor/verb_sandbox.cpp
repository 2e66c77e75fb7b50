// `nestor sandbox …`: the sandboxes of a running node.
#include "client_follow.hpp"
#include "client_show.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/http/url.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <iostream>

namespace nestor::cli {
namespace {

std::string target_of(const std::string& id, std::string_view part = {}) {
  return "/v1/sandboxes/" + http::encode_segment(id) + std::string{part};
}

std::optional<document> read_or_complain(const std::string& file) {
  auto read = read_document(file);
  if (read)
    return std::move(*read);
  std::cerr << "nestor: " << printable(read.error().cause) << '\n';
  return std::nullopt;
}

/// Every page that fits. Nothing when a page was refused, which is said.
std::optional<ordered_json> all_pages(api_client& node, const client_verb& o, int& code) {
  auto items = ordered_json::array();
  std::string query = "?limit=200";
  for (const auto& label : o.labels)
    query += "&label=" + http::encode_segment(label);
  if (!o.status.empty())
    query += "&status=" + http::encode_segment(o.status);
  for (std::string cursor;;) {
    auto page = node.ask({http::method::get, "/v1/sandboxes" + query + cursor});
    if (!page.ok()) {
      code = complain(page);
      return std::nullopt;
    }
    auto body = page.json();
    for (auto& each : body["items"])
      items.push_back(std::move(each));
    if (!body["next_cursor"].is_string())
      return ordered_json{{"items", std::move(items)}};
    cursor = "&cursor=" + body["next_cursor"].get<std::string>();
  }
}

void show_plan(const ordered_json& change, const client_verb& o) {
  if (show_whole(change, o))
    return;
  std::vector<std::vector<std::string>> rows{{"WHAT", "CHANGE", "TAKES EFFECT"}};
  for (const auto& each : change["plan"])
    rows.push_back(
      {cell(each, "path"), cell(each, "change"), cell(each, "effect") == "live" ? "live" : "in the next conversation"});
  if (rows.size() == 1)
    std::cout << "nothing changes\n";
  else
    show_table(rows);
}

/// Reads the generation, sends the patch for it. The plan is said before it acts.
int change(const client_verb& o, const wiped_string& patch, const document* from) {
  api_client node{o.node};
  auto seen = node.ask({http::method::get, target_of(o.id)});
  if (!seen.ok())
    return complain(seen);
  auto tag = "\"" + cell(seen.json(), "generation") + "\"";
  auto send = [&](bool dry) {
    return node.ask({http::method::patch,
                     target_of(o.id, dry ? "/configuration?dry_run=true" : "/configuration"),
                     patch,
                     "application/merge-patch+json",
                     {{"If-Match", wiped_string{tag}}}});
  };
  auto plan = send(true);
  if (!plan.ok())
    return complain(plan, from);
  show_plan(plan.json(), o);
  if (o.dry_run)
    return done;
  auto made = send(false);
  if (!made.ok())
    return complain(made, from);
  std::cerr << "generation " << cell(made.json(), "generation") << " is wanted now (nestor sandbox wait " << o.id
            << ")\n";
  return done;
}

int change_rest(const client_verb& o, std::string_view part, const std::string& wanted) {
  api_client node{o.node};
  auto made = node.ask({http::method::post, target_of(o.id, part)});
  if (!made.ok())
    return complain(made);
  if (o.wait)
    return await_status(node, o, o.id, wanted);
  show_sandboxes(made.json(), o);
  return done;
}

bool confirmed(std::size_t count) {
  std::cerr << "This ends " << count << " sandboxes and whatever runs in them. Type yes to go on: ";
  std::string word;
  return std::getline(std::cin, word) && word == "yes";
}

} // namespace

int run_sandbox_create(const client_verb& o) {
  auto from = read_or_complain(o.file);
  if (!from)
    return usage;
  auto body = document_to_send(*from, false);
  if (!body)
    return usage;
  api_client node{o.node};
  api_request create{http::method::post, "/v1/sandboxes", std::move(*body)};
  if (!o.idempotency_key.empty())
    create.headers.push_back({"Idempotency-Key", wiped_string{o.idempotency_key}});
  create.type = "application/json";
  auto made = node.ask(std::move(create));
  if (!made.ok())
    return complain(made, &*from);
  auto sandbox = made.json();
  if (!o.wait) {
    show_sandboxes(sandbox, o);
    return done;
  }
  return await_status(node, o, cell(sandbox, "id"), "ready");
}

int run_sandbox_list(const client_verb& o) {
  api_client node{o.node};
  int code = done;
  auto all = all_pages(node, o, code);
  if (all)
    show_sandboxes(*all, o);
  return code;
}

int run_sandbox_get(const client_verb& o) {
  api_client node{o.node};
  auto seen = node.ask({http::method::get, target_of(o.id)});
  if (!seen.ok())
    return complain(seen);
  show_sandboxes(seen.json(), o);
  return done;
}

int run_sandbox_describe(const client_verb& o) {
  api_client node{o.node};
  auto seen = node.ask({http::method::get, target_of(o.id)});
  if (!seen.ok())
    return complain(seen);
  auto sandbox = seen.json();
  if (!show_whole(sandbox, o))
    std::cout << story_of(sandbox);
  return done;
}

int run_sandbox_events(const client_verb& o) {
  api_client node{o.node};
  return follow_events(node, o, o.id.empty() ? "/v1/events" : target_of(o.id, "/events"));
}

int run_sandbox_logs(const client_verb& o) {
  api_client node{o.node};
  auto seen = node.ask({http::method::get, target_of(o.id, "/logs")});
  if (!seen.ok())
    return complain(seen);
  auto log = seen.json();
  if (show_whole(log, o))
    return done;
  for (std::string_view left = log["text"].get_ref<const std::string&>(); !left.empty();) {
    auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    std::cout << printable(line) << '\n';
  }
  if (log["reason"].is_string())
    std::cerr << "nestor: nothing to show: " << printable(cell(log, "reason")) << '\n';
  return done;
}

int run_sandbox_wait(const client_verb& o) {
  api_client node{o.node};
  return await_status(node, o, o.id, o.wanted);
}

int run_sandbox_configure(const client_verb& o) {
  auto from = read_or_complain(o.file);
  if (!from)
    return usage;
  auto patch = document_to_send(*from, true);
  return patch ? change(o, *patch, &*from) : usage;
}

int run_sandbox_set(const client_verb& o) {
  if (o.from_file.empty() == o.from_env.empty()) {
    std::cerr << "nestor: name one of --from-file and --from-env: a value on the command line can be seen by others\n";
    return usage;
  }
  ordered_json reference{{o.from_file.empty() ? "$env" : "$file", o.from_file.empty() ? o.from_env : o.from_file}};
  ordered_json patch = ordered_json::object();
  auto* at = &patch;
  for (std::string_view left = o.path; !left.empty();) {
    auto name = left.substr(0, left.find('.'));
    left.remove_prefix(std::min(name.size() + 1, left.size()));
    at = &(*at)[std::string{name}];
  }
  *at = std::move(reference);
  auto from = to_document("the path", patch.dump());
  if (!from)
    return usage;
  auto body = document_to_send(*from, true);
  return body ? change(o, *body, &*from) : usage;
}

int run_sandbox_access(const client_verb& o) {
  api_client node{o.node};
  auto granted = node.ask({http::method::post, target_of(o.id, "/access")});
  if (!granted.ok())
    return complain(granted);
  auto access = granted.json();
  if (o.curl) {
    std::string line = "curl";
    for (const auto& [name, value] : access["headers"].items())
      line += " -H '" + name + ": " + value.get<std::string>() + "'";
    std::cout << line << " '" << cell(access, "url") << "'\n";
  } else if (!show_whole(access, o)) {
    std::cout << "url     " << printable(cell(access, "url")) << '\n';
    for (const auto& [name, value] : access["headers"].items())
      std::cout << "header  " << printable(name) << ": " << printable(value.get<std::string>()) << '\n';
  }
  return done;
}

int run_sandbox_pause(const client_verb& o) {
  return change_rest(o, "/pause", "paused");
}

int run_sandbox_resume(const client_verb& o) {
  return change_rest(o, "/resume", "ready");
}

int run_sandbox_delete(const client_verb& o) {
  api_client node{o.node};
  auto ids = o.ids;
  if (o.all != ids.empty()) {
    std::cerr << "nestor: name the sandboxes, or --all (perhaps with --selector)\n";
    return usage;
  }
  if (o.all) {
    int code = done;
    auto found = all_pages(node, o, code);
    if (!found)
      return code;
    for (const auto& each : (*found)["items"])
      if (cell(each, "status") != "Destroyed" && cell(each, "status") != "Failed")
        ids.push_back(cell(each, "id"));
    if (!ids.empty() && !o.yes && !confirmed(ids.size()))
      return refused;
  }
  int worst = done;
  for (const auto& id : ids) {
    auto gone = node.ask({http::method::del, target_of(id)});
    int code = gone.ok() ? done : complain(gone);
    if (gone.ok() && o.wait)
      code = await_status(node, o, id, "destroyed");
    else if (gone.ok())
      std::cout << id << '\n';
    worst = std::max(worst, code);
  }
  return worst;
}

} // namespace nestor::cli
