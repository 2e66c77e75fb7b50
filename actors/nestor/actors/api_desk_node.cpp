// The API DESK's routes of the node itself: providers, leaks, tokens, what it carries.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/api/sandbox_query.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace nestor::actors {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t note_max = 200; // characters

failure refusal(errc code, std::string cause) {
  return {code, step::queue, std::move(cause), 0, {}};
}

std::string text_of(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

json described(const api::token_entry& e) {
  return {{"id", e.id},
          {"tenant", e.tenant},
          {"role", std::string{api::name_of(e.may)}},
          {"note", e.note},
          {"created_at", to_text(e.created)}};
}

json described(const std::string& account, const leak& each) {
  const auto& found = each.found;
  auto time_or_null = [](const std::optional<wall_time>& at) { return at ? json(to_text(*at)) : json(); };
  return {{"provider", account},
          {"ref", found.what.ref},
          {"sandbox", found.what.sandbox},
          {"attempt", found.what.number},
          {"state", found.what.state},
          {"created_at", found.what.created_at},
          {"known", found.verdict == supervision::sweep_verdict::explained && found.reason.empty()},
          {"verdict", std::string{supervision::name_of(found.verdict)}},
          {"reason", std::string{found.reason}},
          {"looks", found.looks},
          {"since", time_or_null(found.since)},
          {"due_at", time_or_null(each.due)},
          {"ended", each.ended},
          {"failure", each.why ? json::parse(to_json(*each.why)) : json()}};
}

/// Counts of what it lists: never of what was hoped for.
json report_of(const leaks_found& found) {
  using supervision::sweep_verdict;
  auto items = json::array();
  auto failures = json::array();
  std::size_t unexplained = 0;
  std::size_t ended = 0;
  std::size_t failed = 0;
  for (const auto& book : found.accounts) {
    for (const auto& each : book.items) {
      auto verdict = each.found.verdict;
      unexplained += verdict != sweep_verdict::explained && verdict != sweep_verdict::foreign ? 1 : 0;
      ended += each.ended ? 1 : 0;
      failed += each.why ? 1 : 0;
      items.push_back(described(book.account, each));
    }
    if (book.why)
      failures.push_back(json::parse(to_json(*book.why)));
  }
  return {{"installation", found.installation.text},
          {"dry_run", found.dry_run},
          {"unexplained", unexplained},
          {"ended", ended},
          {"failed", failed},
          {"items", std::move(items)},
          {"not_covered", found.not_covered},
          {"failures", std::move(failures)}};
}

struct token_wish {
  std::string tenant = "default";
  api::role may = api::role::read;
  std::string note;
};

expected<token_wish> read_wish(std::string_view text) {
  auto body = json::parse(text.begin(), text.end(), nullptr, false);
  if (!body.is_object())
    return refusal(errc::request_invalid, "the body is no JSON object");
  token_wish wish;
  for (const auto& [name, value] : body.items()) {
    if (name != "tenant" && name != "role" && name != "note")
      return refusal(errc::request_invalid, "an unknown field; known here: tenant, role, note");
    if (!value.is_string())
      return refusal(errc::request_invalid, name + ": expected text");
    auto word = value.get<std::string>();
    auto may = api::role_named(word);
    if (name == "tenant" && !api::is_tenant(word))
      return refusal(errc::request_invalid, "tenant: expected 1 to 63 of a-z, 0-9 and '-'");
    if (name == "role" && (!may || *may == api::role::anyone))
      return refusal(errc::request_invalid, "role: expected read, write or admin");
    if (name == "note" && (word.size() > note_max || has_control(word)))
      return refusal(errc::request_invalid, "note: expected one line of at most 200 bytes");
    if (name == "tenant")
      wish.tenant = word;
    else if (name == "role")
      wish.may = *may;
    else
      wish.note = word;
  }
  return wish;
}

} // namespace

void api_desk::on_providers(const request& r) {
  auto items = json::array();
  for (const auto& [title, source] : *around_->accounts)
    if (api::may_use(source->plain, r->in.who) || r->in.who.may == api::role::admin)
      items.push_back({{"name", title},
                       {"kind", std::string{source->plain.speaks->kind}},
                       {"summary", std::string{source->plain.speaks->summary}},
                       {"proves_credential", source->plain.speaks->authenticate != nullptr},
                       {"lists_runtimes", source->plain.speaks->list != nullptr}});
  answer(r, api::json_answer(200, text_of({{"items", std::move(items)}})));
}

