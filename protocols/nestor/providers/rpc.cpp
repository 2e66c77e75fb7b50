#include <nestor/providers/rpc.hpp>

#include <nestor/providers/internal/outcome.hpp>

#include <array>

namespace nestor::providers {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(rpc_code::count_)> names{
  "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
  "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
  "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
  "DATA_LOSS", "UNAUTHENTICATED",
};

errc code_of_status(stage now, int status) {
  if (now == stage::created)
    return errc::create_unknown;
  switch (static_cast<rpc_code>(status)) {
    case rpc_code::unauthenticated: return errc::auth_refused;
    case rpc_code::permission_denied: return errc::permission_missing;
    case rpc_code::resource_exhausted: return errc::rate_limited;
    case rpc_code::unimplemented: return now == stage::ending ? errc::destroy_failed : errc::capability_missing;
    case rpc_code::invalid_argument:
    case rpc_code::not_found:
    case rpc_code::already_exists:
    case rpc_code::failed_precondition:
    case rpc_code::aborted:
    case rpc_code::out_of_range: // refused, so nothing was done
      return now == stage::creating ? errc::provision_refused
             : now == stage::ending ? errc::destroy_failed
                                    : errc::provider_unavailable;
    case rpc_code::ok: // and still no success: what came cannot be read
    case rpc_code::cancelled:
    case rpc_code::unknown:
    case rpc_code::deadline_exceeded:
    case rpc_code::internal:
    case rpc_code::unavailable:
    case rpc_code::data_loss:
    case rpc_code::count_: break;
  }
  return internal::broken(now);
}

} // namespace

std::string name_of_status(int status) {
  auto at = static_cast<std::size_t>(status);
  return status >= 0 && at < names.size() ? std::string{names.at(at)} : std::to_string(status);
}

grpc_call rpc_call(const account& who, std::string_view url_field, std::string_view method, wiped_string message) {
  auto url = http::parse_url(who.text(url_field)).value_or(http::url{}); // the configuration's reader accepted it
  grpc_call call;
  call.to = endpoint{url.tls, url.host, url.port, {}};
  call.to.ca_file = who.ca_file;
  call.method = method;
  call.message = std::move(message);
  call.from = address_source::node;
  return call;
}

void add_metadata(grpc_call& call, std::string_view name, std::string_view value) {
  call.metadata.push_back({std::string{name}, wiped_string{value}});
}

void add_key(grpc_call& call, std::string_view name, const secret& key) {
  key.expose([&](std::string_view plain) { add_metadata(call, name, plain); });
}

const grpc_answer* answer_of(const io_reply& reply) {
  const auto* exchange = std::get_if<grpc_reply>(&reply);
  return exchange ? std::get_if<grpc_answer>(exchange) : nullptr;
}

bool succeeded(const grpc_answer* answer) {
  return has_status(answer, rpc_code::ok);
}

bool has_status(const grpc_answer* answer, rpc_code status) {
  return answer && answer->status == static_cast<int>(status);
}

bool refuses_us(const grpc_answer* answer) {
  return has_status(answer, rpc_code::unauthenticated) || has_status(answer, rpc_code::permission_denied);
}

failure rpc_failure(const account& who, stage now, std::string_view doing, const io_reply& reply,
                    std::optional<milliseconds> throttled) {
  using namespace internal;
  failure why{broken(now), step_of(now), beginning(who, doing), 0, {}};
  if (const auto* answer = answer_of(reply)) {
    why.code = throttled && now != stage::created ? errc::rate_limited : code_of_status(now, answer->status);
    why.retry_after = throttled;
    why.cause += "answered " + name_of_status(answer->status);
    if (auto words = without_keys(who, answer->status_message); !words.empty())
      why.cause += ": " + words;
    return why;
  }
  const auto* exchange = std::get_if<grpc_reply>(&reply);
  const auto* broke = exchange ? std::get_if<http::transport_error>(exchange) : nullptr;
  if (broke)
    why.code = code_of(now, *broke);
  why.cause += broke ? std::string{http::name_of(*broke)} : "no answer of gRPC";
  return why;
}

} // namespace nestor::providers
