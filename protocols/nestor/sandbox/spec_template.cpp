#include <nestor/sandbox/spec_template.hpp>

#include <nestor/nested/json_text.hpp>

#include <algorithm>

namespace nestor {
namespace {

/// Of a text that `read_spec` accepted for a bench.
std::optional<pattern> counting(std::string_view text) {
  auto cut = pattern::of(text);
  return cut && cut->counts() ? std::move(cut) : std::nullopt;
}

bool counts_in(const secret_reference& from) {
  return from.kind == reference_kind::literal &&
         from.literal.expose([](std::string_view t) { return counting(t).has_value(); });
}

pattern pattern_of(const secret_reference& from) {
  return from.literal.expose([](std::string_view t) { return *counting(t); });
}

secret filled(const pattern& text, std::uint64_t index) {
  std::string plain;
  plain.reserve(64); // on the heap, where `secret` wipes it
  text.append_to(plain, index);
  return secret{std::move(plain)};
}

/// The settings with their secrets as one pattern; nothing when no part counts.
std::optional<pattern> settings_pattern(const configuration_source& source, const std::vector<secret>& secrets) {
  pattern all;
  for (const auto& piece : source.settings) {
    all.add(*pattern::of(piece.text));
    if (!piece.reference)
      continue;
    wiped_string json;
    secrets[*piece.reference].expose([&](std::string_view text) { nested::append_json(json, text); });
    if (counts_in(source.settings_secrets[*piece.reference].from))
      all.add(*pattern::of(json));
    else
      all.add_plain(json);
  }
  return all.counts() ? std::optional{std::move(all)} : std::nullopt;
}

} // namespace

checked<spec_template> spec_template::of(const spec_source& source, const secret_lookup& lookup) {
  checked<spec_template> result;
  auto secrets = resolve_secrets(source.configuration, lookup, result.faults);
  refuse_secrets_in_env(*source.plain.runtime, source.configuration, secrets, result.faults);
  spec_template made;
  made.base_ = source.plain;
  if (source.session_key) {
    auto runtime = std::make_shared<runtime_spec>(*made.base_.runtime);
    runtime->session_key = resolve_secret(*source.session_key, secret_use::header, lookup, result.faults);
    made.base_.runtime = std::move(runtime);
    if (counts_in(*source.session_key))
      made.session_key_ = pattern_of(*source.session_key);
  }
  if (!result.faults.empty())
    return result;
  made.base_.configuration = std::make_shared<const nested::configuration>(assemble(source.configuration, secrets));
  made.settings_ = settings_pattern(source.configuration, secrets.settings);
  made.cut_texts();
  made.cut_configuration(source.configuration);
  result.value = std::move(made);
  return result;
}

void spec_template::cut_texts() {
  std::size_t ordinal = 0;
  texts_of_sandbox(base_, [&](const std::string& text) {
    if (auto cut = counting(text))
      sandbox_texts_.push_back({ordinal, std::move(*cut)});
    ++ordinal;
  });
  ordinal = 0;
  texts_of_runtime(*base_.runtime, [&](const std::string& text) {
    if (auto cut = counting(text))
      runtime_texts_.push_back({ordinal, std::move(*cut)});
    ++ordinal;
  });
}

void spec_template::cut_configuration(const configuration_source& source) {
  for (std::size_t i = 0; i < source.git_providers.size(); ++i) {
    const auto& g = source.git_providers[i];
    if (counts_in(g.token))
      git_tokens_.push_back({i, pattern_of(g.token)});
    if (auto cut = g.host ? counting(*g.host) : std::nullopt)
      git_texts_.push_back({2 * i, std::move(*cut)});
    if (auto cut = g.user_id ? counting(*g.user_id) : std::nullopt)
      git_texts_.push_back({2 * i + 1, std::move(*cut)});
  }
  for (std::size_t i = 0; i < source.secrets.size(); ++i) {
    const auto& s = source.secrets[i];
    if (counts_in(s.value))
      secret_values_.push_back({i, pattern_of(s.value)});
    if (auto cut = counting(s.description))
      secret_descriptions_.push_back({i, std::move(*cut)});
  }
}

std::shared_ptr<const runtime_spec> spec_template::runtime(std::uint64_t index) const {
  if (runtime_texts_.empty() && !session_key_)
    return base_.runtime;
  auto made = std::make_shared<runtime_spec>(*base_.runtime);
  std::size_t ordinal = 0;
  auto next = runtime_texts_.begin();
  texts_of_runtime(*made, [&](std::string& text) {
    if (next != runtime_texts_.end() && next->ordinal == ordinal) {
      text = next->text.text(index);
      ++next;
    }
    ++ordinal;
  });
  if (session_key_)
    made->session_key = filled(*session_key_, index);
  return made;
}

std::shared_ptr<const nested::configuration> spec_template::configuration(std::uint64_t index) const {
  if (!settings_ && git_texts_.empty() && git_tokens_.empty() && secret_descriptions_.empty() && secret_values_.empty())
    return base_.configuration;
  auto made = std::make_shared<nested::configuration>(*base_.configuration);
  if (settings_) {
    made->settings.clear();
    settings_->append_to(made->settings, index);
  }
  for (const auto& t : git_texts_) {
    auto& credential = made->git_providers[t.ordinal / 2];
    (t.ordinal % 2 == 0 ? credential.host : credential.user_id) = t.text.text(index);
  }
  for (const auto& s : git_tokens_)
    made->git_providers[s.item].token = filled(s.text, index);
  for (const auto& t : secret_descriptions_)
    made->secrets[t.ordinal].description = t.text.text(index);
  for (const auto& s : secret_values_)
    made->secrets[s.item].value = filled(s.text, index);
  return made;
}

sandbox_spec spec_template::expand(std::uint64_t index) const {
  sandbox_spec made;
  made.name = base_.name;
  made.labels = base_.labels;
  made.provider = base_.provider;
  made.runtime = runtime(index);
  made.dialect = base_.dialect;
  made.configuration = configuration(index);
  made.conversation = base_.conversation;
  made.policy = base_.policy;
  std::size_t ordinal = 0;
  auto next = sandbox_texts_.begin();
  texts_of_sandbox(made, [&](std::string& text) {
    if (next != sandbox_texts_.end() && next->ordinal == ordinal) {
      text = next->text.text(index);
      ++next;
    }
    ++ordinal;
  });
  return made;
}

} // namespace nestor
