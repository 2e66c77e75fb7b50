#include <nestor/io/request_writer.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::io {
namespace {

constexpr std::array<std::string_view, 8> ours{"Host",    "Connection", "Content-Length", "Transfer-Encoding", "Expect",
                                               "Upgrade", "TE",         "Trailer"};

bool visible(char c) {
  return c > 0x20 && c < 0x7f;
}

/// RFC 9110 §5.6.2.
bool token_character(char c) {
  return visible(c) && std::string_view{"\"(),/:;<=>?@[\\]{}"}.find(c) == std::string_view::npos;
}

/// Visible characters, blanks and bytes above ASCII; never one that could end the line.
bool value_character(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

bool writable(const http::header& header) {
  return !header.name.empty() && std::ranges::all_of(header.name, token_character) &&
         std::ranges::all_of(header.value, value_character) &&
         std::ranges::none_of(ours, [&](std::string_view name) { return http::same_header_name(name, header.name); });
}

bool has_header(const http::request& request, std::string_view name) {
  return std::ranges::any_of(request.headers,
                             [&](const http::header& h) { return http::same_header_name(h.name, name); });
}

void append_number(wiped_string& out, std::size_t number) {
  std::array<char, 20> digits{};
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_host(wiped_string& out, const endpoint& to) {
  if (!to.unix_path.empty()) {
    out += "localhost"; // HTTP/1.1 wants a Host; a unix socket has none
    return;
  }
  bool v6 = to.host.find(':') != std::string::npos;
  if (v6)
    out += '[';
  out += to.host;
  if (v6)
    out += ']';
  if (to.port != (to.tls ? 443 : 80)) {
    out += ':';
    append_number(out, to.port);
  }
}

bool carries_body(http::method verb) {
  return verb == http::method::post || verb == http::method::put || verb == http::method::patch;
}

} // namespace

bool writable(const http_call& call) {
  const auto& request = call.request;
  constexpr std::size_t host_max = 255; // characters of a DNS name
  bool host_fits = !call.to.unix_path.empty() ||
                   (!call.to.host.empty() && call.to.host.size() <= host_max && call.to.port != 0 &&
                    std::ranges::all_of(call.to.host, [](char c) { return token_character(c) || c == ':'; }));
  return host_fits && request.target.starts_with('/') && std::ranges::all_of(request.target, visible) &&
         std::ranges::all_of(request.headers, [](const http::header& h) { return writable(h); });
}

void append_request(wiped_string& out, const http_call& call) {
  const auto& request = call.request;
  out.reserve(out.size() + 512 + request.body.size());
  out += http::name_of(request.verb);
  out += ' ';
  out += request.target;
  out += " HTTP/1.1\r\nHost: ";
  append_host(out, call.to);
  out += "\r\nUser-Agent: nestor/0.1\r\n";
  if (!has_header(request, "Accept"))
    out += "Accept: application/json\r\n";
  if (!request.body.empty() && !has_header(request, "Content-Type"))
    out += "Content-Type: application/json\r\n";
  if (!request.body.empty() || carries_body(request.verb)) {
    out += "Content-Length: ";
    append_number(out, request.body.size());
    out += "\r\n";
  }
  for (const auto& header : request.headers) {
    out += header.name;
    out += ": ";
    out += header.value;
    out += "\r\n";
  }
  out += "\r\n";
  out += request.body;
}

} // namespace nestor::io
