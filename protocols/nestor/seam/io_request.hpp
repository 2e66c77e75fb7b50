// What the decision layer asks of the world, and what it hears back: values only. One variant each way, so that a
// provider or dialect translates without knowing who performs. io/ performs; tests answer in its place.
#pragma once

#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>
#include <nestor/http/message.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace nestor {

/// Where an HTTP server is: TCP (with TLS or without) or a unix socket.
struct endpoint {
  bool tls = false;
  std::string host; ///< name or address; ignored when `unix_path` is set
  std::uint16_t port = 0;
  std::string unix_path;    ///< empty for TCP
  std::string ca_file = {}; ///< PEM to trust besides the system's and the node's; empty: none
  friend auto operator<=>(const endpoint&, const endpoint&) = default;
};

/// Who supplied the address; decides which address ranges are acceptable (architecture: loopback and private only
/// where allowed, link-local and metadata never).
enum class address_source : std::uint8_t {
  node, ///< the node itself chose it (a process it started on loopback)
  spec  ///< a specification or a provider supplied it
};

/// One HTTP exchange. Answered by `http_reply` exactly once, `timeout` after it was handed over at the latest.
struct http_call {
  endpoint to;
  http::request request;
  milliseconds timeout{10'000};
  address_source from = address_source::spec;
};
using http_reply = std::variant<http::response, http::transport_error>;

/// One gRPC exchange, messages as bytes: one goes out, and one comes back or a stream of them. Answered by `grpc_reply`
/// exactly once, `timeout` after the hand-over at the latest.
struct grpc_call {
  endpoint to;
  std::string via;                    ///< a numeric address to connect to; empty: those that `to.host` has
  std::string method;                 ///< "/package.Service/Method"
  std::vector<http::header> metadata; ///< names in lower case; values may be keys
  wiped_string message;
  milliseconds timeout{10'000};
  address_source from = address_source::spec;
};
/// What the server, or the channel in its place, said. Codes are gRPC's own: 0 OK, 14 UNAVAILABLE, 16 UNAUTHENTICATED.
struct grpc_answer {
  int status = 0;
  std::string status_message;
  std::vector<std::pair<std::string, std::string>> trailers;
  wiped_string message; ///< a stream's messages one after the other, which is how protobuf merges them
};
/// Like an HTTP exchange it either came back or broke; `http::never_sent` tells whether it may have taken effect.
using grpc_reply = std::variant<grpc_answer, http::transport_error>;

/// A process that cannot be confused with another one that got its number later.
struct process_ref {
  std::int64_t pid = 0;
  std::uint64_t start_time = 0; ///< clock ticks after boot, field 22 of /proc/PID/stat
  std::string boot_id;          ///< /proc/sys/kernel/random/boot_id
  friend auto operator<=>(const process_ref&, const process_ref&) = default;
};

/// Starts a child. Its environment starts empty but for PATH, HOME, LANG, TMPDIR taken from ours and what is listed.
struct process_spawn {
  std::vector<std::string> argv; ///< never a shell string; argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::pair<std::string, secret>> secret_env; ///< the session key; in the child's environment only
  std::string marker;                                     ///< value of NESTOR_RUNTIME in the child's environment
  std::uint16_t port = 0;                                 ///< 0: a free loopback port is chosen
  std::string port_env;                                   ///< variable that tells the child its port; empty: none
  std::string next_port_env; ///< … and the port after it, which is then chosen to be free as well
  bool outlives_us = false;  ///< false: the guardian ends its tree when we die
};
/// Ends the whole tree of `process`: TERM, then KILL after a grace. Answered when none of it is left.
struct process_end {
  process_ref process;
  milliseconds grace{2'000};
};
/// Is it (and not a later process with its number) still there?
struct process_look {
  process_ref process;
};

/// Which child of ours carries this marker? Answered by `process_started` or `process_absent`.
struct process_find {
  std::string marker;
};

/// What has it printed lately? Answered by `process_printed`.
struct process_output {
  process_ref process;
};

struct process_started {
  process_ref process;
  std::uint16_t port = 0;
};
struct process_present {};
struct process_absent {
  int exit_status = -1;    ///< as in a shell: 0–255, 128+signal; −1 when not known
  std::string output_tail; ///< last lines of its output, bounded; may hold secrets until redacted
};
struct process_printed {
  bool captured = false; ///< false: its output is not ours to read, because an earlier node started it
  std::string text{};    ///< whole lines, the last ones, bounded; may hold secrets until redacted
};
/// It could not be started or looked at: what the system said ("No such file or directory").
struct process_refused {
  std::string reason;
  bool passing = false; ///< for want of descriptors, processes, memory or ports: it may be had later
};

using io_request =
  std::variant<http_call, grpc_call, process_spawn, process_end, process_look, process_find, process_output>;
using io_reply = std::variant<http_reply, grpc_reply, process_started, process_present, process_absent, process_refused,
                              process_printed>;

} // namespace nestor
