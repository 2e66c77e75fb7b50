#include <nestor/actors/sandbox_registry.hpp>

#include <nestor/http/url.hpp>
#include <nestor/sandbox/configuration_change.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace nestor::actors {

namespace {

const std::string default_tenant = "default";

// Kinds of sandboxes that share their terms: a node knows a handful; more are looked through at each birth.
constexpr std::size_t kinds_remembered = 32;

failure refusal(errc code, std::string cause) {
  return failure{code, step::queue, std::move(cause), 0, {}};
}

accepted refused(errc code, std::string cause) {
  return accepted{{}, 0, refusal(code, std::move(cause))};
}

} // namespace

sandbox_registry::sandbox_registry(self_ptr<> self, surroundings_ptr around, registry_limits limits)
    : self_(self), around_(std::move(around)), limits_(limits) {}

caf::behavior sandbox_registry::make_behavior() {
  return {[this](create_sandbox& request) { return on_create(request); },
          [this](configure_sandbox& request) { return on_configure(request); },
          [this](const destroy_sandbox& request) { return on_destroy(request); },
          [this](const rest_sandbox& request) { return on_rest(request); },
          [this](const get_sandbox& request) { return on_get(request); },
          [this](const get_access& request) { return on_access(request); },
          [this](const run_action& request) { return on_action(request); },
          [this](list_sandboxes) {
            sandbox_list all;
            for (const auto& [id, e] : sandboxes_)
              all.items.emplace_back(id, e.word);
            return all;
          },
          [this](const find_sandboxes& request) { return on_find(request); },
          [this](stop_creating) {
            full_ = true;
            return drained{alive_};
          },
          [this](drain) { return on_drain(); },
          [this](recover) { return on_recover(); },
          [this](records_listed& page) { on_listed(page); },
          [this](const journal_done& done) { on_durable(done); },
          [this](wanted_loaded& loaded) { on_loaded(loaded); },
          [this](const status_changed& now) { on_status(now); },
          [this](life_ended& ended) { on_ended(ended); },
          [this](child_left& left) { on_child_left(left); },
          [this](const woken& alarm) { on_woken(alarm); },
          [this](records_loaded& loaded) { on_records(loaded); }};
}

/// However it ended, its SUPERVISORS end with it: another REGISTRY starts its own, and one that waits to answer keeps
/// itself alive.
sandbox_registry::~sandbox_registry() {
  for (const auto& [id, e] : sandboxes_)
    if (e.supervisor)
      caf::anon_send_exit(e.supervisor, caf::exit_reason::kill);
}

void sandbox_registry::handle_exit(const caf::exit_msg& msg) {
  closing_ = true;
  for (auto& [id, e] : sandboxes_)
    if (e.supervisor)
      self_->send_exit(e.supervisor, caf::exit_reason::user_shutdown);
  if (msg.reason == caf::exit_reason::kill || supervised_ == 0)
    self_->quit(msg.reason);
}

