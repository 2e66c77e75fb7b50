// The API DESK's routes of the node itself: providers, leaks, tokens, what it carries.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/api/sandbox_query.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <set>

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

/// One provider after the other, so that a node with many accounts does not call all of them at once.
void api_desk::on_leaks(const request& r) {
  struct audit {
    std::vector<std::string> left;
    std::set<std::string> known;
    std::string installation;
    json items = json::array(), not_covered = json::array(), failures = json::array();
    std::function<void()> go_on;
  };
  auto held = std::make_shared<audit>();
  const auto* only = r->in.asked.find("provider");
  const auto* installation = r->in.asked.find("installation");
  held->installation = installation ? *installation : around_->journal->installation().text;
  if (only && !providers::account_named(*around_->accounts, *only))
    return refuse(r, refusal(errc::not_found, "no provider of that name is configured"));
  for (const auto& [title, source] : *around_->accounts) {
    if (only && *only != title)
      continue;
    if (source->plain.speaks->list)
      held->left.push_back(title);
    else
      held->not_covered.push_back(title);
  }
  held->go_on = [this, r, held] {
    if (held->left.empty()) {
      answer(r, api::json_answer(200, text_of({{"installation", held->installation},
                                               {"items", held->items},
                                               {"not_covered", held->not_covered},
                                               {"failures", held->failures}})));
      auto last = std::exchange(held->go_on, nullptr); // it holds itself; it goes when this returns
      return;
    }
    auto title = held->left.back();
    held->left.pop_back();
    list_runtimes wanted{title, {held->installation}};
    ask<runtimes_listed>(r, around_->desk, std::move(wanted), [held, title](runtimes_listed& found) {
      for (const auto& item : found.items)
        held->items.push_back({{"provider", title},
                               {"ref", item.ref},
                               {"sandbox", item.sandbox},
                               {"attempt", item.number},
                               {"state", item.state},
                               {"created_at", item.created_at},
                               {"known", held->known.contains(item.sandbox)}});
      if (found.why)
        held->failures.push_back(json::parse(to_json(*found.why)));
      if (auto next = held->go_on)
        next();
    });
  };
  ask<sandbox_list>(r, front_, list_sandboxes{}, [held](sandbox_list& all) {
    for (const auto& [id, word] : all.items)
      if (!ended(word))
        held->known.insert(id.text);
    if (auto first = held->go_on)
      first();
  });
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
    json body{{"version", options_.version},
              {"installation", around_->journal->installation().text},
              {"accepting", takes_new_},
              {"sandboxes", std::move(counts)},
              {"events", {{"oldest", events_.oldest()}, {"latest", events_.latest()}}},
              {"connections", options_.connections ? options_.connections() : 0}};
    answer(r, api::json_answer(status, text_of(body)));
  });
}

void api_desk::on_metrics(const request& r) {
  ask<sandbox_list>(r, front_, list_sandboxes{}, [this, r](sandbox_list& all) {
    api::gauges gauges;
    for (const auto& [id, word] : all.items)
      ++gauges.sandboxes[static_cast<std::size_t>(word)];
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
  });
}

} // namespace nestor::actors
