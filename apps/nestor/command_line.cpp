// The one parser of arguments: verbs, their options and examples, and what is said about a mistyped one.
#include "client_verbs.hpp"
#include "verbs.hpp"

#include <nestor/sandbox/placeholder.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <vector>

namespace nestor::cli {
namespace {

constexpr double hold_max_s = 86'400; // seconds: a day of holding is a soak test of its own

struct all_options {
  bool no_colour = false;
  up_options up;
  demo_options demo;
  bench_options bench;
  version_options version;
  explain_options explain;
  accounts_options accounts;
  serve_options serve;
  config_options config;
  client_verb client;
  std::string completion;
};

void output_option(CLI::App& verb, output& as) {
  static const std::map<std::string, output> words{{"table", output::table}, {"json", output::json}};
  verb.add_option("-o,--output", as, "table or json")
    ->transform(CLI::CheckedTransformer(words).description(""))
    ->type_name("FORMAT");
}

void config_option(CLI::App& verb, std::string& file) {
  verb.add_option("--config", file, "The node's configuration (nestor.yaml)")->type_name("FILE");
}

void define_up(CLI::App& app, up_options& o) {
  auto* verb = app.add_subcommand("up", "One sandbox in the foreground, no node needed; Ctrl-C destroys it");
  verb->add_option("-f,--file", o.file, "Specification, YAML or JSON; - for standard input")
    ->required()
    ->type_name("FILE");
  config_option(*verb, o.config);
  verb->add_flag("--once", o.once, "Print the sandbox when it is Ready, destroy it and exit");
  output_option(*verb, o.as);
  verb->footer("Example:\n  nestor up -f spec.yaml\n  nestor up -f spec.yaml --once -o json");
}

void node_options(CLI::App& verb, serve_options& o) {
  config_option(verb, o.config);
  verb.add_option("--state", o.state, "The folder of its state")->type_name("FOLDER");
  verb.add_option("--listen", o.listen, "Where it answers; port 0 takes a free one")->type_name("ADDRESS:PORT");
}

void define_serve(CLI::App& app, serve_options& o) {
  auto* verb = app.add_subcommand("serve", "The node: others drive it over its API; SIGTERM drains it");
  node_options(*verb, o);
  verb->footer("Example:\n  nestor serve --config nestor.yaml\n  nestor serve --listen 127.0.0.1:0 --state ./state");
}

void define_demo(CLI::App& app) {
  auto* verb =
    app.add_subcommand("demo", "Shows what Nestor does, with local processes: no account, no root, no network");
  verb->footer("Example:\n  nestor demo");
}

void define_bench(CLI::App& app, bench_options& o) {
  auto* verb = app.add_subcommand("bench", "Creates many sandboxes in this process and prints one JSON line");
  verb->add_option("--spec", o.spec, "Specification; any text in it may hold {index}")->required()->type_name("FILE");
  verb->add_option("--count", o.count, "How many sandboxes")
    ->required()
    ->check(CLI::Range(std::uint64_t{1}, bench_index_max + 1));
  verb->add_option("--concurrency", o.concurrency, "How many at once, before Ready")
    ->required()
    ->check(CLI::Range(std::uint64_t{1}, bench_index_max + 1));
  verb->add_option("--hold", o.hold_s, "Keep them Ready for this long")
    ->check(CLI::Range(0.0, hold_max_s))
    ->type_name("SECONDS");
  verb->footer("Example:\n  nestor bench --spec bench.yaml --count 10000 --concurrency 256 --hold 10");
}

void define_version(CLI::App& app, version_options& o) {
  auto* verb = app.add_subcommand("version", "What this binary is");
  output_option(*verb, o.as);
  verb->footer("Example:\n  nestor version -o json");
}

void define_explain(CLI::App& app, explain_options& o) {
  auto* verb = app.add_subcommand(
    "explain",
    "Explains an error code, or a field of a specification or of the node's configuration; without one, lists them");
  verb->add_option("subject", o.subject, "An error code or a field's path")->type_name("CODE|FIELD");
  verb->add_option("--markdown", o.markdown, "Print the whole page: errors, fields, config or api")
    ->check(CLI::IsMember({"errors", "fields", "config", "api"}))
    ->type_name("PAGE");
  verb->footer("Example:\n  nestor explain git_token_refused\n  nestor explain policy.ready_within");
}

void define_completion(CLI::App& app, std::string& wanted) {
  auto* verb = app.add_subcommand("completion", "Prints a shell's completion script, or the manual page");
  verb->add_option("shell", wanted, "For whom")->required()->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));
  verb->footer("Example:\n  source <(nestor completion bash)\n  nestor completion man | man -l -");
}

void define_provider(CLI::App& app, accounts_options& o) {
  auto* noun = app.add_subcommand("provider", "The configured providers, and whether their credentials are good");
  noun->require_subcommand(1);
  auto* list = noun->add_subcommand("list", "Every configured provider");
  auto* verify = noun->add_subcommand("verify", "Proves credentials with one cheap authenticated call each");
  verify->add_option("name", o.name, "Only this one")->type_name("NAME");
  for (auto* verb : {list, verify}) {
    config_option(*verb, o.config);
    output_option(*verb, o.as);
  }
  noun->footer("Example:\n  nestor provider list\n  nestor provider verify e2b --config nestor.yaml");
}

