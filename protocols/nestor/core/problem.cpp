#include <nestor/core/problem.hpp>

#include <nlohmann/json.hpp>

#include <limits>

namespace nestor {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view type_prefix = "urn:nestor:error:";

std::optional<std::string> text_member(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? std::optional{found->get<std::string>()} : std::nullopt;
}

std::optional<std::uint64_t> number_member(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? std::optional{found->get<std::uint64_t>()}
                                                              : std::nullopt;
}

} // namespace

std::string to_problem(const failure& f, std::string_view instance) {
  const auto& row = row_of(f.code);
  json problem{{"type", std::string{type_prefix} + std::string{row.name}},
               {"title", row.title},
               {"status", row.http_status},
               {"detail", f.cause.empty() ? std::string{row.title} : f.cause}};
  if (!instance.empty())
    problem["instance"] = instance;
  problem["code"] = row.name;
  problem["step"] = name_of(f.at);
  problem["message"] = row.title;
  problem["cause"] = f.cause;
  problem["retryable"] = retryable(f);
  problem["remedy"] = row.remedy;
  if (f.status != 0)
    problem["upstream_status"] = f.status;
  if (f.retry_after)
    problem["retry_after_ms"] = f.retry_after->count();
  return problem.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<failure> from_problem(std::string_view text) {
  if (text.size() > problem_bytes_max)
    return std::nullopt;
  auto problem = json::parse(text.begin(), text.end(), nullptr, false);
  if (!problem.is_object())
    return std::nullopt;
  auto code = errc_named(text_member(problem, "code").value_or(""));
  if (!code)
    return std::nullopt;
  auto at = step_named(text_member(problem, "step").value_or(""));
  if (!at)
    return std::nullopt;
  failure f{*code, *at, text_member(problem, "cause").value_or(""), 0, {}};
  if (auto status = number_member(problem, "upstream_status"); status && *status < 1000)
    f.status = static_cast<std::uint16_t>(*status);
  if (auto after = number_member(problem, "retry_after_ms");
      after && *after <= std::numeric_limits<std::uint32_t>::max())
    f.retry_after = milliseconds{static_cast<std::int64_t>(*after)};
  return f;
}

} // namespace nestor
