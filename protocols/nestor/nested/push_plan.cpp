#include <nestor/core/backoff.hpp>
#include <nestor/nested/conversation.hpp>
#include <nestor/nested/detection.hpp>
#include <nestor/nested/dialect.hpp>
#include <nestor/nested/json_text.hpp>
#include <nestor/nested/push_plan.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace nestor::nested {
namespace {

// Between two tries of one request. The first is short, because most trouble is a server still finding its feet; the
// longest is what a person would wait before asking whether it still works.
constexpr backoff_policy between_tries{milliseconds{100}, milliseconds{5'000}};
// A server on the same machine is up within milliseconds: the first looks are dense, then each waits twice as long.
constexpr std::uint32_t alive_ask_ms_first = 2;
// One look at /alive or /server_info; a server that takes longer is not fit to be configured (its real answers: < 1 s).
constexpr milliseconds look_within{5'000};
// How much earlier than shown a server may have started: `uptime` is taken from the server's wall clock, which NTP
// slews and steps, and is floored to seconds by some. A restart within that time after `configured_since` is left to
// the read-back.
constexpr microseconds start_tolerance{2'000'000};

constexpr std::array<std::string_view, 7> purposes{"configure", "update",     "restore", "withdraw",
                                                   "probe",     "deep_probe", "converse"};

/// It looks first whether the server is still the one that was configured.
bool is_probe(purpose p) {
  return p == purpose::probe || p == purpose::deep_probe || p == purpose::converse;
}

/// A server that is alive says so in JSON; "not initialized" and a proxy's page say something else.
bool says_alive(const http::response& r) {
  if (r.status != 200)
    return false;
  auto shape = facts_of(r).body;
  if (shape == answer_facts::shape::html || shape == answer_facts::shape::broken)
    return shape == answer_facts::shape::broken && r.body.find_first_of("{[<") == wiped_string::npos; // "OK"
  bool other_status = false;
  read_json(r.body, [&](const json_leaf& leaf) {
    other_status |= leaf.path == "/status" && !(leaf.kind == json_kind::string && leaf.text == "ok");
  });
  return !other_status;
}

/// Seconds since the server started; nothing when it does not say.
std::optional<double> uptime_of(const http::response& r) {
  std::optional<double> uptime;
  if (r.status != 200)
    return uptime;
  bool whole = read_json(r.body, [&](const json_leaf& leaf) {
    double value = 0;
    if (leaf.path == "/uptime" && leaf.kind == json_kind::number &&
        std::from_chars(leaf.text.data(), leaf.text.data() + leaf.text.size(), value).ec == std::errc{} &&
        std::isfinite(value) && value >= 0)
      uptime = value;
  });
  return whole ? uptime : std::nullopt;
}

} // namespace

std::string_view name_of(purpose p) {
  return purposes.at(static_cast<std::size_t>(p));
}

struct push_plan::impl {
  enum class phase : std::uint8_t { alive, identity, detection, walking, over };

  push_order order;
  phase now_in = phase::alive;
  instant began;
  instant not_before;
  instant sent_at{};
  std::optional<instant> alive_at;
  std::uint64_t seed;
  step at = step::alive;
  std::uint32_t step_tries = 0; ///< the most that one request of the current step took
  std::uint32_t failures = 0;   ///< of the request in hand
  std::uint32_t alive_pause_ms = alive_ask_ms_first;
  bool outstanding = false;
  bool another_server = false;
  question asked; ///< the last one sent
  detection looking;
  const dialect* spoken = nullptr;
  walk walked_so_far;
  std::optional<action> result;

  impl(push_order o, instant now) : order(std::move(o)), began(now), not_before(now), seed(order.seed) {
    walked_so_far.order = &order;
    if (order.wanted && order.key)
      walked_so_far.target = delivery_of(*order.wanted, *order.key);
    bool needs_wanted = order.why != purpose::withdraw && order.why != purpose::probe;
    if (needs_wanted && !order.wanted)
      fail(failure{errc::internal, step::settings, "a run of this purpose needs a configuration", 0, {}});
    if (order.dialect != "auto" && !(spoken = dialect_named(order.dialect)))
      fail(failure{
        errc::dialect_unknown, step::alive, "this build speaks no dialect of the name that was asked for", 0, {}});
  }

  // -- ends ----------------------------------------------------------------------------------------------------------

  void fail(failure why) {
    if (result)
      return;
    now_in = phase::over;
    result = run_failed{std::move(why), walked_so_far.wrote};
  }

  void confirm(const walked& work) {
    now_in = phase::over;
    confirmation done;
    done.dialect = spoken ? std::string{spoken->name} : order.dialect;
    done.strength = work.strength;
    done.weakest = work.weakest;
    done.another_server = another_server;
    done.drifted = walked_so_far.drifted;
    done.drift = walked_so_far.drift;
    done.alive_at = alive_at.value_or(began);
    if (order.why != purpose::withdraw && order.why != purpose::probe)
      done.holds = walked_so_far.target;
    at = step::ready;
    result = std::move(done);
  }

  // -- asking --------------------------------------------------------------------------------------------------------

  void arrive(step next) {
    if (next != at) {
      at = next;
      step_tries = 0;
    }
  }

  action send(question q, instant now, bool configured_time) {
    send_request out;
    out.request.verb = q.verb;
    out.request.target = order.path_prefix + q.path;
    out.request.body = std::move(q.body);
    if (!q.key_header.empty() && !order.session_key.empty())
      order.session_key.expose([&](std::string_view key) {
        out.request.headers.push_back({std::string{q.key_header}, wiped_string{key}});
      });
    if (q.in_clear)
      out.request.headers.push_back({"X-Expose-Secrets", "plaintext"});
    out.timeout = configured_time ? order.limits.step_timeout.value_or(q.timeout) : q.timeout;
    out.at = q.at;
    out.mutates = q.mutates;
    arrive(q.at);
    step_tries = std::max(step_tries, failures + 1);
    walked_so_far.wrote = walked_so_far.wrote || q.mutates;
    outstanding = true;
    sent_at = now;
    asked = std::move(q);
    return out;
  }

  question look(std::string path) const {
    question q;
    q.at = step::alive;
    q.path = std::move(path);
    q.key_header = {}; // both are open; a key that is not needed is not sent
    q.timeout = look_within;
    return q;
  }

  milliseconds alive_left(instant now) const {
    auto left = std::chrono::duration_cast<milliseconds>(order.limits.alive_within - (now - began));
    return std::clamp(left, milliseconds{1}, look_within);
  }

  action next(instant now) {
    if (outstanding)
      throw std::logic_error{"push_plan: asked for the next action while a reply is owed"};
    if (!result && now < not_before)
      return wait_for{std::chrono::ceil<milliseconds>(not_before - now), at};
    while (!result) {
      if (now_in == phase::alive) {
        auto q = look(order.alive_path);
        if (waits_for_alive())
          q.timeout = alive_left(now);
        return send(std::move(q), now, false);
      }
      if (now_in == phase::identity)
        return send(look("/server_info"), now, false);
      if (now_in == phase::detection)
        return send(detection_question(looking), now, true);
      auto what_next =
        order.why == purpose::converse ? next_of_conversation(walked_so_far, *spoken) : spoken->next(walked_so_far);
      if (auto* q = std::get_if<question>(&what_next))
        return send(std::move(*q), now, true);
      if (auto* done = std::get_if<walked>(&what_next))
        confirm(*done);
      else
        fail(std::move(std::get<failure>(what_next)));
    }
    return *result;
  }

  // -- hearing -------------------------------------------------------------------------------------------------------

  /// Waiting for a server that is coming up, as opposed to looking whether one is still there.
  bool waits_for_alive() const {
    return order.why == purpose::configure || order.why == purpose::update || order.why == purpose::restore;
  }

  /// The same question again after a pause, until its tries are spent.
  void again(failure why, instant now) {
    if (++failures >= order.limits.tries) {
      fail(std::move(why));
      return;
    }
    auto at_least = std::min(why.retry_after.value_or(milliseconds{0}), retry_after_max);
    not_before = now + backoff(between_tries, failures, seed, at_least);
  }

  void moved_on(instant now) {
    failures = 0;
    not_before = now;
  }

  void on_reply(const http_reply& reply, instant now) {
    if (!outstanding)
      throw std::logic_error{"push_plan: a reply to nothing"};
    outstanding = false;
    switch (now_in) {
      case phase::alive: return heard_alive(reply, now);
      case phase::identity: return heard_identity(reply, now);
      case phase::detection: return heard_detection(reply, now);
      case phase::walking: return heard_walking(reply, now);
      case phase::over: return;
    }
  }

  void heard_alive(const http_reply& reply, instant now) {
    const auto* r = std::get_if<http::response>(&reply);
    if (r && says_alive(*r)) {
      alive_at = now;
      moved_on(now);
      enter_work();
      return;
    }
    failure why{errc::nested_error, step::alive, "the server does not say that it is alive", 0, {}};
    if (r) {
      why.status = r->status;
      why.cause += " (" + std::to_string(r->status) + ")";
      if (const auto* wait = r->find("Retry-After"))
        if (auto time = http::parse_retry_after(*wait))
          why.retry_after = std::min(*time, retry_after_max);
    } else {
      auto judged = judge(asked, std::get<http::transport_error>(reply));
      why.code = judged.why.code;
      why.cause = "no answer: " + std::string{http::name_of(std::get<http::transport_error>(reply))};
      if (judged.is == outcome::kind::refused)
        return fail(std::move(why));
    }
    if (!waits_for_alive())
      return again(std::move(why), now);
    ask_alive_again(std::move(why), now);
  }

  void ask_alive_again(failure why, instant now) {
    auto pause = std::max(milliseconds{alive_pause_ms}, why.retry_after.value_or(milliseconds{0}));
    alive_pause_ms = std::min(alive_pause_ms * 2, std::max(order.limits.alive_ask_ms_max, 1U));
    auto deadline = began + order.limits.alive_within;
    if (now >= deadline) {
      // The codes that name their own remedy are kept; the others all mean that nobody came.
      if (why.code != errc::tls_refused && why.code != errc::name_unresolved)
        why.code = errc::alive_timeout;
      why.cause = "within " + std::to_string(order.limits.alive_within.count()) + " ms; last: " + why.cause;
      return fail(std::move(why));
    }
    not_before = std::min(now + pause, deadline); // a last look at the deadline itself
  }

  void enter_work() {
    if (is_probe(order.why)) {
      now_in = phase::identity;
      return;
    }
    enter_dialect();
  }

  void enter_dialect() {
    bool other = order.why == purpose::converse && another_server; // it holds nothing that was confirmed
    if (order.why == purpose::probe || other) {
      confirm(walked{});
      return;
    }
    if (!spoken) {
      now_in = phase::detection;
      return;
    }
    now_in = phase::walking;
    if (order.why == purpose::converse)
      begin_conversation(walked_so_far, *spoken);
    else
      spoken->begin(walked_so_far);
  }

  void heard_identity(const http_reply& reply, instant now) {
    const auto* r = std::get_if<http::response>(&reply);
    if (!r) {
      auto judged = judge(asked, std::get<http::transport_error>(reply));
      judged.why.cause = "asking for the server's start time: no answer";
      return again(std::move(judged.why), now);
    }
    if (r->status >= 500 || r->status == 429) {
      failure why{r->status == 429 ? errc::nested_busy : errc::nested_error,
                  step::alive,
                  "asking for the server's start time (" + std::to_string(r->status) + ")",
                  r->status,
                  {}};
      if (const auto* wait = r->find("Retry-After"))
        why.retry_after = http::parse_retry_after(*wait);
      return again(std::move(why), now);
    }
    if (auto uptime = uptime_of(*r); uptime && order.configured_since) {
      // The earliest start that fits: measured when the question left, a floored second added.
      constexpr double longest_s = 1e9; // some 30 years; keeps the conversion in range
      auto up = microseconds{static_cast<std::int64_t>(std::min(*uptime, longest_s) * 1e6)};
      bool floored = *uptime == std::floor(*uptime);
      auto started = sent_at - up - (floored ? microseconds{1'000'000} : microseconds{0});
      another_server = started - start_tolerance > *order.configured_since;
    }
    moved_on(now);
    enter_dialect();
  }

  void heard_detection(const http_reply& reply, instant now) {
    not_before = now;
    const auto* r = std::get_if<http::response>(&reply);
    if (r) {
      auto found = detection_heard(looking, asked, *r);
      if (auto* why = std::get_if<failure>(&found))
        return fail(std::move(*why));
      if (auto* name = std::get_if<std::string>(&found))
        return begin_detected(*name, *r, now);
    } else {
      auto judged = judge(asked, std::get<http::transport_error>(reply));
      if (judged.is == outcome::kind::refused)
        return fail(std::move(judged.why));
      detection_lost(looking, judged.why);
    }
    if (!detection_over(looking))
      return;
    if (!looking.unsure)
      return fail(dialect_unknown(looking));
    auto trouble = looking.trouble;
    looking = {};
    again(std::move(trouble), now);
  }

  /// What detection read need not be asked again.
  void begin_detected(const std::string& name, const http::response& r, instant now) {
    spoken = dialect_named(name);
    moved_on(now);
    now_in = phase::walking;
    spoken->begin(walked_so_far);
    auto first = spoken->next(walked_so_far);
    if (auto* q = std::get_if<question>(&first);
        q && q->about == asked.about && q->path == asked.path && q->at == step::settings) {
      asked = std::move(*q);
      heard_walking(r, now);
    }
  }

  void heard_walking(const http_reply& reply, instant now) {
    bool talks = order.why == purpose::converse;
    outcome judged;
    if (const auto* r = std::get_if<http::response>(&reply)) {
      judged =
        talks ? heard_of_conversation(walked_so_far, *spoken, asked, *r) : spoken->heard(walked_so_far, asked, *r);
    } else {
      judged = judge(asked, std::get<http::transport_error>(reply));
      if (judged.ambiguous)
        talks ? lost_conversation(walked_so_far, asked) : spoken->lost(walked_so_far, asked);
    }
    if (judged.is == outcome::kind::refused)
      fail(std::move(judged.why));
    else if (judged.is == outcome::kind::again)
      again(std::move(judged.why), now);
    else
      moved_on(now);
  }
};

push_plan::push_plan(push_order order, instant now) : impl_(std::make_unique<impl>(std::move(order), now)) {}
push_plan::push_plan(push_plan&&) noexcept = default;
push_plan& push_plan::operator=(push_plan&&) noexcept = default;
push_plan::~push_plan() = default;

push_plan::action push_plan::next(instant now) {
  return impl_->next(now);
}

void push_plan::on_reply(const http_reply& reply, instant now) {
  impl_->on_reply(reply, now);
}

step push_plan::at() const {
  return impl_->at;
}

std::uint32_t push_plan::tries() const {
  return impl_->step_tries;
}

} // namespace nestor::nested
