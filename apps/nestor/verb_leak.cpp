// `nestor leak audit|reap`: what the providers hold under an installation's label, and what becomes of it.
#include "client_show.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/http/url.hpp>

#include <iostream>

namespace nestor::cli {
namespace {

// Lists have pages and ends take their provider's time; the node answers when all of it is done.
constexpr milliseconds patience{600'000};

/// In words, for the table's last column.
std::string fate_of(const ordered_json& each) {
  if (each.value("ended", false))
    return "ended";
  if (each["failure"].is_object())
    return "not ended: " + failure_in_words(each["failure"]);
  auto verdict = cell(each, "verdict");
  if (verdict == "explained")
    return "-";
  if (verdict == "foreign" || verdict == "unlabelled")
    return "never touched";
  if (auto due = cell(each, "due_at"); due != "-" && !due.empty())
    return "the sweep ends it at " + due + " or later";
  return verdict == "held_back" ? "held back by the cap or the dry run" : "waits for a reap";
}

/// 1 when a list was not whole, or something that should have ended has not.
int show_report(const ordered_json& report, const client_verb& o) {
  bool whole = report["failures"].empty() && report.value("failed", 0) == 0;
  if (!show_whole(report, o)) {
    std::vector<std::vector<std::string>> rows{
      {"PROVIDER", "REF", "SANDBOX", "ATTEMPT", "STATE", "VERDICT", "SINCE", "WHY", "WHAT HAPPENS"}};
    for (const auto& each : report["items"])
      rows.push_back({cell(each, "provider"), cell(each, "ref"), cell(each, "sandbox"), cell(each, "attempt"),
                      cell(each, "state"), cell(each, "verdict"), cell(each, "since"), cell(each, "reason"),
                      fate_of(each)});
    show_table(rows);
    std::cout << report["items"].size() << " listed, " << cell(report, "unexplained") << " unexplained, "
              << cell(report, "ended") << " ended, " << cell(report, "failed") << " could not be ended\n";
  }
  for (const auto& each : report["not_covered"])
    std::cerr << "nestor: " << printable(each.get<std::string>())
              << ": cannot list what carries a label: not covered\n";
  for (const auto& each : report["failures"])
    std::cerr << "nestor: " << printable(failure_in_words(each)) << '\n';
  return whole ? done : failed;
}

api_answer reap(api_client& node, const client_verb& o, bool dry_run) {
  std::string target = dry_run ? "/v1/leaks/reap?dry_run=true" : "/v1/leaks/reap?dry_run=false";
  if (!o.installation.empty())
    target += "&installation=" + http::encode_segment(o.installation);
  return node.ask({.verb = http::method::post, .target = target, .within = patience});
}

} // namespace

int run_leak_audit(const client_verb& o) {
  if (!o.config.empty())
    return run_local_audit({.config = o.config,
                            .name = o.provider,
                            .installation = o.installation,
                            .as = o.as == shape::json ? output::json : output::table,
                            .colour = o.colour});
  api_client node{o.node};
  std::string target = "/v1/leaks";
  char separator = '?';
  for (const auto& [name, value] : {std::pair{"provider", &o.provider}, {"installation", &o.installation}})
    if (!value->empty())
      target.append(1, std::exchange(separator, '&')).append(name).append("=").append(http::encode_segment(*value));
  auto found = node.ask({.target = target, .within = patience});
  return found.ok() ? show_report(found.json(), o) : complain(found);
}

int run_leak_reap(const client_verb& o) {
  api_client node{o.node};
  if (o.dry_run || !o.yes) {
    auto would = reap(node, o, true);
    if (!would.ok())
      return complain(would);
    auto report = would.json();
    auto code = show_report(report, o);
    if (o.dry_run)
      return code;
    std::size_t ends = 0;
    for (const auto& each : report["items"])
      ends += cell(each, "verdict") == "ends" ? 1 : 0;
    if (ends == 0)
      return code;
    std::cerr << "This ends " << ends << " runtimes and whatever runs in them. Type yes to go on: ";
    std::string word;
    if (!std::getline(std::cin, word) || word != "yes")
      return refused;
  }
  auto came = reap(node, o, false);
  return came.ok() ? show_report(came.json(), o) : complain(came);
}

} // namespace nestor::cli
