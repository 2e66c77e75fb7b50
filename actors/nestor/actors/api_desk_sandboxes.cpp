// The API DESK's routes of sandboxes.
#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/action_request.hpp>
#include <nestor/api/answer.hpp>
#include <nestor/api/sandbox_query.hpp>
#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/configuration_change.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <nlohmann/json.hpp>

namespace nestor::actors {
namespace {

using json = nlohmann::ordered_json;

failure refusal(errc code, std::string cause) {
  return {code, step::queue, std::move(cause), 0, {}};
}

expected<secret> only_literals(reference_kind, const std::string&) {
  return failure{
    errc::secret_unresolved,
    step::queue,
    "over the API a secret is sent as {$literal: TEXT}; the command line looks references up before it sends",
    0,
    {}};
}

void append_text(wiped_string& out, std::string_view text) {
  nested::append_json(out, text);
}

std::string entity_tag(generation number) {
  return "\"" + std::to_string(number) + "\"";
}

} // namespace

std::optional<sandbox_id> api_desk::sandbox_of(const request& r) {
  const auto& text = r->in.what.argument;
  if (is_sandbox_id(text))
    return sandbox_id{text};
  refuse(r, refusal(errc::not_found, "the path names no sandbox"));
  return std::nullopt;
}

void api_desk::answer_with_sandbox(const request& r, const sandbox_id& id, std::uint16_t status,
                                   std::vector<std::pair<std::string, std::string>> headers) {
  ask<sandbox_seen>(r, front_, get_sandbox{id, r->in.who.sees()},
                    [this, r, status, headers = std::move(headers)](sandbox_seen& seen) {
                      if (seen.refused)
                        return refuse(r, *seen.refused);
                      auto response = api::json_answer(status, to_json(*seen.view));
                      response.headers.emplace_back("ETag", entity_tag(seen.view->wanted));
                      response.headers.insert(response.headers.end(), headers.begin(), headers.end());
                      answer(r, std::move(response));
                    });
}

// -- create -----------------------------------------------------------------------------------------------------------

checked<sandbox_spec> api_desk::spec_of(const request& r) const {
  reading how;
  how.provider_named = [&](std::string_view wanted) -> const providers::provider* {
    const auto* account = providers::account_named(*around_->accounts, wanted);
    return account && api::may_use(account->plain, r->in.who) ? account->plain.speaks : nullptr;
  };
  auto source = read_spec(r->exchange->request().body, how);
  if (!source)
    return {std::nullopt, std::move(source.faults)};
  return resolve(*source, only_literals);
}

void api_desk::on_create(const request& r) {
  const auto& asked_for = r->exchange->request();
  auto key = api::only_header(asked_for, "Idempotency-Key");
  if (!key)
    return refuse(r, key.error());
  std::shared_ptr<const journal::replay_mark> mark;
  if (*key) {
    auto scope = r->in.who.tenant + " " + std::string{r->in.what.where->name};
    auto verdict = replays_.begin(scope, **key, asked_for.body, now());
    if (const auto* no = std::get_if<failure>(&verdict))
      return refuse(r, *no);
    if (const auto* before = std::get_if<std::shared_ptr<const http::response>>(&verdict))
      return answer(r, **before);
    r->replay_scope = std::move(scope);
    r->replay_key = std::string{**key};
    mark = std::make_shared<const journal::replay_mark>(
      api::mark_of(r->replay_scope, **key, asked_for.body, around_->journal->node_secret(), around_->clock->wall()));
    if (auto made = replays_.earlier(*mark); made && !*made)
      return refuse(r, made->error());
    else if (made)
      return answer_with_sandbox(r, **made, 202, {{"Location", "/v1/sandboxes/" + (*made)->text}});
  }
  auto spec = spec_of(r);
  if (!spec)
    return refuse(r, to_failure(spec.faults));
  spec->tenant = r->in.who.tenant;
  const auto* account = providers::account_named(*around_->accounts, spec->provider);
  if (auto no = api::forbidden_here(account->plain, r->in.who))
    return refuse(r, *no);
  create_sandbox wanted{std::make_shared<const sandbox_spec>(std::move(*spec)), std::move(mark)};
  ask<accepted>(r, front_, std::move(wanted), [this, r](accepted& done) { created(r, done); });
}

void api_desk::created(const request& r, const accepted& done) {
  std::vector<std::pair<std::string, std::string>> room{{"RateLimit-Limit", std::to_string(options_.per_tenant_max)},
                                                        {"RateLimit-Remaining", std::to_string(done.room)}};
  if (!done.refused) {
    r->subject = done.id.text;
    join_trace(r, done.id);
    room.emplace_back("Location", "/v1/sandboxes/" + done.id.text);
    return answer_with_sandbox(r, done.id, 202, std::move(room));
  }
  auto response = api::problem_answer(*done.refused, "/v1/sandboxes");
  if (done.refused->code == errc::limit_reached)
    response.headers.insert(response.headers.end(), room.begin(), room.end());
  answer(r, std::move(response), done.refused);
}

// -- look -------------------------------------------------------------------------------------------------------------

void api_desk::on_list(const request& r) {
  auto query = api::read_sandbox_query(r->in.asked);
  if (!query)
    return refuse(r, query.error());
  find_sandboxes wanted{query->after, query->limit, query->word, query->labels, r->in.who.sees()};
  ask<sandbox_list>(r, front_, std::move(wanted), [this, r](sandbox_list& found) {
    std::string next = found.more && !found.items.empty() ? found.items.back().first.text : std::string{};
    gather(r, found, [this, r, next](const views& all) {
      std::string body = R"({"items":[)";
      bool first = true;
      for (const auto& each : all) {
        if (!each)
          continue; // forgotten meanwhile
        body.append(std::exchange(first, false) ? "" : ",").append(to_json(*each));
      }
      body += R"(],"next_cursor":)" + (next.empty() ? std::string{"null"} : "\"" + next + "\"") + "}";
      answer(r, api::json_answer(200, body));
    });
  });
}

void api_desk::gather(const request& r, const sandbox_list& found, std::function<void(const views&)> use) {
  struct gathering {
    views all;
    std::size_t left = 0;
  };
  auto held = std::make_shared<gathering>();
  held->all.resize(found.items.size());
  held->left = found.items.size();
  if (held->left == 0)
    return use(held->all);
  auto shared = std::make_shared<std::function<void(const views&)>>(std::move(use));
  for (std::size_t i = 0; i < found.items.size(); ++i)
    ask<sandbox_seen>(r, front_, get_sandbox{found.items[i].first, r->in.who.sees()},
                      [held, shared, i](sandbox_seen& seen) {
                        held->all[i] = std::move(seen.view);
                        if (--held->left == 0)
                          (*shared)(held->all);
                      });
}

void api_desk::on_get(const request& r) {
  if (auto id = sandbox_of(r))
    answer_with_sandbox(r, *id, 200);
}

void api_desk::on_rest(const request& r, bool rests) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  ask<accepted>(r, front_, rest_sandbox{*id, rests, r->in.who.sees()}, [this, r, id](accepted& done) {
    done.refused ? refuse(r, *done.refused) : answer_with_sandbox(r, *id, 202);
  });
}

