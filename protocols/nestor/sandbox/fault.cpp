#include <nestor/sandbox/fault.hpp>

namespace nestor {

std::string message_of(const fault& f) {
  std::string text;
  if (!f.expected.empty())
    text.append("expected ").append(f.expected).append(f.got.empty() ? "" : ", got ");
  text += f.got;
  if (!f.advice.empty())
    text.append(text.empty() ? "" : "; ").append(f.advice);
  return text;
}

std::string to_string(const fault& f) {
  return (f.path.empty() ? "the document" : f.path) + ": " + message_of(f);
}

failure to_failure(std::span<const fault> faults) {
  failure all{faults.front().code, step::queue, {}, 0, {}};
  for (const auto& f : faults) {
    all.cause += all.cause.empty() ? "" : "\n";
    all.cause += to_string(f);
  }
  return all;
}

} // namespace nestor
