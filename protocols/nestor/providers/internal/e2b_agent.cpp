#include <nestor/providers/internal/e2b_agent.hpp>

#include <nestor/providers/internal/json_answer.hpp>

#include <sodium.h>

namespace nestor::providers::internal::e2b {
namespace {

using nlohmann::json;

constexpr std::size_t head = 5; // bytes of flag and length
constexpr unsigned last = 2;    // flag of the frame that ends a stream

/// Nothing when it is no base64.
std::string decoded(const std::string& text) {
  std::string bytes(text.size(), '\0');
  std::size_t size = 0;
  auto bad = sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(), text.size(),
                               nullptr, &size, nullptr, sodium_base64_VARIANT_ORIGINAL);
  bytes.resize(bad == 0 ? size : 0);
  return bytes;
}

void take(process_story& story, const json& event) {
  const auto& data = at(event, "data");
  story.out += decoded(text_at(data, "stdout"));
  story.err += decoded(text_at(data, "stderr"));
  const auto& end = at(event, "end");
  if (end.is_object()) // a status of 0 is left out
    story.status = static_cast<int>(integer_at(end, end.contains("exitCode") ? "exitCode" : "exit_code").value_or(0));
}

} // namespace

wiped_string enveloped(const wiped_string& message) {
  wiped_string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8)
    framed += static_cast<char>((message.size() >> static_cast<unsigned>(shift)) & 0xFFU);
  return framed + message;
}

process_story read_stream(std::string_view frames) {
  process_story story;
  while (frames.size() >= head) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < head; ++i)
      size = size << 8U | static_cast<unsigned char>(frames[i]);
    if (size > frames.size() - head)
      break;
    auto flag = static_cast<unsigned char>(frames.front());
    auto message = json::parse(frames.substr(head, size), nullptr, false);
    frames.remove_prefix(head + size);
    if ((flag & last) != 0 && message.is_object() && message.contains("error"))
      story.trouble = text_at(at(message, "error"), "code");
    else
      take(story, at(message, "event"));
  }
  return story;
}

} // namespace nestor::providers::internal::e2b
