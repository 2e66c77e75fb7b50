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

void virtual_clockwork::advance(milliseconds by) {
  auto until = now_ + by;
  while (!to_come_.empty() && to_come_.begin()->first <= until)
    step();
  now_ = until;
}

} // namespace nestor::emulator
