#include <nestor/actors/action_runner.hpp>

#include <nestor/core/redact.hpp>

#include <array>
#include <limits>

namespace nestor::actors {
namespace {

// Its alarm and its conversation's are one kind of message: the numbers do not meet.
constexpr std::uint64_t patience_ticket = std::numeric_limits<std::uint64_t>::max();
// Beyond the action's own time: a credential is proved, an address looked up, an answer waited for.
constexpr milliseconds patience{90'000};
// Access headers hold tokens, and shorter values that are none: a port, a word.
constexpr std::size_t token_length_min = 16;

} // namespace

action_runner::action_runner(self_ptr<> self, surroundings_ptr around, caf::actor_addr supervisor, action_task task)
    : self_(self), around_(std::move(around)), supervisor_(std::move(supervisor)), task_(std::move(task)),
      talk_(self, around_) {}

caf::behavior action_runner::make_behavior() {
  return {[this](const run_action&) { return on_asked(); },
          [this](wanted_loaded& loaded) { on_loaded(loaded); },
          [this](credential_proven& proven) {
            proven.who ? converse(std::move(proven.who)) : refuse(std::move(*proven.why));
          },
          [this](wind_down) { give_up("the runtime was given up"); },
          [this](io_done& done) { talk_.hear(done); },
          [this](const woken& alarm) {
            alarm.ticket == patience_ticket ? give_up("it took longer than it may") : talk_.hear(alarm);
          }};
}

caf::result<action_seen> action_runner::on_asked() {
  answer_.emplace(self_);
  auto result = answer_->result();
  self_->tell(around_->timers,
              wake_at{around_->clock->now() + task_.what->within + patience, self_->address(), patience_ticket});
  secrets_.push_back(task_.runtime->session_key);
  for (const auto& header : task_.runtime->headers)
    if (header.value.size() >= token_length_min)
      secrets_.push_back(secret::copy_of(header.value));
  loading_ = task_.may_hold.size();
  for (auto each : task_.may_hold)
    around_->journal->read(task_.sandbox, each, {self_->address(), each});
  return result;
}

void action_runner::on_loaded(wanted_loaded& loaded) {
  if (!loaded.wanted)
    return refuse({errc::journal_unavailable, step::ready, "what secrets it holds could not be read", 0, {}});
  for (auto& each : nested::secrets_of(*loaded.wanted->spec->configuration))
    secrets_.push_back(std::move(each));
  if (loading_ > 0 && --loading_ == 0)
    send();
}

void action_runner::send() {
  const auto& account = task_.account->plain;
  bool proves = task_.via == actions_via::provider_exec && account.speaks->authenticate;
  if (proves)
    return self_->tell(around_->desk, prove_credential{account.name, self_->address()});
  converse(std::shared_ptr<const providers::account>(std::shared_ptr<void>{}, &account)); // as it was configured
}

template <class Order>
void action_runner::begin(providers::operation<observation, Order> how, std::shared_ptr<const providers::account> who,
                          Order order, wiped_string nonce) {
  sent_ = task_.what->what != action_kind::alive;
  talk_.begin(how, std::move(who), std::make_shared<const Order>(std::move(order)),
              std::function{[this](provider_talk::outcome_of<observation> what) { came(std::move(what)); }},
              std::move(nonce));
}

void action_runner::converse(std::shared_ptr<const providers::account> who) {
  bool waits = task_.what->what == action_kind::alive;
  if (task_.via == actions_via::provider_exec && waits)
    return came(ended_with(0, {})); // there is nothing that would have to come up
  if (task_.via == actions_via::provider_exec) {
    std::array<std::uint8_t, 16> nonce{};
    around_->entropy->fill(nonce);
    return begin(task_.account->plain.speaks->exec, std::move(who),
                 providers::exec_order{*task_.runtime, shell_line_of(*task_.what), task_.what->within},
                 wiped_string{nonce.begin(), nonce.end()});
  }
  begin(waits ? await_action_server : run_at_action_server, std::move(who),
        action_order{action_server_of(*task_.runtime, task_.port), *task_.what});
}

void action_runner::came(provider_talk::outcome_of<observation> what) {
  if (auto* why = std::get_if<failure>(&what))
    return refuse(std::move(*why));
  finish({for_its_reader(std::move(std::get<observation>(what)), secrets_), task_.fence, std::nullopt});
}

void action_runner::refuse(failure why) {
  why.at = step::ready;
  why.cause = redact(std::move(why.cause), secrets_);
  finish({{}, task_.fence, std::move(why)});
}

void action_runner::give_up(std::string_view why) {
  if (!sent_)
    return refuse({errc::conflict, step::ready, std::string{why} + "; nothing was run", 0, {}});
  finish({lost_answer(std::string{why}), task_.fence, std::nullopt});
}

/// First to its SUPERVISOR: whoever hears the answer may ask for the next action at once.
void action_runner::finish(action_seen last) {
  if (auto supervisor = caf::actor_cast<caf::actor>(supervisor_))
    self_->tell(supervisor, action_over{task_.number});
  if (auto answer = std::exchange(answer_, std::nullopt))
    answer->deliver(std::move(last));
  self_->quit();
}

} // namespace nestor::actors
