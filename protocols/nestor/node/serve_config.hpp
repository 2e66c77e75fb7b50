// What `nestor serve` is told besides its providers: where its state is, where it listens, who may address it, and how
// much it takes, and to whom it tells what it does. Values only.
#pragma once

#include <nestor/core/time.hpp>
#include <nestor/http/url.hpp>
#include <nestor/node/log_line.hpp>
#include <nestor/sandbox/secret_reference.hpp>
#include <nestor/supervision/sweep.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nestor {

/// Where traces go: a collector that speaks OTLP/HTTP in its JSON form.
struct traces_config {
  http::url collector; ///< whole, with its path, such as http://127.0.0.1:4318/v1/traces
  std::vector<std::pair<std::string, secret_reference>> headers; ///< of every request to it, such as an API key
};

struct serve_config {
  std::string state;                 ///< folder of tokens, lock, journal and keys; empty: the user's own
  std::string address = "127.0.0.1"; ///< numeric
  std::uint16_t port = 7077;         ///< 0: a free one
  std::vector<std::string> hosts;    ///< names it answers to besides loopback's and its address; lower case
  std::string certificate;           ///< PEM files, both or none; both where the address is not loopback's
  std::string key;
  std::size_t per_tenant_max = 1'000;  ///< sandboxes
  std::size_t connections_max = 4'096; ///< of clients
  std::size_t events_kept = 100'000;
  milliseconds ended_for{24 * 3'600'000}; ///< how long a sandbox that has ended can be read
  milliseconds sweep_every{60'000};
  supervision::sweep_limits sweeps;
  milliseconds head_within{10'000};
  milliseconds body_within{30'000};
  milliseconds idle_within{75'000};
  milliseconds write_within{30'000};
  log_format log_as = log_format::text;
  log_level log_from = log_level::info;
  std::optional<traces_config> traces; ///< nothing: none are made
};

} // namespace nestor
