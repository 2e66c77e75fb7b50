#include <emulator/clockwork.hpp>

namespace nestor::emulator {

void virtual_clockwork::after(milliseconds delay, std::function<void()> what) {
  to_come_.emplace(now_ + delay, std::move(what));
}

bool virtual_clockwork::step() {
  if (to_come_.empty())
    return false;
  auto first = to_come_.extract(to_come_.begin());
  now_ = std::max(now_, first.key());
  first.mapped()();
  return true;
}

std::optional<instant> virtual_clockwork::next() const {
  return to_come_.empty() ? std::nullopt : std::optional{to_come_.begin()->first};
}

void virtual_clockwork::advance_to(instant until) {
  while (!to_come_.empty() && to_come_.begin()->first <= until)
    step();
  now_ = std::max(now_, until);
}

void virtual_clockwork::advance(milliseconds by) {
  advance_to(now_ + by);
}

} // namespace nestor::emulator
