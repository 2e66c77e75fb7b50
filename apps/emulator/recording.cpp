#include <emulator/recording.hpp>

#include <emulator/internal/call.hpp>

#include <algorithm>
#include <array>

namespace nestor::emulator {
namespace {

constexpr std::array<std::string_view, 11> credentials{"Authorization",
                                                       "X-API-Key",
                                                       "X-Access-Token",
                                                       "X-Session-API-Key",
                                                       "X-Daytona-Preview-Token",
                                                       "E2b-Traffic-Access-Token",
                                                       "X-Runloop-Tunnel-Authorization",
                                                       "x-modal-token-id",
                                                       "x-modal-token-secret",
                                                       "x-modal-auth-token",
                                                       "Cookie"};

/// The scheme is worth comparing, the key is not to be kept.
std::string redacted(std::string_view value) {
  auto space = value.find(' ');
  return (space == std::string_view::npos ? "" : std::string{value.substr(0, space + 1)}) + "<redacted>";
}

bool is_rpc(const http::request& request) {
  return std::ranges::any_of(request.headers, [](const auto& h) {
    return http::same_header_name(h.name, "Content-Type") && std::string_view{h.value}.starts_with("application/grpc");
  });
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

} // namespace

void recording::note(std::string_view cloud, const http::request& request, std::uint16_t status) {
  if (++count_ > recorded_max)
    return;
  json headers = json::object();
  for (const auto& h : request.headers) {
    bool secret = std::ranges::any_of(credentials, [&](auto name) { return http::same_header_name(h.name, name); });
    headers[h.name] = secret ? redacted(h.value) : std::string{h.value};
  }
  json entry{
    {"cloud", cloud}, {"method", http::name_of(request.verb)}, {"target", request.target}, {"headers", headers}};
  auto body = json::parse(request.body.begin(), request.body.end(), nullptr, false);
  if (is_rpc(request))
    entry["message"] = hex(request.body);
  else if (!request.body.empty())
    entry[body.is_discarded() ? "body" : "json"] = body.is_discarded() ? json(std::string{request.body}) : body;
  entry["status"] = status;
  entries_ += (entries_.empty() ? "" : ",\n") + entry.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string recording::text() const {
  return "[\n" + entries_ + "\n]\n";
}

} // namespace nestor::emulator
