// What a SUPERVISOR shows of its sandbox: the timeline, changes of status, the whole view, access while it is served.
#include <nestor/actors/supervisor.hpp>

#include <nestor/http/url.hpp>

#include <algorithm>

namespace nestor::actors {

using namespace supervision;

namespace {

// A life has about a dozen steps, each replacement eight more; the latest are kept.
constexpr std::size_t timeline_entries_max = 64;

} // namespace

void supervisor::begin(step at, std::uint16_t tries) {
  if (!timeline_.empty() && timeline_.back().result == outcome::running) {
    if (timeline_.back().at == at) {
      timeline_.back().attempts = std::max(timeline_.back().attempts, tries);
      return;
    }
    end(outcome::ok);
  }
  if (timeline_.size() >= timeline_entries_max)
    timeline_.erase(timeline_.begin());
  timeline_.push_back({at, outcome::running, tries, around_->clock->wall(), {}});
  step_began_ = around_->clock->now();
  if (around_->detailed && around_->observer)
    self_->tell(around_->observer,
                step_changed{id_, at, outcome::running, tries, milliseconds{0}, std::nullopt, whose_, machine_.number});
}

void supervisor::end(outcome result) {
  if (timeline_.empty() || timeline_.back().result != outcome::running)
    return;
  auto& entry = timeline_.back();
  entry.result = result;
  entry.ended = around_->clock->wall();
  if (!around_->detailed || !around_->observer)
    return;
  auto took = std::chrono::duration_cast<milliseconds>(around_->clock->now() - step_began_);
  auto why = result == outcome::failed ? machine_.why : std::nullopt;
  self_->tell(around_->observer,
              step_changed{id_, entry.at, result, entry.attempts, took, std::move(why), whose_, machine_.number});
}

/// The steps that the phases stand for; those of a push are told by the CONFIGURATOR.
void supervisor::show_steps(phase before, const any_event& e) {
  bool failed = std::holds_alternative<event::auth_failed>(e) || std::holds_alternative<event::provision_failed>(e) ||
                std::holds_alternative<event::run_failed>(e) || std::holds_alternative<event::runtime_gone>(e) ||
                std::holds_alternative<event::child_lost>(e) || std::holds_alternative<event::destroy_failed>(e);
  if (std::holds_alternative<event::runtime_gone>(e) && (before == phase::destroying || before == phase::closing))
    failed = false; // that is what was wanted
  bool gives_up = machine_.now == phase::destroying || machine_.now == phase::withdrawing ||
                  machine_.now == phase::closing || machine_.now == phase::quarantined;
  if (std::holds_alternative<event::tick>(e) && machine_.now != before && gives_up)
    failed = true; // time ran out in the midst of it
  bool serving_run = machine_.now == phase::ready || machine_.now == phase::unreachable;
  if (failed && !(serving_run && before == machine_.now))
    end(outcome::failed);
  if (machine_.now == before)
    return;
  switch (machine_.now) {
    case phase::authenticating: return begin(step::authenticate);
    case phase::provisioning:
    case phase::settling: return begin(step::provision);
    case phase::confirming: return begin(step::ready);
    case phase::destroying:
    case phase::withdrawing: return begin(step::destroy);
    case phase::closing: return begin(step::absent);
    case phase::backing_off:
    case phase::ready:
    case phase::destroyed: return end(outcome::ok);
    case phase::queued:
    case phase::intending:
    case phase::configuring:
    case phase::updating:
    case phase::restoring:
    case phase::unreachable:
    case phase::quarantined:
    case phase::pausing:
    case phase::paused:
    case phase::resuming:
    case phase::count_: return;
  }
}

void supervisor::publish() {
  status_changed now{id_,    status_of(machine_), machine_.observed, machine_.fence,
                     whose_, machine_.number,     machine_.spoken};
  bool same_ready = now.word != status::ready || (now.observed == told_observed_ && now.fence == told_fence_ &&
                                                  (now.spoken == told_talk_ || now.spoken < talk::started));
  if (now.word == told_word_ && same_ready)
    return;
  told_word_ = now.word;
  told_talk_ = now.spoken;
  told_observed_ = now.observed;
  told_fence_ = now.fence;
  if (auto registry = caf::actor_cast<caf::actor>(registry_))
    self_->tell(registry, now);
  if (around_->observer)
    self_->tell(around_->observer, now);
}

std::shared_ptr<sandbox_view> supervisor::view() const {
  auto shown = std::make_shared<sandbox_view>();
  shown->id = id_;
  shown->name = shown_name_;
  shown->provider = account_->plain.name;
  if (whose_) {
    shown->tenant = whose_->tenant;
    shown->labels = whose_->labels;
  }
  shown->word = status_of(machine_);
  shown->wanted = machine_.wanted;
  shown->observed = machine_.observed;
  shown->conditions = conditions_of(machine_, policy());
  shown->strength = strength_;
  shown->weakest = weakest_;
  if (runtime_)
    shown->runtime_ref = runtime_->ref;
  shown->number = machine_.number;
  shown->fence = machine_.fence;
  shown->dialect = dialect_;
  shown->created = provisioned_at_;
  shown->timeline = timeline_;
  shown->why = machine_.why;
  return shown;
}

/// What is accepted is durable first. Asked for what is so already, it is as good as done.
caf::result<accepted> supervisor::on_change_rest(const change_rest& wish) {
  auto objection = wish.rests ? objection_to_rest(policy(), machine_) : objection_to_wake(policy(), machine_);
  if (objection.empty() && rest_asked_)
    objection = "another such request is being made durable";
  if (!objection.empty()) {
    auto code = !policy().pauses ? errc::capability_missing : errc::conflict;
    return accepted{id_, 0, failure{code, step::ready, std::string{objection}, 0, {}}};
  }
  rest_asked_ = std::make_unique<promise<accepted>>(self_);
  auto answer = rest_asked_->result();
  if (wish.rests != machine_.rests || machine_.now == phase::unreachable)
    wish.rests ? feed(event::pause_requested{}) : feed(event::resume_requested{});
  answer_rest();
  return answer;
}

void supervisor::answer_rest() {
  if (!rest_asked_ || (machine_.awaited != 0 && !machine_.doomed))
    return;
  auto asked = std::exchange(rest_asked_, nullptr);
  if (machine_.doomed)
    return asked->deliver(accepted{id_, 0, failure{errc::conflict, step::ready, "it is being destroyed", 0, {}}});
  asked->deliver(accepted{id_, machine_.wanted, std::nullopt});
}

void supervisor::on_access(promise<access> answer) {
  access granted;
  if (!serving(machine_)) {
    granted.refused = failure{
      errc::conflict, step::ready, "the sandbox is " + std::string{nestor::name_of(status_of(machine_))}, 0, {}};
    return answer.deliver(std::move(granted));
  }
  http::url where{runtime_->where.tls, runtime_->where.host, runtime_->where.port, runtime_->path_prefix};
  granted.url = http::to_string(where);
  granted.headers = runtime_->headers;
  granted.fence = machine_.fence;
  if (!runtime_->session_key.empty())
    runtime_->session_key.expose([&](std::string_view key) {
      granted.headers.push_back({"X-Session-API-Key", wiped_string{key}});
    });
  answer.deliver(std::move(granted));
}

} // namespace nestor::actors
