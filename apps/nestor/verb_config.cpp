// `nestor config validate|view`: whether a node would start with this configuration, and what is in force and who said
// so. Asks nobody: credentials are `nestor provider verify`'s, and no secret is looked up.
#include "client_show.hpp"
#include "spec_file.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <nestor/node/config_fields.hpp>

#include <algorithm>
#include <iostream>

namespace nestor::cli {
namespace {

struct view_line {
  std::string path, value, origin;
};

std::string origin_of(const told_field& told, const document& from) {
  if (!told.from.empty())
    return (told.from.starts_with("--") ? "flag " : "environment ") + told.from;
  auto place = from.places.find(told.path);
  return from.file + (place == from.places.end() ? "" : ":" + std::to_string(place->second.line));
}

/// What serve would be told by its flags.
void add_flags(const serve_options& o, node_config& config) {
  auto says = [&](const char* path, const std::string& value, const char* flag) {
    std::erase_if(config.told, [&](const told_field& each) { return !value.empty() && each.path == path; });
    if (!value.empty())
      config.told.push_back({path, path, value, flag});
  };
  says("state", o.state, "--state");
  says("listen", o.listen, "--listen");
}

/// In the table's order; what nobody said has its default, and what has none is left out.
std::vector<view_line> lines_of(const node_config& config, const document& from) {
  std::vector<view_line> lines;
  for (const auto& field : config_fields()) {
    bool said = false;
    for (const auto& told : config.told)
      if (told.field == field.path) {
        lines.push_back({told.path, told.value, origin_of(told, from)});
        said = true;
      }
    bool has_value = !field.default_text.empty() && field.default_text != "{}" && field.default_text != "null";
    if (!said && has_value && field.path.find('*') == field.path.npos)
      lines.push_back({std::string{field.path}, std::string{field.default_text}, "default"});
  }
  return lines;
}

} // namespace

int run_config_validate(const config_options& o) {
  auto read = read_config(o.serve.config);
  if (!read || !flags_fit(o.serve, read->config))
    return usage;
  std::cout << printable(read->from.file) << ": a node would start with it; its providers:";
  for (const auto& [name, account] : *read->config.accounts)
    std::cout << ' ' << printable(name);
  std::cout << '\n';
  return done;
}

int run_config_view(const config_options& o) {
  auto read = read_config(o.serve.config);
  if (!read || !flags_fit(o.serve, read->config))
    return usage;
  add_flags(o.serve, read->config);
  auto lines = lines_of(read->config, read->from);
  if (o.as == output::json) {
    auto all = ordered_json::object();
    for (const auto& each : lines)
      all[each.path] =
        o.origin ? ordered_json{{"value", each.value}, {"origin", each.origin}} : ordered_json(each.value);
    std::cout << all.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    return done;
  }
  std::vector<std::vector<std::string>> rows{{"FIELD", "VALUE"}};
  if (o.origin)
    rows.front().emplace_back("ORIGIN");
  for (auto& each : lines) {
    rows.push_back({each.path, each.value});
    if (o.origin)
      rows.back().push_back(each.origin);
  }
  show_table(rows);
  return done;
}

} // namespace nestor::cli
