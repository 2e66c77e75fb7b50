#include <nestor/io/http_client.hpp>

#include <nestor/io/clock.hpp>
#include <nestor/io/internal/http_pool.hpp>
#include <nestor/io/request_writer.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <utility>

namespace nestor::io {
namespace {

namespace asio = boost::asio;
using http::transport_error;
using phase = http_connection::phase;

constexpr milliseconds connect_share_min{1'000}; // the least time given to one address of several
constexpr milliseconds addresses_kept{10'000};   // an origin's resolved addresses, before the resolver is asked again

bool repeatable(http::method verb) {
  return verb == http::method::get || verb == http::method::head;
}

} // namespace

struct http_client::state final : http_connection::owner {
  asio::io_context& context;
  const http_client_options options;
  const response_limits limits;
  poller readiness;
  resolver names;
  tls_context tls;
  http_pool pool;
  asio::steady_timer timer;
  std::shared_ptr<state*> alive = std::make_shared<state*>(this); ///< posted work holds it weakly

  origin_table origins;
  deadline_wheel<exchange> deadlines;
  list_of<exchange, in_use> exchanges;
  list_of<exchange, in_queue> finished; ///< answered, and not yet told
  list_of<origin, has_work> eligible;   ///< may have one more connection, in turn
  list_of<origin, looks_unused> unused;
  std::vector<origin*> freed; ///< their connection has just become free
  http_client_counters count;
  bool ticking = false, turn_posted = false, settling = false;

  state(asio::io_context& io, http_client_options given)
      : context(io), options(std::move(given)), limits{options.header_max, options.body_max}, readiness(io),
        names(io, options.names), tls(options.ca_file),
        pool(readiness, limits, *this, {options.connections, options.idle, options.idle_for}), timer(io) {}
  ~state();

  instant now() const { return options.now(); }

  // -- calls ------------------------------------------------------------------------------------------------------
  void call(http_call what, std::function<void(http_reply)> done);
  void complete(exchange& e, http_reply reply);
  void wait_in_line(exchange& e, bool first);
  void expired(exchange& e);

  // -- connections ------------------------------------------------------------------------------------------------
  void make_eligible(origin& o);
  void look_at_later(origin& o);
  void dispatch();
  bool serve(origin& o);
  bool start_on_idle(origin& o);
  bool start_on_new(origin& o);
  bool make_room();
  void attach(pooled_connection& connection, exchange& e);
  exchange& detach(pooled_connection& connection);
  void park(pooled_connection& connection);
  void shut(pooled_connection& connection);
  void find_addresses(origin& o);
  void use_addresses(origin& o, const resolved& answer);
  void refuse_all(origin& o, transport_error why);

  // -- what connections say ---------------------------------------------------------------------------------------
  static pooled_connection& pooled(http_connection& connection);
  void answered(http_connection& on, http::response response, bool reusable) override;
  void broke(http_connection& on, const http_connection::breakage& how) override;
  void went_away(http_connection& on) override { shut(pooled(on)); }
  void settled() override { settle(); }

  // -- turns of the loop ------------------------------------------------------------------------------------------
  void settle();
  void post_turn();
  void start_ticking();
  void tick();
};

http_client::state::~state() {
  alive.reset();
  exchanges.clear_and_dispose([](exchange* e) { delete e; });
}

// -- calls --------------------------------------------------------------------------------------------------------

void http_client::state::call(http_call what, std::function<void(http_reply)> done) {
  ++count.calls;
  auto* e = new exchange; // in `exchanges`, which frees it
  exchanges.push_back(*e);
  e->done = std::move(done);
  e->call = std::move(what);
  if (!writable(e->call))
    return complete(*e, transport_error::malformed);
  if (!e->call.to.unix_path.empty() && e->call.from != address_source::node)
    return complete(*e, transport_error::address_refused);
  if (count.waiting >= options.waiting)
    return complete(*e, transport_error::overloaded);
  auto [at, made] = origins.try_emplace(origin_key{e->call.to, e->call.from});
  auto& o = at->second;
  o.key = &at->first;
  e->at = &o;
  e->due = now() + e->call.timeout;
  deadlines.add(*e, e->due);
  start_ticking();
  bool alone = o.waiting.empty();
  wait_in_line(*e, false);
  // The usual next step: its connection has just become free. It may not overtake others for ever.
  if (alone && !o.idle.empty() && (eligible.empty() || o.idle.front().streak < streak_max))
    start_on_idle(o);
  dispatch();
}

/// Answers `e`. It is told at the end of this turn of the loop, never from here.
void http_client::state::complete(exchange& e, http_reply reply) {
  deadlines.remove(e);
  if (e.queue::is_linked()) {
    e.queue::unlink();
    --count.waiting;
  }
  if (e.at != nullptr)
    look_at_later(*e.at);
  e.reply = std::move(reply);
  e.call = {}; // wiped now, not when the answer has been told
  finished.push_back(e);
  if (!settling)
    post_turn();
}

void http_client::state::wait_in_line(exchange& e, bool first) {
  auto& line = e.at->waiting;
  line.insert(first ? line.begin() : line.end(), e);
  ++count.waiting;
  make_eligible(*e.at);
}

void http_client::state::expired(exchange& e) {
  bool over = e.due <= now();
  if (e.on == nullptr && !over)
    return deadlines.add(e, e.due);
  if (e.on == nullptr) {
    auto why = e.at->resolving ? transport_error::name_unresolved : transport_error::overloaded;
    return complete(e, e.maybe_sent ? transport_error::timed_out : why);
  }
  auto& connection = *e.on;
  bool sent = connection.http.sent_any();
  auto now_in = connection.http.now_in();
  bool connecting = now_in == phase::connecting || now_in == phase::shaking_hands;
  if (!over && connecting)
    return broke(connection.http, {transport_error::unreachable, false, false, false}); // the next address, if any
  if (!over)
    return deadlines.add(e, e.due);
  shut(connection);
  complete(e, sent || e.maybe_sent ? transport_error::timed_out : transport_error::unreachable);
}

// -- connections --------------------------------------------------------------------------------------------------

void http_client::state::make_eligible(origin& o) {
  if (!o.waiting.empty() && !o.resolving && o.busy < options.connections_per_origin && !o.ready::is_linked())
    eligible.push_back(o);
}

/// Nothing may belong to it any more; that is settled at the end of the turn.
void http_client::state::look_at_later(origin& o) {
  if (!o.maybe_unused::is_linked())
    unused.push_back(o);
}

/// Serves origins in turn while there are connections for them.
void http_client::state::dispatch() {
  while (!eligible.empty()) {
    auto& o = eligible.front();
    o.ready::unlink();
    if (!serve(o)) {
      if (!o.ready::is_linked())
        eligible.push_front(o); // it stays the next one
      return;
    }
    make_eligible(o);
  }
}

/// False when there is no room for another connection now.
bool http_client::state::serve(origin& o) {
  if (o.waiting.empty() || o.busy >= options.connections_per_origin)
    return true;
  if (start_on_idle(o))
    return true;
  if (o.addresses.empty() || o.addresses_until <= now()) {
    find_addresses(o);
    if (o.resolving || o.waiting.empty())
      return true;
  }
  return (!pool.full() || make_room()) && start_on_new(o);
}

bool http_client::state::start_on_idle(origin& o) {
  while (!o.idle.empty() && !o.waiting.front().repeated) {
    auto& connection = o.idle.front();
    if (!http_pool::usable(connection, now())) {
      shut(connection);
      continue;
    }
    pool.take_idle(connection);
    ++count.reuses;
    auto& e = o.waiting.front();
    attach(connection, e);
    connection.http.reuse(e.call);
    return true;
  }
  return false;
}

bool http_client::state::start_on_new(origin& o) {
  auto& e = o.waiting.front();
  auto* context_for_tls = o.key->to.tls ? tls.get() : nullptr;
  if (o.key->to.tls && context_for_tls == nullptr) {
    complete(e, transport_error::tls_refused);
    return true;
  }
  auto& connection = pool.take_closed(o);
  attach(connection, e);
  auto left = o.addresses.size() - std::min(e.address, o.addresses.size() - 1);
  const auto& to = o.addresses[o.addresses.size() - left];
  if (left > 1) { // a silent address must leave time for the others
    auto share = std::max<microseconds>((e.due - now()) / static_cast<std::int64_t>(left), connect_share_min);
    deadlines.remove(e);
    deadlines.add(e, std::min(e.due, now() + share));
  }
  if (connection.http.open(to, context_for_tls, e.call) == http_connection::opening::started) {
    ++count.connects;
    return true;
  }
  ++count.descriptor_shortages;
  shut(connection);
  wait_in_line(e, true);
  auto* unneeded = pool.oldest();
  if (unneeded == nullptr)
    return false; // until one of ours is closed, or the next tick: others may have closed theirs
  shut(*unneeded);
  return true; // it is eligible again, with a descriptor to spare
}

/// Closes the longest unused connection, if its origin had its chance to use it.
bool http_client::state::make_room() {
  if (pool.idle() == 0)
    return false;
  auto* spare = pool.spare();
  if (spare == nullptr) {
    post_turn();
    return false;
  }
  shut(*spare);
  return true;
}

void http_client::state::attach(pooled_connection& connection, exchange& e) {
  e.queue::unlink();
  --count.waiting;
  e.on = &connection;
  connection.doing = &e;
  ++connection.of->busy;
}

exchange& http_client::state::detach(pooled_connection& connection) {
  auto& e = *std::exchange(connection.doing, nullptr);
  e.on = nullptr;
  --connection.of->busy;
  make_eligible(*connection.of);
  return e;
}

void http_client::state::park(pooled_connection& connection) {
  pool.keep(connection, now());
  freed.push_back(connection.of);
  if (auto* one_too_many = pool.outworn(now()))
    shut(*one_too_many);
}

/// Closes `connection`, whatever it is doing; what was on it is the caller's to answer.
void http_client::state::shut(pooled_connection& connection) {
  if (connection.doing != nullptr)
    detach(connection);
  look_at_later(*connection.of);
  pool.close(connection);
}

void http_client::state::find_addresses(origin& o) {
  const auto& to = o.key->to;
  if (!to.unix_path.empty()) {
    auto address = unix_address(to.unix_path);
    if (!address)
      return refuse_all(o, transport_error::unreachable);
    o.addresses.assign(1, *address);
    o.addresses_until = now() + addresses_kept;
    return;
  }
  if (auto answer = names.known(to.host))
    return use_addresses(o, *answer);
  o.resolving = true;
  names.resolve(to.host, [this, &o, weak = std::weak_ptr{alive}](const resolved& answer) {
    if (weak.expired())
      return;
    o.resolving = false;
    use_addresses(o, answer);
    make_eligible(o);
    look_at_later(o);
    settle();
  });
}

/// Connections are made to these very addresses, so that no later look-up can get past the rules.
void http_client::state::use_addresses(origin& o, const resolved& answer) {
  o.addresses.clear();
  for (const auto& address : answer.addresses)
    if (allowed(address, o.key->from, options.addresses))
      o.addresses.push_back(tcp_address(address, o.key->to.port));
  o.addresses_until = now() + addresses_kept;
  if (!o.addresses.empty())
    return;
  if (answer.what == resolved::overloaded)
    refuse_all(o, transport_error::overloaded);
  else
    refuse_all(o, answer.what == resolved::found ? transport_error::address_refused : transport_error::name_unresolved);
}

void http_client::state::refuse_all(origin& o, transport_error why) {
  while (!o.waiting.empty())
    complete(o.waiting.front(), why);
}

// -- what connections say -----------------------------------------------------------------------------------------

pooled_connection& http_client::state::pooled(http_connection& connection) {
  return *static_cast<pooled_connection*>(connection.tag);
}

void http_client::state::answered(http_connection& on, http::response response, bool reusable) {
  auto& connection = pooled(on);
  auto& e = detach(connection);
  if (reusable)
    park(connection);
  else
    shut(connection);
  complete(e, std::move(response));
}

void http_client::state::broke(http_connection& on, const http_connection::breakage& how) {
  auto& connection = pooled(on);
  bool reused = connection.http.reused();
  auto& o = *connection.of;
  auto& e = detach(connection);
  shut(connection);
  e.maybe_sent = e.maybe_sent || how.sent_any;
  bool other_address = !how.connected && how.why != transport_error::tls_refused && e.address + 1 < o.addresses.size();
  if (other_address) {
    ++e.address;
    deadlines.remove(e);
    deadlines.add(e, e.due);
    return wait_in_line(e, true);
  }
  bool stale = reused && !e.repeated && !how.heard_any && (how.why == transport_error::reset || !how.sent_any);
  if (stale && (!how.sent_any || repeatable(e.call.request.verb))) {
    e.repeated = true;
    ++count.retries;
    return wait_in_line(e, true);
  }
  complete(e, how.why);
}

// -- turns of the loop --------------------------------------------------------------------------------------------

/// Tells what is finished, then gives the connections that became free to whoever waits.
void http_client::state::settle() {
  if (std::exchange(settling, true))
    return;
  list_of<exchange, in_queue> telling;
  telling.swap(finished); // what an answer causes to fail at once is told in the next turn
  while (!telling.empty()) {
    auto& e = telling.front();
    auto done = std::move(e.done);
    auto reply = std::move(e.reply);
    delete &e;
    done(std::move(reply));
  }
  for (auto* o : std::exchange(freed, {}))
    while (!o->waiting.empty() && !o->idle.empty() && o->idle.front().streak < streak_max && start_on_idle(*o)) {}
  dispatch();
  settling = false;
  if (!finished.empty())
    post_turn();
  freed.clear(); // whose origin may go now; `dispatch` has seen to it
  while (!unused.empty()) {
    auto& o = unused.front();
    unused.pop_front();
    if (o.unused())
      origins.erase(*o.key);
  }
}

void http_client::state::post_turn() {
  if (std::exchange(turn_posted, true))
    return;
  asio::post(context, [this, weak = std::weak_ptr{alive}] {
    if (weak.expired())
      return;
    turn_posted = false;
    pool.next_turn();
    settle();
  });
}

void http_client::state::start_ticking() {
  if (std::exchange(ticking, true))
    return;
  timer.expires_after(deadlines.tick);
  timer.async_wait([this, weak = std::weak_ptr{alive}](boost::system::error_code stopped) {
    if (stopped || weak.expired())
      return;
    ticking = false;
    tick();
  });
}

void http_client::state::tick() {
  auto at = now();
  pool.next_turn();
  deadlines.turn(at, [this](exchange& e) { expired(e); });
  while (auto* outworn = pool.outworn(at))
    shut(*outworn);
  settle();
  if (!exchanges.empty() || pool.idle() > 0)
    start_ticking();
}

// -- the public face ----------------------------------------------------------------------------------------------

http_client::http_client(asio::io_context& context, http_client_options options) {
  if (!options.now)
    options.now = steady_now;
  if (!options.names.now)
    options.names.now = options.now;
  state_ = std::make_unique<state>(context, std::move(options));
}

http_client::~http_client() = default;

void http_client::call(http_call what, std::function<void(http_reply)> done) {
  state_->call(std::move(what), std::move(done));
}

http_client_counters http_client::counters() const {
  auto count = state_->count;
  count.open = state_->pool.open();
  count.idle = state_->pool.idle();
  return count;
}

} // namespace nestor::io
