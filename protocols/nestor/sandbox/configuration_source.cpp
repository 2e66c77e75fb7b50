#include <nestor/sandbox/configuration_source.hpp>

#include <nestor/nested/json_text.hpp>
#include <nestor/sandbox/spec_fields.hpp>

namespace nestor {
namespace {

/// What is wrong with the characters of a secret, in words that do not repeat them; empty when nothing is.
std::string_view objection(std::string_view text, secret_use use) {
  if (text.empty() && use != secret_use::setting)
    return "a secret that is not empty"; // an empty token means "keep the old one" on some servers
  if (text.size() > secret_bytes_max)
    return "a secret of at most 64 KiB";
  if (text.find('\0') != text.npos)
    return "a secret without NUL";
  if ((use == secret_use::header || use == secret_use::git_token) && has_control(text))
    return "a secret without control characters (a line break at its end?)";
  wiped_string scratch;
  if (!nested::append_json(scratch, text))
    return "a secret in UTF-8";
  return {};
}

std::string source_of(const secret_reference& from) {
  switch (from.kind) {
    case reference_kind::env: return "what the environment variable " + from.name + " holds";
    case reference_kind::file: return "what the file " + from.name + " holds";
    case reference_kind::literal: break;
  }
  return "the literal";
}

} // namespace

secret resolve_secret(const secret_reference& from, secret_use use, const secret_lookup& lookup,
                      std::vector<fault>& faults) {
  auto value = from.literal;
  if (from.kind != reference_kind::literal) {
    auto found = lookup(from.kind, from.name);
    if (!found) {
      faults.push_back({errc::secret_unresolved, from.path, {}, found.error().cause, {}});
      return {};
    }
    value = std::move(*found);
  }
  auto wrong = value.expose([&](std::string_view text) { return objection(text, use); });
  if (wrong.empty())
    return value;
  auto code = from.kind == reference_kind::literal ? errc::spec_invalid : errc::secret_unresolved;
  faults.push_back({code, from.path, std::string{wrong}, source_of(from), {}});
  return {};
}

resolved_secrets resolve_secrets(const configuration_source& source, const secret_lookup& lookup,
                                 std::vector<fault>& faults) {
  resolved_secrets all;
  for (const auto& s : source.settings_secrets)
    all.settings.push_back(resolve_secret(s.from, secret_use::setting, lookup, faults));
  for (const auto& g : source.git_providers)
    all.git_providers.push_back(resolve_secret(g.token, secret_use::git_token, lookup, faults));
  for (const auto& s : source.secrets)
    all.secrets.push_back(resolve_secret(s.value, secret_use::custom, lookup, faults));
  return all;
}

nested::configuration assemble(const configuration_source& source, const resolved_secrets& secrets) {
  nested::configuration result;
  if (!source.settings.empty())
    result.settings.clear();
  for (const auto& piece : source.settings) {
    result.settings += piece.text;
    if (piece.reference)
      secrets.settings[*piece.reference].expose(
        [&](std::string_view text) { nested::append_json(result.settings, text); });
  }
  for (const auto& s : source.settings_secrets)
    result.secret_settings.push_back(s.pointer);
  for (std::size_t i = 0; i < source.git_providers.size(); ++i) {
    const auto& g = source.git_providers[i];
    result.git_providers.push_back({g.git_provider, secrets.git_providers[i], g.host, g.user_id});
  }
  for (std::size_t i = 0; i < source.secrets.size(); ++i)
    result.secrets.push_back({source.secrets[i].name, secrets.secrets[i], source.secrets[i].description});
  return result;
}

} // namespace nestor
