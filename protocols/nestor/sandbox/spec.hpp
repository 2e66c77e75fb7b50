// What a user asks for: one sandbox, every field validated, every secret reference resolved. The form that actors and
// providers work with; reading documents into it is spec_reader.hpp's business.
#pragma once

#include <nestor/core/intensity.hpp>
#include <nestor/core/secret.hpp>
#include <nestor/core/time.hpp>
#include <nestor/nested/configuration.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nestor {

enum class adoption : std::uint8_t { refuse, overwrite };
enum class on_failure : std::uint8_t { destroy, keep };
enum class on_loss : std::uint8_t { keep, replace };
enum class actions_via : std::uint8_t { none, action_server, provider_exec };

/// The runtime to rent. Which fields mean something is the provider's to say; one that it cannot honour is an error.
struct runtime_spec {
  std::string image;
  std::vector<std::string> command; ///< argv, never a shell string
  std::uint16_t port = 0;           ///< of the nested server; 0 = chosen by us (process)
  std::string port_env = "PORT";
  std::string session_key_env = "SESSION_API_KEY";
  std::vector<std::pair<std::string, std::string>> env; ///< never secrets
  std::string url;                                      ///< static only
  secret session_key;                                   ///< static only; others get one generated per runtime
  adoption adopt = adoption::refuse;                    ///< static only
  std::string alive_path = "/alive";
  std::optional<double> cpu; ///< cores
  std::optional<std::uint64_t> memory_bytes;
  actions_via actions = actions_via::none;
  std::uint16_t actions_port = 0;
  std::string options = "{}"; ///< the provider kind's own fields, canonical JSON
};

/// Budgets and what happens when they are spent. Defaults are interfaces' defaults.
struct sandbox_policy {
  on_failure failing = on_failure::destroy;
  on_loss losing = on_loss::keep;
  milliseconds ready_within{120'000};
  milliseconds queue_within{1'800'000};
  std::optional<milliseconds> step_timeout;
  milliseconds probe_every{60'000};
  intensity_limit restarts{}; ///< replacements of the runtime before the first Ready
  std::optional<milliseconds> lease;
  std::optional<milliseconds> max_lifetime;
  std::optional<milliseconds> idle_after; ///< then pause
};

struct sandbox_spec {
  std::string tenant = "default"; ///< whose it is; no field of the document, the node says so
  std::string name;               ///< empty: none; unique per tenant
  std::map<std::string, std::string> labels;
  std::string provider = "process"; ///< name of a configured provider
  std::shared_ptr<const runtime_spec> runtime;
  std::string dialect = "auto";
  std::shared_ptr<const nested::configuration> configuration;
  std::string conversation; ///< dialect's own fields as JSON; empty: none is started
  sandbox_policy policy;
};

} // namespace nestor