void define_doctor(CLI::App& app, accounts_options& o) {
  auto* verb = app.add_subcommand("doctor", "Checks what Nestor needs here; each check with a remedy");
  config_option(*verb, o.config);
  output_option(*verb, o.as);
  verb->footer("Example:\n  nestor doctor --config nestor.yaml");
}

void define_config(CLI::App& app, config_options& o) {
  auto* noun = app.add_subcommand("config", "The node's configuration: whether it can be, and what is in force");
  noun->require_subcommand(1);
  auto* validate = noun->add_subcommand("validate", "Checks it whole; every fault with its line");
  auto* view = noun->add_subcommand("view", "What is in force, by file < environment < flag");
  for (auto* verb : {validate, view})
    node_options(*verb, o.serve);
  view->add_flag("--origin", o.origin, "Say who said it: a line of the file, a variable, a flag, or the default");
  output_option(*view, o.as);
  noun->footer("Example:\n  nestor config validate --config nestor.yaml\n  nestor config view --origin");
}

/// The first argument that is no option: the verb as typed.
std::string typed_verb(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i)
    if (argv[i][0] != '-')
      return argv[i];
  return {};
}

int usage_error(const std::string& message) {
  std::cerr << "nestor: " << message << '\n';
  return usage;
}

std::vector<std::string> verbs_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

int unknown_verb(const std::vector<std::string>& known, const std::string& typed) {
  std::vector<std::string_view> verbs{known.begin(), known.end()};
  std::string all;
  for (const auto& verb : known)
    all.append(all.empty() ? "" : ", ").append(verb);
  auto near = nearest(typed, verbs);
  return usage_error("unknown verb `" + typed.substr(0, word_max) + "`; " +
                     (near ? "did you mean `" + std::string{*near} + "`?" : "there are " + all));
}

/// CLI11's words, and for a mistyped option the one that was probably meant.
int parse_error(const CLI::App& app, const CLI::ParseError& e, const std::string& verb, int argc,
                const char* const* argv) {
  std::string message = e.what();
  if (const auto* extras = dynamic_cast<const CLI::ExtrasError*>(&e); extras != nullptr && !verb.empty()) {
    std::vector<std::string> known;
    for (const auto* option : app.get_subcommand(verb)->get_options())
      for (const auto& name : option->get_lnames())
        known.push_back("--" + name);
    std::vector<std::string_view> names{known.begin(), known.end()};
    for (int i = 1; i < argc; ++i)
      if (std::string_view typed = argv[i]; typed.starts_with("--"))
        if (auto near = nearest(typed, names); near && *near != typed)
          message += "; did you mean " + std::string{*near} + "?";
  }
  return usage_error(message + (verb.empty() ? " (nestor --help)" : " (nestor " + verb + " --help)"));
}

int dispatch(const CLI::App& app, all_options& o) {
  o.up.colour = o.demo.colour = o.bench.colour = o.explain.colour = o.accounts.colour = !o.no_colour;
  o.client.colour = !o.no_colour;
  if (auto code = run_client_verb(app, o.client))
    return *code;
  if (app.got_subcommand("serve"))
    return run_serve(o.serve);
  if (app.got_subcommand("up"))
    return run_up(o.up);
  if (app.got_subcommand("demo"))
    return run_demo(o.demo);
  if (app.got_subcommand("bench"))
    return o.bench.concurrency > o.bench.count
             ? usage_error("--concurrency is larger than --count (nestor bench --help)")
             : run_bench(o.bench);
  if (app.got_subcommand("version"))
    return run_version(o.version);
  if (app.got_subcommand("provider"))
    return app.get_subcommand("provider")->got_subcommand("list") ? run_provider_list(o.accounts)
                                                                  : run_provider_verify(o.accounts);
  if (app.got_subcommand("config"))
    return app.get_subcommand("config")->got_subcommand("view") ? run_config_view(o.config)
                                                                : run_config_validate(o.config);
  if (app.got_subcommand("completion"))
    return run_completion(app, o.completion);
  if (app.got_subcommand("doctor"))
    return run_doctor(o.accounts);
  return run_explain(o.explain);
}

} // namespace

int run(int argc, const char* const* argv) {
  all_options o;
  CLI::App app{"Nestor configures nested servers in rented runtimes, and never loses track of one.", "nestor"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--no-color", o.no_colour, "No colours (also: NO_COLOR)");
  app.footer(
    "Examples:\n  nestor demo\n  nestor up -f spec.yaml\n  nestor explain policy.ready_within\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage or a bad file, 3 refused or something missing, 4 node unreachable,\n"
    "5 timed out waiting");
  define_up(app, o.up);
  define_serve(app, o.serve);
  define_demo(app);
  define_bench(app, o.bench);
  define_version(app, o.version);
  define_explain(app, o.explain);
  define_provider(app, o.accounts);
  define_doctor(app, o.accounts);
  define_config(app, o.config);
  define_completion(app, o.completion);
  define_client_verbs(app, o.client);
  auto verb = typed_verb(argc, argv);
  if (auto known = verbs_of(app); !verb.empty() && std::ranges::find(known, verb) == known.end())
    return unknown_verb(known, verb);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) { return app.exit(e); } catch (const CLI::ParseError& e) {
    return parse_error(app, e, verb, argc, argv);
  }
  return dispatch(app, o);
}

} // namespace nestor::cli
