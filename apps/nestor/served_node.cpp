#include "served_node.hpp"

#include "dashboard_pages.hpp"
#include "verbs.hpp"

#include <nestor/actors/api_desk.hpp>
#include <nestor/api/refused_logins.hpp>
#include <nestor/bridge/reactor.hpp>
#include <nestor/io/clock.hpp>
#include <nestor/io/http_server.hpp>
#include <nestor/io/line_writer.hpp>
#include <nestor/io/rotated_file.hpp>
#include <nestor/io/secret_source.hpp>

#include <unistd.h>

#include <exception>

namespace nestor::cli {
namespace {

// Actors that were told to end do so within messages; more time means that something is stuck.
constexpr std::chrono::seconds desk_ends_within{10};

struct prepared_config : caf::actor_system_config {
  prepared_config() { actors::dedicate(*this); }
};

struct types_first {
  types_first() { actors::register_messages(); }
};

std::vector<std::string> hosts_of(const serve_config& serve) {
  auto hosts = serve.hosts;
  bool v6 = serve.address.find(':') != std::string::npos;
  hosts.push_back(v6 ? "[" + serve.address + "]" : serve.address);
  return hosts;
}

io::http_server_options options_of(const serve_config& serve) {
  io::http_server_options options;
  options.connections_max = serve.connections_max;
  options.head_within = serve.head_within;
  options.body_within = serve.body_within;
  options.idle_within = serve.idle_within;
  options.write_within = serve.write_within;
  options.certificate = serve.certificate;
  options.key = serve.key;
  return options;
}

/// Throws std::runtime_error when a header's value cannot be read.
actors::trace_target target_of(const traces_config& traces) {
  actors::trace_target target{{traces.collector.tls, traces.collector.host, traces.collector.port, {}},
                              traces.collector.path.empty() ? "/" : traces.collector.path,
                              {},
                              build_version()};
  for (const auto& [name, from] : traces.headers) {
    auto value =
      from.kind == reference_kind::literal ? expected<secret>{from.literal} : io::look_up_secret(from.kind, from.name);
    if (!value)
      throw std::runtime_error{from.path + ": " + value.error().cause};
    value->expose([&, &title = name](std::string_view text) { target.headers.push_back({title, wiped_string{text}}); });
  }
  return target;
}

/// What is asked of nested servers on behalf of a start that is traced.
class trace_parents final : public actors::trace_port {
public:
  explicit trace_parents(std::shared_ptr<const api::trace_book> book) : book_(std::move(book)) {}
  [[nodiscard]] std::string parent_of(const sandbox_id& sandbox) const override {
    auto context = book_->context_of(sandbox.text);
    return context ? api::to_text(*context) : std::string{};
  }

private:
  std::shared_ptr<const api::trace_book> book_; // written by the desk, on the same loop
};

} // namespace

struct served_node::impl {
  types_first types; // CAF 1.x wants them before any configuration exists
  prepared_config config;
  caf::actor_system system{config};
  io::line_writer log{STDERR_FILENO};
  log_format log_as = log_format::text;
  log_level log_from = log_level::info;
  std::unique_ptr<io::rotated_file> audit;
  api::refused_logins refused_logins; // used on the node's loop
  std::shared_ptr<api::trace_book> traces;
  std::shared_ptr<actors::api_gate> gate = std::make_shared<actors::api_gate>();
  std::unique_ptr<actors::node> node;
  std::unique_ptr<io::http_server> server; // made and used on the node's loop
  caf::actor desk;
  std::string url;

  actors::node_options options_of_node(const node_config& c, const state_folder& state,
                                       actors::api_options desk_options) {
    actors::node_options options;
    options.journal = c.journal.empty() ? std::string{journal_scheme} + state.file("journal.db") : c.journal;
    options.keys = c.keys_file.empty() ? state.file("keys") : c.keys_file;
    options.addresses_allowed = c.addresses_allow;
    options.addresses_denied = c.addresses_deny;
    options.resolve = c.resolve;
    options.ca_file = c.ca_file;
    options.accounts = c.accounts;
    if (c.sandboxes_max)
      options.limits.sandboxes_max = *c.sandboxes_max;
    options.limits.per_tenant_max = c.serve.per_tenant_max;
    options.limits.ended_for = c.serve.ended_for;
    options.sweeps = {c.serve.sweep_every, c.serve.sweeps};
    options.detailed = true;
    if (traces)
      options.traces = std::make_shared<const trace_parents>(traces);
    options.observer = [this, desk_options = std::move(desk_options)](caf::actor_system& s, actors::home* home) {
      desk = caf::actor_cast<caf::actor>(actors::spawn<actors::api_desk>(s, home, desk_options));
      return desk;
    };
    return options;
  }

