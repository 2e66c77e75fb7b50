#include <nestor/runtime/action.hpp>

#include <nestor/core/redact.hpp>
#include <nestor/providers/start.hpp>

#include <nlohmann/json.hpp>

#include <array>

namespace nestor {
namespace {

constexpr std::array<std::string_view, 3> kind_names{"run", "run_ipython", "alive"};
constexpr std::array<std::string_view, 3> verdict_names{"ok", "failed", "unknown"};

/// Cut at the end of a character, if it is UTF-8 at all.
bool cut(std::string& text) {
  constexpr unsigned continues = 0x80, continues_mask = 0xC0;
  if (text.size() <= action_output_max)
    return false;
  auto end = action_output_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & continues_mask) == continues)
    --end;
  text.resize(end);
  return true;
}

} // namespace

std::string_view name_of(action_kind k) {
  return kind_names.at(static_cast<std::size_t>(k));
}

std::string_view name_of(verdict v) {
  return verdict_names.at(static_cast<std::size_t>(v));
}

std::string shell_line_of(const action& a) {
  std::string line;
  if (!a.directory.empty())
    line = "cd " + providers::shell_word(a.directory) + " || exit\n";
  if (a.what == action_kind::run_ipython)
    return line + providers::shell_line({"python3", "-c", a.text});
  return line + a.text;
}

observation ended_with(int exit_status, std::string output, std::string error_output) {
  observation seen;
  seen.came = exit_status == 0 ? verdict::ok : verdict::failed;
  seen.exit_status = exit_status;
  seen.output = std::move(output);
  seen.error_output = std::move(error_output);
  return seen;
}

observation out_of_time() {
  observation seen;
  seen.trouble = "its time was up, and it was ended";
  return seen;
}

observation lost_answer(std::string why) {
  observation seen;
  seen.came = verdict::unknown;
  seen.trouble = std::move(why) + "; it is not known whether it was run, and it is not run again";
  return seen;
}

observation for_its_reader(observation seen, std::span<const secret> secrets) {
  for (auto* text : {&seen.output, &seen.error_output, &seen.trouble}) {
    *text = redact(std::move(*text), secrets);
    seen.cut = cut(*text) || seen.cut;
  }
  return seen;
}

std::string to_json(action_kind what, const observation& seen, std::uint64_t fence) {
  nlohmann::ordered_json body{{"action", name_of(what)},
                              {"outcome", name_of(seen.came)},
                              {"exit_code", nullptr},
                              {"output", seen.output},
                              {"error_output", seen.error_output},
                              {"truncated", seen.cut},
                              {"error", nullptr},
                              {"incarnation", fence}};
  if (seen.exit_status)
    body["exit_code"] = *seen.exit_status;
  if (!seen.trouble.empty())
    body["error"] = seen.trouble;
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace nestor
