#include <nestor/sandbox/spec_reader.hpp>

#include <nestor/nested/dialect.hpp>
#include <nestor/sandbox/internal/json_tree.hpp>
#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/internal/spec_draft.hpp>
#include <nestor/sandbox/placeholder.hpp>
#include <nestor/sandbox/spec_fields.hpp>

#include <algorithm>

namespace nestor {
namespace {

using namespace internal;

/// Walks the document along the table.
class walk {
public:
  walk(draft& d, const reading& how, std::vector<fault>& faults) : draft_(d), how_(how), faults_(faults) {}

  void document(const json_tree& root) {
    if (root.what != json_is::object)
      return refuse({}, "an object of fields", kind_name(root));
    if (const auto* name = root.member("provider"); name == nullptr || name->what == json_is::string)
      who_ =
        how_.provider_named(name == nullptr ? std::string_view{draft_.spec.provider} : std::string_view{name->text});
    object(root, {}, {});
    if (who_ == nullptr)
      unknown_provider();
    else
      ask_provider();
  }

  /// One object of the document alone; what a provider kind honours is not asked.
  void part(const json_tree& root, const std::string& path) {
    if (root.what != json_is::object)
      return refuse(path, "an object of fields", kind_name(root));
    object(root, path, path);
  }

private:
  void refuse(std::string path, std::string expected, std::string_view got, std::string advice = {}) {
    faults_.push_back({errc::spec_invalid, std::move(path), std::move(expected), std::string{got}, std::move(advice)});
  }
  bool faulty(std::string_view path) const {
    return std::ranges::any_of(faults_, [&](const fault& f) { return f.path == path; });
  }

  // -- structure ------------------------------------------------------------------------------------------------------

  void object(const json_tree& node, const std::string& path, std::string_view table_path) {
    auto known = spec_fields_in(table_path);
    for (const auto& m : node.members) {
      auto row = std::ranges::find(known, std::string_view{m.name}, &spec_field::name);
      if (row == known.end())
        unknown(m, path, table_path, known);
      else
        value(**row, m.value, member_path(path, m.name), m.name);
    }
    for (const auto* field : known)
      if (field->required() && node.member(field->name()) == nullptr)
        refuse(member_path(path, field->name()), to_string(field->type), "nothing");
  }

  void map(const spec_field& field, const json_tree& node, const std::string& path) {
    if (node.members.size() > field.type.entries_max)
      refuse(path, "at most " + std::to_string(field.type.entries_max) + " entries",
             std::to_string(node.members.size()));
    const auto* entry = spec_fields_in(field.path).front();
    for (const auto& m : node.members) {
      if (obeys(field.type.rule, m.name))
        value(*entry, m.value, member_path(path, m.name), m.name);
      else
        refuse(member_path(path, shown_name(m.name)), "as its name: " + std::string{expectation_of(field.type.rule)},
               "another name");
    }
  }

  void unknown(const json_member& m, const std::string& path, std::string_view table_path,
               const std::vector<const spec_field*>& known) {
    auto meant = probably_meant(spec_fields(), table_path, m.name);
    std::string advice = meant.empty() ? "known here:" : "did you mean " + meant + "?";
    if (meant.empty())
      for (const auto* field : known)
        advice.append(field == known.front() ? " " : ", ").append(field->name());
    if (m.name.starts_with('$') && table_path == "configuration.git_providers.*")
      advice = "the reference belongs under token: {token: {$env: NAME}}";
    refuse(member_path(path, shown_name(m.name)), {}, "unknown field", std::move(advice));
  }

  // -- one value ------------------------------------------------------------------------------------------------------

  void value(const spec_field& field, const json_tree& node, const std::string& path, std::string_view name) {
    if (node.what == json_is::null && field.nullable())
      return;
    if (who_ != nullptr && !honours(*who_, field.needs)) {
      faults_.push_back({errc::capability_missing,
                         path,
                         {},
                         "not for the provider kind " + std::string{who_->kind},
                         "kinds that honour it: " + honoured_by(field.needs)});
      return;
    }
    taken v;
    v.name = std::string{name};
    auto take = [&] { taker_of(static_cast<std::size_t>(&field - spec_fields().data()))(draft_, std::move(v)); };
    switch (field.type.kind) {
      case field_kind::object:
        if (of_kind(json_is::object, field, node, path)) {
          take();
          object(node, path, field.path);
        }
        return;
      case field_kind::map:
        if (of_kind(json_is::object, field, node, path))
          map(field, node, path);
        return;
      case field_kind::settings:
        if (meant_as_reference(node) || !of_kind(json_is::object, field, node, path))
          return meant_as_reference(node) ? refuse(path, "an object of settings", "a reference") : void();
        return read_settings(node, path, how_.bench, draft_.configuration, faults_);
      case field_kind::secret: return secret_value(field, node, path, std::move(v));
      case field_kind::json:
        if (!of_kind(json_is::object, field, node, path))
          return;
        v.text = read_free_json(node, path, how_.bench, field.path == "conversation", faults_);
        return take();
      case field_kind::argv:
        if (argv(node, path, v))
          take();
        return;
      case field_kind::texts: return; // no field of a specification
      case field_kind::text:
      case field_kind::integer:
      case field_kind::number:
      case field_kind::duration:
      case field_kind::memory:
      case field_kind::choice:
        if (scalar(field, node, path, v))
          take();
        return;
    }
  }

