// The part of the command line that drives a node: nouns, verbs, options and examples.
#include "client_verbs.hpp"
#include "verbs.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>

namespace nestor::cli {
namespace {

constexpr double timeout_max_s = 86'400;       // seconds: who waits longer watches events
constexpr double action_timeout_max_s = 3'600; // as the API has it

struct verb_row {
  const char* noun;
  const char* verb;
  const char* summary;
  const char* example;
  int (*run)(const client_verb& o);
  void (*options)(CLI::App& verb, client_verb& o);
};

void with_id(CLI::App& verb, client_verb& o) {
  verb.add_option("id", o.id, "The sandbox")->required()->type_name("ID");
}

void with_timeout(CLI::App& verb, client_verb& o) {
  verb.add_option("--timeout", o.timeout_s, "Give up waiting after this long")
    ->check(CLI::Range(0.0, timeout_max_s))
    ->type_name("SECONDS");
}

void for_create(CLI::App& verb, client_verb& o) {
  verb.add_option("-f,--file", o.file, "Specification, YAML or JSON; - for standard input")
    ->required()
    ->type_name("FILE");
  verb.add_flag("--wait", o.wait, "Wait until it is Ready, a line for each step");
  with_timeout(verb, o);
  verb.add_option("--idempotency-key", o.idempotency_key, "The same key never creates a second one")->type_name("KEY");
}

void for_list(CLI::App& verb, client_verb& o) {
  verb.add_option("--selector,-l", o.labels, "Only those with this label; may be repeated")->type_name("KEY=VALUE");
  verb.add_option("--status", o.status, "Only those with this status")->type_name("STATUS");
}

void for_events(CLI::App& verb, client_verb& o) {
  verb.add_option("id", o.id, "The sandbox; without it, all of them")->type_name("ID");
  verb.add_flag("--follow", o.follow, "Go on as things happen");
}

void for_wait(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_option("--for", o.wanted, "ready, paused or destroyed")
    ->check(CLI::IsMember({"ready", "paused", "destroyed"}));
  with_timeout(verb, o);
}

void for_configure(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_option("-f,--file", o.file, "A merge patch of the configuration: absent = keep, null = remove")
    ->required()
    ->type_name("FILE");
  verb.add_flag("--dry-run", o.dry_run, "Only say what would be done");
}

void for_set(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_option("path", o.path, "Such as git_providers.github.token or secrets.API_TOKEN")
    ->required()
    ->type_name("PATH");
  auto* file = verb.add_option("--from-file", o.from_file, "The file that holds it")->type_name("FILE");
  verb.add_option("--from-env", o.from_env, "The environment variable that holds it")
    ->type_name("NAME")
    ->excludes(file);
  verb.add_flag("--dry-run", o.dry_run, "Only say what would be done");
}

void for_access(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_flag("--curl", o.curl, "As a curl command");
}

void for_action(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_option("--cwd", o.directory, "Run it in this folder of the runtime")->type_name("FOLDER");
  verb.add_option("--timeout", o.timeout_s, "It is ended after this long")
    ->check(CLI::Range(0.001, action_timeout_max_s))
    ->type_name("SECONDS");
}

void for_run(CLI::App& verb, client_verb& o) {
  for_action(verb, o);
  verb.add_option("command", o.words, "After --: the command and its arguments; no shell reads them")
    ->required()
    ->type_name("COMMAND");
}

void for_python(CLI::App& verb, client_verb& o) {
  for_action(verb, o);
  verb.add_option("code", o.code, "Python code; - reads it from standard input")->required()->type_name("CODE");
}

void for_rest(CLI::App& verb, client_verb& o) {
  with_id(verb, o);
  verb.add_flag("--wait", o.wait, "Wait until it is so");
  with_timeout(verb, o);
}

void for_delete(CLI::App& verb, client_verb& o) {
  verb.add_option("id", o.ids, "The sandboxes")->type_name("ID");
  verb.add_flag("--all", o.all, "All that the selector fits, or every one");
  verb.add_option("--selector,-l", o.labels, "With --all: only those with this label")->type_name("KEY=VALUE");
  verb.add_flag("--yes", o.yes, "Do not ask");
  verb.add_flag("--wait", o.wait, "Wait until nothing of them is left");
  with_timeout(verb, o);
}

void for_token(CLI::App& verb, client_verb& o) {
  verb.add_option("--tenant", o.tenant, "Whose sandboxes it sees and makes")->type_name("NAME");
  verb.add_option("--role", o.role, "read, write or admin")->check(CLI::IsMember({"read", "write", "admin"}));
  verb.add_option("--note", o.note, "What it is for")->type_name("TEXT");
}

void for_revoke(CLI::App& verb, client_verb& o) {
  verb.add_option("id", o.id, "The token's id (nestor token list)")->required()->type_name("ID");
}

void for_audit(CLI::App& verb, client_verb& o) {
  verb.add_option("--provider", o.provider, "Only this one")->type_name("NAME");
  auto* whose = verb.add_option("--installation", o.installation, "Another one's, as in the label nestor-installation")
                  ->type_name("ID");
  verb.add_option("--config", o.config, "Without a node: ask the providers of this configuration")
    ->type_name("FILE")
    ->needs(whose);
}

void for_reap(CLI::App& verb, client_verb& o) {
  verb.add_flag("--dry-run", o.dry_run, "Only say what would end");
  verb.add_flag("--yes", o.yes, "Do not ask");
  verb.add_option("--installation", o.installation, "Refuse unless the node is of this one")->type_name("ID");
}

void for_confirm(CLI::App& verb, client_verb& o) {
  verb.add_flag("--yes", o.yes, "Do not ask");
}

void with_nothing(CLI::App&, client_verb&) {}

constexpr verb_row rows[] = {
  {"sandbox", "create", "Brings up a sandbox", "nestor sandbox create -f spec.yaml --wait", run_sandbox_create,
   for_create},
  {"sandbox", "list", "Your sandboxes", "nestor sandbox list --selector team=web -o json", run_sandbox_list, for_list},
  {"sandbox", "get", "One sandbox", "nestor sandbox get nst-… -o yaml", run_sandbox_get, with_id},
  {"sandbox", "describe", "Its story in words", "nestor sandbox describe nst-…", run_sandbox_describe, with_id},
  {"sandbox", "events", "What happened", "nestor sandbox events nst-… --follow", run_sandbox_events, for_events},
  {"sandbox", "logs", "What its runtime printed last, secrets taken out", "nestor sandbox logs nst-…", run_sandbox_logs,
   with_id},
  {"sandbox", "wait", "Waits for a status", "nestor sandbox wait nst-… --for=ready --timeout 60", run_sandbox_wait,
   for_wait},
  {"sandbox", "configure", "Changes what it holds", "nestor sandbox configure nst-… -f patch.yaml --dry-run",
   run_sandbox_configure, for_configure},
  {"sandbox", "set", "Changes one secret or setting",
   "nestor sandbox set nst-… git_providers.github.token --from-env GITHUB_TOKEN", run_sandbox_set, for_set},
  {"sandbox", "access", "URL and headers to reach it", "nestor sandbox access nst-… --curl", run_sandbox_access,
   for_access},
  {"sandbox", "run", "Runs a command in it, once", "nestor sandbox run nst-… --timeout 60 -- make test",
   run_sandbox_run, for_run},
  {"sandbox", "python", "Runs Python code in it, once", "nestor sandbox python nst-… 'print(6 * 7)'",
   run_sandbox_python, for_python},
  {"sandbox", "pause", "Has it rest; nothing is served meanwhile", "nestor sandbox pause nst-… --wait",
   run_sandbox_pause, for_rest},
  {"sandbox", "resume", "Wakes it up", "nestor sandbox resume nst-… --wait", run_sandbox_resume, for_rest},
  {"sandbox", "delete", "Ends sandboxes", "nestor sandbox delete nst-… --wait", run_sandbox_delete, for_delete},
  {"leak", "audit", "What the providers hold under this installation's label, and who explains it",
   "nestor leak audit --provider e2b", run_leak_audit, for_audit},
  {"leak", "reap", "Ends what nobody can explain", "nestor leak reap --dry-run", run_leak_reap, for_reap},
  {"node", "status", "What the node carries", "nestor node status", run_node_status, with_nothing},
  {"node", "drain", "Takes no new sandbox from now on", "nestor node drain", run_node_drain, with_nothing},
  {"node", "confirm-restore", "The original of this journal is gone for good: sweeps may act again",
   "nestor node confirm-restore", run_node_confirm, for_confirm},
  {"keys", "list", "The keys that seal the journal", "nestor keys list", run_keys_list, with_nothing},
  {"keys", "rotate", "Seals the journal with a new key, online", "nestor keys rotate", run_keys_rotate, with_nothing},
  {"token", "create", "Makes a token; its text is told this once",
   "nestor token create --tenant acme --role write --note ci", run_token_create, for_token},
  {"token", "list", "Every token but its text", "nestor token list", run_token_list, with_nothing},
  {"token", "revoke", "Makes a token worthless at once", "nestor token revoke tok-…", run_token_revoke, for_revoke},
};

const char* summary_of(std::string_view noun) {
  if (noun == "sandbox")
    return "The sandboxes of a running node";
  if (noun == "leak")
    return "Runtimes at the providers that nobody may know of any more";
  if (noun == "keys")
    return "The keys that a running node's journal is sealed with";
  return noun == "node" ? "A running node" : "Who may ask a running node";
}

} // namespace

void define_client_verbs(CLI::App& app, client_verb& o) {
  static const std::map<std::string, shape> shapes{{"table", shape::table},
                                                   {"wide", shape::wide},
                                                   {"json", shape::json},
                                                   {"yaml", shape::yaml},
                                                   {"name", shape::name}};
  std::map<std::string, CLI::App*> nouns;
  for (const auto& row : rows) {
    auto*& noun = nouns[row.noun];
    if (noun == nullptr) {
      noun = app.add_subcommand(row.noun, summary_of(row.noun));
      noun->require_subcommand(1);
    }
    auto* verb = noun->add_subcommand(row.verb, row.summary);
    row.options(*verb, o);
    verb->add_option("--server", o.node.server, "The node (also: NESTOR_SERVER)")->type_name("URL");
    verb
      ->add_option("--token", o.node.token,
                   "Better: NESTOR_TOKEN or NESTOR_TOKEN_FILE; arguments can be seen by others")
      ->type_name("TOKEN");
    verb->add_option("-o,--output", o.as, "table, wide, json, yaml or name")
      ->transform(CLI::CheckedTransformer(shapes).description(""))
      ->type_name("FORMAT");
    verb->footer(std::string{"Example:\n  "} + row.example);
  }
}

std::optional<int> run_client_verb(const CLI::App& app, client_verb& o) {
  for (const auto& row : rows) {
    if (!app.got_subcommand(row.noun) || !app.get_subcommand(row.noun)->got_subcommand(row.verb))
      continue;
    try {
      return row.run(o);
    } catch (const node_unreachable& e) {
      std::cerr << "nestor: " << e.what << '\n';
      return unreachable;
    } catch (const interrupted_by_user&) {
      std::cerr << "nestor: interrupted; what was asked for goes on at the node (nestor sandbox list)\n";
      return failed;
    }
  }
  return std::nullopt;
}

} // namespace nestor::cli
