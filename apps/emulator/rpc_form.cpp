#include <emulator/rpc_form.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace nestor::emulator {
namespace {

constexpr std::array<std::string_view, 3> not_trailers{"grpc-status", "grpc-message", "content-type"};

int status_without_grpc(std::uint16_t status) {
  constexpr int unknown = 2, permission_denied = 7, unimplemented = 12, unavailable = 14, unauthenticated = 16;
  switch (status) {
    case 401: return unauthenticated;
    case 403: return permission_denied;
    case 404: return unimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return unavailable;
    default: return unknown;
  }
}

} // namespace

http::request request_of(const grpc_call& call) {
  http::request request;
  request.verb = http::method::post;
  request.target = call.method;
  request.headers = call.metadata;
  request.headers.push_back({"content-type", wiped_string{"application/grpc"}});
  request.body = call.message;
  return request;
}

grpc_answer answer_of(const http::response& response) {
  grpc_answer answer;
  const auto* code = response.find("grpc-status");
  if (!code) {
    answer.status = status_without_grpc(response.status);
    answer.status_message = "Received HTTP status code " + std::to_string(response.status);
    return answer;
  }
  std::from_chars(code->data(), code->data() + code->size(), answer.status);
  if (const auto* words = response.find("grpc-message"))
    answer.status_message = *words;
  for (const auto& [name, value] : response.headers)
    if (std::ranges::none_of(not_trailers, [&](auto each) { return http::same_header_name(name, each); }))
      answer.trailers.emplace_back(name, value);
  if (answer.status == 0)
    answer.message = response.body;
  return answer;
}

} // namespace nestor::emulator
