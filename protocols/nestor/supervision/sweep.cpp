#include <nestor/supervision/sweep.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace nestor::supervision {
namespace {

using of_sandbox = explanation::of_sandbox;

/// Why nobody will ever look after it; empty when somebody may.
std::string_view unexplained(const swept& what, const explanation& known) {
  switch (known.whose) {
    case of_sandbox::unknown: return "no record names its sandbox";
    case of_sandbox::ended: return "its sandbox has ended";
    case of_sandbox::silent: return {};
    case of_sandbox::alive: break;
  }
  // A later one than we know of was made by somebody who knows more; that is not ours to judge.
  return what.number != 0 && what.number < known.latest ? "its sandbox has a later runtime" : std::string_view{};
}

std::size_t cap_of(const sweep_limits& limits, std::size_t listed) {
  auto share = std::floor(static_cast<double>(listed) * limits.percent / 100);
  return std::max(limits.at_least, static_cast<std::size_t>(std::max(0.0, share)));
}

} // namespace

std::string_view name_of(sweep_verdict v) {
  switch (v) {
    case sweep_verdict::explained: return "explained";
    case sweep_verdict::unlabelled: return "unlabelled";
    case sweep_verdict::suspected: return "suspected";
    case sweep_verdict::held_back: return "held_back";
    case sweep_verdict::ends: return "ends";
    case sweep_verdict::foreign: return "foreign";
  }
  return "";
}

std::vector<sweep_finding> sweep_memory::judge(const std::vector<swept>& list, const sweep_limits& limits,
                                               const std::function<explanation(std::string_view)>& explain,
                                               wall_time now) {
  ++pass_;
  std::vector<sweep_finding> findings;
  findings.reserve(list.size());
  std::map<std::string, suspect, std::less<>> still;
  std::vector<std::pair<std::uint64_t, std::size_t>> due; // since, place in `findings`
  for (const auto& each : list) {
    auto& finding = findings.emplace_back(sweep_finding{each, sweep_verdict::explained, {}, 0, {}});
    if (each.sandbox.empty()) {
      finding.verdict = sweep_verdict::unlabelled;
      finding.reason = "the list does not tell whose it is";
      continue;
    }
    finding.reason = unexplained(each, explain(each.sandbox));
    if (finding.reason.empty())
      continue;
    auto before = looks_.find(each.ref);
    auto& it = still[each.ref];
    if (it.looks == 0) { // else the list names it twice
      it = before == looks_.end() ? suspect{0, pass_, now} : before->second;
      ++it.looks;
    }
    finding.verdict = sweep_verdict::suspected;
    finding.looks = it.looks;
    finding.since = it.seen;
    if (it.looks >= limits.looks)
      due.emplace_back(it.since, findings.size() - 1);
  }
  looks_ = std::move(still);
  std::ranges::stable_sort(due);
  auto cap = limits.dry_run ? 0 : cap_of(limits, list.size());
  for (std::size_t i = 0; i < due.size(); ++i) {
    auto& finding = findings[due[i].second];
    finding.verdict = i < cap ? sweep_verdict::ends : sweep_verdict::held_back;
    if (i < cap) // if it does not go, it stands at the end of the line: one that cannot be ended starves nobody
      looks_.find(finding.what.ref)->second.since = pass_;
  }
  return findings;
}

} // namespace nestor::supervision
