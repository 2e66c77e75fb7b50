// A real node in the background, and a client that can send any bytes: what an honest library would never let out.
#pragma once

#include "support/run_program.hpp"

#include <nlohmann/json.hpp>

#include <arpa/inet.h>
#include <csignal>
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>
#include <vector>

namespace nestor::tests {

/// One connection to loopback. Reads give up after `patience_s`.
class raw_connection {
public:
  static constexpr int narrow = 4'096; ///< bytes that it takes without being read; the system doubles that

  explicit raw_connection(std::uint16_t port, int patience_s = 20, int takes = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (takes > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &takes, sizeof takes);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval patience{patience_s, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~raw_connection() { ::close(fd_); }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0)
        return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  /// Until `text` has come, the other side closed, or patience ran out.
  const std::string& read_until(const std::string& text) {
    std::array<char, 4096> chunk{};
    while (!over_ && (text.empty() || got_.find(text) == std::string::npos)) {
      auto count = ::recv(fd_, chunk.data(), chunk.size(), 0);
      closed_ = count == 0 || (count < 0 && errno == ECONNRESET);
      over_ = count <= 0;
      got_.append(chunk.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return got_;
  }
  /// The same, and what has come up to its end is forgotten.
  void take_until(const std::string& text) {
    read_until(text);
    auto at = got_.find(text);
    got_.erase(0, at == std::string::npos ? at : at + text.size());
  }
  const std::string& read_to_end() { return read_until({}); }
  [[nodiscard]] bool connected() const { return connected_; }
  /// The other side ended it; not our patience.
  [[nodiscard]] bool closed() const { return closed_; }

private:
  int fd_;
  bool connected_ = false;
  bool over_ = false;
  bool closed_ = false;
  std::string got_;
};

struct answer_seen {
  int status = 0; ///< 0: none
  std::string head;
  std::string body;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  [[nodiscard]] bool has(const std::string& header) const { return head.find(header) != std::string::npos; }
};

inline answer_seen parse_answer(const std::string& bytes) {
  answer_seen seen;
  auto end = bytes.find("\r\n\r\n");
  if (!bytes.starts_with("HTTP/1.1 ") || end == std::string::npos)
    return seen;
  seen.status = std::stoi(bytes.substr(9, 3));
  seen.head = bytes.substr(0, end + 2);
  seen.body = bytes.substr(end + 4);
  return seen;
}

/// `nestor serve` on a free port, with a state folder of its own; `config` is YAML.
class serving_node {
public:
  explicit serving_node(const scratch_folder& scratch, const std::string& config = "{}", const program_start& how = {})
      : state_(scratch.file("state")), config_(scratch.write("node.yaml", config)),
        program_({nestor_binary(), "serve", "--config", config_, "--listen", "127.0.0.1:0", "--state", state_}, how) {
    if (!program_.shows("token is in"))
      return;
    auto at = program_.shown().find("http://127.0.0.1:");
    port_ = static_cast<std::uint16_t>(std::stoi(program_.shown().substr(at + 17)));
    token_ = contents_of(state_ + "/token");
  }

  /// Its processes would outlive it: what it still has is ended first, unless another node is to find them.
  ~serving_node() {
    if (!leaves_sandboxes && program_.pid() > 0 && port_ != 0)
      end_sandboxes();
  }
  serving_node(const serving_node&) = delete;
  serving_node& operator=(const serving_node&) = delete;

  bool leaves_sandboxes = false;

  /// Every tenant's; returns when they have ended, or the node says nothing more.
  void end_sandboxes() const {
    std::string query = "?limit=200";
    for (std::string cursor = query; !cursor.empty();) {
      auto page = ask("GET", "/v1/sandboxes" + cursor, token_).json();
      if (!page.is_object())
        return;
      for (const auto& each : page["items"])
        end_sandbox(each.value("id", ""));
      cursor = page["next_cursor"].is_string() ? query + "&cursor=" + page["next_cursor"].get<std::string>() : "";
    }
  }
  void end_sandbox(const std::string& id) const {
    std::uint64_t seen = 0;
    for (;;) {
      auto ending = ask("DELETE", "/v1/sandboxes/" + id, token_);
      if (ending.status != 202)
        return;
      auto status = ending.json().value("status", "");
      if (status == "Destroyed" || status == "Failed")
        return;
      auto events = ask("GET", "/v1/sandboxes/" + id + "/events?wait=10&after=" + std::to_string(seen), token_).json();
      seen = events.is_object() && events.contains("last_id") ? events.value("last_id", seen) : seen;
    }
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& token() const { return token_; }
  [[nodiscard]] const std::string& state() const { return state_; }
  [[nodiscard]] const std::string& config() const { return config_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  background_program& program() { return program_; }

  /// As an honest client that sends one request. `token` empty: none. `more`: whole header lines.
  answer_seen ask(const std::string& method, const std::string& target, const std::string& token,
                  const std::string& body = {}, const std::string& more = {}) const {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + more;
    if (!token.empty())
      text += "Authorization: Bearer " + token + "\r\n";
    if (!body.empty())
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (!body.empty() && more.find("Content-Type") == std::string::npos)
      text += "Content-Type: application/json\r\n";
    raw_connection to{port_};
    to.send(text + "\r\n" + body);
    return parse_answer(to.read_to_end());
  }
  /// `nestor ARGUMENTS` against it.
  program_end cli(const scratch_folder& scratch, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), nestor_binary());
    return run_program(scratch, std::move(arguments), {.env = {{"NESTOR_SERVER", url()}, {"NESTOR_TOKEN", token_}}});
  }
  /// A new token of that tenant and role.
  [[nodiscard]] std::string token_for(const std::string& tenant, const std::string& role) const {
    auto made = ask("POST", "/v1/tokens", token_, R"({"tenant":")" + tenant + R"(","role":")" + role + "\"}");
    return made.json().value("token", "");
  }
  /// A signal; the exit code once it has ended, -1 when a signal ended it.
  int end_by(int number) {
    if (!leaves_sandboxes)
      end_sandboxes();
    auto pid = program_.pid();
    ::kill(pid, number);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

private:
  std::string state_;
  std::string config_;
  background_program program_;
  std::uint16_t port_ = 0;
  std::string token_;
};

/// Waits, at the node, until the sandbox has that status or ends.
inline std::string settle(const serving_node& node, const std::string& id, const std::string& wanted) {
  std::uint64_t seen = 0;
  for (;;) {
    auto status = node.ask("GET", "/v1/sandboxes/" + id, node.token()).json().value("status", "");
    if (status == wanted || status == "Failed" || status == "Destroyed" || status.empty())
      return status;
    auto page = node.ask("GET", "/v1/sandboxes/" + id + "/events?wait=10&after=" + std::to_string(seen), node.token());
    seen = page.json().value("last_id", seen);
  }
}

} // namespace nestor::tests
