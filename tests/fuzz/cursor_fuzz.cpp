// Whatever a reader of events says it has seen: it is refused, or reads every event that is kept after it exactly once,
// in order, and is told when some are gone.
#include <nestor/api/event_ring.hpp>
#include <nestor/api/gate.hpp>
#include <nestor/api/sandbox_query.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

using namespace nestor;

constexpr std::size_t kept = 20;
constexpr std::uint64_t told = 50; // events, so that the first thirty are forgotten

void demand(bool so) {
  if (!so)
    std::abort();
}

const api::event_ring& ring() {
  static const api::event_ring made = [] {
    api::event_ring all{kept};
    for (std::uint64_t i = 0; i < told; ++i)
      all.add({0, {1}, "step", i % 2 == 0 ? "a" : "b", "acme", R"("step":"queue")"});
    return all;
  }();
  return made;
}

} // namespace

/// "LAST-EVENT-ID\nQUERY".
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(bytes), size};
  auto end = text.find('\n');
  http::request asked;
  asked.verb = http::method::get;
  asked.target = "/v1/events";
  if (end != text.npos && end + 1 < text.size())
    asked.target.append("?").append(text.substr(end + 1));
  asked.headers.push_back({"Accept", wiped_string{"text/event-stream"}});
  if (auto id = text.substr(0, end); !id.empty())
    asked.headers.push_back({"Last-Event-ID", wiped_string{id}});
  auto target = api::parse_target(asked.target);
  if (!target)
    return 0;
  auto query = api::read_event_query(asked, *target);
  if (!query)
    return 0;
  demand(query->stream && query->limit >= 1 && query->limit <= 200 && query->wait <= 60);
  auto after = query->after.value_or(0);
  bool lost = after + 1 < ring().oldest() || after > ring().latest();
  std::uint64_t next = lost ? ring().oldest() : after + 1;
  for (auto seen = after; seen != ring().latest();) {
    auto found = ring().since(seen, {}, query->limit);
    demand(found.gap == std::exchange(lost, false));
    demand(!found.items.empty());
    for (const auto& each : found.items) {
      demand(each->id == next++);
      demand(api::to_stream(*each).ends_with("\n\n"));
    }
    seen = found.last_seen;
  }
  demand(next == ring().latest() + 1);
  return 0;
}