void api_desk::on_access(const request& r) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  ask<access>(r, front_, get_access{*id, r->in.who.sees()}, [this, r, id](access& granted) {
    if (granted.refused)
      return refuse(r, *granted.refused);
    api::event e;
    e.kind = "access";
    e.sandbox = id->text;
    e.tenant = r->in.who.tenant;
    e.details = "\"token\":\"" + r->in.who.token + "\"";
    add_event(std::move(e));
    auto response = api::json_answer(200, {});
    auto& body = response.body;
    body += R"({"url":)";
    append_text(body, granted.url);
    body += R"(,"headers":{)";
    for (std::size_t i = 0; i < granted.headers.size(); ++i) {
      body += i == 0 ? "" : ",";
      append_text(body, granted.headers[i].name);
      body += ":";
      append_text(body, granted.headers[i].value);
    }
    body += R"(},"expires_at":null,"incarnation":)" + std::to_string(granted.fence) + "}";
    answer(r, std::move(response));
  });
}

void api_desk::on_action(const request& r) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  auto wanted = api::read_action(r->exchange->request().body);
  if (!wanted)
    return refuse(r, wanted.error());
  auto told = [this, r, what = wanted->what](const observation& seen, incarnation fence) {
    answer(r, api::json_answer(200, to_json(what, seen, fence)));
  };
  self_->ask_untimed(front_, run_action{*id, std::make_shared<const action>(std::move(*wanted)), {}, r->in.who.sees()})
    .then([this, r, told](action_seen& came) { came.refused ? refuse(r, *came.refused) : told(came.seen, came.fence); },
          [told](const caf::error&) { told(lost_answer("the node's own worker ended before it answered"), 0); });
}

// -- change -----------------------------------------------------------------------------------------------------------

void api_desk::on_delete(const request& r) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  ask<accepted>(r, front_, destroy_sandbox{*id, r->in.who.sees()}, [this, r, id](accepted& done) {
    done.refused ? refuse(r, *done.refused) : answer_with_sandbox(r, *id, 202);
  });
}

void api_desk::on_configuration(const request& r) {
  auto id = sandbox_of(r);
  if (!id)
    return;
  auto dry = api::read_flag(r->in.asked, "dry_run");
  if (!dry)
    return refuse(r, dry.error());
  auto expected_now = api::read_if_match(r->exchange->request());
  if (!expected_now)
    return refuse(r, expected_now.error());
  bool whole = r->in.what.where->what == api::endpoint::put_configuration;
  auto change = std::make_shared<configuration_change>(
    configuration_change{whole ? change_kind::replace : change_kind::merge, r->exchange->request().body});
  configure_sandbox wanted{*id, nullptr, std::move(change), *expected_now, *dry, r->in.who.sees()};
  ask<accepted>(r, front_, std::move(wanted), [this, r, id, dry = *dry](accepted& done) {
    if (done.refused)
      return refuse(r, *done.refused);
    json body{{"id", id->text}, {"generation", done.number}, {"dry_run", dry}, {"plan", json::array()}};
    for (const auto& each : done.plan)
      body["plan"].push_back({{"path", each.path}, {"change", each.what}, {"effect", each.effect}});
    auto response = api::json_answer(dry ? 200 : 202, body.dump(-1, ' ', false, json::error_handler_t::replace));
    response.headers.emplace_back("ETag", entity_tag(done.number));
    answer(r, std::move(response));
  });
}

} // namespace nestor::actors
