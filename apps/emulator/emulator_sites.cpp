#include <emulator/emulator_sites.hpp>

#include <emulator/internal/call.hpp>

namespace nestor::emulator {
namespace {

/// Notes how a request was answered.
class noting_door final : public reply_door {
public:
  noting_door(caller back, std::function<void(std::uint16_t)> note) : back_(std::move(back)), note_(std::move(note)) {}
  void reply(wire_reply&& r) override {
    note_(r.how == wire_reply::way::answer ? r.response.status : 0);
    back_->reply(std::move(r));
  }
  void count_in(nested_server::traffic& t) override { back_->count_in(t); }
  void begin(const http::response& head) override {
    note_(head.status);
    back_->begin(head);
  }
  void more(std::string_view bytes) override { back_->more(bytes); }
  void end() override { back_->end(); }

private:
  caller back_;
  std::function<void(std::uint16_t)> note_;
};

http::response problem(std::uint16_t status, std::string_view detail) {
  return response_of(status, {{"detail", detail}});
}

} // namespace

void cloud_site::serve(const http::request& request, instant, std::string_view, const caller& back) {
  ++requests_;
  auto note = [this, kept = request](std::uint16_t status) { kept_.note(name_, kept, status); };
  cloud_.serve(request, std::make_shared<noting_door>(back, std::move(note)));
}

void admin_site::serve(const http::request& request, instant, std::string_view, const caller& back) {
  wire_reply reply;
  reply.response = answer(request);
  back->reply(std::move(reply));
}

http::response admin_site::answer(const http::request& request) {
  using http::method;
  auto all = json::object();
  if (request.verb == method::get && request.target == "/admin/sandboxes") {
    for (const auto& [name, at] : clouds_) {
      auto listed = json::array();
      for (const auto& r : at->cloud().behind().truth())
        listed.push_back({{"id", r.id},
                          {"name", r.name},
                          {"labels", object_of(r.labels)},
                          {"created_at", iso_time(r.created_ms)},
                          {"state", r.state}});
      all[name] = listed;
    }
    return response_of(200, all);
  }
  if (request.verb == method::get && request.target == "/admin/clouds") {
    for (const auto& [name, at] : clouds_)
      all[name] = {{"requests", at->requests()}, {"faults_hit", at->cloud().plan().hits()}};
    return response_of(200, all);
  }
  if (request.verb == method::get && request.target == "/admin/requests") {
    http::response r;
    r.status = 200;
    auto text = kept_.text();
    r.body.assign(text.data(), text.size());
    return r;
  }
  if (request.verb == method::post && request.target == "/admin/faults")
    return set_faults(request.body);
  return problem(404, "Not Found");
}

http::response admin_site::set_faults(std::string_view body) {
  auto given = json::parse(body, nullptr, false);
  if (!given.is_object() || !given.contains("faults") || !given["faults"].is_array())
    return problem(400, R"(the body is {"faults":["SPEC", …]}, and may name a "cloud")");
  std::vector<mishap> planned;
  for (const auto& spec : given["faults"]) {
    auto one = parse_mishap(spec.is_string() ? spec.get<std::string>() : std::string{});
    if (!one)
      return problem(400, one.error().cause);
    planned.push_back(std::move(*one));
  }
  auto which = text_at(given, "cloud");
  if (!which.empty() && !clouds_.contains(which))
    return problem(400, "there is no cloud '" + which + "' here");
  for (auto& [name, at] : clouds_)
    if (which.empty() || which == name)
      at->cloud().set_mishaps(mishap_plan{planned, static_cast<std::uint64_t>(number_at(given, "seed", 1))});
  return response_of(200, json::object());
}

} // namespace nestor::emulator
