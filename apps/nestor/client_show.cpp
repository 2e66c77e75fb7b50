#include "client_show.hpp"

#include "spec_file.hpp"
#include "terminal.hpp"
#include "verbs.hpp"

#include <algorithm>
#include <iostream>

namespace nestor::cli {
namespace {

constexpr std::size_t column_gap = 2;

std::string dumped(const ordered_json& what, int indent = -1) {
  return what.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

void yaml_into(std::string& out, const ordered_json& what, std::size_t depth) {
  std::string indent(depth * 2, ' ');
  auto inner = [&](const ordered_json& value) {
    bool nested = value.is_structured() && !value.empty();
    out += nested ? "\n" : " " + dumped(value) + "\n";
    if (nested)
      yaml_into(out, value, depth + 1);
  };
  if (what.is_array())
    for (const auto& each : what) {
      out += indent + "-";
      inner(each);
    }
  else
    for (const auto& [name, value] : what.items()) {
      out += indent + dumped(name) + ":";
      inner(value);
    }
}

int code_of(std::uint16_t status) {
  switch (status) {
    case 400:
    case 413:
    case 415: return usage;
    case 401:
    case 403:
    case 404:
    case 409:
    case 412:
    case 422:
    case 424:
    case 428:
    case 429:
    case 503: return refused;
    default: return failed;
  }
}

class looking_up {
public:
  explicit looking_up(const document& from) : from_(from) {}

  void walk(ordered_json& node, const std::string& path) {
    if (node.is_array())
      for (std::size_t i = 0; i < node.size(); ++i)
        walk(node[i], path + "[" + std::to_string(i) + "]");
    if (!node.is_object())
      return;
    for (auto [name, kind] : {std::pair{"$env", reference_kind::env}, std::pair{"$file", reference_kind::file}})
      if (node.size() == 1 && node.contains(name) && node[name].is_string())
        return replace(node, kind, node[name].get<std::string>(), path);
    for (auto& [name, value] : node.items())
      walk(value, path.empty() ? name : path + "." + name);
  }
  [[nodiscard]] bool whole() const { return whole_; }

private:
  void replace(ordered_json& node, reference_kind kind, const std::string& name, const std::string& path) {
    auto found = look_up_here(kind, name);
    if (found)
      return found->expose([&](std::string_view text) { node = ordered_json{{"$literal", std::string{text}}}; });
    whole_ = false;
    std::cerr << "nestor: " << printable(located(from_, {errc::secret_unresolved, path, {}, found.error().cause, {}}))
              << '\n';
  }

  const document& from_;
  bool whole_ = true;
};

} // namespace

std::string to_yaml(const ordered_json& what) {
  std::string out;
  yaml_into(out, what, 0);
  return out;
}

std::string cell(const ordered_json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null())
    return "-";
  return printable(found->is_string() ? found->get<std::string>() : dumped(*found));
}

void show_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths.resize(std::max(widths.size(), i + 1), 0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      auto text = printable(row[i]);
      if (i + 1 < row.size())
        text.resize(widths[i] + column_gap, ' ');
      line += text;
    }
    std::cout << line << '\n';
  }
}

bool show_whole(const ordered_json& what, const client_verb& o) {
  if (o.as == shape::json)
    std::cout << dumped(what, 2) << '\n';
  else if (o.as == shape::yaml)
    std::cout << to_yaml(what);
  else
    return false;
  return true;
}

void show_sandboxes(const ordered_json& what, const client_verb& o) {
  if (show_whole(what, o))
    return;
  auto items = what.contains("items") ? what["items"] : ordered_json::array({what});
  if (o.as == shape::name) {
    for (const auto& each : items)
      std::cout << cell(each, "id") << '\n';
    return;
  }
  std::vector<std::vector<std::string>> rows{{"ID", "NAME", "STATUS", "GENERATION", "PROVIDER"}};
  if (o.as == shape::wide)
    rows.front().insert(rows.front().end(), {"TENANT", "RUNTIME", "DIALECT", "LABELS", "FAILURE"});
  for (const auto& each : items) {
    rows.push_back({cell(each, "id"), cell(each, "name"), cell(each, "status"),
                    cell(each, "observed_generation") + "/" + cell(each, "generation"), cell(each, "provider")});
    if (o.as != shape::wide)
      continue;
    auto runtime = each.value("runtime", ordered_json{});
    auto why = each.value("failure", ordered_json{});
    rows.back().insert(rows.back().end(), {cell(each, "tenant"), runtime.is_object() ? cell(runtime, "ref") : "-",
                                           runtime.is_object() ? cell(runtime, "dialect") : "-", cell(each, "labels"),
                                           why.is_object() ? cell(why, "code") : "-"});
  }
  show_table(rows);
}

std::string failure_in_words(const ordered_json& why) {
  auto text = cell(why, "message") + " (" + cell(why, "code") + " at " + cell(why, "step") + ")";
  if (auto cause = cell(why, "cause"); !cause.empty() && cause != "-")
    text += ": " + cause;
  return text + "\n  What to do: " + cell(why, "remedy");
}

int complain(const api_answer& refusal, const document* from) {
  auto why = refusal.why();
  bool faults = from != nullptr && refusal.status == 400;
  std::string_view left = why.cause;
  while (faults && !left.empty()) { // one fault per line, "path: message"
    auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    auto colon = line.find(": ");
    fault f{why.code, {}, {}, std::string{line}, {}};
    if (colon != line.npos)
      f = {why.code, std::string{line.substr(0, colon)}, {}, std::string{line.substr(colon + 2)}, {}};
    std::cerr << "nestor: " << printable(located(*from, f)) << '\n';
  }
  const auto& row = row_of(why.code);
  if (!faults)
    std::cerr << "nestor: " << row.title << (why.cause.empty() ? "" : ": " + printable(why.cause)) << '\n';
  std::cerr << "  " << row.remedy << '\n';
  if (auto after = refusal.header("Retry-After"); !after.empty())
    std::cerr << "  Try again in " << printable(after) << " s.\n";
  return code_of(refusal.status);
}

std::optional<wiped_string> document_to_send(const document& from, bool everywhere) {
  auto root = ordered_json::parse(from.json.begin(), from.json.end(), nullptr, false);
  looking_up references{from};
  if (everywhere) {
    references.walk(root, {});
  } else if (root.is_object()) {
    if (root.contains("configuration"))
      references.walk(root["configuration"], "configuration");
    if (root.contains("runtime") && root["runtime"].is_object() && root["runtime"].contains("session_key"))
      references.walk(root["runtime"]["session_key"], "runtime.session_key");
  }
  if (!references.whole())
    return std::nullopt;
  auto text = dumped(root);
  wiped_string body{text};
  wipe(text);
  return body;
}

} // namespace nestor::cli
