#include <nestor/providers/start.hpp>

#include <algorithm>
#include <cctype>

namespace nestor::providers {

std::vector<environment_entry> environment_of(const provision_order& order) {
  std::vector<environment_entry> all;
  for (const auto& [name, value] : order.spec->env)
    all.push_back({name, wiped_string{value}});
  if (!order.spec->port_env.empty() && order.spec->port != 0)
    all.push_back({order.spec->port_env, wiped_string{std::to_string(order.spec->port)}});
  if (!order.spec->session_key_env.empty())
    order.session_key.expose([&](std::string_view key) {
      all.push_back({order.spec->session_key_env, wiped_string{key}});
    });
  return all;
}

std::string shell_word(std::string_view argument) {
  constexpr std::string_view plain = "-_./:,@%+";
  auto harmless = [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || plain.find(c) != plain.npos;
  };
  if (!argument.empty() && std::ranges::all_of(argument, harmless))
    return std::string{argument};
  std::string quoted = "'";
  for (char c : argument)
    c == '\'' ? quoted += "'\\''" : quoted += c;
  return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& each : argv)
    line += (line.empty() ? "" : " ") + shell_word(each);
  return line;
}

std::vector<std::pair<std::string, std::string>> pairs_of(const labels& stamp) {
  return {{std::string{label_installation}, stamp.installation.text},
          {std::string{label_sandbox}, stamp.sandbox.text},
          {std::string{label_attempt}, std::to_string(stamp.number)}};
}

std::string name_of(const labels& stamp) {
  return stamp.sandbox.text + "-" + std::to_string(stamp.number);
}

} // namespace nestor::providers
