#include <nestor/nested/agent_secrets.hpp>
#include <nestor/nested/dialect_parts.hpp>

#include <algorithm>

namespace nestor::nested {
namespace {

constexpr std::size_t name_max = 64; // characters: the server's own limit

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string token_name(std::string_view git_provider) {
  std::string name{git_provider};
  std::ranges::transform(name, name.begin(), [](char c) {
    if (c >= 'a' && c <= 'z')
      return static_cast<char>(c - 32);
    return is_letter(c) || (c >= '0' && c <= '9') ? c : '_';
  });
  return name + "_TOKEN";
}

std::string token_description(const git_credential& c) {
  auto text = "Token of the git provider " + c.git_provider;
  if (c.host)
    text += ", host " + *c.host;
  if (c.user_id)
    text += ", user " + *c.user_id;
  return text;
}

} // namespace

agent_secret agent_secret_of(const configuration& c, bool git, std::size_t item) {
  if (git) {
    const auto& from = c.git_providers[item];
    return {true, item, token_name(from.git_provider), token_description(from), &from.git_provider, &from.token};
  }
  const auto& from = c.secrets[item];
  return {false, item, from.name, from.description, &from.name, &from.value};
}

std::size_t agent_secrets_wanted(const walk& w) {
  const auto* c = w.order->wanted.get();
  return c && !withdraws(w) ? c->git_providers.size() + c->secrets.size() : 0;
}

agent_secret agent_secret_at(const walk& w, std::size_t i) {
  const auto& c = *w.order->wanted;
  auto tokens = c.git_providers.size();
  return i < tokens ? agent_secret_of(c, true, i) : agent_secret_of(c, false, i - tokens);
}

bool is_wanted_agent_secret(const walk& w, std::string_view name) {
  for (std::size_t i = 0; i < agent_secrets_wanted(w); ++i)
    if (agent_secret_at(w, i).name == name)
      return true;
  return false;
}

const std::string* git_provider_before(const walk& w, std::string_view name) {
  if (w.order->before)
    for (const auto& [git_provider, had] : w.order->before->git_providers)
      if (token_name(git_provider) == name)
        return &git_provider;
  return nullptr;
}

bool agent_secret_was_ours(const walk& w, std::string_view name) {
  return secret_was_ours(*w.order, name) || git_provider_before(w, name);
}

std::string agent_secrets_misfit(const walk& w) {
  for (std::size_t i = 0; i < agent_secrets_wanted(w); ++i) {
    auto each = agent_secret_at(w, i);
    if (each.name.empty() || each.name.size() > name_max || !is_letter(each.name.front()))
      return "the agent-server takes no secret '" + each.name + "': a name begins with a letter and has at most 64";
    for (std::size_t k = 0; k < i; ++k)
      if (auto other = agent_secret_at(w, k); other.name == each.name)
        return "'" + *each.said + "' and '" + *other.said + "' would both be the agent-server's secret '" + each.name +
               "'";
  }
  return {};
}

} // namespace nestor::nested