std::uint64_t sandbox_registry::random() {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
  around_->entropy->fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// -- create ---------------------------------------------------------------------------------------

std::optional<failure> sandbox_registry::fault_of_quota(const sandbox_spec& spec) const {
  if (alive_ >= limits_.sandboxes_max)
    return refusal(errc::limit_reached,
                   std::to_string(limits_.sandboxes_max) + " sandboxes exist, which is the node's limit");
  auto used = per_tenant_.find(spec.tenant);
  if (used != per_tenant_.end() && used->second >= limits_.per_tenant_max)
    return refusal(errc::limit_reached, std::to_string(limits_.per_tenant_max) + " sandboxes of the tenant `" +
                                          spec.tenant + "` exist, which is its limit");
  return std::nullopt;
}

std::optional<failure> sandbox_registry::fault_of(const sandbox_spec& spec, std::string& address) const {
  if (draining_ || full_)
    return refusal(errc::node_stopping, "the node is draining");
  if (auto fault = fault_of_quota(spec))
    return fault;
  const auto* account = providers::account_named(*around_->accounts, spec.provider);
  if (!account)
    return refusal(errc::spec_invalid, "provider: `" + spec.provider + "` is not configured");
  const auto& tenants = account->plain.tenants;
  if (!tenants.empty() && std::ranges::find(tenants, spec.tenant) == tenants.end())
    return refusal(errc::spec_invalid, "provider: `" + spec.provider + "` is not configured");
  const auto* provider = account->plain.speaks;
  if (auto valid = providers::accepts(*provider, *spec.runtime); !valid)
    return valid.error();
  if (!spec.name.empty() && names_.contains(unique_name(spec.tenant, spec.name)))
    return refusal(errc::name_taken, "name: `" + spec.name + "` is in use");
  if (provider->undo == providers::compensation::withdraw) {
    address = http::to_string(*http::parse_url(spec.runtime->url));
    if (addresses_.contains(address))
      return refusal(errc::conflict, "runtime.url: another sandbox has this server");
  }
  return std::nullopt;
}

caf::result<accepted> sandbox_registry::on_create(create_sandbox& request) {
  std::string address;
  if (auto fault = fault_of(*request.spec, address))
    return accepted{{}, 0, std::move(fault)};
  std::array<std::uint8_t, id_entropy_bytes> bytes{};
  around_->entropy->fill(bytes);
  auto id = make_sandbox_id(bytes);
  auto record = std::make_shared<wanted_record>(wanted_record{id, 1, std::move(request.spec), std::move(request.mark)});
  auto& e = sandboxes_[id];
  remember_whose(e, record->spec->tenant, record->spec->labels);
  e.name = record->spec->name;
  e.address = std::move(address);
  e.wanted = record;
  occupy(e);
  auto ticket = ++ticket_;
  promise<accepted> answer{self_};
  pending_.emplace(ticket, pending_change{id, matter::creates, nullptr, nullptr, answer});
  around_->journal->want(*record, {self_->address(), ticket});
  return answer.result();
}

void sandbox_registry::on_durable(const journal_done& done) {
  auto found = pending_.extract(done.ticket);
  if (found.empty())
    return;
  auto& change = found.mapped();
  auto at = sandboxes_.find(change.id);
  if (at == sandboxes_.end()) // it ended meanwhile, so long ago that it is forgotten
    return change.answer->deliver(refused(errc::not_found, change.id.text));
  auto& e = at->second;
  if (!done.durable) {
    if (change.what == matter::creates) {
      release(e);
      sandboxes_.erase(at);
    }
    return change.answer->deliver(refused(errc::journal_unavailable, "what is wanted could not be made durable"));
  }
  if (change.what == matter::configures)
    e.number = change.wanted->number;
  accepted answer{change.id, e.number, std::nullopt, std::move(change.plan)};
  if (auto used = per_tenant_[tenant_of(e)]; used < limits_.per_tenant_max)
    answer.room = limits_.per_tenant_max - used;
  change.answer->deliver(std::move(answer));
  switch (change.what) {
    case matter::creates: return born(change.id);
    case matter::configures:
      if (e.supervisor)
        self_->tell(e.supervisor, new_configuration{change.wanted->number, change.wanted->spec});
      return;
    case matter::ends:
      e.unwanted = true;
      if (e.supervisor)
        self_->tell(e.supervisor, end_life{});
  }
}

void sandbox_registry::born(const sandbox_id& id) {
  auto wanted = std::move(sandboxes_[id].wanted);
  const auto* account = providers::account_named(*around_->accounts, wanted->spec->provider);
  supervise(id, life{id, std::move(wanted), account, random(), nullptr});
  stand_in_line(id, *account);
}

std::shared_ptr<const life_terms> sandbox_registry::shared_terms(life_terms terms) {
  auto known = std::ranges::find_if(terms_, [&](const auto& each) { return *each == terms; });
  if (known != terms_.end())
    return *known;
  if (terms_.size() >= kinds_remembered)
    terms_.pop_front();
  return terms_.emplace_back(std::make_shared<const life_terms>(std::move(terms)));
}

void sandbox_registry::supervise(const sandbox_id& id, life born) {
  auto found = sandboxes_.find(id);
  auto& e = found->second;
  born.whose = e.whose;
  born.terms = shared_terms(terms_of(*born.wanted->spec, *born.account));
  e.supervisor = spawn<supervisor>(self_, around_, self_->address(), std::move(born));
  ++supervised_;
  self_->on_down(e.supervisor, [this, key = &found->first](const caf::error&) { on_supervisor_down(*key); });
  if (draining_)
    self_->tell(e.supervisor, end_life{});
}

void sandbox_registry::stand_in_line(const sandbox_id& id, const providers::account_source& account) {
  const auto& limits = account.plain.limits;
  auto [line, fresh] =
    lines_.try_emplace(&account, supervision::admission_limits{limits.creates_per_second, limits.starting_max});
  sandboxes_[id].line = &line->second;
  line->second.enqueue(id);
  start_next();
}

/// Accounts take turns, so that a long line at one keeps nobody waiting at another.
void sandbox_registry::start_next() {
  auto at = lines_.upper_bound(served_);
  for (std::size_t refused = 0; refused < lines_.size() && starting_ < limits_.starting_max; ++at) {
    if (at == lines_.end())
      at = lines_.begin();
    served_ = at->first;
    refused = start_from(at->second) ? 0 : refused + 1;
  }
  for (const auto& [account, line] : lines_)
    wake_for(line);
}

bool sandbox_registry::start_from(supervision::admission& line) {
  auto who = line.admit(around_->clock->now(), [this](const sandbox_id& id) {
    auto found = sandboxes_.find(id);
    return found != sandboxes_.end() && found->second.word == status::queued && found->second.supervisor &&
           !found->second.starting;
  });
  if (!who)
    return false;
  auto& e = sandboxes_[*who];
  e.starting = true;
  ++starting_;
  self_->tell(e.supervisor, start_life{});
  return true;
}

void sandbox_registry::wake_for(const supervision::admission& line) {
  auto due = line.due();
  if (!due || starting_ >= limits_.starting_max || (alarm_ && *alarm_ <= *due))
    return;
  alarm_ = due;
  self_->tell(around_->timers, wake_at{*due, self_->address(), 0});
}

void sandbox_registry::free_slot(entry& e) {
  if (std::exchange(e.starting, false)) {
    --starting_;
    e.line->finished();
    start_next();
  }
}

// -- change, look, end ----------------------------------------------------------------------------

const std::string& sandbox_registry::tenant_of(const entry& e) {
  return e.whose ? e.whose->tenant : default_tenant;
}

std::string sandbox_registry::unique_name(const std::string& tenant, const std::string& name) {
  return name.empty() ? name : tenant + '/' + name;
}

/// What it kept others from having.
void sandbox_registry::remember_whose(entry& e, const std::string& tenant,
                                      const std::map<std::string, std::string>& labels) {
  if (tenant != default_tenant || !labels.empty())
    e.whose = std::make_shared<belonging>(belonging{tenant, labels});
}

/// From now on it counts: its name and address are taken.
void sandbox_registry::occupy(const entry& e) {
  if (!e.name.empty())
    names_.insert(unique_name(tenant_of(e), e.name));
  if (!e.address.empty())
    addresses_.insert(e.address);
  ++alive_;
  ++per_tenant_[tenant_of(e)];
}

void sandbox_registry::release(const entry& e) {
  auto erase_one = [](std::multiset<std::string>& all, const std::string& one) {
    if (auto at = all.find(one); at != all.end())
      all.erase(at);
  };
  erase_one(names_, unique_name(tenant_of(e), e.name));
  erase_one(addresses_, e.address);
  --alive_;
  if (auto used = per_tenant_.find(tenant_of(e)); used != per_tenant_.end() && --used->second == 0)
    per_tenant_.erase(used);
}

sandbox_registry::entry* sandbox_registry::of_tenant(const sandbox_id& id, const std::string& tenant) {
  auto found = sandboxes_.find(id);
  bool visible = found != sandboxes_.end() && (tenant.empty() || tenant_of(found->second) == tenant);
  return visible ? &found->second : nullptr;
}

caf::result<accepted> sandbox_registry::on_configure(configure_sandbox& request) {
  auto* found = of_tenant(request.id, request.of);
  if (!found)
    return refused(errc::not_found, request.id.text);
  if (found->last || found->unwanted)
    return refused(errc::conflict, found->last ? "the sandbox has ended" : "its end was requested");
  for (const auto& [ticket, change] : pending_)
    if (change.id == request.id)
      return refused(errc::conflict, "another change of it is being made durable; try again");
  if (request.expected && *request.expected != found->number)
    return refused(errc::generation_stale, "generation " + std::to_string(found->number) + " is wanted now");
  auto ticket = ++ticket_;
  promise<accepted> answer{self_};
  auto id = request.id;
  auto asked = std::make_shared<configure_sandbox>(std::move(request));
  pending_.emplace(ticket, pending_change{id, matter::configures, std::move(asked), nullptr, answer});
  around_->journal->read(id, found->number, {self_->address(), ticket});
  return answer.result();
}

void sandbox_registry::on_loaded(wanted_loaded& loaded) {
  auto found = pending_.find(loaded.ticket);
  if (found == pending_.end())
    return;
  auto& change = found->second;
  auto answer = [&](accepted what) {
    change.answer->deliver(std::move(what));
    pending_.erase(found);
  };
  if (!loaded.wanted)
    return answer(refused(errc::journal_unavailable, "what was wanted before could not be read"));
  const auto& before = *loaded.wanted->spec;
  auto configuration = change.asked->configuration;
  if (!configuration) {
    auto applied = apply(*change.asked->change, before);
    if (!applied)
      return answer(accepted{change.id, 0, to_failure(applied.faults)});
    change.plan = plan_of(*before.configuration, *applied);
    configuration = std::make_shared<const nested::configuration>(std::move(*applied));
  }
  if (change.asked->dry_run)
    return answer(accepted{change.id, loaded.wanted->number, std::nullopt, std::move(change.plan)});
  auto spec = std::make_shared<sandbox_spec>(before);
  spec->configuration = std::move(configuration);
  change.wanted = std::make_shared<wanted_record>(wanted_record{change.id, loaded.wanted->number + 1, std::move(spec)});
  around_->journal->want(*change.wanted, {self_->address(), loaded.ticket});
}

caf::result<accepted> sandbox_registry::on_destroy(const destroy_sandbox& request) {
  auto* found = of_tenant(request.id, request.of);
  if (!found)
    return refused(errc::not_found, request.id.text);
  if (found->last || found->unwanted)
    return accepted{request.id, found->number, std::nullopt};
  auto ticket = ++ticket_;
  promise<accepted> answer{self_};
  pending_.emplace(ticket, pending_change{request.id, matter::ends, nullptr, nullptr, answer});
  around_->journal->unwant(request.id, {self_->address(), ticket});
  return answer.result();
}

caf::result<accepted> sandbox_registry::on_rest(const rest_sandbox& request) {
  auto* found = of_tenant(request.id, request.of);
  if (!found)
    return refused(errc::not_found, request.id.text);
  if (found->last || found->unwanted)
    return refused(errc::conflict, found->last ? "the sandbox has ended" : "its end was requested");
  if (!found->supervisor)
    return refused(errc::conflict, "the sandbox is Unknown: nobody has looked at it yet");
  return self_->pass_on<accepted>(found->supervisor, change_rest{request.id, request.rests});
}

caf::result<sandbox_seen> sandbox_registry::on_get(const get_sandbox& request) {
  forget_oldest();
  auto* found = of_tenant(request.id, request.of);
  if (!found)
    return sandbox_seen{nullptr, refusal(errc::not_found, request.id.text)};
  if (found->last)
    return sandbox_seen{found->last, std::nullopt};
  if (!found->supervisor)
    return sandbox_seen{view_meanwhile(request.id, *found), std::nullopt};
  promise<sandbox_seen> answer{self_};
  self_->ask_untimed(found->supervisor, look_at_it{})
    .then([answer](sandbox_seen& seen) mutable { answer.deliver(std::move(seen)); },
          [this, answer, id = request.id](const caf::error&) mutable { answer.deliver(seen_without_supervisor(id)); });
  return answer.result();
}

sandbox_list sandbox_registry::on_find(const find_sandboxes& request) const {
  sandbox_list found;
  for (const auto& [id, e] : sandboxes_) {
    bool fits = id.text > request.after && (request.of.empty() || tenant_of(e) == request.of) &&
                (!request.word || *request.word == e.word);
    for (const auto& [key, value] : request.labels) {
      auto label = e.whose ? e.whose->labels.find(key) : decltype(e.whose->labels.end()){};
      fits = fits && e.whose && label != e.whose->labels.end() && label->second == value;
    }
    if (fits)
      found.items.emplace_back(id, e.word);
  }
  auto first = [](const auto& a, const auto& b) { return a.first < b.first; };
  found.more = found.items.size() > request.limit;
  auto kept = std::min(found.items.size(), request.limit);
  std::partial_sort(found.items.begin(), found.items.begin() + static_cast<std::ptrdiff_t>(kept), found.items.end(),
                    first);
  found.items.resize(kept);
  return found;
}

/// Its SUPERVISOR ended in the middle of an answer: with a last view, or to be followed by another.
sandbox_seen sandbox_registry::seen_without_supervisor(const sandbox_id& id) const {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end())
    return {nullptr, refusal(errc::not_found, id.text)};
  const auto& e = found->second;
  return {e.last ? e.last : view_meanwhile(id, e), std::nullopt};
}

