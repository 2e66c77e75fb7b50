// What a journal does, on maps: the few rules that the database must agree with, and nothing of how it does it.
#pragma once

#include <nestor/journal/codec.hpp>
#include <nestor/journal/operations.hpp>

#include <algorithm>
#include <map>
#include <string>

namespace nestor::tests {

class model_journal {
public:
  journal::result perform(const journal::operation& what) { return std::visit(*this, what); }

  journal::result operator()(const journal::op::write& o) {
    auto at = kept_.find(o.record.sandbox);
    if (at == kept_.end() || at->second.closed ||
        (at->second.actual && at->second.actual->revision >= o.record.revision))
      return {};
    at->second.actual = std::make_shared<journal::actual_record>(o.record);
    return {true};
  }
  journal::result operator()(const journal::op::want& o) {
    auto at = o.record.number == 1 ? kept_.try_emplace(o.record.sandbox).first : kept_.find(o.record.sandbox);
    if (at == kept_.end() || at->second.closed)
      return {};
    auto& wanted = at->second.wanted;
    std::erase_if(wanted, [&](const auto& each) { return each->number == o.record.number; });
    wanted.push_back(std::make_shared<journal::wanted_record>(o.record));
    std::ranges::sort(wanted, {}, [](const auto& each) { return each->number; });
    std::erase_if(wanted, [&](const auto& each) { return each->number + journal::generations_max <= o.record.number; });
    return {true};
  }
  journal::result operator()(const journal::op::read& o) {
    if (auto at = kept_.find(o.sandbox); at != kept_.end())
      for (const auto& each : at->second.wanted)
        if (each->number == o.number)
          return {true, each};
    return {true};
  }
  journal::result operator()(const journal::op::unwant& o) {
    auto at = kept_.find(o.sandbox);
    if (at == kept_.end() || at->second.closed)
      return {};
    at->second.unwanted = true;
    return {true};
  }
  journal::result operator()(const journal::op::close& o) {
    kept_[o.record.sandbox] = {nullptr, {}, true, std::make_shared<journal::closed_record>(o.record)};
    return {true};
  }
  journal::result operator()(const journal::op::forget& o) {
    kept_.erase(o.sandbox);
    return {true};
  }
  journal::result operator()(const journal::op::load& o) {
    journal::result got{true};
    if (auto at = kept_.find(o.sandbox); at != kept_.end())
      got.found.emplace_back(*at);
    return got;
  }
  journal::result operator()(const journal::op::list& o) {
    journal::result got{true};
    for (auto at = kept_.upper_bound(o.after); at != kept_.end() && got.found.size() < o.most; ++at)
      got.found.emplace_back(*at);
    return got;
  }

  [[nodiscard]] const std::map<sandbox_id, journal::sandbox_records>& all() const { return kept_; }

private:
  std::map<sandbox_id, journal::sandbox_records> kept_;
};

/// Everything of an answer as one text: equal answers give equal texts.
inline std::string text_of(const journal::result& answer) {
  const journal::time_anchor any{{2'000'000'000}, {1'800'000'000'000}, "any"};
  auto add = [](std::string& text, const auto& part) { text.append(std::string_view{part}).append("\n"); };
  std::string text = answer.done ? "done\n" : "not done\n";
  if (answer.wanted)
    add(text, journal::encode(*answer.wanted));
  for (const auto& [id, records] : answer.found) {
    add(text, id.text + (records.unwanted ? " unwanted" : " wanted"));
    if (records.actual)
      add(text, journal::encode(*records.actual, any));
    for (const auto& each : records.wanted)
      add(text, journal::encode(*each));
    if (records.closed)
      add(text, journal::encode(*records.closed));
  }
  return text;
}

} // namespace nestor::tests
