// What the HTTP client keeps books about: calls under way, pooled connections, and the origins that both belong to.
// Plain records in intrusive lists: moving one between queues allocates nothing. Internal to io/http_client.
#pragma once

#include <nestor/io/internal/deadline_wheel.hpp>
#include <nestor/io/internal/http_connection.hpp>
#include <nestor/seam/io_request.hpp>

#include <boost/intrusive/list.hpp>

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace nestor::io {

namespace intrusive = boost::intrusive;
template <class Tag>
using list_hook = intrusive::list_base_hook<intrusive::tag<Tag>, intrusive::link_mode<intrusive::auto_unlink>>;
template <class T, class Tag>
using list_of = intrusive::list<T, intrusive::base_hook<list_hook<Tag>>, intrusive::constant_time_size<false>>;

struct in_queue; ///< waiting at its origin, or answered and not yet told
struct in_use;   ///< every exchange there is

struct origin;
struct pooled_connection;

/// One call, from its hand-over to its answer.
struct exchange final : deadline_node, list_hook<in_queue>, list_hook<in_use> {
  using queue = list_hook<in_queue>;
  http_call call;
  std::function<void(http_reply)> done;
  http_reply reply;
  instant due;                     ///< the call's own deadline; the wheel may wake it earlier
  origin* at = nullptr;            ///< null before it has been accepted
  pooled_connection* on = nullptr; ///< null while it waits
  std::size_t address = 0;         ///< which of the origin's addresses to try next
  bool repeated = false;           ///< its one repetition has been used; only a new connection will do
  bool maybe_sent = false;         ///< something of it went out on a connection that broke
};

struct by_age;    ///< unused connections of all origins
struct by_origin; ///< unused connections of one

struct pooled_connection final : list_hook<by_age>, list_hook<by_origin> {
  using aged = list_hook<by_age>;
  using owned = list_hook<by_origin>;
  template <class... Args>
  explicit pooled_connection(Args&&... args) : http(std::forward<Args>(args)...) {
    http.tag = this;
  }

  http_connection http;
  exchange* doing = nullptr;
  origin* of = nullptr;
  instant idle_since;
  std::uint64_t idle_turn = 0;
  std::uint32_t streak = 0; ///< exchanges in a row that its origin kept it for
};

struct origin_key {
  endpoint to;
  address_source from;
  friend bool operator==(const origin_key&, const origin_key&) = default;
};
struct origin_hash {
  std::size_t operator()(const origin_key& key) const noexcept {
    auto hash = std::hash<std::string>{};
    return (hash(key.to.host) * 31 + key.to.port * 4U + (key.to.tls ? 2U : 0U) + static_cast<unsigned>(key.from)) ^
           (key.to.unix_path.empty() ? 0 : hash(key.to.unix_path));
  }
};

struct has_work;     ///< may be served now
struct looks_unused; ///< to be looked at: nothing may belong to it any more

/// One server as reached with one kind of trust: calls whose address a specification supplied never share a connection
/// with calls whose address we chose, since other rules admitted it.
struct origin final : list_hook<has_work>, list_hook<looks_unused> {
  using ready = list_hook<has_work>;
  using maybe_unused = list_hook<looks_unused>;
  const origin_key* key = nullptr; ///< where the table keeps it
  list_of<exchange, in_queue> waiting;
  list_of<pooled_connection, by_origin> idle; ///< the latest used first: its peer is the least likely to have gone
  std::size_t busy = 0;                       ///< connections with an exchange on them
  std::vector<socket_address> addresses;      ///< admitted by the rules
  instant addresses_until;
  bool resolving = false;

  [[nodiscard]] bool unused() const { return waiting.empty() && idle.empty() && busy == 0 && !resolving; }
};

using origin_table = std::unordered_map<origin_key, origin, origin_hash>;

} // namespace nestor::io
