#include <nestor/actors/supervisor.hpp>

#include <nestor/actors/action_runner.hpp>
#include <nestor/actors/address_finder.hpp>
#include <nestor/actors/configurator.hpp>
#include <nestor/actors/provider_auth.hpp>
#include <nestor/core/redact.hpp>
#include <nestor/nested/conversation.hpp>
#include <nestor/providers/session_key.hpp>
#include <nestor/supervision/resume.hpp>

#include <algorithm>

namespace nestor::actors {

using namespace supervision;

namespace {

// Their reports and PROVIDER_AUTH's are one kind of message: the numbers do not meet.
constexpr std::uint64_t finders_begin = std::uint64_t{1} << 63U;

supervision::policy policy_of(const sandbox_spec& spec, const providers::account_source& with) {
  const auto& provider = *with.plain.speaks;
  supervision::policy p;
  p.queue_within = spec.policy.queue_within;
  p.ready_within = spec.policy.ready_within;
  p.probe_every = spec.policy.probe_every;
  p.create_settles = with.create_settles.value_or(provider.create_settles);
  p.provision_within = provider.provision_within;
  p.destroy_within = provider.destroy_within;
  p.replacements = spec.policy.restarts;
  p.keep_failed = spec.policy.failing == on_failure::keep;
  p.replace_lost = spec.policy.losing == on_loss::replace;
  p.withdraws = provider.undo == providers::compensation::withdraw;
  p.pauses = provider.can.pauses;
  p.converses = !spec.conversation.empty();
  if (provider.can.leases)
    p.lease = spec.policy.lease;
  p.lives_at_most = spec.policy.max_lifetime;
  return p;
}

bool is_push(nested::purpose why) {
  return why == nested::purpose::configure || why == nested::purpose::update || why == nested::purpose::restore;
}

bool needs_configuration(nested::purpose why) {
  return is_push(why) || why == nested::purpose::deep_probe || why == nested::purpose::converse;
}

} // namespace

life_terms terms_of(const sandbox_spec& spec, const providers::account_source& with) {
  return {policy_of(spec, with), spec.runtime->alive_path, spec.policy.step_timeout, spec.runtime->actions,
          spec.runtime->actions_port};
}

supervisor::supervisor(self_ptr<> self, surroundings_ptr around, caf::actor_addr registry, life born)
    : self_(self), around_(std::move(around)), registry_(std::move(registry)), before_(std::move(born.before)),
      id_(std::move(born.id)), account_(born.account), terms_(std::move(born.terms)), wanted_(std::move(born.wanted)),
      shown_name_(wanted_->spec->name), whose_(std::move(born.whose)) {
  machine_.seed = born.seed;
  machine_.wanted = wanted_->number;
}

/// However it ended, its children end with it. What PROVIDER_AUTH asked for is looked for by the next SUPERVISOR; a
/// CONFIGURATOR's request must come back before another one may go out.
supervisor::~supervisor() {
  for (const auto* each : {&auth_, &renewer_, &finder_})
    if (*each)
      caf::anon_send_exit(*each, caf::exit_reason::kill);
  if (acting_)
    tell_from_outside(acting_->runner, wind_down{});
  if (!configurator_)
    return;
  tell_from_outside(configurator_, wind_down{});
  if (auto registry = caf::actor_cast<caf::actor>(registry_))
    tell_from_outside(registry, child_left{id_, configurator_});
}

caf::behavior
supervisor::make_behavior() { // what may throw happens here: in the constructor it would be the REGISTRY's
  if (auto before = std::exchange(before_, nullptr)) {
    go_on(*before);
  } else {
    begin(step::queue);
    feed(event::enqueued{});
  }
  return {[this](start_life) { feed(event::started{}); },
          [this](new_configuration& wanted) {
            bool removing = holds_ && nested::removes(*holds_, *wanted.spec->configuration);
            wanted_ = std::make_shared<wanted_record>(wanted_record{id_, wanted.number, std::move(wanted.spec)});
            feed(event::configuration_changed{wanted.number, removing});
          },
          [this](end_life) { feed(event::destroy_requested{}); },
          [this](const change_rest& wish) { return on_change_rest(wish); },
          [this](look_at_it) {
            return sandbox_seen{view(), std::nullopt};
          },
          [this](hand_out_access) -> caf::result<access> {
            promise<access> answer{self_};
            on_access(answer);
            return answer.result();
          },
          [this](const run_action& asked) -> caf::result<action_seen> {
            if (auto no = objection_to(asked))
              return action_seen{{}, machine_.fence, std::move(no)};
            begin_action(asked);
            return self_->pass_on<action_seen>(acting_->runner, asked);
          },
          [this](const action_over& over) {
            if (acting_ && acting_->number == over.number)
              acting_.reset();
          },
          [this](provider_report& report) { on_provider_report(report); },
          [this](run_report& report) { on_run_report(report); },
          [this](const run_step& word) { on_run_step(word); },
          [this](const journal_done& done) {
            done.durable ? feed(event::recorded{done.ticket}) : feed(event::record_failed{done.ticket});
            answer_rest();
          },
          [this](wanted_loaded& loaded) { on_loaded(loaded); },
          [this](process_gone& gone) { on_process_gone(gone); },
          [this](const woken& alarm) {
            if (alarm.ticket != alarm_)
              return;
            armed_ = never;
            feed(event::tick{});
          }};
}

void supervisor::handle_exit(const caf::exit_msg& msg) {
  for (auto* each : {&configurator_, &auth_, &renewer_, &finder_})
    if (*each)
      self_->send_exit(std::exchange(*each, nullptr), caf::exit_reason::user_shutdown);
  self_->quit(msg.reason);
}

// -- the machine ----------------------------------------------------------------------------------

/// From what the journal kept. Since then every newer generation may have been written, in whole or in part.
void supervisor::go_on(const earlier_lives& before) {
  told_word_ = status::unknown; // the REGISTRY said so
  left_behind left{std::nullopt, wanted_->number, before.records.unwanted,
                   before.count, machine_.seed,   before.restarted};
  if (const auto& last = before.records.actual) {
    left.last = last->kept;
    dialect_ = last->dialect;
    strength_ = last->strength;
    configured_since_ = last->configured_since;
    provisioned_at_ = last->provisioned_at;
    if (provisioned_at_.ms != 0)
      left.age = milliseconds{std::max<std::int64_t>(around_->clock->wall().ms - provisioned_at_.ms, 0)};
    runtime_ = last->runtime;
    holds_ = last->holds;
  }
  machine_ = resume(policy(), left, around_->clock->now());
  bool ours = machine_.open && !machine_.create_out;
  bool written = ours && (!policy().withdraws || machine_.touched);
  for (const auto& each : before.records.wanted)
    if (written && each->number > machine_.observed)
      may_hold(*each->spec->configuration);
  if (ours && runtime_->process)
    around_->io->watch(*runtime_->process, {self_->address(), machine_.number});
  configurator_ = before.configurator;
  if (configurator_) {
    configurator_ending_ = true;
    watch_configurator();
  }
  if (machine_.now == phase::queued)
    return begin(step::queue), publish(), arm();
  show_steps(phase::queued, event::tick{});
  feed(event::tick{});
}

void supervisor::feed(const any_event& e) {
  auto before = machine_.now;
  std::vector<any_command> commands;
  supervision::feed(policy(), machine_, e, around_->clock->now(), commands);
  show_steps(before, e);
  for (const auto& each : commands)
    std::visit([this](const auto& c) { perform(c); }, each);
  publish();
  end_action_of_another_runtime();
  if (machine_.now == phase::ready && !machine_.running && wanted_) {
    wanted_.reset(); // its plaintext leaves memory; the journal has it
    timeline_.shrink_to_fit();
  }
  arm();
}

void supervisor::arm() {
  auto due = next_due(machine_);
  if (due >= armed_)
    return; // the alarm that is set rings early enough; what moved later is set again then
  armed_ = due;
  self_->tell(around_->timers, wake_at{due, self_->address(), ++alarm_});
}

void supervisor::perform(const command::authenticate&) {
  auto child = ++auth_child_;
  auth_ = spawn<provider_auth>(self_, around_, self_->address(), *account_, child, std::nullopt);
  self_->on_down(auth_, [this, child](const caf::error&) {
    if (child != auth_child_ || !auth_)
      return;
    auth_ = nullptr;
    feed(event::child_lost{child::provider_auth});
  });
}

void supervisor::perform(const command::release_auth&) {
  if (auth_)
    self_->send_exit(std::exchange(auth_, nullptr), caf::exit_reason::user_shutdown);
}

void supervisor::perform(const command::provision& c) {
  if (!have_wanted(machine_.wanted))
    return deferred_.emplace_back(c), load_wanted(machine_.wanted);
  if (auth_)
    self_->tell(auth_, do_provision{order_for(c.number)});
}

void supervisor::perform(const command::look_up& c) {
  if (!have_wanted(machine_.wanted))
    return deferred_.emplace_back(c), load_wanted(machine_.wanted);
  if (auth_)
    self_->tell(auth_, do_look_up{order_for(c.number), c.look});
}

void supervisor::perform(const command::destroy& c) {
  if (auth_)
    self_->tell(auth_, do_destroy{runtime_, {around_->journal->installation(), id_, c.number}});
}

void supervisor::perform(const command::pause& c) {
  if (auth_)
    self_->tell(auth_, do_switch{runtime_, c.number, true});
}

void supervisor::perform(const command::wake& c) {
  if (auth_)
    self_->tell(auth_, do_switch{runtime_, c.number, false});
}

void supervisor::perform(const command::renew& c) {
  if (renewer_) // asked long ago: it hangs
    self_->send_exit(renewer_, caf::exit_reason::kill);
  renewer_ = spawn<provider_auth>(self_, around_, self_->address(), *account_, 0,
                                  do_renew{{*runtime_, *policy().lease}, c.number});
}

void supervisor::perform(const command::start_run& c) {
  next_run_ = c;
  if (!configurator_)
    launch_run();
}

void supervisor::perform(const command::let_write& c) {
  if (configurator_ && !configurator_ending_ && c.number == machine_.run)
    self_->tell(configurator_, let_write{});
}

void supervisor::perform(const command::stop_run& c) {
  next_run_.reset();
  if (!configurator_)
    return;
  if (!std::exchange(configurator_ending_, true) && !c.hung)
    self_->tell(configurator_, wind_down{});
  if (c.hung) // it, or the one before that it waits for
    self_->send_exit(configurator_, caf::exit_reason::kill);
}

void supervisor::perform(const command::record& c) {
  around_->journal->write(
    actual_record{id_, c.revision, c.kept, dialect_, strength_, configured_since_, provisioned_at_, runtime_, holds_},
    {self_->address(), c.revision});
}

void supervisor::perform(const command::finish&) {
  publish();
  if (auto registry = caf::actor_cast<caf::actor>(registry_))
    self_->tell(registry, life_ended{view()});
  self_->quit();
}

// -- children -------------------------------------------------------------------------------------

providers::provision_order supervisor::order_for(attempt number) {
  providers::provision_order order{{around_->journal->installation(), id_, number}, wanted_->spec->runtime, {}, {}, {}};
  if (!policy().withdraws)
    order.session_key = providers::session_key_of(order.stamp, around_->journal->node_secret());
  order.lease = wanted_->spec->policy.lease;
  order.max_lifetime = wanted_->spec->policy.max_lifetime;
  return order;
}

void supervisor::on_provider_report(provider_report& report) {
  if (std::holds_alternative<event::renewed>(report.what) ||
      std::holds_alternative<event::renewal_failed>(report.what)) {
    if (renewer_)
      self_->send_exit(std::exchange(renewer_, nullptr), caf::exit_reason::user_shutdown);
    return feed(report.what);
  }
  if (finder_ && report.child == finder_number() && report.found && runtime_ && report.found->ref == runtime_->ref)
    runtime_ = std::move(report.found); // recorded with whatever is recorded next; until then it is asked for again
  if (report.child >= finders_begin)
    return;
  bool current = report.child == auth_child_ && auth_;
  const auto* came = std::get_if<event::provisioned>(&report.what); // fenced by its attempt: it may come late
  const auto* seen = std::get_if<event::sighted>(&report.what);
  if (!current && !came)
    return;
  bool fresh = came ? came->of == machine_.number : seen && seen->look == machine_.look;
  if (report.found && fresh && machine_.create_out)
    own(std::move(report.found), machine_.number);
  if (report.found && std::holds_alternative<event::woke>(report.what))
    runtime_ = std::move(report.found); // where it is now, and what it wants to see
  feed(report.what);
}

void supervisor::own(std::shared_ptr<const providers::runtime> found, attempt number) {
  runtime_ = std::move(found);
  holds_.reset();
  configured_since_.reset();
  provisioned_at_ = around_->clock->wall();
  if (runtime_->process)
    around_->io->watch(*runtime_->process, {self_->address(), number});
}

std::uint64_t supervisor::finder_number() const {
  return finders_begin + finders_;
}

bool supervisor::finds_address() {
  bool lost_sight = machine_.now == phase::unreachable && machine_.tries > 0;
  if (std::exchange(address_asked_, false) || !lost_sight || !account_->plain.speaks->address)
    return false;
  ++finders_;
  finder_ = spawn<address_finder>(self_, around_, self_->address(), *account_, runtime_, finder_number());
  self_->on_down(finder_, [this, child = finder_number()](const caf::error&) {
    if (child != finder_number())
      return;
    finder_ = nullptr;
    address_asked_ = true;
    if (!configurator_)
      launch_run();
  });
  return true;
}

void supervisor::launch_run() {
  if (!next_run_ || finder_ || finds_address())
    return;
  auto run = *next_run_;
  if (needs_configuration(run.why) && !have_wanted(run.target)) {
    deferred_.emplace_back(run);
    return load_wanted(run.target);
  }
  next_run_.reset();
  pushing_ = needs_configuration(run.why) ? wanted_->spec->configuration : nullptr;
  configurator_ending_ = false;
  configurator_task task{run.number, run.asks_first, push_order_for(run), runtime_};
  if (around_->traces)
    task.traceparent = around_->traces->parent_of(id_);
  configurator_ = spawn<configurator>(self_, around_, self_->address(), std::move(task));
  watch_configurator();
}

void supervisor::watch_configurator() {
  self_->on_down(configurator_, [this](const caf::error&) { configurator_down(); });
}

void supervisor::configurator_down() {
  configurator_ = nullptr;
  pushing_.reset();
  bool was_ending = std::exchange(configurator_ending_, false);
  if (next_run_)
    return launch_run();
  if (!was_ending && machine_.running)
    feed(event::child_lost{child::configurator});
}

std::optional<failure> supervisor::objection_to(const run_action& asked) const {
  auto no = [](errc code, std::string why) { return failure{code, step::ready, std::move(why), 0, {}}; };
  if (!serving(machine_))
    return no(errc::conflict, "the sandbox is " + std::string{nestor::name_of(status_of(machine_))});
  if (asked.expected && *asked.expected != machine_.fence)
    return no(errc::conflict,
              "incarnation " + std::to_string(*asked.expected) + " was replaced by " + std::to_string(machine_.fence));
  if (terms_->actions == actions_via::none)
    return no(errc::capability_missing, "runtime.actions.via: none, so nothing carries actions to it");
  if (acting_)
    return no(errc::conflict, "another action runs in it");
  return std::nullopt;
}

void supervisor::begin_action(const run_action& asked) {
  action_task task{asked.what,          runtime_,       account_,  terms_->actions, terms_->actions_port, id_,
                   {machine_.observed}, machine_.fence, ++actions_};
  if (machine_.wanted != machine_.observed)
    task.may_hold.push_back(machine_.wanted);
  acting_ = std::make_unique<action_at_work>();
  acting_->number = actions_;
  acting_->runtime = machine_.number;
  acting_->runner = spawn<action_runner>(self_, around_, self_->address(), std::move(task));
  self_->on_down(acting_->runner, [this, number = actions_](const caf::error&) { // without a word: it crashed
    if (acting_ && acting_->number == number)
      acting_.reset();
  });
}

/// Its command, if it was sent, was sent to a runtime that is not this sandbox's any more.
void supervisor::end_action_of_another_runtime() {
  if (acting_ && (acting_->runtime != machine_.number || !machine_.open || machine_.doomed))
    self_->tell(std::exchange(acting_, nullptr)->runner, wind_down{});
}

nested::push_order supervisor::push_order_for(const command::start_run& run) {
  nested::push_order order;
  order.why = run.why;
  order.wanted = pushing_;
  order.before = holds_;
  order.session_key = runtime_->session_key;
  order.path_prefix = runtime_->path_prefix;
  order.key = around_->journal->key();
  order.configured_since = configured_since_;
  order.seed = machine_.seed + run.number;
  order.dialect = dialect_;
  order.alive_path = terms_->alive_path;
  order.limits.step_timeout = terms_->step_timeout;
  if (auto until = machine_.due[static_cast<std::size_t>(timer::overall)]; until != never) {
    // In time to say why it is not alive, where less is left than it usually gets.
    auto left = std::chrono::duration_cast<milliseconds>(until - around_->clock->now());
    order.limits.alive_within = std::min(order.limits.alive_within, left - left / 10);
  }
  if (wanted_) {
    const auto& spec = *wanted_->spec;
    order.refuse_existing = policy().withdraws && spec.runtime->adopt == adoption::refuse && !machine_.touched;
    if (dialect_.empty())
      order.dialect = spec.dialect;
    if (run.why == nested::purpose::converse) {
      order.conversation = spec.conversation;
      order.conversation_id = nested::conversation_id_of(id_, machine_.number);
      order.asked_before = machine_.spoken == talk::doubtful;
    }
  }
  return order;
}

/// From now on the server may hold any of `written`, in any state: the names are kept, what they held is forgotten.
void supervisor::may_hold(const nested::configuration& written) {
  auto merged = std::make_shared<nested::delivery>();
  merged->settings.emplace();
  auto name_all = [](auto& into, const auto* known, const auto& added, auto name_of_item) {
    if (known)
      for (const auto& entry : *known)
        into.emplace_back(entry.first, nested::digest{});
    for (const auto& item : added)
      into.emplace_back(name_of_item(item), nested::digest{});
    std::ranges::sort(into, {}, [](const auto& entry) { return entry.first; });
    auto doubles = std::ranges::unique(into, {}, [](const auto& entry) { return entry.first; });
    into.erase(doubles.begin(), doubles.end());
  };
  name_all(merged->git_providers, holds_ ? &holds_->git_providers : nullptr, written.git_providers,
           [](const auto& item) { return item.git_provider; });
  name_all(merged->secrets, holds_ ? &holds_->secrets : nullptr, written.secrets,
           [](const auto& item) { return item.name; });
  holds_ = std::move(merged);
}

void supervisor::on_run_report(run_report& report) {
  if (std::holds_alternative<event::writing>(report.what) && pushing_)
    may_hold(*pushing_); // also while it winds down
  if (report.run != machine_.run || !machine_.running)
    return feed(report.what); // stale: the machine counts it
  auto why = *machine_.running;
  if (report.confirmed && (is_push(why) || why == nested::purpose::withdraw)) {
    holds_ = std::make_shared<nested::delivery>(report.confirmed->holds);
    dialect_ = report.confirmed->dialect;
    strength_ = report.confirmed->strength;
    weakest_ = report.confirmed->weakest;
    if (is_push(why))
      configured_since_ = report.confirmed->alive_at;
  }
  bool over = !std::holds_alternative<event::writing>(report.what);
  if (over)
    configurator_ending_ = true; // it ends by itself
  feed(report.what);
}

void supervisor::on_run_step(const run_step& word) {
  if (word.run == machine_.run && machine_.running && *machine_.running != nested::purpose::probe &&
      *machine_.running != nested::purpose::deep_probe && *machine_.running != nested::purpose::withdraw &&
      *machine_.running != nested::purpose::converse)
    begin(word.at, word.tries);
  feed(event::progressed{word.run, word.at, word.silent_for});
}

void supervisor::on_process_gone(process_gone& gone) {
  auto number = static_cast<attempt>(gone.ticket);
  std::string cause = "the process ended";
  if (gone.how.exit_status >= 0)
    cause += " with status " + std::to_string(gone.how.exit_status);
  const auto* configuration = pushing_ ? pushing_.get() : wanted_ ? wanted_->spec->configuration.get() : nullptr;
  if (configuration && runtime_ && !gone.how.output_tail.empty()) {
    auto secrets = nested::secrets_of(*configuration);
    secrets.push_back(runtime_->session_key);
    cause += "; last output: " + redact(std::move(gone.how.output_tail), secrets);
  }
  auto code = machine_.was_ready ? errc::runtime_lost : errc::runtime_exited;
  auto at = timeline_.empty() ? step::provision : timeline_.back().at;
  feed(event::runtime_gone{number, failure{code, at, std::move(cause), 0, {}}});
}

// -- what is wanted -------------------------------------------------------------------------------

bool supervisor::have_wanted(generation number) {
  return wanted_ && wanted_->number == number;
}

void supervisor::load_wanted(generation number) {
  around_->journal->read(id_, number, {self_->address(), ++load_ticket_});
}

void supervisor::on_loaded(wanted_loaded& loaded) {
  if (loaded.ticket != load_ticket_ || !loaded.wanted)
    return; // the work deadline of what waits for it speaks up
  wanted_ = std::move(loaded.wanted);
  for (const auto& each : std::exchange(deferred_, {}))
    std::visit(
      [this](const auto& c) {
        if constexpr (std::is_same_v<std::decay_t<decltype(c)>, command::start_run>) {
          if (next_run_ && next_run_->number == c.number && !configurator_)
            launch_run();
        } else {
          perform(c);
        }
      },
      each);
}

} // namespace nestor::actors
