// `nestor provider list|verify`, `nestor doctor`, `nestor leak audit --config`: what is configured, where it
// came from, whether it works and what to do when not. Knows no provider: a kind's own table says what there is.
#include "client_show.hpp"
#include "local_node.hpp"
#include "spec_file.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/io/clock.hpp>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <iostream>

namespace nestor::cli {
namespace {

using nlohmann::ordered_json;
using providers::account_source;

/// Where a field was set; the kind's own value when nowhere; never a secret's value.
std::string origin_of(const account_source& account, const providers::account_field& field) {
  for (const auto& [name, from] : account.origins)
    if (name == field.name)
      return from;
  return field.fallback.empty() ? "not set" : "default";
}

ordered_json describe(const account_source& account) {
  ordered_json fields = ordered_json::object();
  for (const auto& field : account.plain.speaks->fields) {
    ordered_json shown{{"from", origin_of(account, field)}};
    if (field.what != providers::field_holds::secret)
      shown["value"] = std::string{account.plain.text(field.name)};
    fields[std::string{field.name}] = std::move(shown);
  }
  return {{"name", account.plain.name},
          {"kind", std::string{account.plain.speaks->kind}},
          {"summary", std::string{account.plain.speaks->summary}},
          {"fields", std::move(fields)}};
}

std::vector<const account_source*> chosen(const node_config& config, const std::string& name) {
  std::vector<const account_source*> all;
  for (const auto& [each, source] : *config.accounts)
    if (name.empty() || name == each)
      all.push_back(source.get());
  if (all.empty())
    std::cerr << "nestor: no provider `" << printable(name) << "` is configured (nestor provider list)\n";
  return all;
}

std::string remedy_of(const failure& why) {
  return std::string{row_of(why.code).remedy};
}

struct check {
  std::string what, result, detail, remedy;
};

check check_of(local_node& here, const account_source& account) {
  auto what = "provider " + account.plain.name;
  if (!account.plain.speaks->authenticate)
    return {what, "ok", "has no credential to prove", {}};
  auto verified = here.ask_desk<actors::account_verified>(actors::verify_account{account.plain.name});
  if (!verified.why)
    return {what, "ok", "the credential is good", {}};
  auto detail = std::string{name_of(verified.why->code)} + ": " + verified.why->cause;
  return {what, "failure", std::move(detail), remedy_of(*verified.why)};
}

check companion(const std::string& program, const std::string& what_for) {
  bool there = ::access((program_folder() + "/" + program).c_str(), X_OK) == 0;
  return {program, there ? "ok" : "warning", there ? "beside this program" : "not beside this program",
          there ? "" : "Install it beside this program: " + what_for + " needs it."};
}

int print_checks(const std::vector<check>& all, const accounts_options& o) {
  terminal out{stdout, o.colour, io::steady_now()};
  if (o.as == output::json) {
    auto list = ordered_json::array();
    for (const auto& c : all)
      list.push_back({{"check", c.what}, {"result", c.result}, {"detail", c.detail}, {"remedy", c.remedy}});
    std::cout << list.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  } else {
    for (const auto& c : all) {
      auto t = c.result == "ok" ? tone::good : c.result == "warning" ? tone::warning : tone::bad;
      out.line(out.in(t, c.result) + "  " + printable(c.what) + ": " + printable(c.detail));
      if (!c.remedy.empty())
        out.line("    " + printable(c.remedy));
    }
  }
  bool bad = std::ranges::any_of(all, [](const check& c) { return c.result == "failure"; });
  return bad ? refused : done;
}

} // namespace

int run_provider_list(const accounts_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  auto all = chosen(*config, {});
  if (o.as == output::json) {
    auto list = ordered_json::array();
    for (const auto* each : all)
      list.push_back(describe(*each));
    std::cout << list.dump(2) << '\n';
    return done;
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "KIND", "CREDENTIAL", "WHAT IT IS"}};
  for (const auto* each : all) {
    std::string credential;
    for (const auto& field : each->plain.speaks->fields)
      if (field.what == providers::field_holds::secret)
        credential.append(credential.empty() ? "" : ", ").append(origin_of(*each, field));
    rows.push_back({each->plain.name, std::string{each->plain.speaks->kind}, credential.empty() ? "-" : credential,
                    std::string{each->plain.speaks->summary}});
  }
  show_table(rows);
  return done;
}

int run_provider_verify(const accounts_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  auto all = chosen(*config, o.name);
  if (all.empty())
    return usage;
  local_node here{*config};
  std::vector<check> checks;
  for (const auto* each : all)
    checks.push_back(check_of(here, *each));
  return print_checks(checks, o);
}

int run_doctor(const accounts_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  local_node here{*config};
  std::vector<check> checks{companion("nestor-guardian", "the process provider"),
                            companion("nestor-nested-server", "`nestor demo`")};
  for (const auto* each : chosen(*config, {})) {
    checks.push_back(check_of(here, *each));
    for (const auto& field : each->plain.speaks->fields)
      checks.back().detail += "; " + std::string{field.name} + " from " + origin_of(*each, field);
  }
  return print_checks(checks, o);
}

/// For when there is no node any more: what a lost journal or a run that was killed left behind.
int run_local_audit(const accounts_options& o) {
  auto config = load_config(o.config);
  if (!config)
    return usage;
  auto all = chosen(*config, o.name);
  if (all.empty())
    return usage;
  local_node here{*config};
  auto list = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"PROVIDER", "REF", "SANDBOX", "ATTEMPT", "STATE", "CREATED"}};
  bool whole = true;
  for (const auto* each : all) {
    const auto& name = each->plain.name;
    if (!each->plain.speaks->list) {
      std::cerr << "nestor: " << name << ": cannot list what carries a label: not covered\n";
      continue;
    }
    auto found = here.ask_desk<actors::runtimes_listed>(actors::list_runtimes{name, {o.installation}});
    for (const auto& item : found.items) {
      list.push_back({{"provider", name},
                      {"ref", item.ref},
                      {"sandbox", item.sandbox},
                      {"attempt", item.number},
                      {"state", item.state},
                      {"created_at", item.created_at}});
      rows.push_back({name, item.ref, item.sandbox, std::to_string(item.number), item.state, item.created_at});
    }
    if (found.why) {
      whole = false;
      std::cerr << "nestor: " << printable(to_string(*found.why)) << "\n  " << remedy_of(*found.why) << '\n';
    }
  }
  if (o.as == output::json)
    std::cout << list.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
  else
    show_table(rows);
  return whole ? done : failed;
}

} // namespace nestor::cli
