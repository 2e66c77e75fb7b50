#include <nestor/providers/internal/docker_engine.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::providers::internal {
namespace {

// Longest time the engine may take for one call: under load, a start (namespaces, network, a port's rules) took it four
// seconds on a small machine.
constexpr milliseconds engine_within{20'000};
// Characters of a program's last words in a cause.
constexpr std::size_t tail_max = 300;

std::uint16_t port_number(const std::string& text) {
  std::uint16_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : std::uint16_t{0};
}

/// {"3000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "41123"}], "22/tcp": null}
std::uint16_t published(const nlohmann::json& ports) {
  if (ports.is_object())
    for (const auto& [name, bindings] : ports.items())
      if (bindings.is_array() && !bindings.empty())
        return port_number(text_at(bindings.front(), "HostPort"));
  return 0;
}

} // namespace

std::string socket_of(const account& who) {
  constexpr std::string_view scheme = "unix://";
  auto text = who.text("socket");
  if (text.starts_with(scheme))
    text.remove_prefix(scheme.size());
  return text.starts_with('/') ? std::string{text} : std::string{};
}

http_call engine_call(const account& who, http::method verb, const std::string& target, const nlohmann::json& body) {
  http_call call;
  call.to.unix_path = socket_of(who);
  call.from = address_source::node; // a file of this machine, named by its configuration
  call.timeout = engine_within;
  call.request.verb = verb;
  call.request.target = who.token("version").expose([](std::string_view v) { return std::string{v}; }) + target;
  if (!body.is_null())
    call.request.body = body_of(body);
  return call;
}

std::string container_path(std::string_view id, std::string_view rest) {
  return "/containers/" + http::encode_segment(id) + std::string{rest};
}

std::optional<container> container_of(const http::response& response) {
  auto answer = json_of(response);
  container seen;
  const auto& state = at(answer, "State");
  seen.id = text_at(answer, "Id");
  seen.status = text_at(state, "Status");
  if (seen.id.empty() || seen.status.empty())
    return std::nullopt;
  seen.exit_code = integer_at(state, "ExitCode").value_or(0);
  seen.error = text_at(state, "Error");
  seen.port = published(at(at(answer, "NetworkSettings"), "Ports"));
  const auto& host = at(answer, "HostConfig");
  seen.limits_cpu = integer_at(host, "NanoCpus").value_or(0) > 0;
  seen.limits_memory = integer_at(host, "Memory").value_or(0) > 0;
  const auto& found = at(at(answer, "Config"), "Labels");
  seen.installation = text_at(found, label_installation);
  seen.sandbox = text_at(found, label_sandbox);
  seen.number = text_at(found, label_attempt);
  return seen;
}

nlohmann::json label_filter(const std::vector<std::pair<std::string, std::string>>& wanted) {
  auto all = nlohmann::json::array();
  for (const auto& [name, value] : wanted)
    all.push_back(name + "=" + value);
  return {{"label", std::move(all)}};
}

wiped_string pack(const ending& e) {
  return wiped_string{e.id + "\n" + std::to_string(static_cast<unsigned>(e.code)) + "\n" + e.cause};
}

ending unpack(std::string_view text) {
  auto take = [&text] {
    auto end = std::min(text.find('\n'), text.size());
    auto part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
  };
  ending e;
  e.id = take();
  auto code = take();
  unsigned number = static_cast<unsigned>(e.code);
  std::from_chars(code.data(), code.data() + code.size(), number);
  e.code = static_cast<errc>(number);
  e.cause = text;
  return e;
}

streams streams_of(std::string_view framed) {
  constexpr std::size_t head = 8;
  constexpr std::size_t length_at = 4;
  constexpr char error_stream = 2;
  streams all;
  while (framed.size() >= head) {
    std::size_t length = 0;
    for (std::size_t i = length_at; i < head; ++i)
      length = length << 8U | static_cast<unsigned char>(framed[i]);
    auto piece = framed.substr(head, length); // the last one may be cut
    (framed.front() == error_stream ? all.err : all.out) += piece;
    all.both += piece;
    framed.remove_prefix(head + piece.size());
  }
  return all;
}

std::string tail_of(std::string_view text) {
  if (text.size() > tail_max)
    text.remove_prefix(text.size() - tail_max);
  std::string line{text};
  std::ranges::replace_if(
    line, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  while (line.ends_with(' '))
    line.pop_back();
  return line;
}

} // namespace nestor::providers::internal
