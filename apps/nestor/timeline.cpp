#include "timeline.hpp"

#include <nestor/io/clock.hpp>

namespace nestor::cli {
namespace {

tone tone_of(status word) {
  switch (word) {
    case status::ready: return tone::good;
    case status::failed:
    case status::quarantined: return tone::bad;
    case status::unknown: return tone::warning;
    case status::queued:
    case status::starting:
    case status::updating:
    case status::paused:
    case status::destroying:
    case status::destroyed:
    case status::count_: break;
  }
  return tone::strong;
}

} // namespace

std::string timeline::titled(const sandbox_id& id, std::string_view step) const {
  auto found = titles_.find(id.text);
  if (found == titles_.end())
    return std::string{step};
  auto text = found->second;
  text.resize(std::max(text.size(), widest_), ' ');
  text.append("  ").append(step);
  text.resize(std::max(text.size(), widest_ + 15), ' '); // the longest step has 13 characters
  return text;
}

void timeline::show(const told& what) {
  std::visit([this](const auto& x) { show(x); }, what);
}

void timeline::show(const actors::status_changed& changed) {
  auto text = std::string{name_of(changed.word)};
  if (changed.word == status::ready)
    text += " (generation " + std::to_string(changed.observed) + ")";
  if (changed.spoken >= supervision::talk::started)
    text += ", conversation " + std::string{name_of(changed.spoken)};
  out_.line(io::steady_now(), titled(changed.id, "="), tone_of(changed.word), text);
}

void timeline::show(const actors::step_changed& changed) {
  if (changed.result == outcome::running)
    return; // one line per step, when it is over
  auto text = std::string{name_of(changed.result)};
  if (changed.attempts > 1 && changed.at != step::alive) // how often a starting server was asked is of no interest
    text += " after " + std::to_string(changed.attempts) + " tries";
  text += " (" + std::to_string(changed.took.count()) + " ms)";
  if (changed.why)
    text += ": " + printable(changed.why->cause);
  out_.line(io::steady_now(), titled(changed.id, name_of(changed.at)),
            changed.result == outcome::failed ? tone::bad : tone::plain, text);
}

void timeline::show_failure(const sandbox_view& seen) {
  if (!seen.why)
    return;
  const auto& row = row_of(seen.why->code);
  out_.line(out_.in(tone::bad, std::string{row.name}) + " at " + std::string{name_of(seen.why->at)} + ": " +
            printable(seen.why->cause));
  out_.line("  " + std::string{row.title} + ".");
  out_.line("  What to do: " + std::string{row.remedy});
}

} // namespace nestor::cli