std::optional<failure> sandbox_registry::silence_of(const entry* found, const sandbox_id& id) {
  if (!found)
    return refusal(errc::not_found, id.text);
  if (found->last)
    return refusal(errc::conflict, "the sandbox has ended");
  if (!found->supervisor)
    return refusal(errc::conflict, "the sandbox is Unknown: nobody has looked at it yet");
  return std::nullopt;
}

caf::result<access> sandbox_registry::on_access(const get_access& request) {
  auto* found = of_tenant(request.id, request.of);
  if (auto silence = silence_of(found, request.id))
    return access{{}, {}, 0, std::move(silence)};
  return self_->pass_on<access>(found->supervisor, hand_out_access{});
}

caf::result<action_seen> sandbox_registry::on_action(const run_action& request) {
  auto* found = of_tenant(request.id, request.of);
  if (auto silence = silence_of(found, request.id))
    return action_seen{{}, 0, std::move(silence)};
  return self_->pass_on<action_seen>(found->supervisor, request);
}

caf::result<drained> sandbox_registry::on_drain() {
  draining_.emplace(self_);
  auto answer = draining_->result();
  if (alive_ == 0) {
    draining_->deliver(drained{0});
    self_->quit();
    return answer;
  }
  for (auto& [id, e] : sandboxes_)
    if (e.supervisor)
      self_->tell(e.supervisor, end_life{});
  return answer;
}

