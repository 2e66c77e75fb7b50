// nestor-emulator as a program of its own: every cloud of this build, the node's configuration for them, and the judge.
#pragma once

#include "support/emulator_program.hpp"

#include <map>

namespace nestor::tests {

class emulated_clouds {
public:
  /// `faults`: of every cloud; `more`: arguments.
  explicit emulated_clouds(std::vector<std::string> more = {}) : program_(arguments(std::move(more))) {
    if (!program_.started())
      return;
    up_ = true;
    for (const char* name : {"daytona", "e2b", "modal", "runloop", "remote"})
      if (auto url = program_.url_of(name); !url.empty())
        urls_[name] = url, keys_[name] = program_.key_of(name);
  }

  [[nodiscard]] bool up() const { return up_; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, url] : urls_)
      all.push_back(name);
    return all;
  }
  /// The members `providers`, `addresses` and `resolve` of a node's configuration. `account`: more of each account.
  [[nodiscard]] std::string configuration(const scratch_folder& scratch, const std::string& account = {}) const {
    std::string text = "addresses: {allow: [127.0.0.0/8]}\nresolve: {\"*.localhost\": 127.0.0.1}\nproviders:\n";
    for (const auto& [name, url] : urls_) {
      auto key = "{$file: " + scratch.write("key-" + name, keys_.at(name)) + "}";
      auto port = url.substr(url.rfind(':') + 1);
      text += "  " + name + ": {" + account;
      if (name == "daytona")
        text += "api_key: " + key + ", api_url: \"" + url + "/api\"}\n";
      else if (name == "e2b")
        text += "api_key: " + key + ", api_url: \"" + url + "\", sandbox_url: \"" + url + "\"}\n";
      else if (name == "runloop")
        text += "api_key: " + key + ", base_url: \"" + url +
                "\", tunnel_url: \"http://{port}-{key}.tunnel.localhost:" + port + "\"}\n";
      else if (name == "modal")
        text += "token_id: " + key + ", token_secret: " + key + ", server_url: \"" + url + "\"}\n";
      else
        text += "api_key: " + key + ", api_url: \"" + url + "\"}\n";
    }
    return text;
  }
  /// Of every cloud, from now on.
  [[nodiscard]] bool set_faults(const std::vector<std::string>& faults, std::uint64_t seed = 1) const {
    auto wish = nlohmann::json{{"faults", faults}, {"seed", seed}}.dump();
    return program_.admin("POST", "/admin/faults", wish).status == 200;
  }
  /// What costs money, by the sandbox that it is rented for; each as "cloud id".
  [[nodiscard]] std::map<std::string, std::vector<std::string>> rented() const {
    std::map<std::string, std::vector<std::string>> found;
    auto all = program_.rented();
    for (const auto& [cloud, items] : all.items())
      for (const auto& each : items) {
        auto whose = each["name"].get<std::string>().substr(0, id_length); // where there are no labels the name tells
        for (const auto& [label, value] : each["labels"].items())
          if (value.is_string() && value.get<std::string>().starts_with("nst-"))
            whose = value.get<std::string>();
        found[whose].push_back(cloud + " " + each["id"].get<std::string>());
      }
    return found;
  }
  /// Requests that the clouds were asked, and how many of them a fault hit.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> traffic() const {
    std::pair<std::uint64_t, std::uint64_t> sum;
    auto all = program_.admin("GET", "/admin/clouds").json();
    for (const auto& [cloud, counts] : all.items()) {
      sum.first += counts.value("requests", std::uint64_t{0});
      sum.second += counts.value("faults_hit", std::uint64_t{0});
    }
    return sum;
  }

private:
  static constexpr std::size_t id_length = 30; // nst- and 26 characters

  static std::vector<std::string> arguments(std::vector<std::string> more) {
    more.insert(more.begin(), {"--admin", "0"});
    return more;
  }

  emulator_program program_;
  bool up_ = false;
  std::map<std::string, std::string> urls_;
  std::map<std::string, std::string> keys_;
};

} // namespace nestor::tests
