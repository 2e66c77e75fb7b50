#include <nestor/node/internal/config_walk.hpp>

#include <nestor/node/config_fields.hpp>
#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/text_rules.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::internal {
namespace {

constexpr std::size_t list_max = 1'024; // of one list: names and ranges are written by hand

/// What a variable says, as a document would.
json_tree node_of(const std::string& text) {
  json_tree node;
  node.what = json_is::string;
  node.text = text;
  return node;
}
json_tree number_of(const std::string& text) {
  auto node = node_of(text);
  const auto* last = text.data() + text.size();
  if (auto [end, error] = std::from_chars(text.data(), last, node.integer); error == std::errc{} && end == last)
    node.what = json_is::integer;
  return node;
}

std::size_t row_of(const spec_field& field) {
  return static_cast<std::size_t>(&field - config_fields().data());
}

std::string shown_scalar(const json_tree& node) {
  if (node.what == json_is::string)
    return std::string{node.text};
  wiped_string text;
  append_scalar(text, node);
  return std::string{text};
}

} // namespace

std::string shown_reference(const secret_reference& from) {
  return from.kind == reference_kind::env    ? "{$env: " + from.name + "}"
         : from.kind == reference_kind::file ? "{$file: " + from.name + "}"
                                             : "{$literal: …}";
}

void config_walk::refuse(std::string path, std::string expected, std::string_view got, std::string advice) {
  faults_.push_back({errc::spec_invalid, std::move(path), std::move(expected), std::string{got}, std::move(advice)});
}

const json_tree* config_walk::member(const json_tree& object, std::string_view name) {
  const auto* found = object.what == json_is::object ? object.member(name) : nullptr;
  return found && found->what != json_is::null ? found : nullptr;
}

bool config_walk::text(const field_type& type, const json_tree& node, const std::string& path, std::string& into) {
  taken v;
  if (!read_scalar(type, node, path, v, faults_))
    return false;
  if (v.text.empty() || !obeys(type.rule, v.text))
    return refuse(path, to_string(type), v.text.empty() ? "nothing" : "another text"), false;
  into = std::move(v.text);
  return true;
}

void config_walk::document(const json_tree& root) {
  if (root.what != json_is::object)
    return refuse({}, "an object of fields", kind_name(root));
  object(root, {}, {});
  for (const auto& field : config_fields())
    variable(field);
}

void config_walk::object(const json_tree& node, const std::string& path, std::string_view table_path,
                         std::span<const std::string_view> others) {
  auto known = fields_in(config_fields(), table_path);
  for (const auto& m : node.members) {
    auto row = std::ranges::find(known, std::string_view{m.name}, &spec_field::name);
    if (row != known.end()) {
      value(**row, m.value, member_path(path, m.name), m.name);
    } else if (std::ranges::find(others, std::string_view{m.name}) == others.end()) {
      std::vector<std::string_view> names(others.begin(), others.end());
      std::string all;
      for (const auto* field : known)
        names.push_back(field->name());
      for (auto name : names)
        all.append(all.empty() ? "known here: " : ", ").append(name);
      auto near = nearest(m.name, names);
      refuse(member_path(path, shown_name(m.name)), {}, "unknown field",
             near ? "did you mean " + std::string{*near} + "?" : all);
    }
  }
}

void config_walk::value(const spec_field& field, const json_tree& node, const std::string& path,
                        std::string_view name) {
  if (node.what == json_is::null)
    return;
  taken v;
  v.name = std::string{name};
  switch (field.type.kind) {
    case field_kind::object:
    case field_kind::map:
      if (node.what != json_is::object)
        return refuse(path, to_string(field.type), kind_name(node));
      config_taker_of(row_of(field))(draft_, {});
      if (field.path == "providers")
        return accounts(node);
      return field.type.kind == field_kind::map ? map(field, node, path) : object(node, path, field.path);
    case field_kind::texts: return list(field, node, path, v);
    case field_kind::secret:
      if (!meant_as_reference(node))
        return refuse(path, "a secret reference", kind_name(node), std::string{reference_advice});
      if ((v.reference = read_reference(node, path, false, faults_))) {
        auto shown = shown_reference(*v.reference);
        take(field, path, std::move(v), std::move(shown), {});
      }
      return;
    case field_kind::text:
      if (text(field.type, node, path, v.text)) {
        auto shown = v.text;
        take(field, path, std::move(v), std::move(shown), {});
      }
      return;
    case field_kind::integer:
    case field_kind::number:
    case field_kind::duration:
    case field_kind::memory:
    case field_kind::choice:
      if (read_scalar(field.type, node, path, v, faults_))
        take(field, path, std::move(v), shown_scalar(node), {});
      return;
    case field_kind::argv:
    case field_kind::settings:
    case field_kind::json: return; // no field of a configuration
  }
}

void config_walk::list(const spec_field& field, const json_tree& node, const std::string& path, taken& v) {
  if (node.what != json_is::array)
    return refuse(path, to_string(field.type), kind_name(node));
  if (node.items.size() > list_max)
    return refuse(path, "at most " + std::to_string(list_max) + " texts", std::to_string(node.items.size()));
  auto each_is = field.type;
  each_is.kind = field_kind::text;
  std::string shown;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    std::string each;
    if (!text(each_is, node.items[i], element_path(path, i), each))
      continue;
    shown.append(shown.empty() ? "" : ", ").append(each);
    v.list.push_back(std::move(each));
  }
  take(field, path, std::move(v), "[" + shown + "]", {});
}

void config_walk::map(const spec_field& field, const json_tree& node, const std::string& path) {
  if (node.members.size() > field.type.entries_max)
    refuse(path, "at most " + std::to_string(field.type.entries_max) + " entries", std::to_string(node.members.size()));
  const auto* entry = fields_in(config_fields(), field.path).front();
  for (const auto& m : node.members)
    if (obeys(field.type.rule, m.name))
      value(*entry, m.value, member_path(path, m.name), m.name);
    else
      refuse(member_path(path, shown_name(m.name)), "as its name: " + std::string{expectation_of(field.type.rule)},
             "another name");
}

bool config_walk::variable(const spec_field& field) {
  auto name = variable_of(field);
  auto said = name.empty() ? std::nullopt : environment_(name);
  if (!said)
    return false;
  bool number = field.type.kind == field_kind::integer || field.type.kind == field_kind::number;
  taken v;
  bool fine = field.type.kind == field_kind::text
                ? text(field.type, node_of(*said), name, v.text)
                : read_scalar(field.type, number ? number_of(*said) : node_of(*said), name, v, faults_);
  if (fine)
    take(field, std::string{field.path}, std::move(v), *said, name);
  return fine;
}

void config_walk::take(const spec_field& field, const std::string& path, taken&& v, std::string shown,
                       std::string from) {
  auto& told = draft_.config.told;
  std::erase_if(told, [&](const told_field& each) { return each.path == path; });
  told.push_back({field.path, path, std::move(shown), std::move(from)});
  config_taker_of(row_of(field))(draft_, std::move(v));
}

} // namespace nestor::internal
