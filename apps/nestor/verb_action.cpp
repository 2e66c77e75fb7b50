// `nestor sandbox run` and `python`: one action in the runtime of a running node's sandbox.
#include "client_show.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/http/url.hpp>
#include <nestor/providers/start.hpp>

#include <algorithm>
#include <iostream>
#include <iterator>

#include <unistd.h>

namespace nestor::cli {
namespace {

// Beyond the action's own time: what the node may need before and after it.
constexpr milliseconds slack{120'000};

/// As it is, into a file or a pipe; nothing a runtime says may steer a terminal.
void show_output(std::ostream& to, int descriptor, std::string text) {
  auto steers = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f; };
  if (::isatty(descriptor) == 1)
    std::ranges::replace_if(text, steers, '?');
  to << text << std::flush;
}

/// In words, when there is something to say.
std::string ending_of(const ordered_json& seen) {
  std::string words;
  if (seen["outcome"] == "unknown")
    words = "it is not known whether it was run: ";
  else if (seen["exit_code"].is_number_integer() && seen["exit_code"] != 0)
    words = "it ended with status " + cell(seen, "exit_code");
  else if (seen["outcome"] == "failed")
    words = "it failed";
  if (!seen["error"].is_null())
    words += (words.empty() || words.ends_with(' ') ? "" : ": ") + cell(seen, "error");
  return words;
}

int act(const client_verb& o, const ordered_json& action) {
  auto within = milliseconds{static_cast<std::int64_t>(o.timeout_s * 1'000)};
  auto body = action;
  body["timeout_s"] = o.timeout_s;
  if (!o.directory.empty())
    body["cwd"] = o.directory;
  auto text = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  api_client node{o.node};
  auto target = "/v1/sandboxes/" + http::encode_segment(o.id) + "/actions";
  auto answer = node.ask({http::method::post, target, wiped_string{text}, "application/json", {}, within + slack});
  if (!answer.ok())
    return complain(answer);
  auto seen = answer.json();
  if (!show_whole(seen, o)) {
    show_output(std::cout, STDOUT_FILENO, seen.value("output", ""));
    show_output(std::cerr, STDERR_FILENO, seen.value("error_output", ""));
    if (seen["truncated"] == true)
      std::cerr << "nestor: its output is longer; this is its beginning\n";
    if (auto words = ending_of(seen); !words.empty())
      std::cerr << "nestor: " << words << '\n';
  }
  return seen["outcome"] == "ok" ? done : failed;
}

} // namespace

int run_sandbox_run(const client_verb& o) {
  return act(o, {{"action", "run"}, {"command", providers::shell_line(o.words)}});
}

int run_sandbox_python(const client_verb& o) {
  auto code = o.code;
  if (code == "-")
    code.assign(std::istreambuf_iterator<char>{std::cin}, {});
  return act(o, {{"action", "run_ipython"}, {"code", code}});
}

} // namespace nestor::cli
