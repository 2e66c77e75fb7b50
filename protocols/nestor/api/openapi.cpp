#include <nestor/api/openapi.hpp>

#include <nestor/core/failure.hpp>
#include <nestor/core/step.hpp>
#include <nestor/sandbox/spec_fields.hpp>
#include <nestor/sandbox/view.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace nestor::api {
namespace {

using json = nlohmann::ordered_json;

/// What the gate, the server and the node's own state may answer on any route.
constexpr std::string_view common_errors = "400 403 408 413 421 431 500 503 504";

struct named_schema {
  std::string_view name;
  std::string_view text;
};
constexpr named_schema schema_table[] = {
#define NESTOR_SCHEMA(name, text) {name, text},
#include <nestor/api/schemas.def>
#undef NESTOR_SCHEMA
};

json reference_to(std::string_view schema) {
  return {{"$ref", "#/components/schemas/" + std::string{schema}}};
}

template <class Names>
json one_of_words(const Names& names) {
  auto list = json::array();
  for (const auto& each : names)
    list.push_back(std::string{each});
  return {{"type", "string"}, {"enum", std::move(list)}};
}

/// "$status", "$step" and "$code" stand for the words that the node's own tables hold.
void fill_in(json& schema) {
  if (schema.is_string()) {
    std::vector<std::string_view> codes;
    for (const auto& row : errc_table())
      codes.push_back(row.name);
    if (schema == "$status")
      schema = one_of_words(status_names);
    else if (schema == "$step")
      schema = one_of_words(step_names);
    else if (schema == "$code")
      schema = one_of_words(codes);
  } else if (schema.is_structured()) {
    for (auto& each : schema)
      fill_in(each);
  }
}

json schema_of(const spec_field& field);

json members_of(std::string_view path) {
  json properties = json::object();
  auto required = json::array();
  for (const auto* field : spec_fields_in(path)) {
    properties[std::string{field->name()}] = schema_of(*field);
    if (field->required())
      required.push_back(std::string{field->name()});
  }
  json made{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty())
    made["required"] = std::move(required);
  return made;
}

json schema_of(const spec_field& field) {
  json made = json::object();
  switch (field.type.kind) {
    case field_kind::text:
    case field_kind::duration:
    case field_kind::memory: made["type"] = "string"; break;
    case field_kind::choice: made = one_of_words(words_of(field.type)); break;
    case field_kind::integer:
      made = {{"type", "integer"}, {"minimum", field.type.least}, {"maximum", field.type.most}};
      break;
    case field_kind::number: made["type"] = "number"; break;
    case field_kind::argv:
    case field_kind::texts: made = {{"type", "array"}, {"items", {{"type", "string"}}}}; break;
    case field_kind::object: made = members_of(field.path); break;
    case field_kind::map:
      made = {{"type", "object"}, {"additionalProperties", schema_of(*spec_fields_in(field.path).front())}};
      break;
    case field_kind::secret: made = reference_to("Secret"); break;
    case field_kind::settings:
    case field_kind::json: made = {{"type", "object"}, {"additionalProperties", true}}; break;
  }
  if (field.nullable() && made.contains("type") && made["type"].is_string())
    made["type"] = json::array({made["type"], "null"});
  made["description"] = std::string{field.description};
  return made;
}

json schemas() {
  json all = json::object();
  all["Secret"] = {{"type", "object"},
                   {"minProperties", 1},
                   {"additionalProperties", true},
                   {"description",
                    "{$literal: TEXT}; in a change also {$keep: true}. The command line looks {$env: NAME} "
                    "and {$file: PATH} up before it sends."}};
  all["SandboxSpec"] = members_of("");
  all["Configuration"] = members_of("configuration");
  all["Configuration"].erase("required");
  for (const auto& each : schema_table) {
    all[std::string{each.name}] = json::parse(each.text);
    fill_in(all[std::string{each.name}]);
  }
  return all;
}

json content(std::string_view type, std::string_view schema) {
  if (schema.starts_with("text/"))
    return {{std::string{schema}, {{"schema", {{"type", "string"}}}}}};
  return {{std::string{type}, {{"schema", reference_to(schema)}}}};
}

std::string meaning_of(std::uint16_t status) {
  std::string codes;
  for (const auto& row : errc_table())
    if (row.http_status == status)
      codes.append(codes.empty() ? "" : ", ").append(row.name);
  return codes.empty() ? "Refused" : codes;
}

json responses_of(const route& r) {
  json all = json::object();
  for (auto status : statuses_of(r)) {
    json one{{"description", status < 300 ? std::string{r.summary} : meaning_of(status)}};
    if (status < 300 && !r.gives.empty())
      one["content"] = content("application/json", r.gives);
    else if (status >= 400)
      one["content"] = content("application/problem+json", "Problem");
    bool stream = r.what == endpoint::all_events || r.what == endpoint::sandbox_events;
    if (stream && status < 300)
      one["content"]["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    all[std::to_string(status)] = std::move(one);
  }
  return all;
}

/// The name in the path's braces; empty when there is none.
std::string_view argument_of(std::string_view path) {
  auto open = path.find('{');
  return open == path.npos ? std::string_view{} : path.substr(open + 1, path.find('}') - open - 1);
}

json parameters_of(const route& r) {
  auto all = json::array();
  if (auto name = argument_of(r.path); !name.empty())
    all.push_back({{"name", std::string{name}}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  for (const auto& p : parameters())
    if (takes_parameter(r, p.name))
      all.push_back({{"name", std::string{p.name}},
                     {"in", std::string{p.in}},
                     {"required", p.name == "If-Match"},
                     {"description", std::string{p.description}},
                     {"schema", json::parse(p.schema)}});
  return all;
}

std::string lower_verb(http::method verb) {
  std::string name{http::name_of(verb)};
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

} // namespace

std::vector<std::uint16_t> statuses_of(const route& r) {
  std::set<std::uint16_t> all{r.success};
  auto add = [&](std::string_view cell) {
    for (auto word : words(cell))
      all.insert(static_cast<std::uint16_t>(std::stoi(std::string{word})));
  };
  add(common_errors);
  add(r.errors);
  if (r.needs != role::anyone)
    all.insert(401);
  if (takes_parameter(r, "dry_run"))
    all.insert(200);
  return {all.begin(), all.end()};
}

std::string openapi_document(std::string_view version, int indent) {
  json paths = json::object();
  for (const auto& r : routes()) {
    json one{{"operationId", std::string{r.name}},
             {"summary", std::string{r.summary}},
             {"x-role", std::string{name_of(r.needs)}},
             {"parameters", parameters_of(r)},
             {"responses", responses_of(r)}};
    if (r.needs == role::anyone)
      one["security"] = json::array();
    if (auto takes = words(r.takes); !takes.empty())
      one["requestBody"] = {{"required", true}, {"content", content(takes.front(), takes.back())}};
    paths[std::string{r.path}][lower_verb(r.verb)] = std::move(one);
  }
  json document{
    {"openapi", "3.1.0"},
    {"info", {{"title", "Nestor"}, {"version", std::string{version}}}},
    {"security", json::array({{{"bearer", json::array()}}})},
    {"paths", std::move(paths)},
    {"components",
     {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}, {"schemas", schemas()}}}};
  return document.dump(indent);
}

std::string api_page() {
  std::string page = "<!-- Made by `nestor explain --markdown api`; do not edit. -->\n\n# The HTTP API\n\n"
                     "`/openapi.json` describes it to programs. Every request but the probes needs `Authorization: "
                     "Bearer TOKEN`; errors are `application/problem+json` (docs/errors.md).\n\n"
                     "| route | role | answers | what it does |\n|---|---|---|---|\n";
  for (const auto& r : routes()) {
    std::string errors;
    for (auto word : words(r.errors))
      errors.append(" ").append(word);
    page += "| `" + std::string{http::name_of(r.verb)} + " " + std::string{r.path} + "` | " +
            std::string{name_of(r.needs)} + " | " + std::to_string(r.success) + errors + " | " +
            std::string{r.summary} + " |\n";
  }
  page += "\nEvery route may also answer " + std::string{common_errors} +
          ", and 401 where a token is needed.\n\n"
          "| parameter | in | what it means |\n|---|---|---|\n";
  for (const auto& p : parameters())
    page += "| `" + std::string{p.name} + "` | " + std::string{p.in} + " | " + std::string{p.description} + " |\n";
  return page;
}

} // namespace nestor::api
