// API DESK: turns requests that were let in into messages to the NODE and its answers into responses; keeps the latest
// events for lists and streams, and counts. It decides nothing about sandboxes: what a request means is decided in
// protocols/nestor/api, what becomes of a sandbox by the SANDBOX REGISTRY. It is the node's observer.
#pragma once

#include <nestor/actors/messages.hpp>
#include <nestor/actors/trace_sender.hpp>
#include <nestor/api/event_ring.hpp>
#include <nestor/api/gate.hpp>
#include <nestor/api/metrics.hpp>
#include <nestor/api/replay_book.hpp>
#include <nestor/api/token_book.hpp>
#include <nestor/api/trace_book.hpp>
#include <nestor/node/log_line.hpp>
#include <nestor/sandbox/fault.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace nestor::actors {

/// Who is let in: read by the server before a body is, changed by the desk. Both are on the node's home.
struct api_gate {
  api::gate_rules rules;
  api::token_book tokens;
  std::function<void(const http::request& head)> on_refused_login; ///< its token is none of ours; may be empty

  /// The answer that refuses a request by its head; nothing when it is let in.
  [[nodiscard]] std::optional<http::response> refusal(const http::request& head) const;
};

struct api_options {
  std::shared_ptr<api_gate> gate;
  std::string version;
  std::size_t events_kept = 100'000;  ///< about 250 bytes each
  std::size_t per_tenant_max = 1'000; ///< sandboxes; told to clients, enforced by the registry
  std::size_t readers_max = 1'000;    ///< streams and waiting lists: each holds a connection
  std::function<std::string_view(std::string_view path)> pages; ///< the dashboard's files; empty: none of that path
  std::function<bool(const api::token_book&)> keep_tokens; ///< makes a change of the book last; false: it could not
  std::function<std::size_t()> connections;                ///< that are open
  std::function<void(const log_line&)> log;                ///< empty: nothing is logged
  log_level log_from = log_level::info;
  std::function<bool(const log_line&)> audit;   ///< makes a line of the audit log last; false: it could not
  std::function<std::uint64_t()> lines_dropped; ///< of the log
  std::shared_ptr<api::trace_book> traces;      ///< of the node's home; null: none are made
  std::optional<trace_target> collector;        ///< nothing: traces are told to nobody
};

class api_desk {
public:
  using handle_type = caf::actor;
  static constexpr const char* name = "nestor.api-desk";

  api_desk(self_ptr<> self, api_options options);
  caf::behavior make_behavior();

private:
  /// A request on its way to its answer.
  struct asked {
    std::shared_ptr<http_exchange> exchange;
    api::admitted in;
    instant began{};
    std::string replay_scope; ///< with an Idempotency-Key
    std::string replay_key;
    std::string subject{}; ///< what it is about, for the audit log: the path's argument, or the id of what was made
  };
  using request = std::shared_ptr<asked>;
  /// Somebody who waits for events: a stream, or a list that waits for its first one.
  struct reader {
    request who;
    api::event_filter filter;
    std::uint64_t seen = 0;
    bool stream = false;
    std::size_t limit = 0; ///< of a list
    instant until{};       ///< of a list: it is answered then, whatever there is
  };
  using views = std::vector<std::shared_ptr<const sandbox_view>>;

  void on_call(api_call& call);
  void dispatch(const request& r);
  void dispatch_node(const request& r);
  void on_page(const request& r);
  void answer(const request& r, http::response response, const std::optional<failure>& why = std::nullopt);
  void refuse(const request& r, const failure& why);
  /// Asks `whom` and hands the answer to `use`; without one the request is refused.
  template <class Response, class Message>
  void ask(const request& r, const caf::actor& whom, Message message, std::function<void(Response&)> use);
  [[nodiscard]] instant now() const { return around_->clock->now(); }

  // -- sandboxes (api_desk_sandboxes.cpp)
  void on_create(const request& r);
  [[nodiscard]] checked<sandbox_spec> spec_of(const request& r) const;
  void created(const request& r, const accepted& done);
  void on_list(const request& r);
  void gather(const request& r, const sandbox_list& found, std::function<void(const views&)> use);
  void on_get(const request& r);
  void on_delete(const request& r);
  void on_access(const request& r);
  void on_action(const request& r);
  void on_rest(const request& r, bool rests);
  void on_configuration(const request& r);
  // -- what it printed (api_desk_logs.cpp)
  void on_logs(const request& r);
  void on_records(records_loaded& loaded);
  void read_log(const request& r, const std::string& account, sandbox_records records);
  void answer_log(const request& r, std::string text, std::string_view reason);
  void answer_with_sandbox(const request& r, const sandbox_id& id, std::uint16_t status,
                           std::vector<std::pair<std::string, std::string>> headers = {});
  /// Empty, and the request refused, when the path's argument is none.
  std::optional<sandbox_id> sandbox_of(const request& r);

  // -- the node (api_desk_node.cpp)
  void on_providers(const request& r);
  void on_verify(const request& r);
  void on_leaks(const request& r);
  void on_reap(const request& r);
  void on_tokens(const request& r);
  void on_create_token(const request& r);
  void on_revoke_token(const request& r);
  void on_node(const request& r, std::uint16_t status);
  void on_confirm(const request& r);
  void on_keys(const request& r, bool rotates);
  void on_keys_seen(const keys_seen& seen);
  void on_metrics(const request& r);
  void tell_metrics(const request& r, const sandbox_list& all, const sweeps_seen& sweeps);

  // -- for those who run the node (api_desk_telling.cpp)
  [[nodiscard]] bool logs(log_level level) const;
  [[nodiscard]] std::string trace_of(const std::string& sandbox) const;
  void log_status(const status_changed& seen, const std::string& tenant);
  void log_step(const step_changed& seen, const std::string& tenant);
  void log_request(const request& r, const http::response& response);
  void audit(const request& r, const http::response& response, const std::optional<failure>& why);
  void begin_trace(const std::string& sandbox, const std::string& tenant);
  void trace_step(const step_changed& seen, const std::string& tenant);
  void trace_status(const status_changed& seen, errc last);
  void join_trace(const request& r, const sandbox_id& id);

  // -- events (api_desk_events.cpp)
  void on_status(const status_changed& now);
  void on_step(const step_changed& now);
  void on_events(const request& r, std::string sandbox);
  void tell_readers();
  void read_on(std::uint64_t number, reader& who);
  void answer_list(const reader& who);
  void on_beat();
  void beat_again();
  void add_event(api::event e);

  /// Between the first step and Ready or the end.
  struct starting {
    instant since{};
    errc last = errc::internal;
  };

  self_ptr<> self_;
  api_options options_;
  std::shared_ptr<const surroundings> around_;
  caf::actor front_;
  caf::actor reaper_; ///< invalid without a durable journal
  api::event_ring events_;
  api::metrics counted_;
  api::replay_book replays_;
  std::map<std::uint64_t, request> about_keys_; ///< out at the journal, by ticket
  std::uint64_t key_tickets_ = 0;
  std::map<std::uint64_t, reader> readers_;
  std::uint64_t next_reader_ = 1;
  std::map<std::string, starting> starting_;
  std::map<std::uint64_t, std::function<void(records_loaded&)>> loading_; ///< by the journal's ticket
  std::uint64_t next_load_ = 1;
  std::optional<trace_sender> sender_;
  std::uint64_t audit_failures_ = 0;
  std::map<std::string, instant> intents_; ///< sandboxes of which a create or destroy is out, and since when
  bool beating_ = false;
  bool takes_new_ = true;
};

} // namespace nestor::actors
