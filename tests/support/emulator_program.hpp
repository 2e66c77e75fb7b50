// nestor-emulator in the background: where its clouds are, their keys, its judge.
#pragma once

#include "serve/serving.hpp"
#include "support/run_program.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nestor::tests {

inline std::string emulator_binary() {
  return std::string{NESTOR_BIN_DIR} + "/nestor-emulator";
}

class emulator_program {
public:
  explicit emulator_program(std::vector<std::string> arguments) : program_(with_binary(std::move(arguments))) {}

  /// Until it listens everywhere; false: it does not start.
  bool started() { return program_.shows("admin on http://127.0.0.1:") && program_.shows("\n"); }
  [[nodiscard]] std::string url_of(const std::string& cloud) const { return word_after(cloud + " on "); }
  [[nodiscard]] std::string key_of(const std::string& cloud) const { return word_after(url_of(cloud) + " key "); }
  /// What is rented, by cloud, whatever its lists say: the emulator's own truth.
  [[nodiscard]] nlohmann::json rented() const { return admin("GET", "/admin/sandboxes").json(); }
  [[nodiscard]] answer_seen admin(const std::string& method, const std::string& target,
                                  const std::string& body = {}) const {
    auto port = word_after("admin on http://127.0.0.1:");
    raw_connection to{static_cast<std::uint16_t>(std::stoi(port))};
    to.send(method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body);
    return parse_answer(to.read_to_end());
  }

private:
  static std::vector<std::string> with_binary(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), emulator_binary());
    return arguments;
  }
  /// What stands between `after` and the next blank or line end of what it said.
  [[nodiscard]] std::string word_after(const std::string& after) const {
    const auto& text = program_.shown();
    auto at = text.find(after);
    if (at == std::string::npos)
      return {};
    at += after.size();
    return text.substr(at, text.find_first_of(" \n", at) - at);
  }

  background_program program_;
};

} // namespace nestor::tests
