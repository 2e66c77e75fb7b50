#include <emulator/troubled_cloud.hpp>

#include <algorithm>

namespace nestor::emulator {
namespace {

/// Between cloud and client: turns the answer into what the mishap makes of it. An answer in parts is one answer.
class changing_door final : public reply_door {
public:
  using change = std::function<void(wire_reply&)>;
  changing_door(caller back, change how) : back_(std::move(back)), how_(std::move(how)) {}

  void reply(wire_reply&& r) override {
    how_(r);
    back_->reply(std::move(r));
  }
  void count_in(nested_server::traffic& t) override { back_->count_in(t); }
  void begin(const http::response& head) override {
    wire_reply seen;
    seen.response = head;
    how_(seen);
    lost_ = seen.how != wire_reply::way::answer;
    if (lost_)
      back_->reply(std::move(seen));
    else
      back_->begin(head);
  }
  void more(std::string_view bytes) override {
    if (!lost_)
      back_->more(bytes);
  }
  void end() override {
    if (!lost_)
      back_->end();
  }

private:
  caller back_;
  change how_;
  bool lost_ = false;
};

/// Nobody waits for this answer.
class no_door final : public reply_door {
public:
  void reply(wire_reply&&) override {}
  void count_in(nested_server::traffic&) override {}
  void begin(const http::response&) override {}
  void more(std::string_view) override {}
  void end() override {}
};

void answer(reply_door& back, http::response r) {
  wire_reply reply;
  reply.response = std::move(r);
  back.reply(std::move(reply));
}

void fail(reply_door& back, wire_reply::way how) {
  wire_reply reply;
  reply.how = how;
  back.reply(std::move(reply));
}

http::response page(std::int64_t code) {
  http::response r;
  r.status = static_cast<std::uint16_t>(code);
  r.headers.emplace_back("Content-Type", "text/html");
  auto number = std::to_string(code);
  r.body = "<html>\r\n<head><title>";
  r.body += number;
  r.body += "</title></head>\r\n<body><center><h1>A proxy stands in between</h1></center></body>\r\n</html>\r\n";
  return r;
}

bool afflicts(mishap_kind kind) {
  return kind == mishap_kind::never_ready || kind == mishap_kind::wrong_state || kind == mishap_kind::late_listing ||
         kind == mishap_kind::late_boot;
}

affliction affliction_of(const std::vector<const mishap*>& all) {
  affliction ill;
  for (const auto* m : all) {
    ill.never_ready = ill.never_ready || m->kind == mishap_kind::never_ready;
    ill.fails = ill.fails || m->kind == mishap_kind::wrong_state;
    if (m->kind == mishap_kind::late_listing)
      ill.unlisted = milliseconds{m->argument};
    if (m->kind == mishap_kind::late_boot)
      ill.boots_late = milliseconds{m->argument};
  }
  return ill;
}

/// What becomes of an answer, for mishaps that let the request take effect.
changing_door::change change_of(const mishap& m) {
  using way = wire_reply::way;
  switch (m.kind) {
    case mishap_kind::slow: return [ms = m.argument](wire_reply& r) { r.delay += milliseconds{ms}; };
    case mishap_kind::truncated: return [](wire_reply& r) { r.response.body.resize(r.response.body.size() / 2); };
    case mishap_kind::cut: return [](wire_reply& r) { r.body_sent = r.response.body.size() / 2; };
    case mishap_kind::answer_lost: return [](wire_reply& r) { r.how = way::reset; };
    case mishap_kind::answer_hangs: return [](wire_reply& r) { r.how = way::hang; };
    case mishap_kind::reset:
    case mishap_kind::hang:
    case mishap_kind::status:
    case mishap_kind::page:
    case mishap_kind::throttled:
    case mishap_kind::late_effect:
    case mishap_kind::duplicate:
    case mishap_kind::late_listing:
    case mishap_kind::late_boot:
    case mishap_kind::never_ready:
    case mishap_kind::wrong_state:
    case mishap_kind::count_: break;
  }
  return {};
}

} // namespace

void troubled_cloud::serve(const http::request& request, caller back) {
  // What it creates may be ill in several ways; on the way one thing goes wrong, the first.
  auto all = plan_.all_hits(request.verb, request.target);
  auto ill = affliction_of(all);
  auto at = std::ranges::find_if(all, [](const auto* each) { return !afflicts(each->kind); });
  if (at == all.end())
    return cloud_->serve(request, ill, std::move(back));
  const auto* m = *at;
  switch (m->kind) {
    case mishap_kind::reset: return fail(*back, wire_reply::way::reset);
    case mishap_kind::hang: return fail(*back, wire_reply::way::hang);
    case mishap_kind::status: return answer(*back, cloud_->refusal(static_cast<std::uint16_t>(m->argument), request));
    case mishap_kind::page: return answer(*back, page(m->argument));
    case mishap_kind::throttled: return answer(*back, cloud_->throttled(m->argument, request));
    case mishap_kind::late_effect:
      time_.after(milliseconds{m->argument},
                  [this, kept = request, ill] { cloud_->serve(kept, ill, std::make_shared<no_door>()); });
      return fail(*back, wire_reply::way::reset);
    case mishap_kind::duplicate:
      cloud_->serve(request, ill, back);
      return cloud_->serve(request, ill, std::make_shared<no_door>());
    case mishap_kind::slow:
    case mishap_kind::truncated:
    case mishap_kind::cut:
    case mishap_kind::answer_lost:
    case mishap_kind::answer_hangs:
    case mishap_kind::late_listing:
    case mishap_kind::late_boot:
    case mishap_kind::never_ready:
    case mishap_kind::wrong_state:
    case mishap_kind::count_: break;
  }
  if (auto how = change_of(*m))
    back = std::make_shared<changing_door>(std::move(back), std::move(how));
  cloud_->serve(request, ill, std::move(back));
}

} // namespace nestor::emulator
