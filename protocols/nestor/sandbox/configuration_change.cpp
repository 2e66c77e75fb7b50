#include <nestor/sandbox/configuration_change.hpp>

#include <nestor/sandbox/internal/json_tree.hpp>
#include <nestor/sandbox/internal/settings_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>
#include <nestor/sandbox/spec_reader.hpp>

#include <algorithm>
#include <map>

namespace nestor {
namespace {

using namespace internal;

json_tree object() {
  json_tree made;
  made.what = json_is::object;
  return made;
}

json_tree text(std::string_view content) {
  json_tree made;
  made.what = json_is::string;
  made.text = content;
  return made;
}

json_tree literal(std::string_view content) {
  auto made = object();
  made.members.push_back({"$literal", text(content)});
  return made;
}

json_tree literal(const secret& value) {
  return value.expose([](std::string_view content) { return literal(content); });
}

json_tree* member(json_tree& of, std::string_view name) {
  auto found = std::ranges::find(of.members, name, &json_member::name);
  return found == of.members.end() ? nullptr : &found->value;
}

std::string unescaped(std::string_view step) {
  std::string result;
  for (std::size_t i = 0; i < step.size(); ++i)
    if (step[i] == '~' && i + 1 < step.size())
      result += step[++i] == '1' ? '/' : '~';
    else
      result += step[i];
  return result;
}

/// RFC 6901; null when there is nothing.
json_tree* at(json_tree& root, std::string_view pointer) {
  auto* here = &root;
  while (here != nullptr && !pointer.empty()) {
    pointer.remove_prefix(1);
    auto end = std::min(pointer.find('/'), pointer.size());
    auto step = unescaped(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (here->what != json_is::array) {
      here = member(*here, step);
      continue;
    }
    std::size_t index = 0;
    for (char c : step)
      index = index * 10 + static_cast<std::size_t>(c - '0');
    here = index < here->items.size() ? &here->items[index] : nullptr;
  }
  return here;
}

json_tree settings_of(const nested::configuration& c) {
  auto read = read_tree(c.settings);
  auto settings = read ? std::move(*read) : object();
  for (const auto& pointer : c.secret_settings)
    if (auto* found = at(settings, pointer); found != nullptr && found->what == json_is::string)
      *found = literal(std::string_view{found->text});
  return settings;
}

/// What is stored, as a document that could have been written.
json_tree document_of(const nested::configuration& c) {
  auto root = object();
  root.members.push_back({"settings", settings_of(c)});
  auto git = object();
  for (const auto& each : c.git_providers) {
    auto one = object();
    one.members.push_back({"token", literal(each.token)});
    if (each.host)
      one.members.push_back({"host", text(*each.host)});
    if (each.user_id)
      one.members.push_back({"user_id", text(*each.user_id)});
    git.members.push_back({each.git_provider, std::move(one)});
  }
  root.members.push_back({"git_providers", std::move(git)});
  auto secrets = object();
  for (const auto& each : c.secrets) {
    auto one = object();
    one.members.push_back({"value", literal(each.value)});
    if (!each.description.empty())
      one.members.push_back({"description", text(each.description)});
    secrets.members.push_back({each.name, std::move(one)});
  }
  root.members.push_back({"secrets", std::move(secrets)});
  return root;
}

bool is_keep(const json_tree& value) {
  const auto* flag = value.member("$keep");
  return flag != nullptr && flag->what == json_is::boolean && flag->flag && value.members.size() == 1;
}

class merger {
public:
  explicit merger(std::vector<fault>& faults) : faults_(faults) {}

  /// RFC 7396 §2, with references as leaves.
  json_tree merged(json_tree before, json_tree patch, const std::string& path) {
    if (patch.what != json_is::object || meant_as_reference(patch))
      return replaced(&before, std::move(patch), path);
    bool fresh = before.what != json_is::object || meant_as_reference(before);
    auto result = fresh ? object() : std::move(before);
    for (auto& m : patch.members) {
      auto* old = member(result, m.name);
      auto where = member_path(path, m.name);
      if (m.value.what == json_is::null) {
        std::erase_if(result.members, [&](const json_member& each) { return each.name == m.name; });
        continue;
      }
      if (old != nullptr) {
        *old = merged(std::move(*old), std::move(m.value), where);
        continue;
      }
      json_tree nothing;
      auto added = merged(std::move(nothing), std::move(m.value), where);
      result.members.push_back({std::move(m.name), std::move(added)});
    }
    return result;
  }

  /// The document itself, with what is kept filled in from `before`.
  json_tree replaced(json_tree* before, json_tree document, const std::string& path) {
    if (meant_as_reference(document))
      return taken(before, std::move(document), path);
    for (auto& m : document.members)
      m.value = replaced(before ? member(*before, m.name) : nullptr, std::move(m.value), member_path(path, m.name));
    for (std::size_t i = 0; i < document.items.size(); ++i) {
      bool there = before != nullptr && i < before->items.size();
      document.items[i] =
        replaced(there ? &before->items[i] : nullptr, std::move(document.items[i]), element_path(path, i));
    }
    return document;
  }

private:
  json_tree taken(json_tree* before, json_tree value, const std::string& path) {
    if (!meant_as_reference(value))
      return value;
    if (is_keep(value)) {
      if (before != nullptr && meant_as_reference(*before))
        return *before;
      faults_.push_back({errc::spec_invalid, path, {}, "$keep where no secret is stored", "send {$literal: TEXT}"});
    } else if (value.member("$literal") == nullptr) {
      faults_.push_back({errc::spec_invalid, path, "$literal or $keep", "another reference",
                         "over the API the sender looks $env and $file up; the command line does"});
    }
    return value;
  }

  std::vector<fault>& faults_;
};

/// `secrets: {NAME: reference}` is short for `{NAME: {value: reference}}`; only in the long form do they merge.
void spell_out(json_tree& document) {
  auto* secrets = member(document, "secrets");
  if (secrets == nullptr || secrets->what != json_is::object)
    return;
  for (auto& m : secrets->members)
    if (meant_as_reference(m.value)) {
      auto whole = object();
      whole.members.push_back({"value", std::move(m.value)});
      m.value = std::move(whole);
    }
}

expected<secret> never_looked_up(reference_kind, const std::string&) {
  return failure{errc::secret_unresolved, step::queue, "only $literal may be sent", 0, {}};
}

using texts = std::map<std::string, wiped_string, std::less<>>;

texts members_of(const wiped_string& settings) {
  texts found;
  if (auto tree = read_tree(settings))
    for (const auto& m : tree->members)
      append_canonical(found[m.name], m.value);
  return found;
}

void compare(std::string_view part, const texts& before, const texts& after, std::string_view effect,
             std::vector<planned>& into) {
  auto path = [&](const std::string& name) { return member_path(std::string{part}, name); };
  for (const auto& [name, value] : after)
    if (auto old = before.find(name); old == before.end() || old->second != value)
      into.push_back({path(name), old == before.end() ? "added" : "changed", effect});
  for (const auto& [name, value] : before)
    if (!after.contains(name))
      into.push_back({path(name), "removed", effect});
}

texts git_texts(const nested::configuration& c) {
  texts found;
  for (const auto& g : c.git_providers) {
    auto& t = found[g.git_provider];
    g.token.expose([&](std::string_view token) { t.append(token); });
    t.append("\n").append(g.host.value_or("")).append("\n").append(g.user_id.value_or(""));
  }
  return found;
}

texts secret_texts(const nested::configuration& c) {
  texts found;
  for (const auto& s : c.secrets) {
    auto& t = found[s.name];
    t.append(s.description).append("\n");
    s.value.expose([&](std::string_view value) { t.append(value); });
  }
  return found;
}

} // namespace

checked<nested::configuration> apply(const configuration_change& change, const sandbox_spec& to) {
  checked<nested::configuration> result;
  auto read = read_tree(change.document);
  if (!read) {
    result.faults = std::move(read.faults);
    return result;
  }
  if (read->what != json_is::object) {
    result.faults.push_back({errc::spec_invalid, "configuration", "an object", std::string{kind_name(*read)}, {}});
    return result;
  }
  spell_out(*read);
  auto stored = document_of(*to.configuration);
  merger m{result.faults};
  auto wanted = change.how == change_kind::merge ? m.merged(std::move(stored), std::move(*read), "configuration")
                                                 : m.replaced(&stored, std::move(*read), "configuration");
  wiped_string document;
  if (!append_canonical(document, wanted))
    result.faults.push_back({errc::spec_invalid, "configuration", "UTF-8", "other bytes", {}});
  if (!result.faults.empty())
    return result;
  auto source = read_configuration(document);
  if (!source) {
    result.faults = std::move(source.faults);
    return result;
  }
  auto secrets = resolve_secrets(*source, never_looked_up, result.faults);
  refuse_secrets_in_env(*to.runtime, *source, secrets, result.faults);
  if (result.faults.empty())
    result.value = assemble(*source, secrets);
  return result;
}

std::vector<planned> plan_of(const nested::configuration& before, const nested::configuration& after) {
  std::vector<planned> plan;
  compare("settings", members_of(before.settings), members_of(after.settings), "next_conversation", plan);
  compare("git_providers", git_texts(before), git_texts(after), "live", plan);
  compare("secrets", secret_texts(before), secret_texts(after), "live", plan);
  return plan;
}

} // namespace nestor
