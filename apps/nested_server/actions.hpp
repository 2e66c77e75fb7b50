// The action-execution server of contract §5, as far as an orchestrator needs it: `run` through /bin/sh -c and
// `run_ipython` through python3, one at a time, bounded in time and output. It runs what it is told: whoever has the
// session key has this machine, which is what the real one is for.
#pragma once

#include <nested_server/json.hpp>
#include <nested_server/site.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <deque>
#include <string>

namespace nestor::nested_server {

inline constexpr std::size_t action_output_max = 256U << 10U;   ///< bytes kept of one action's output, from its start
inline constexpr std::chrono::seconds action_time_default{120}; ///< the original's `sandbox.timeout`
inline constexpr std::chrono::seconds action_time_max{3'600};   ///< whatever the request asks for
inline constexpr std::size_t actions_waiting_max = 64;          ///< one more is answered with 503

struct action {
  std::string kind;      ///< "run" or "run_ipython"
  std::string text;      ///< command or code
  std::string directory; ///< to run in; empty: ours
  milliseconds time{action_time_default};
};

/// The action of a request's body. Nothing, with `why`, when it is none that this server runs.
std::optional<action> action_of(const wiped_json& body, std::string& why);

struct action_end {
  std::string output;
  int exit_code = -1; ///< as a shell says it; −1 when its time was up
  bool timed_out = false;
};
wiped_string observation_of(const action& a, const action_end& end);

class action_site final : public site, public std::enable_shared_from_this<action_site> {
public:
  action_site(boost::asio::io_context& io, secret session_key, instant started);
  ~action_site() override;

  void serve(const http::request& request, instant now, std::string_view client,
             const std::shared_ptr<reply_door>& back) override;

private:
  class run;
  struct waiting {
    action what;
    std::shared_ptr<reply_door> back;
  };
  void take(const http::request& request, const std::shared_ptr<reply_door>& back);
  void next();

  boost::asio::io_context& io_;
  server_model open_routes_; ///< /alive and /server_info, and the check of the key
  std::deque<waiting> waiting_;
  std::shared_ptr<run> running_;
};

} // namespace nestor::nested_server