  void tell(const serve_config& serve, const state_folder& state, actors::api_options& desk_options) {
    log_as = serve.log_as;
    desk_options.log_from = log_from = serve.log_from;
    desk_options.log = [this](const log_line& line) { log.write(line.text(log_as)); };
    desk_options.lines_dropped = [this] { return log.dropped(); };
    audit = std::make_unique<io::rotated_file>(state.file("audit.jsonl"));
    desk_options.audit = [this](const log_line& line) { return audit->add(line.text(log_format::json)); };
    gate->on_refused_login = [this](const http::request& head) { tell_refused_login(head); };
    if (!serve.traces)
      return;
    desk_options.traces = traces = std::make_shared<api::trace_book>();
    desk_options.collector = target_of(*serve.traces);
  }

  /// Where it was tried, and never with what.
  void tell_refused_login(const http::request& head) {
    auto untold = refused_logins.tell(io::steady_now());
    if (!untold)
      return;
    auto wall = io::wall_now();
    log_line line{wall, log_level::warning, "login.refused"};
    auto target = api::parse_target(head.target);
    auto found = target ? api::match(head.verb, *target) : expected<api::matched>{failure{}};
    line.with("route", found ? std::string_view{found->where->name} : std::string_view{});
    line.with("status", row_of(errc::token_refused).http_status).with("code", name_of(errc::token_refused));
    if (*untold != 0)
      line.with("untold_before", *untold);
    if (!audit->add(line.text(log_format::json)) && log_from <= log_level::error)
      log.write(log_line{wall, log_level::error, "audit.failed"}.with("cause", "no room for it").text(log_as));
  }

  void listen(const serve_config& serve) {
    std::exception_ptr failed;
    std::uint16_t port = 0;
    auto& loop = node->loop();
    loop.run_here([&] {
      try {
        server = std::make_unique<io::http_server>(
          loop.context(), options_of(serve), [kept = gate](const http::request& head) { return kept->refusal(head); },
          [to = desk](std::shared_ptr<http_exchange> exchange) {
            actors::tell_from_outside(to, actors::api_call{std::move(exchange)});
          });
        port = server->listen(serve.address, serve.port);
      } catch (...) { failed = std::current_exception(); }
    });
    if (failed)
      std::rethrow_exception(failed);
    url = (serve.certificate.empty() ? "http://" : "https://") + hosts_of(serve).back() + ":" + std::to_string(port);
  }

  ~impl() {
    if (!node)
      return;
    node->loop().run_here([this] { server.reset(); });
    {
      caf::scoped_actor self{system};
      self->monitor(desk);
      caf::anon_send_exit(desk, caf::exit_reason::user_shutdown);
      desk = nullptr;
      self->receive([](const caf::down_msg&) {}, caf::after(desk_ends_within) >> [] {});
    }
    node.reset();
  }
};

served_node::served_node(const node_config& config, const state_folder& state, api::token_book tokens)
    : impl_(std::make_unique<impl>()) {
  impl_->gate->tokens = std::move(tokens);
  impl_->gate->rules.hosts = hosts_of(config.serve);
  impl_->gate->rules.tls = !config.serve.certificate.empty();
  actors::api_options desk;
  desk.gate = impl_->gate;
  desk.version = build_version();
  desk.events_kept = config.serve.events_kept;
  desk.per_tenant_max = config.serve.per_tenant_max;
  desk.pages = dashboard_page;
  desk.keep_tokens = [&state](const api::token_book& book) { return state.keep_tokens(book); };
  desk.connections = [held = impl_.get()] { return held->server ? held->server->connections() : 0; };
  impl_->tell(config.serve, state, desk);
  impl_->node = std::make_unique<actors::node>(impl_->system, impl_->options_of_node(config, state, std::move(desk)));
  actors::tell_from_outside(
    impl_->desk, actors::surroundings_known{impl_->node->shared_around(), impl_->node->front(), impl_->node->reaper()});
  impl_->listen(config.serve);
}

served_node::~served_node() = default;

const std::string& served_node::url() const {
  return impl_->url;
}

void served_node::say(log_level level, std::string_view event, std::string_view text) {
  if (level >= impl_->log_from)
    impl_->log.write(log_line{io::wall_now(), level, event}.with("message", text).text(impl_->log_as));
}

void served_node::reload(const node_config& config) {
  actors::tell_from_outside(impl_->desk, actors::hosts_changed{hosts_of(config.serve)});
}

} // namespace nestor::cli
