#include <nestor/api/event_ring.hpp>

#include <nestor/sandbox/view.hpp>

#include <nlohmann/json.hpp>

namespace nestor::api {

std::string to_json(const event& e) {
  nlohmann::ordered_json out{
    {"id", e.id}, {"at", to_text(e.at)}, {"kind", e.kind}, {"sandbox", e.sandbox}, {"tenant", e.tenant}};
  auto text = out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (e.details.empty())
    return text;
  text.back() = ',';
  return text + e.details + "}";
}

std::string to_stream(const event& e) {
  return "id: " + std::to_string(e.id) + "\nevent: " + e.kind + "\ndata: " + to_json(e) + "\n\n";
}

std::string reset_for_stream(std::uint64_t oldest) {
  return "event: reset\ndata: {\"oldest\":" + std::to_string(oldest) + "}\n\n";
}

std::shared_ptr<const event> event_ring::add(event e) {
  e.id = next_++;
  kept_.push_back(std::make_shared<const event>(std::move(e)));
  if (kept_.size() > kept_max_)
    kept_.pop_front();
  return kept_.empty() ? nullptr : kept_.back();
}

event_ring::slice event_ring::since(std::uint64_t after, const event_filter& filter, std::size_t limit) const {
  slice found;
  found.gap = after + 1 < oldest() || after > latest();
  auto from = found.gap ? oldest() : after + 1;
  found.last_seen = from - 1;
  for (auto at = static_cast<std::size_t>(from - oldest()); at < kept_.size() && found.items.size() < limit; ++at) {
    found.last_seen = kept_[at]->id;
    if (filter.fits(*kept_[at]))
      found.items.push_back(kept_[at]);
  }
  return found;
}

} // namespace nestor::api