void sandbox_registry::on_status(const status_changed& now) {
  auto found = sandboxes_.find(now.id);
  if (found == sandboxes_.end())
    return;
  found->second.word = now.word;
  if (now.word != status::queued && now.word != status::starting)
    free_slot(found->second);
}

void sandbox_registry::on_ended(life_ended& ended) {
  auto found = sandboxes_.find(ended.view->id);
  if (found == sandboxes_.end())
    return;
  found->second.word = ended.view->word;
  found->second.last = std::move(ended.view);
}

void sandbox_registry::on_supervisor_down(const sandbox_id& id) {
  auto found = sandboxes_.find(id);
  if (found == sandboxes_.end())
    return;
  auto& e = found->second;
  e.supervisor = nullptr;
  --supervised_;
  if (e.last)
    bury(id, e);
  else if (!closing_)
    on_crash(id, e);
  if (closing_ && supervised_ == 0)
    self_->quit();
}

/// It has ended, and its last view says how.
void sandbox_registry::bury(const sandbox_id& id, entry& e) {
  e.crashed.reset();
  free_slot(e);
  release(e);
  auto now = around_->clock->wall();
  around_->journal->close(closed_record{id, now, e.last});
  ended_.emplace_back(now, id);
  forget_oldest();
  if (alive_ == 0 && draining_) {
    draining_->deliver(drained{0});
    self_->quit();
  }
}

void sandbox_registry::forget_oldest() {
  auto oldest = around_->clock->wall().ms - limits_.ended_for.count();
  while (!ended_.empty() && (ended_.size() > limits_.ended_max || ended_.front().first.ms < oldest)) {
    around_->journal->forget(ended_.front().second);
    sandboxes_.erase(ended_.front().second);
    ended_.pop_front();
  }
}

} // namespace nestor::actors
