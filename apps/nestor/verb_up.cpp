// `nestor up`: one sandbox in the foreground. Its timeline, then its access; Ctrl-C destroys it. With --once the
// object, and its end.
#include "local_node.hpp"
#include "spec_file.hpp"
#include "timeline.hpp"
#include "verbs.hpp"

#include <nestor/core/problem.hpp>
#include <nestor/io/clock.hpp>
#include <nestor/sandbox/view.hpp>

#include <iostream>

namespace nestor::cli {
namespace {

// Nothing waits for this: it only bounds one sleep of the loop.
constexpr milliseconds one_look{1'000};
// Destroying one sandbox: its process's grace and kill, with room for a few repetitions.
constexpr milliseconds drain_within{60'000};

bool at_rest(status s) {
  return s == status::ready || s == status::quarantined || ended(s);
}

/// Shows what happens until it rests, ends or somebody interrupts. The status it rests in; nothing when interrupted.
std::optional<status> follow(local_node& here, timeline& shown) {
  for (;;) {
    auto letter = here.next(one_look);
    if (!letter)
      continue;
    if (std::holds_alternative<interrupted>(*letter))
      return std::nullopt;
    shown.show(*letter);
    if (const auto* changed = std::get_if<actors::status_changed>(&*letter); changed && at_rest(changed->word))
      return changed->word;
  }
}

void print_access(terminal& out, const actors::access& access) {
  if (access.refused)
    return;
  out.line("url     " + printable(access.url));
  for (const auto& header : access.headers)
    out.line("header  " + printable(header.name) + ": " + printable(std::string_view{header.value}));
}

int end_with(local_node& here, timeline& shown, int code) {
  auto left = here.node().drain_now(drain_within);
  while (auto letter = here.next(milliseconds{0}))
    shown.show(*letter);
  if (left == 0)
    return code;
  std::cerr << "nestor: the sandbox could not be destroyed within 60 s; its guardian ends its processes now\n";
  return failed;
}

} // namespace

int run_up(const up_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  auto file = load_spec(o.file, false, config->accounts);
  if (!file)
    return usage;
  auto spec = resolve_here(*file);
  if (!spec)
    return usage;
  local_node here{*config};
  bool quiet = o.as == output::json;
  terminal out{quiet ? stderr : stdout, o.colour, io::steady_now()};
  timeline shown{out};
  auto answer = here.ask<actors::accepted>(actors::create_sandbox{std::make_shared<sandbox_spec>(std::move(*spec))});
  if (answer.refused) {
    std::cerr << "nestor: " << to_string(*answer.refused) << "\n  " << row_of(answer.refused->code).remedy << "\n";
    return row_of(answer.refused->code).http_status == 400 ? usage : refused;
  }
  auto rests = follow(here, shown);
  if (!rests)
    return end_with(here, shown, failed);
  auto seen = here.ask<actors::sandbox_seen>(actors::get_sandbox{answer.id}).view;
  if (quiet)
    std::cout << to_json(*seen, 2) << std::endl;
  if (*rests != status::ready) {
    shown.show_failure(*seen);
    return end_with(here, shown, failed);
  }
  if (o.once)
    return end_with(here, shown, done);
  print_access(out, here.ask<actors::access>(actors::get_access{answer.id}));
  out.line("Ctrl-C destroys it");
  for (;;) {
    auto letter = here.next(one_look);
    if (!letter)
      continue;
    if (std::holds_alternative<interrupted>(*letter))
      return end_with(here, shown, done);
    shown.show(*letter);
    if (const auto* changed = std::get_if<actors::status_changed>(&*letter); changed && ended(changed->word)) {
      shown.show_failure(*here.ask<actors::sandbox_seen>(actors::get_sandbox{answer.id}).view);
      return end_with(here, shown, failed);
    }
  }
}

} // namespace nestor::cli
