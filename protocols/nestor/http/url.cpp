#include <nestor/http/url.hpp>

#include <algorithm>
#include <charconv>

namespace nestor::http {
namespace {

constexpr std::size_t url_length_max = 2048; // characters; what proxies and browsers commonly accept

bool plain(char c) {
  return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '\\' && c != '"' &&
         c != '<' && c != '>';
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

} // namespace

std::optional<url> parse_url(std::string_view text) {
  if (text.size() > url_length_max || !std::ranges::all_of(text, plain))
    return std::nullopt;
  url result;
  if (text.starts_with("https://"))
    result.tls = true;
  else if (!text.starts_with("http://"))
    return std::nullopt;
  text.remove_prefix(result.tls ? 8 : 7);
  if (text.find_first_of("?#@") != std::string_view::npos)
    return std::nullopt;
  auto slash = text.find('/');
  auto authority = text.substr(0, slash);
  result.path = slash == std::string_view::npos ? "" : std::string{text.substr(slash)};
  while (!result.path.empty() && result.path.back() == '/')
    result.path.pop_back();
  auto port_text = std::string_view{};
  if (authority.starts_with('[')) {
    auto end = authority.find(']');
    if (end == std::string_view::npos || end == 1)
      return std::nullopt;
    result.host = std::string{authority.substr(1, end - 1)};
    if (result.host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos)
      return std::nullopt;
    port_text = authority.substr(end + 1);
  } else {
    auto colon = authority.find(':');
    result.host = std::string{authority.substr(0, colon)};
    port_text = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
  }
  std::ranges::transform(result.host, result.host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (result.host.empty() || (!authority.starts_with('[') && !std::ranges::all_of(result.host, host_character)))
    return std::nullopt;
  result.port = result.tls ? 443 : 80;
  if (!port_text.empty()) {
    unsigned port = 0;
    const auto* last = port_text.data() + port_text.size();
    auto [end, error] = std::from_chars(port_text.data() + 1, last, port);
    if (port_text.front() != ':' || error != std::errc{} || end != last || port == 0 || port > 65535)
      return std::nullopt;
    result.port = static_cast<std::uint16_t>(port);
  }
  return result;
}

std::string to_string(const url& u) {
  std::string text = u.tls ? "https://" : "http://";
  bool bracketed = u.host.find(':') != std::string::npos;
  text += bracketed ? "[" + u.host + "]" : u.host;
  if (u.port != (u.tls ? 443 : 80))
    text += ":" + std::to_string(u.port);
  return text + u.path;
}

std::string join_path(const url& u, std::string_view target) {
  return u.path.empty() ? std::string{target} : u.path + std::string{target};
}

std::string encode_segment(std::string_view segment) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : segment) {
    bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += hex[c >> 4U];
      out += hex[c & 15U];
    }
  }
  return out;
}

} // namespace nestor::http
