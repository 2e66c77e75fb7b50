#include <nestor/api/action_request.hpp>

#include <nlohmann/json.hpp>

namespace nestor::api {
namespace {

using nlohmann::json;

failure invalid(std::string cause) {
  return {errc::request_invalid, step::ready, std::move(cause), 0, {}};
}

/// Empty when it is one, at most so long.
std::string fault_of_text(const json& value, std::size_t most) {
  if (!value.is_string())
    return "is no text";
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > most)
    return "is longer than " + std::to_string(most) + " bytes";
  return text.find('\0') == std::string::npos ? "" : "holds a NUL";
}

expected<milliseconds> time_of(const json& value) {
  constexpr double thousand = 1'000;
  auto most = static_cast<double>(action_within_max.count()) / thousand;
  auto seconds = value.is_number() ? value.get<double>() : -1.0;
  if (!(seconds > 0 && seconds <= most))
    return invalid("timeout_s: is no number of seconds above 0 and up to " +
                   std::to_string(action_within_max.count() / 1'000));
  return std::max(milliseconds{static_cast<std::int64_t>(seconds * thousand)}, milliseconds{1});
}

} // namespace

expected<action> read_action(std::string_view body) {
  auto given = json::parse(body.begin(), body.end(), nullptr, false);
  if (!given.is_object())
    return invalid("the body is no JSON object");
  auto kind = given.find("action");
  bool runs = kind != given.end() && *kind == name_of(action_kind::run);
  if (!runs && (kind == given.end() || *kind != name_of(action_kind::run_ipython)))
    return invalid("action: run or run_ipython");
  std::string_view text_member = runs ? "command" : "code";
  action read{runs ? action_kind::run : action_kind::run_ipython, {}, {}, action_within};
  for (const auto& [name, value] : given.items()) {
    bool is_text = name == text_member;
    if (is_text || name == "cwd") {
      if (auto fault = fault_of_text(value, is_text ? action_text_max : action_directory_max); !fault.empty())
        return invalid(name + ": " + fault);
      (is_text ? read.text : read.directory) = value.get<std::string>();
    } else if (name == "timeout_s") {
      auto time = time_of(value);
      if (!time)
        return time.error();
      read.within = *time;
    } else if (name != "action") {
      return invalid("an unknown member; there are action, " + std::string{text_member} + ", cwd, timeout_s");
    }
  }
  if (read.text.find_first_not_of(" \t\r\n") == std::string::npos)
    return invalid(std::string{text_member} + ": there is nothing to run");
  return read;
}

} // namespace nestor::api
