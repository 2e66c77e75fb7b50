// The verbs that drive a running node over its API: what each is given. client_line.cpp turns arguments into these.
#pragma once

#include "api_client.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace nestor::cli {

enum class shape : std::uint8_t { table, wide, json, yaml, name };

/// Of every client verb; each uses what concerns it.
struct client_verb {
  client_options node;
  shape as = shape::table;
  bool colour = true;
  std::string id;
  std::vector<std::string> ids;
  std::string file; ///< specification or configuration
  bool wait = false;
  double timeout_s = 120;       ///< of `--wait` and `wait`
  std::string wanted = "ready"; ///< `wait --for`
  std::string idempotency_key;
  std::vector<std::string> labels; ///< key=value
  std::string status;
  bool all = false;
  bool yes = false;
  bool follow = false;
  bool dry_run = false;
  bool curl = false;
  std::string path; ///< `set`: what is set
  std::string from_file;
  std::string from_env;
  std::string tenant = "default";
  std::string role = "read";
  std::string note;
  std::vector<std::string> words; ///< `run`: the command
  std::string code;               ///< `python`
  std::string directory;          ///< to run either in
  std::string provider;
  std::string installation;
  std::string config; ///< `leak audit` without a node: the providers' configuration
};

int run_sandbox_create(const client_verb& o);
int run_sandbox_list(const client_verb& o);
int run_sandbox_get(const client_verb& o);
int run_sandbox_describe(const client_verb& o);
int run_sandbox_events(const client_verb& o);
int run_sandbox_logs(const client_verb& o);
int run_sandbox_wait(const client_verb& o);
int run_sandbox_configure(const client_verb& o);
int run_sandbox_set(const client_verb& o);
int run_sandbox_access(const client_verb& o);
int run_sandbox_run(const client_verb& o);
int run_sandbox_python(const client_verb& o);
int run_sandbox_pause(const client_verb& o);
int run_sandbox_resume(const client_verb& o);
int run_sandbox_delete(const client_verb& o);
int run_leak_audit(const client_verb& o);
int run_leak_reap(const client_verb& o);
int run_node_status(const client_verb& o);
int run_node_drain(const client_verb& o);
int run_node_confirm(const client_verb& o);
int run_keys_list(const client_verb& o);
int run_keys_rotate(const client_verb& o);
int run_token_create(const client_verb& o);
int run_token_list(const client_verb& o);
int run_token_revoke(const client_verb& o);

/// Adds their nouns to the command line.
void define_client_verbs(CLI::App& app, client_verb& o);
/// Runs the one that was given; nothing when it was none of these.
std::optional<int> run_client_verb(const CLI::App& app, client_verb& o);

} // namespace nestor::cli
