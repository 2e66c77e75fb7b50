// Specification files that must be refused: what is wrong, the path the message names, and what it says was expected or
// advised. CANARY stands where a secret may be: it must appear in no message.
#pragma once

#include <string>
#include <vector>

namespace nestor::tests {

inline const std::string canary = "CANARY-5ecre7";

struct malformed_spec {
  std::string what;
  std::string text;
  std::string path; ///< as the message spells it
  std::string says; ///< a part of the message
};

inline std::string configuration(const std::string& inside) {
  return "runtime: {command: [x]}\nconfiguration:\n" + inside;
}
inline std::string settings(const std::string& inside) {
  return configuration("  settings:\n    " + inside + "\n");
}

inline std::string more_than_a_mebibyte() {
  std::string text;
  while (text.size() <= (1U << 20U))
    text += "# a comment of some length\n";
  return text;
}

inline const std::string deep(40, '[');
inline const std::string deep_end(40, ']');
inline const std::string laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";

inline const std::vector<malformed_spec> malformed_structure{
  {"empty file", "", "the document", "empty"},
  {"only a comment", "# nothing\n", "the document", "an object"},
  {"a list at the top", "- a\n- b\n", "the document", "expected an object of fields, got a list"},
  {"text at the top", "hello\n", "the document", "expected an object of fields, got text"},
  {"a JSON list at the top", "[1]", "the document", "expected an object of fields, got a list"},
  {"a line of 33 KB", "name: " + std::string(33'000, 'a') + "\n", "the document", "lines of at most 32 KiB"},
  {"more than 1 MiB", more_than_a_mebibyte(), "the document", "at most 1 MiB"},
  {"not UTF-8", "name: a\nlabels: {x: \xff\xfe}\n", "the document", "expected UTF-8"},
  {"an overlong UTF-8 form", "name: \xc0\xaf\n", "the document", "expected UTF-8"},
  {"a NUL", std::string("name: a\0b\n", 10), "the document", "a control character"},
  {"an end-of-transmission", "name: a\n\x04provider: x\n", "the document", "a control character"},
  {"deep nesting", "conversation:\n  a: " + deep + deep_end + "\n", "conversation.a", "at most 32 levels"},
  {"deep nesting in JSON", "{\"conversation\":{\"a\":" + deep + deep_end + "}}", "conversation.a", "at most 32 levels"},
  {"a name twice", "name: a\nname: b\n", "name", "the same name twice"},
  {"a nested name twice", "policy:\n  lease: 1m\n  lease: 2m\n", "policy.lease", "the same name twice"},
  {"a name twice in JSON", "{\"name\":\"a\",\"name\":\"b\"}", "name", "the same name twice"},
  {"an alias bomb", laughs, "a", "an anchor"},
  {"an alias", "name: *x\n", "name", "valid YAML"},
  {"a merge key", "runtime:\n  <<: {port: 1}\n", "runtime", "a merge key"},
  {"a second document", "name: a\n---\nname: b\n", "the document", "a second one"},
  {"a tag", "name: !!python/object:os.system x\n", "name", "a tag"},
  {"a binary tag", "name: !!binary aGVsbG8=\n", "name", "a tag"},
  {"a tab that indents", "runtime:\n\tport: 1\n", "the document", "tabs cannot indent"},
  {"a bracket left open", "runtime: {command: [x\n", "runtime.command", "valid YAML"},
  {"a quote left open", "name: \"abc\n", "name", "valid YAML"},
  {"a quote closed by the end of the file", "name: 'abc", "name", "valid YAML"},
  {"JSON that breaks off", "{\"name\": \"a\"", "the document", "valid JSON"},
  {"JSON with a comma too many", "{\"name\": \"a\",}", "the document", "valid JSON"},
  {"a list as a name", "? [a, b]\n: c\n", "the document", "expected a name"},
  {"null as a name", "~: c\n", "the document", "expected a name"},
  {"an infinity", "runtime:\n  resources: {cpu: .inf}\n", "runtime.resources.cpu", "an infinity"},
  {"a number beyond 64 bits", "runtime: {port: 0xffffffffffffffffff}\n", "runtime.port", "2^64"},
};

inline const std::vector<malformed_spec> malformed_fields{
  {"an unknown field", "nam: a\n", "nam", "unknown field; did you mean name?"},
  {"an unknown nested field", "policy:\n  probe_evry: 60s\n", "policy.probe_evry",
   "unknown field; did you mean probe_every?"},
  {"a field in the wrong place", "port: 3000\n", "port", "did you mean runtime.port?"},
  {"a field that resembles none", "zzzzzzzz: 1\n", "zzzzzzzz", "known here: name"},
  {"a bad name", "name: Fix_Login\n", "name", "a-z, 0-9 and '-'"},
  {"a name too long", "name: " + std::string(64, 'a') + "\n", "name", "1 to 63"},
  {"a number as a name", "name: 12\n", "name", "quote it"},
  {"null as a sandbox's name", "name:\n", "name", "got null"},
  {"a label's bad key", "labels: {\"a b\": c}\n", "labels[\"a b\"]", "as its name"},
  {"a label's bad value", "labels: {a: b=c}\n", "labels.a", "up to 63"},
  {"a number as a label", "labels: {version: 1.2}\n", "labels.version", "quote it"},
  {"labels as a list", "labels: [a]\n", "labels", "a map by name, got a list"},
  {"an unknown provider", "provider: proces\n", "provider", "did you mean process?"},
  {"an unheard-of provider", "provider: mainframe\n", "provider", "this build has process"},
  {"a shell string", "runtime: {command: \"x --y\"}\n", "runtime.command", "argv, never a shell string"},
  {"a number among arguments", "runtime: {command: [x, 3000]}\n", "runtime.command[1]", "quote it"},
  {"a control character in an argument", "runtime: {command: [\"x\\ny\"]}\n", "runtime.command[0]",
   "without control characters"},
  {"no command", "runtime: {port: 0}\n", "runtime.command", "needs a command"},
  {"an image for a process", "runtime: {command: [x], image: y}\n", "runtime.image",
   "not for the provider kind process"},
  {"an address for a process", "runtime: {command: [x], url: \"http://h\"}\n", "runtime.url",
   "kinds that honour it: static"},
  {"resources for a process", "runtime: {command: [x], resources: {cpu: 1}}\n", "runtime.resources",
   "not for the provider kind process"},
  {"a lease for a process", "runtime: {command: [x]}\npolicy: {lease: 30m}\n", "policy.lease",
   "not for the provider kind process"},
  {"static without an address", "provider: static\n", "runtime.url", "needs the server's address"},
  {"static with a command", "provider: static\nruntime: {url: \"http://h\", command: [x]}\n", "runtime.command",
   "not for the provider kind static"},
  {"a bad address", "provider: static\nruntime: {url: \"ftp://h\"}\n", "runtime.url", "http or https URL"},
  {"an address with a password", "provider: static\nruntime: {url: \"http://u:" + canary + "@h\"}\n", "runtime.url",
   "user information"},
  {"a word that adopt has not", "provider: static\nruntime: {url: \"http://h\", adopt: refuze}\n", "runtime.adopt",
   "did you mean refuse?"},
  {"a port out of range", "runtime: {command: [x], port: 65536}\n", "runtime.port", "from 0 to 65535, got 65536"},
  {"a negative port", "runtime: {command: [x], port: -1}\n", "runtime.port", "from 0 to 65535"},
  {"text as a port", "runtime: {command: [x], port: \"80\"}\n", "runtime.port", "got text"},
  {"a fraction as a port", "runtime: {command: [x], port: 80.5}\n", "runtime.port", "got a number"},
  {"a bad environment name", "runtime: {command: [x], env: {1A: x}}\n", "runtime.env.1A",
   "environment variable's name"},
  {"a number in the environment", "runtime: {command: [x], env: {A: 1}}\n", "runtime.env.A", "quote it"},
  {"a control character in the environment", "runtime: {command: [x], env: {A: \"a\\u0007\"}}\n", "runtime.env.A",
   "without control"},
  {"a reference in the environment", "runtime: {command: [x], env: {A: {$env: B}}}\n", "runtime.env.A",
   "got an object"},
  {"a path without a slash", "runtime: {command: [x], alive_path: alive}\n", "runtime.alive_path", "starts with '/'"},
  {"a bad word for actions", "runtime: {command: [x], actions: {via: server}}\n", "runtime.actions.via",
   "action-server"},
  {"options as a list", "runtime: {command: [x], options: [1]}\n", "runtime.options", "got a list"},
  {"a reference in the options", "runtime: {command: [x], options: {a: {$env: B}}}\n", "runtime.options.a",
   "without secret references"},
  {"an unknown dialect", "runtime: {command: [x]}\ndialect: openhand\n", "dialect", "did you mean openhands?"},
  {"a duration without a unit", "policy: {ready_within: 120}\n", "policy.ready_within", "give it a unit"},
  {"a duration of a strange unit", "policy: {ready_within: 2 minutes}\n", "policy.ready_within", "a duration such as"},
  {"a duration too short", "policy: {probe_every: 10ms}\n", "policy.probe_every", "from 1s to 24h"},
  {"a duration too long", "policy: {ready_within: 25h}\n", "policy.ready_within", "from 1s to 24h"},
  {"too many restarts", "policy: {restarts: {max: 17}}\n", "policy.restarts.max", "from 0 to 8"},
  {"restarts as a number", "policy: {restarts: 3}\n", "policy.restarts", "an object"},
  {"a bad word for on_failure", "policy: {on_failure: destory}\n", "policy.on_failure", "did you mean destroy?"},
  {"a bad word for on_loss", "policy: {on_loss: drop}\n", "policy.on_loss", "one of keep, replace"},
  {"a placeholder outside of a bench", "name: bench-{index}\n", "name", "bench"},
};

inline const std::vector<malformed_spec> malformed_secrets{
  {"a bare API key", settings("llm_api_key: " + canary), "configuration.settings.llm_api_key", "$env"},
  {"a bare password in any case", settings("db: {Password: " + canary + "}"), "configuration.settings.db.Password",
   "$literal"},
  {"a password of digits", settings("password: 12345678"), "configuration.settings.password", "bare number"},
  {"a list of bare tokens", settings("my_token: [" + canary + "]"), "configuration.settings.my_token[0]", "$env"},
  {"a bare MCP key", settings("mcp_config: {sse_servers: [{url: x, api_key: " + canary + "}]}"),
   "configuration.settings.mcp_config.sse_servers[0].api_key", "$env"},
  {"a bare MCP environment value", settings("mcp_config: {stdio_servers: [{env: {A: " + canary + "}}]}"),
   "configuration.settings.mcp_config.stdio_servers[0].env.A", "$env"},
  {"a bare git token", configuration("  git_providers: {github: {token: " + canary + "}}\n"),
   "configuration.git_providers.github.token", "$env"},
  {"a git provider as text", configuration("  git_providers: {github: " + canary + "}\n"),
   "configuration.git_providers.github", "an object"},
  {"a git provider as a reference", configuration("  git_providers: {github: {$literal: " + canary + "}}\n"),
   "configuration.git_providers.github.$literal", "belongs under token"},
  {"a git provider without a token", configuration("  git_providers: {github: {host: h}}\n"),
   "configuration.git_providers.github.token", "got nothing"},
  {"a git provider's bad name", configuration("  git_providers: {GitHub: {token: {$env: A}}}\n"),
   "configuration.git_providers.GitHub", "as its name"},
  {"a bare secret", configuration("  secrets: {A: " + canary + "}\n"), "configuration.secrets.A", "$env"},
  {"a bare secret with a description", configuration("  secrets: {A: {value: " + canary + ", description: d}}\n"),
   "configuration.secrets.A.value", "$env"},
  {"a secret without a value", configuration("  secrets: {A: {description: d}}\n"), "configuration.secrets.A.value",
   "got nothing"},
  {"a secret's bad name", configuration("  secrets: {1A: {$env: A}}\n"), "configuration.secrets.1A", "at most 64"},
  {"a token as an unknown name",
   configuration("  git_providers: {github: {token: {$env: A}, ghp_" + std::string(30, 'x') + canary + ": 1}}\n"),
   "configuration.git_providers.github", "unknown field"},
  {"a reference with two members", configuration("  secrets: {A: {$env: X, $literal: " + canary + "}}\n"),
   "configuration.secrets.A", "exactly one of $env, $file, $literal"},
  {"a mistyped reference", configuration("  secrets: {A: {$evn: X}}\n"), "configuration.secrets.A",
   "did you mean $env?"},
  {"a reference to a list", configuration("  secrets: {A: {$literal: [" + canary + "]}}\n"), "configuration.secrets.A",
   "it is text"},
  {"a literal of digits", configuration("  secrets: {A: {$literal: 12345678}}\n"), "configuration.secrets.A",
   "quote it"},
  {"a variable with a strange name", configuration("  secrets: {A: {$env: \"a b\"}}\n"), "configuration.secrets.A",
   "name of an environment variable"},
  {"settings as text", configuration("  settings: " + canary + "\n"), "configuration.settings", "an object"},
  {"settings as a reference", configuration("  settings: {$literal: " + canary + "}\n"), "configuration.settings",
   "an object of settings"},
  {"a bare session key", "provider: static\nruntime: {url: \"http://h\", session_key: " + canary + "}\n",
   "runtime.session_key", "$env"},
  {"a secret's value in the environment",
   "runtime: {command: [x], env: {A: " + canary + "}}\nconfiguration: {secrets: {B: {$literal: " + canary + "}}}\n",
   "runtime.env.A", "the value of configuration.secrets.B"},
  {"a secret's name in the environment",
   "runtime: {command: [x], env: {B: x}}\nconfiguration: {secrets: {B: {$env: B}}}\n", "runtime.env.B",
   "configuration.secrets"},
  {"a secret in a conversation", "runtime: {command: [x]}\nconversation: {a: {$literal: " + canary + "}}\n",
   "conversation.a", "secrets belong in"},
  {"a broken line behind a secret", configuration("  secrets: {A: {$literal: " + canary + "}\n"),
   "configuration.secrets", "valid YAML"},
  {"an unclosed secret", configuration("  secrets:\n    A: {$literal: \"" + canary + "\n"), "configuration.secrets.A",
   "valid YAML"},
};

inline std::vector<malformed_spec> malformed_specs() {
  auto all = malformed_structure;
  for (const auto* more : {&malformed_fields, &malformed_secrets})
    all.insert(all.end(), more->begin(), more->end());
  return all;
}

} // namespace nestor::tests
