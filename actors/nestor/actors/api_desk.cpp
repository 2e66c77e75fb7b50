#include <nestor/actors/internal/api_asking.hpp>

#include <nestor/api/answer.hpp>
#include <nestor/api/openapi.hpp>
#include <nestor/providers/provider.hpp>

#include <nlohmann/json.hpp>

namespace nestor::actors {

using api::endpoint;

namespace {

std::string_view path_of(const http::request& r) {
  return std::string_view{r.target}.substr(0, r.target.find('?'));
}

http::response refused(const failure& why, const http::request& asked) {
  auto target = api::parse_target(asked.target);
  bool method = why.code == errc::method_refused && target;
  auto instance = target ? path_of(asked) : std::string_view{};
  return api::problem_answer(why, instance, method ? api::methods_of(*target) : std::string{});
}

} // namespace

std::optional<http::response> api_gate::refusal(const http::request& head) const {
  auto in = api::admit(head, rules, tokens);
  if (in)
    return std::nullopt;
  if (in.error().code == errc::token_refused && on_refused_login)
    on_refused_login(head);
  return refused(in.error(), head);
}

api_desk::api_desk(self_ptr<> self, api_options options)
    : self_(self), options_(std::move(options)), events_(options_.events_kept) {
  if (options_.collector)
    sender_.emplace(self_, std::move(*options_.collector));
}

caf::behavior api_desk::make_behavior() {
  return {[this](surroundings_known& known) {
            around_ = std::move(known.around);
            front_ = std::move(known.front);
            reaper_ = std::move(known.reaper);
            replays_.know_earlier(around_->journal->replays());
          },
          [this](api_call& call) { on_call(call); },
          [this](const status_changed& now) { on_status(now); },
          [this](const step_changed& now) { on_step(now); },
          [this](const reader_drained& drained) {
            if (auto found = readers_.find(drained.reader); found != readers_.end())
              read_on(found->first, found->second);
          },
          [this](records_loaded& loaded) { on_records(loaded); },
          [this](const io_done& done) {
            if (sender_)
              sender_->hear(*around_, done);
          },
          [this](const woken& alarm) {
            if (alarm.ticket != trace_sender::alarm)
              return on_beat();
            if (sender_)
              sender_->go_on(*around_);
          },
          [this](const keys_seen& seen) { on_keys_seen(seen); },
          [this](hosts_changed& changed) { options_.gate->rules.hosts = std::move(changed.hosts); }};
}

/// The head is judged again: its token may have been revoked while the body came in.
void api_desk::on_call(api_call& call) {
  if (!around_)
    return call.exchange->answer(
      api::problem_answer({errc::node_stopping, step::queue, "the node is still starting", 0, {}}));
  const auto& asked_for = call.exchange->request();
  auto in = api::admit(asked_for, options_.gate->rules, options_.gate->tokens);
  if (!in)
    return call.exchange->answer(refused(in.error(), asked_for));
  auto r = std::make_shared<asked>(asked{std::move(call.exchange), std::move(*in), now(), {}, {}});
  r->subject = r->in.what.argument;
  dispatch(r);
}

void api_desk::dispatch(const request& r) {
  switch (r->in.what.where->what) {
    case endpoint::create_sandbox: return on_create(r);
    case endpoint::list_sandboxes: return on_list(r);
    case endpoint::get_sandbox: return on_get(r);
    case endpoint::delete_sandbox: return on_delete(r);
    case endpoint::get_access: return on_access(r);
    case endpoint::sandbox_logs: return on_logs(r);
    case endpoint::run_action: return on_action(r);
    case endpoint::pause_sandbox: return on_rest(r, true);
    case endpoint::resume_sandbox: return on_rest(r, false);
    case endpoint::patch_configuration:
    case endpoint::put_configuration: return on_configuration(r);
    case endpoint::all_events: return on_events(r, {});
    case endpoint::sandbox_events: {
      auto id = sandbox_of(r);
      if (!id)
        return;
      return ask<sandbox_seen>(r, front_, get_sandbox{*id, r->in.who.sees()}, [this, r, id](sandbox_seen& seen) {
        seen.refused ? refuse(r, *seen.refused) : on_events(r, id->text);
      });
    }
    case endpoint::livez:
    case endpoint::readyz:
    case endpoint::version:
    case endpoint::dashboard:
    case endpoint::dashboard_style:
    case endpoint::dashboard_script:
    case endpoint::openapi:
    case endpoint::metrics:
    case endpoint::list_providers:
    case endpoint::verify_provider:
    case endpoint::list_leaks:
    case endpoint::reap_leaks:
    case endpoint::list_keys:
    case endpoint::rotate_keys:
    case endpoint::confirm_restore:
    case endpoint::list_tokens:
    case endpoint::create_token:
    case endpoint::revoke_token:
    case endpoint::get_node:
    case endpoint::drain_node:
    case endpoint::count_: return dispatch_node(r);
  }
}

void api_desk::dispatch_node(const request& r) {
  switch (r->in.what.where->what) { // no default for the ones that are left
    case endpoint::livez: return answer(r, api::text_answer(200, "alive\n"));
    case endpoint::readyz:
      if (takes_new_)
        return answer(r, api::text_answer(200, "ready\n"));
      return refuse(r, {errc::node_stopping, step::queue, "the node is draining", 0, {}});
    case endpoint::version: {
      nlohmann::ordered_json about{
        {"name", "nestor"}, {"version", options_.version}, {"providers", nlohmann::ordered_json::array()}};
      for (const auto* p : providers::all())
        about["providers"].push_back(std::string{p->kind});
      return answer(r, api::json_answer(200, about.dump()));
    }
    case endpoint::dashboard:
    case endpoint::dashboard_style:
    case endpoint::dashboard_script: return on_page(r);
    case endpoint::openapi: return answer(r, api::json_answer(200, api::openapi_document(options_.version)));
    case endpoint::metrics: return on_metrics(r);
    case endpoint::list_providers: return on_providers(r);
    case endpoint::verify_provider: return on_verify(r);
    case endpoint::list_leaks: return on_leaks(r);
    case endpoint::reap_leaks: return on_reap(r);
    case endpoint::list_keys: return on_keys(r, false);
    case endpoint::rotate_keys: return on_keys(r, true);
    case endpoint::confirm_restore: return on_confirm(r);
    case endpoint::list_tokens: return on_tokens(r);
    case endpoint::create_token: return on_create_token(r);
    case endpoint::revoke_token: return on_revoke_token(r);
    case endpoint::get_node: return on_node(r, 200);
    case endpoint::drain_node:
      takes_new_ = false;
      return ask<drained>(r, front_, stop_creating{}, [this, r](drained&) { on_node(r, 202); });
    case endpoint::create_sandbox:
    case endpoint::list_sandboxes:
    case endpoint::get_sandbox:
    case endpoint::delete_sandbox:
    case endpoint::get_access:
    case endpoint::sandbox_logs:
    case endpoint::run_action:
    case endpoint::pause_sandbox:
    case endpoint::resume_sandbox:
    case endpoint::patch_configuration:
    case endpoint::put_configuration:
    case endpoint::sandbox_events:
    case endpoint::all_events:
    case endpoint::count_: return refuse(r, {errc::internal, step::queue, "the route has no service", 0, {}});
  }
}

/// The page may load what the node itself serves, and nothing else.
void api_desk::on_page(const request& r) {
  auto content = options_.pages ? options_.pages(r->in.what.where->path) : std::string_view{};
  if (content.empty())
    return refuse(r, {errc::route_unknown, step::queue, "this node has no dashboard", 0, {}});
  auto response = api::text_answer(200, content);
  response.headers.front().second = std::string{r->in.what.where->gives} + "; charset=utf-8";
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  answer(r, std::move(response));
}

void api_desk::answer(const request& r, http::response response, const std::optional<failure>& why) {
  log_request(r, response);
  audit(r, response, why);
  counted_.answered(r->in.what.where->name, response.status, now() - r->began);
  if (!r->replay_key.empty()) {
    bool done = response.status < 300;
    done ? replays_.finish(r->replay_scope, r->replay_key, response) : replays_.give_up(r->replay_scope, r->replay_key);
  }
  r->exchange->answer(std::move(response));
}

void api_desk::refuse(const request& r, const failure& why) {
  answer(r, refused(why, r->exchange->request()), why);
}

} // namespace nestor::actors
