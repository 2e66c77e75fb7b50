#include <nestor/providers/rest.hpp>

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/internal/outcome.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace nestor::providers {
namespace {

using internal::beginning, internal::broken, internal::code_of, internal::step_of, internal::without_keys;

endpoint endpoint_of(const account& who, const http::url& url) {
  endpoint to{url.tls, url.host, url.port, {}};
  to.ca_file = who.ca_file;
  return to;
}

http_call call_to(const account& who, const http::url& base, http::method verb, std::string_view target,
                  wiped_string body) {
  http_call call;
  call.to = endpoint_of(who, base);
  call.request.verb = verb;
  call.request.target = http::join_path(base, target);
  call.request.headers.push_back({"Accept", "application/json"});
  call.request.headers.push_back({"User-Agent", "nestor"});
  call.request.body = std::move(body);
  return call;
}

/// The words of an error body, wherever this provider puts them.
std::string words_of(const http::response& response) {
  auto body = internal::json_of(response);
  for (std::string_view name : {"message", "detail", "error", "msg"}) {
    auto at = body.is_object() ? body.find(name) : body.end();
    if (at == body.end())
      continue;
    if (at->is_string())
      return at->get<std::string>();
    if (auto inner = internal::text_at(*at, "message"); !inner.empty())
      return inner;
  }
  return {};
}

errc code_of(stage now, std::uint16_t status) {
  if (now == stage::created)
    return errc::create_unknown;
  if (status == 401)
    return errc::auth_refused;
  if (status == 403)
    return errc::permission_missing;
  if (status == 429)
    return errc::rate_limited;
  constexpr std::uint16_t request_timeout = 408; // a proxy's: the request may have been passed on
  if (status >= 500 || status == request_timeout)
    return broken(now);
  if (now == stage::ending)
    return errc::destroy_failed;
  if (status < 400)
    return errc::provider_unavailable; // a redirect, which is not followed: nothing of ours was done
  return now == stage::creating ? errc::provision_refused : errc::provider_unavailable;
}

} // namespace

http_call api_call(const account& who, std::string_view url_field, http::method verb, std::string_view target,
                   wiped_string body) {
  auto base = http::parse_url(who.text(url_field)).value_or(http::url{}); // the configuration's reader accepted it
  auto call = call_to(who, base, verb, target, std::move(body));
  call.from = address_source::node;
  return call;
}

http_call given_call(const account& who, const http::url& base, http::method verb, std::string_view target,
                     wiped_string body) {
  return call_to(who, base, verb, target, std::move(body));
}

void add_key(http_call& call, std::string_view name, const secret& key, std::string_view before) {
  wiped_string value{before};
  key.expose([&](std::string_view plain) { value += plain; });
  call.request.headers.push_back({std::string{name}, std::move(value)});
}

const http::response* response_of(const io_reply& reply) {
  const auto* exchange = std::get_if<http_reply>(&reply);
  return exchange ? std::get_if<http::response>(exchange) : nullptr;
}

bool succeeded(const http::response* response) {
  return response && response->status >= 200 && response->status < 300;
}

bool has_status(const http::response* response, std::uint16_t status) {
  return response && response->status == status;
}

bool refuses_us(const http::response* response) {
  return has_status(response, 401) || has_status(response, 403);
}

failure failure_of(const account& who, stage now, std::string_view doing, const io_reply& reply) {
  failure why{broken(now), step_of(now), beginning(who, doing), 0, {}};
  if (const auto* response = response_of(reply)) {
    why.code = code_of(now, response->status);
    why.status = response->status;
    why.retry_after = retry_after_of(*response);
    why.cause += "answered " + std::to_string(response->status);
    if (auto words = without_keys(who, words_of(*response)); !words.empty())
      why.cause += ": " + words;
    return why;
  }
  const auto* exchange = std::get_if<http_reply>(&reply);
  const auto* broke = exchange ? std::get_if<http::transport_error>(exchange) : nullptr;
  if (broke)
    why.code = code_of(now, *broke);
  why.cause += broke ? std::string{http::name_of(*broke)} : "no answer of HTTP";
  return why;
}

failure not_understood(const account& who, stage now, std::string_view doing, std::string_view what) {
  return failure{broken(now), step_of(now), beginning(who, doing) + std::string{what}, 0, {}};
}

progress<observation> not_run(const account& who, std::string_view doing, const io_reply& reply) {
  if (auto open = failure_of(who, stage::creating, doing, reply); open.code == errc::create_unknown)
    return lost_answer(std::move(open.cause));
  if (succeeded(response_of(reply)))
    return lost_answer(beginning(who, doing) + "the answer is not what its API defines");
  return failure_of(who, stage::looking, doing, reply);
}

std::optional<milliseconds> retry_after_of(const http::response& response) {
  constexpr std::string_view seconds = "retry-after";
  constexpr std::string_view thousandths = "retry-after-ms";
  constexpr std::int64_t thousand = 1'000;
  std::optional<milliseconds> longest;
  for (const auto& [name, value] : response.headers) {
    if (name.size() < seconds.size() || !http::same_header_name(name.substr(0, seconds.size()), seconds))
      continue;
    auto told = http::parse_retry_after(value);
    if (told && http::same_header_name(name, thousandths))
      told = milliseconds{told->count() / thousand};
    if (told && (!longest || *told > *longest))
      longest = told;
  }
  return longest;
}

std::optional<wall_time> parse_time(std::string_view text) {
  auto number = [&](std::size_t at, std::size_t size) -> std::optional<int> {
    int value = 0;
    if (at + size > text.size())
      return std::nullopt;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + at + size, value);
    return error == std::errc{} && end == text.data() + at + size ? std::optional{value} : std::nullopt;
  };
  auto year = number(0, 4), month = number(5, 2), day = number(8, 2), hour = number(11, 2), minute = number(14, 2),
       second = number(17, 2);
  if (!year || !month || !day || !hour || !minute || !second || (text[10] != 'T' && text[10] != ' '))
    return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                   std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  auto zone = text.find_first_of("Zz+-", 19); // a fraction before it is less than we wait for
  int offset = 0;                             // minutes
  if (zone != text.npos && text[zone] != 'Z' && text[zone] != 'z') {
    auto hours = number(zone + 1, 2), minutes = number(zone + 4, 2);
    if (!hours || !minutes)
      return std::nullopt;
    offset = (*hours * 60 + *minutes) * (text[zone] == '-' ? -1 : 1);
  }
  auto at = std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute - offset} +
            std::chrono::seconds{*second};
  return wall_time{std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count()};
}

milliseconds poll_after(const heard& so_far) {
  constexpr milliseconds first{100}, last{1'000};
  constexpr milliseconds steady_for{5'000};
  constexpr int growth = 10; // of what has passed since: one tenth
  if (so_far.elapsed <= steady_for)
    return first;
  return std::min(last, first + (so_far.elapsed - steady_for) / growth);
}

std::string query_value(std::string_view text) {
  return http::encode_segment(text);
}

} // namespace nestor::providers