  bool of_kind(json_is wanted, const spec_field& field, const json_tree& node, const std::string& path,
               std::string advice = {}) {
    if (node.what == wanted)
      return true;
    refuse(path, to_string(field.type), kind_name(node), std::move(advice));
    return false;
  }

  void secret_value(const spec_field& field, const json_tree& node, const std::string& path, taken&& v) {
    auto take = taker_of(static_cast<std::size_t>(&field - spec_fields().data()));
    if (meant_as_reference(node)) {
      if ((v.reference = read_reference(node, path, how_.bench, faults_)))
        take(draft_, std::move(v));
    } else if (node.what == json_is::object && !spec_fields_in(field.path).empty()) {
      take(draft_, std::move(v));
      object(node, path, field.path);
    } else {
      bool bare = node.what == json_is::string || node.what == json_is::integer || node.what == json_is::number;
      refuse(path, "a secret reference", bare ? "a bare value" : kind_name(node), std::string{reference_advice});
    }
  }

  bool argv(const json_tree& node, const std::string& path, taken& v) {
    if (node.what != json_is::array) {
      refuse(path, "a list of arguments", kind_name(node), "argv, never a shell string: [program, argument]");
      return false;
    }
    if (node.items.size() > spec_argv_max)
      refuse(path, "at most " + std::to_string(spec_argv_max) + " arguments", std::to_string(node.items.size()));
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const auto& item = node.items[i];
      auto where = element_path(path, i);
      if (item.what != json_is::string)
        refuse(where, "text", kind_name(item), item.what <= json_is::number ? "quote it" : "");
      else if (text(text_rule::line, item.text, where))
        v.list.emplace_back(item.text);
    }
    return v.list.size() == node.items.size();
  }

  bool text(text_rule rule, std::string_view content, const std::string& path) {
    if (!placeholders_fit(content, path, how_.bench, faults_))
      return false;
    bool fine = obeys(rule, content);
    if (counts(content)) {
      auto cut = pattern::of(content);
      fine = obeys(rule, cut->text(0)) && obeys(rule, cut->text(bench_index_max));
    }
    if (!fine)
      refuse(path, std::string{expectation_of(rule)}, "text that is not");
    return fine;
  }

  bool scalar(const spec_field& field, const json_tree& node, const std::string& path, taken& v) {
    return read_scalar(field.type, node, path, v, faults_) &&
           (field.type.kind != field_kind::text || text(field.type.rule, v.text, path));
  }

  // -- the provider ---------------------------------------------------------------------------------------------------

  void unknown_provider() {
    if (faulty("provider"))
      return;
    std::vector<std::string_view> kinds;
    std::string all;
    for (const auto* p : providers::all()) {
      kinds.push_back(p->kind);
      all.append(all.empty() ? "" : ", ").append(p->kind);
    }
    auto near = nearest(draft_.spec.provider, kinds);
    refuse("provider", "the name of a configured provider", "an unknown name",
           near ? "did you mean " + std::string{*near} + "?" : "this build has " + all);
  }

  void ask_provider() {
    auto asked = draft_.runtime;
    texts_of_runtime(asked, [&](std::string& t) {
      if (auto cut = how_.bench ? pattern::of(t) : std::nullopt)
        t = cut->text(0);
    });
    if (draft_.session_key)
      asked.session_key = secret::copy_of("given");
    auto verdict = providers::accepts(*who_, asked);
    if (verdict)
      return;
    std::string_view cause = verdict.error().cause; // "runtime.command: what is wrong", by contract of the providers
    auto colon = cause.starts_with("runtime.") ? cause.find(": ") : cause.npos;
    std::string path{colon == cause.npos ? "runtime" : cause.substr(0, colon)};
    bool known = std::ranges::any_of(faults_, [&](const fault& f) { return f.path.starts_with(path); });
    if (!known)
      faults_.push_back(
        {verdict.error().code, path, {}, std::string{colon == cause.npos ? cause : cause.substr(colon + 2)}, {}});
  }

