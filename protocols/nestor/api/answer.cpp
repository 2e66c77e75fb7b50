#include <nestor/api/answer.hpp>

#include <nestor/core/problem.hpp>

#include <algorithm>

namespace nestor::api {
namespace {

constexpr std::uint32_t quota_seconds = 30; // a sandbox must end first
constexpr std::uint32_t busy_seconds = 5;   // of a queue, a journal, a provider
constexpr std::uint32_t answer_seconds = 1; // of a request that is being answered now

http::response answer_of(std::uint16_t status, std::string_view type, std::string_view body) {
  http::response answer;
  answer.status = status;
  answer.headers.emplace_back("Content-Type", type);
  answer.headers.emplace_back("X-Content-Type-Options", "nosniff");
  answer.body.assign(body);
  return answer;
}

} // namespace

http::response json_answer(std::uint16_t status, std::string_view body) {
  auto answer = answer_of(status, "application/json", body);
  forbid_storing(answer);
  return answer;
}

http::response text_answer(std::uint16_t status, std::string_view body) {
  auto answer = answer_of(status, "text/plain; charset=utf-8", body);
  forbid_storing(answer);
  return answer;
}

std::uint32_t retry_after_seconds(const failure& why) {
  if (why.retry_after)
    return static_cast<std::uint32_t>(
      std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(*why.retry_after).count()));
  if (why.code == errc::key_in_progress)
    return answer_seconds;
  switch (row_of(why.code).http_status) {
    case 429: return quota_seconds;
    case 503: return busy_seconds;
    default: return 0;
  }
}

http::response problem_answer(const failure& why, std::string_view instance, std::string_view methods) {
  auto status = row_of(why.code).http_status;
  auto answer = answer_of(status, problem_media_type, to_problem(why, instance));
  if (auto after = retry_after_seconds(why); after > 0)
    answer.headers.emplace_back("Retry-After", std::to_string(after));
  if (status == 401)
    answer.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"nestor\"");
  if (!methods.empty())
    answer.headers.emplace_back("Allow", methods);
  forbid_storing(answer);
  return answer;
}

void forbid_storing(http::response& answer) {
  answer.headers.emplace_back("Cache-Control", "no-store");
}

} // namespace nestor::api
