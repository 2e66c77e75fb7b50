// The verbs of the command line: what each one is given, and what it ends with. main.cpp turns arguments into these;
// each verb has a file of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace nestor::cli {

/// The exit codes that scripts rely on.
enum exit_code : int {
  done = 0,
  failed = 1,      ///< the sandbox or operation failed
  usage = 2,       ///< usage, or a bad file
  refused = 3,     ///< authentication, quota, conflict; or a needed thing is missing
  unreachable = 4, ///< the node
  timed_out = 5    ///< while waiting
};

enum class output : std::uint8_t { table, json };

struct up_options {
  std::string file;   ///< "-": standard input
  std::string config; ///< of the node; empty: none
  bool once = false;
  output as = output::table;
  bool colour = true;
};

struct demo_options {
  bool colour = true;
};

struct bench_options {
  std::string spec;
  std::uint64_t count = 0;       ///< 1 … bench_index_max + 1
  std::uint64_t concurrency = 0; ///< 1 … count
  double hold_s = 0;             ///< seconds; 0: not held
  bool colour = true;
};

/// Of the verbs that look at providers' accounts.
struct accounts_options {
  std::string config;       ///< of the node; empty: none
  std::string name;         ///< one account only; empty: all
  std::string installation; ///< of `leak audit` without a node: whose runtimes
  output as = output::table;
  bool colour = true;
};

struct version_options {
  output as = output::table;
};

struct explain_options {
  std::string subject;  ///< an error code or a field; empty: list them all
  std::string markdown; ///< "errors", "fields", "config" or "api": the generated page instead
  bool colour = true;
};

struct serve_options {
  std::string config; ///< of the node; empty: none
  std::string state;  ///< folder; empty: the configuration's
  std::string listen; ///< address:port; empty: the configuration's
};

/// Of `nestor config`.
struct config_options {
  serve_options serve; ///< what serve would be given
  bool origin = false; ///< of `view`: say who said it
  output as = output::table;
};

int run_serve(const serve_options& o);
int run_config_validate(const config_options& o);
int run_config_view(const config_options& o);
int run_up(const up_options& o);
int run_demo(const demo_options& o);
int run_bench(const bench_options& o);
int run_provider_list(const accounts_options& o);
int run_provider_verify(const accounts_options& o);
int run_doctor(const accounts_options& o);
int run_local_audit(const accounts_options& o);
int run_version(const version_options& o);
int run_explain(const explain_options& o);
/// `wanted`: bash, zsh, fish or man.
int run_completion(const CLI::App& app, const std::string& wanted);

/// docs/errors.md, docs/spec.md and docs/config.md.
std::string errors_page();
std::string fields_page();
std::string config_page();
/// What `explain` prints about one; empty when there is no such code or field.
std::string explanation_of(std::string_view subject);

/// Of this build.
std::string build_version();

/// The whole command line. Prints help, versions and usage errors itself.
int run(int argc, const char* const* argv);

} // namespace nestor::cli