void api_desk::on_verify(const request& r) {
  const auto& title = r->in.what.argument;
  const auto* account = providers::account_named(*around_->accounts, title);
  if (!account)
    return refuse(r, refusal(errc::not_found, "no provider of that name is configured"));
  auto good = [this, r, title] { answer(r, api::json_answer(200, text_of({{"name", title}, {"ok", true}}))); };
  if (!account->plain.speaks->authenticate)
    return good(); // there is nothing to prove
  ask<account_verified>(r, around_->desk, verify_account{title},
                        [this, r, good](account_verified& verdict) { verdict.why ? refuse(r, *verdict.why) : good(); });
}

void api_desk::on_leaks(const request& r) {
  const auto* only = r->in.asked.find("provider");
  const auto* installation = r->in.asked.find("installation");
  if (only && !providers::account_named(*around_->accounts, *only))
    return refuse(r, refusal(errc::not_found, "no provider of that name is configured"));
  if (!reaper_)
    return refuse(r, refusal(errc::capability_missing, "this node keeps no journal to compare with"));
  find_leaks wish{only ? *only : std::string{}, {installation ? *installation : std::string{}}};
  ask<leaks_found>(r, reaper_, std::move(wish),
                   [this, r](leaks_found& found) { answer(r, api::json_answer(200, text_of(report_of(found)))); });
}

/// `installation`, when it is given, must be this node's: what carries another one's label is not ours to end.
void api_desk::on_reap(const request& r) {
  const auto* installation = r->in.asked.find("installation");
  if (installation && *installation != around_->journal->installation().text)
    return refuse(r, refusal(errc::conflict, "this node is of installation " + around_->journal->installation().text +
                                               ", and ends nothing of another one"));
  if (!reaper_)
    return refuse(r, refusal(errc::capability_missing, "this node keeps no journal to compare with"));
  auto dry = api::read_flag(r->in.asked, "dry_run");
  if (!dry)
    return refuse(r, dry.error());
  if (auto doubt = around_->journal->doubt(); !doubt.empty() && !*dry)
    return refuse(r, refusal(errc::conflict, "the journal: " + doubt + "; nestor node confirm-restore first"));
  ask<leaks_found>(r, reaper_, reap_leaks{*dry},
                   [this, r](leaks_found& found) { answer(r, api::json_answer(200, text_of(report_of(found)))); });
}

void api_desk::on_tokens(const request& r) {
  auto items = json::array();
  for (const auto& each : options_.gate->tokens.entries())
    items.push_back(described(each));
  answer(r, api::json_answer(200, text_of({{"items", std::move(items)}})));
}

void api_desk::on_create_token(const request& r) {
  auto wish = read_wish(r->exchange->request().body);
  if (!wish)
    return refuse(r, wish.error());
  auto& book = options_.gate->tokens;
  if (book.entries().size() >= api::token_book::entries_max)
    return refuse(r, refusal(errc::limit_reached, "the node has 10,000 tokens; revoke some"));
  std::array<std::uint8_t, api::token_entropy_bytes> entropy{};
  around_->entropy->fill(entropy);
  auto made = api::mint(entropy, std::move(wish->tenant), wish->may, std::move(wish->note), around_->clock->wall());
  wipe(entropy.data(), entropy.size());
  auto with = book;
  with.add(made.entry);
  if (!options_.keep_tokens(with))
    return refuse(r, refusal(errc::journal_unavailable, "the tokens' file cannot be written"));
  book = std::move(with);
  r->subject = made.entry.id;
  auto response = api::json_answer(201, text_of(described(made.entry)));
  response.body.back() = ',';
  made.text.expose([&](std::string_view text) { response.body.append("\"token\":\"").append(text).append("\"}"); });
  answer(r, std::move(response));
}

void api_desk::on_revoke_token(const request& r) {
  auto& book = options_.gate->tokens;
  auto without = book;
  if (!without.revoke(r->in.what.argument))
    return refuse(r, refusal(errc::not_found, "no token has that id"));
  bool admin_left = false;
  for (const auto& each : without.entries())
    admin_left = admin_left || each.may == api::role::admin;
  if (!admin_left)
    return refuse(r, refusal(errc::conflict, "it is the last admin's token: nobody could make another one"));
  if (!options_.keep_tokens(without))
    return refuse(r, refusal(errc::journal_unavailable, "the tokens' file cannot be written"));
  book = std::move(without);
  http::response done;
  done.status = 204;
  answer(r, std::move(done));
}

