// nestor-emulator as a program of its own: every cloud of this build, the node's configuration for them, and the judge.
#pragma once

#include "serve/serving.hpp"

#include <map>
#include <sstream>

namespace nestor::tests {

class emulated_clouds {
public:
  /// `faults`: of every cloud; `more`: arguments.
  explicit emulated_clouds(std::vector<std::string> more = {}) : program_(arguments(std::move(more))) {
    if (!program_.shows("admin on http://127.0.0.1:"))
      return;
    std::istringstream lines{program_.shown()};
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words{line};
      std::string name;
      std::string word;
      std::string url;
      words >> name >> word >> url >> word;
      auto port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
      if (name == "admin")
        admin_ = port;
      else
        words >> keys_[name], urls_[name] = url;
    }
  }

  [[nodiscard]] bool up() const { return admin_ != 0; }
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
    return ask_judge("POST", "/admin/faults", nlohmann::json{{"faults", faults}, {"seed", seed}}.dump()).status == 200;
  }
  /// What costs money, by the sandbox that it is rented for; each as "cloud id".
  [[nodiscard]] std::map<std::string, std::vector<std::string>> rented() const {
    std::map<std::string, std::vector<std::string>> found;
    auto all = ask_judge("GET", "/admin/sandboxes", {}).json();
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
    auto all = ask_judge("GET", "/admin/clouds", {}).json();
    for (const auto& [cloud, counts] : all.items()) {
      sum.first += counts.value("requests", std::uint64_t{0});
      sum.second += counts.value("faults_hit", std::uint64_t{0});
    }
    return sum;
  }

private:
  static constexpr std::size_t id_length = 30; // nst- and 26 characters

  static std::vector<std::string> arguments(std::vector<std::string> more) {
    more.insert(more.begin(), {std::string{NESTOR_BIN_DIR} + "/nestor-emulator", "--admin", "0"});
    return more;
  }
  [[nodiscard]] answer_seen ask_judge(const std::string& method, const std::string& target,
                                      const std::string& body) const {
    raw_connection judge{admin_};
    judge.send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
    return parse_answer(judge.read_to_end());
  }

  background_program program_;
  std::uint16_t admin_ = 0;
  std::map<std::string, std::string> urls_;
  std::map<std::string, std::string> keys_;
};

} // namespace nestor::tests