  draft& draft_;
  const reading& how_;
  std::vector<fault>& faults_;
  const providers::provider* who_ = nullptr;
};

void refuse_secret_names_in_env(const draft& d, std::vector<fault>& faults) {
  for (const auto& [name, value] : d.runtime.env)
    if (std::ranges::find(d.configuration.secrets, name, &custom_secret_source::name) != d.configuration.secrets.end())
      faults.push_back({errc::spec_invalid, member_path("runtime.env", name), "a variable that is no secret",
                        "the name of one in configuration.secrets",
                        "remove it here: secrets are pushed, never put into the environment"});
}

void refuse_conversation_of_none(const sandbox_spec& spec, std::vector<fault>& faults) {
  const auto* dialect = nested::dialect_named(spec.dialect);
  if (!spec.conversation.empty() && dialect != nullptr && !dialect->conversations.there)
    faults.push_back({errc::capability_missing,
                      "conversation",
                      {},
                      "the dialect " + spec.dialect + " has no conversations",
                      "remove it, or name another dialect"});
}

/// What is known of the secrets before anything was looked up.
resolved_secrets literals_of(const configuration_source& source) {
  resolved_secrets known;
  for (const auto& s : source.settings_secrets)
    known.settings.push_back(s.from.literal);
  for (const auto& g : source.git_providers)
    known.git_providers.push_back(g.token.literal);
  for (const auto& s : source.secrets)
    known.secrets.push_back(s.value.literal);
  return known;
}

} // namespace

checked<configuration_source> read_configuration(std::string_view json) {
  checked<configuration_source> result;
  auto tree = read_tree(json);
  if (!tree) {
    result.faults = std::move(tree.faults);
    return result;
  }
  draft d;
  const reading plain;
  walk{d, plain, result.faults}.part(*tree, "configuration");
  std::ranges::sort(d.configuration.git_providers, {}, &git_credential_source::git_provider);
  std::ranges::sort(d.configuration.secrets, {}, &custom_secret_source::name);
  if (result.faults.empty())
    result.value = std::move(d.configuration);
  return result;
}

checked<spec_source> read_spec(std::string_view json, const reading& how) {
  checked<spec_source> result;
  auto tree = read_tree(json);
  if (!tree) {
    result.faults = std::move(tree.faults);
    return result;
  }
  draft d;
  walk{d, how, result.faults}.document(*tree);
  std::ranges::sort(d.configuration.git_providers, {}, &git_credential_source::git_provider);
  std::ranges::sort(d.configuration.secrets, {}, &custom_secret_source::name);
  std::ranges::sort(d.runtime.env);
  refuse_secret_names_in_env(d, result.faults);
  refuse_conversation_of_none(d.spec, result.faults);
  refuse_secrets_in_env(d.runtime, d.configuration, literals_of(d.configuration), result.faults);
  if (!result.faults.empty())
    return result;
  d.spec.runtime = std::make_shared<const runtime_spec>(std::move(d.runtime));
  result.value = spec_source{std::move(d.spec), std::move(d.session_key), std::move(d.configuration)};
  return result;
}

void refuse_secrets_in_env(const runtime_spec& runtime, const configuration_source& source,
                           const resolved_secrets& secrets, std::vector<fault>& faults) {
  for (const auto& [name, value] : runtime.env) {
    auto same = [text = secret::copy_of(value)](const secret& s) { return !s.empty() && s == text; };
    std::string whose;
    for (std::size_t i = 0; i < secrets.settings.size() && whose.empty(); ++i)
      if (same(secrets.settings[i]))
        whose = source.settings_secrets[i].from.path;
    for (std::size_t i = 0; i < secrets.git_providers.size() && whose.empty(); ++i)
      if (same(secrets.git_providers[i]))
        whose = source.git_providers[i].token.path;
    for (std::size_t i = 0; i < secrets.secrets.size() && whose.empty(); ++i)
      if (same(secrets.secrets[i]))
        whose = source.secrets[i].value.path;
    if (!whose.empty())
      faults.push_back({errc::spec_invalid, member_path("runtime.env", name), "a value that is no secret",
                        "the value of " + whose, "remove it here: secrets are pushed, never put into the environment"});
  }
}

checked<sandbox_spec> resolve(const spec_source& source, const secret_lookup& lookup) {
  checked<sandbox_spec> result;
  auto secrets = resolve_secrets(source.configuration, lookup, result.faults);
  refuse_secrets_in_env(*source.plain.runtime, source.configuration, secrets, result.faults);
  auto spec = source.plain;
  if (source.session_key) {
    auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
    runtime->session_key = resolve_secret(*source.session_key, secret_use::header, lookup, result.faults);
    spec.runtime = std::move(runtime);
  }
  if (!result.faults.empty())
    return result;
  spec.configuration = std::make_shared<const nested::configuration>(assemble(source.configuration, secrets));
  result.value = std::move(spec);
  return result;
}

} // namespace nestor