void api_desk::on_node(const request& r, std::uint16_t status) {
  ask<sandbox_list>(r, front_, list_sandboxes{}, [this, r, status](sandbox_list& all) {
    json counts = json::object();
    for (auto word : status_names)
      counts[std::string{word}] = 0;
    for (const auto& [id, word] : all.items)
      counts[std::string{nestor::name_of(word)}] = counts[std::string{nestor::name_of(word)}].get<std::uint64_t>() + 1;
    auto doubt = around_->journal->doubt();
    json body{{"version", options_.version},
              {"installation", around_->journal->installation().text},
              {"accepting", takes_new_},
              {"sandboxes", std::move(counts)},
              {"events", {{"oldest", events_.oldest()}, {"latest", events_.latest()}}},
              {"connections", options_.connections ? options_.connections() : 0},
              {"doubt", doubt.empty() ? json() : json(doubt)}};
    answer(r, api::json_answer(status, text_of(body)));
  });
}

void api_desk::on_confirm(const request& r) {
  if (!reaper_)
    return refuse(r, refusal(errc::capability_missing, "this node keeps no journal"));
  ask<restore_confirmed>(r, reaper_, confirm_restore{},
                         [this, r](restore_confirmed& done) { done.why ? refuse(r, *done.why) : on_node(r, 200); });
}

void api_desk::on_keys(const request& r, bool rotates) {
  about_keys_.emplace(++key_tickets_, r);
  reply_to back{self_->address(), key_tickets_};
  rotates ? around_->journal->rotate(std::move(back)) : around_->journal->look_at_keys(std::move(back));
}

void api_desk::on_keys_seen(const keys_seen& seen) {
  auto waits = about_keys_.extract(seen.ticket);
  if (waits.empty())
    return;
  const auto& r = waits.mapped();
  if (seen.why)
    return refuse(r, *seen.why);
  auto items = json::array();
  for (const auto& key : seen.keys.keys)
    items.push_back({{"id", key.id}, {"current", key.id == seen.keys.current}, {"records", key.records}});
  auto status = r->in.what.where->success;
  answer(r, api::json_answer(status, text_of({{"items", std::move(items)},
                                              {"rotating", seen.keys.resealing},
                                              {"resealed", seen.keys.resealed}})));
}

void api_desk::on_metrics(const request& r) {
  ask<sandbox_list>(r, front_, list_sandboxes{}, [this, r](sandbox_list& all) {
    if (!reaper_)
      return tell_metrics(r, all, {});
    auto kept = std::make_shared<const sandbox_list>(std::move(all));
    ask<sweeps_seen>(r, reaper_, look_at_sweeps{},
                     [this, r, kept](sweeps_seen& sweeps) { tell_metrics(r, *kept, sweeps); });
  });
}

void api_desk::tell_metrics(const request& r, const sandbox_list& all, const sweeps_seen& sweeps) {
  using std::chrono::duration_cast;
  api::gauges gauges;
  for (const auto& [id, word] : all.items)
    ++gauges.sandboxes[static_cast<std::size_t>(word)];
  gauges.intents = intents_.size();
  for (const auto& [id, since] : intents_)
    gauges.oldest_intent = std::max(gauges.oldest_intent, duration_cast<milliseconds>(now() - since));
  gauges.sweep_doubted = !around_->journal->doubt().empty();
  for (const auto& each : sweeps.accounts)
    gauges.unexplained += each.unexplained.size();
  gauges.sweeps = {sweeps.passes, sweeps.ended, sweeps.failed, sweeps.held_back, sweeps.lists_failed};
  gauges.leaked = duration_cast<milliseconds>(sweeps.leaked);
  gauges.connections = options_.connections ? options_.connections() : 0;
  gauges.streams = readers_.size();
  gauges.events_kept = events_.latest() + 1 - events_.oldest();
  gauges.takes_new = takes_new_;
  gauges.lines_dropped = options_.lines_dropped ? options_.lines_dropped() : 0;
  gauges.audit_failures = audit_failures_;
  if (sender_)
    gauges.traces = {sender_->sent(), sender_->dropped(), sender_->waiting()};
  auto response = api::text_answer(200, counted_.text(gauges, options_.version));
  response.headers.front().second = "text/plain; version=0.0.4; charset=utf-8";
  answer(r, std::move(response));
}

} // namespace nestor::actors
