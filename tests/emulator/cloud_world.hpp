// An account at an emulated provider, in memory and on virtual time: ask it, move time, look at the truth.
#pragma once

#include <emulator/memory_machines.hpp>
#include <emulator/troubled_cloud.hpp>

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nestor::emulator::testing {

using json = nlohmann::ordered_json;

/// What came back, once it did.
struct caught final : reply_door {
  std::optional<wire_reply> got;
  std::string parts;
  bool ended = false;

  void reply(wire_reply&& r) override { got = std::move(r); }
  void count_in(nested_server::traffic&) override {}
  void begin(const http::response& head) override {
    got.emplace();
    got->response = head;
  }
  void more(std::string_view bytes) override { parts += bytes; }
  void end() override { ended = true; }

  [[nodiscard]] int status() const { return got && got->how == wire_reply::way::answer ? got->response.status : 0; }
  [[nodiscard]] json body() const {
    return got ? json::parse(got->response.body.begin(), got->response.body.end(), nullptr, false) : json{};
  }
  [[nodiscard]] std::string header(std::string_view name) const {
    const auto* value = got ? got->response.find(name) : nullptr;
    return value ? *value : std::string{};
  }
};
using answer = std::shared_ptr<caught>;
using headers = std::vector<std::pair<std::string, std::string>>;

struct account {
  virtual_clockwork time;
  memory_machines inside{time};
  troubled_cloud cloud;
  headers with; ///< sent with every request

  explicit account(std::string_view name, cloud_options options = {})
      : cloud(make_cloud(name, std::move(options), {time, inside}), time) {
    for (const auto& row : cloud_table())
      if (row.name == name && (name == "daytona" || name == "runloop"))
        with = {{"Authorization", "Bearer " + std::string{row.key}}};
      else if (row.name == name)
        with = {{"X-API-Key", std::string{row.key}}};
  }

  /// "POST /v2/sandboxes"; the answer may still be to come.
  answer begin(std::string_view what, const json& body = nullptr, const headers& more = {}) {
    http::request r;
    auto space = what.find(' ');
    r.verb = *http::method_named(what.substr(0, space));
    r.target = what.substr(space + 1);
    auto add = [&](const headers& list) {
      for (const auto& [name, value] : list)
        r.headers.push_back({name, wiped_string{value.data(), value.size()}});
    };
    add(more); // the first of a name counts
    add(with);
    auto text = body.is_null() ? std::string{} : body.is_string() ? body.get<std::string>() : body.dump();
    r.body.assign(text.data(), text.size());
    auto back = std::make_shared<caught>();
    cloud.serve(r, back);
    return back;
  }
  /// Moves time until it is answered, 200 s at most.
  answer ask(std::string_view what, const json& body = nullptr, const headers& more = {}) {
    auto back = begin(what, body, more);
    auto limit = time.now() + 200s;
    while (!back->got && time.now() < limit && time.step()) {}
    return back;
  }
  void plan(std::initializer_list<std::string_view> specs) {
    std::vector<mishap> planned;
    for (auto spec : specs)
      planned.push_back(*parse_mishap(spec));
    cloud.set_mishaps(mishap_plan{std::move(planned)});
  }
  [[nodiscard]] std::size_t rented() const { return cloud.behind().truth().size(); }
};

} // namespace nestor::emulator::testing
