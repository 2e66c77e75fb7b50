#include <nestor/providers/internal/modal_calls.hpp>

#include <nestor/providers/internal/json_answer.hpp>
#include <nestor/providers/start.hpp>

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>

namespace nestor::providers::internal::modal {
namespace {

using std::chrono::seconds;

constexpr std::string_view service = "/modal.client.ModalClient/";
// Beyond our own end of a sandbox's lifetime: the provider's clock is for what we lost sight of, not a race with us.
constexpr seconds lifetime_margin{600};
constexpr std::size_t older_id_letters = 22;
constexpr std::uint16_t https_port = 443;
constexpr float image_held_s = 55.0F; // as the SDK

bool ends_with_policy(std::string_view type_url) {
  return type_url.ends_with("/modal.client.RPCRetryPolicy");
}

/// One value for one create, whoever sends it again on the way: made of the labels, which no other create has.
std::string create_key(const labels& stamp) {
  std::array<unsigned char, 16> hash{};
  auto text = stamp.installation.text + "\n" + name_of(stamp);
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                     nullptr, 0);
  return uuid_of({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

void limit(message::Definition& into, const provision_order& order) {
  auto wanted = order.max_lifetime ? std::chrono::ceil<seconds>(*order.max_lifetime) + lifetime_margin : lifetime_max;
  into.set_timeout_secs(static_cast<std::uint32_t>(std::min(wanted, lifetime_max).count()));
  auto& resources = *into.mutable_resources();
  resources.mutable_gpu_config(); // the SDK always sends these three
  into.mutable_network_access()->set_type(1);
  into.mutable_open_ports();
  constexpr double thousandths = 1'000;
  constexpr std::uint64_t mib = std::uint64_t{1} << 20U;
  if (order.spec->cpu)
    resources.set_milli_cpu(static_cast<std::uint32_t>(*order.spec->cpu * thousandths));
  if (order.spec->memory_bytes)
    resources.set_memory_mb(static_cast<std::uint32_t>(*order.spec->memory_bytes / mib));
}

} // namespace

wiped_string bytes_of(const google::protobuf::MessageLite& message) {
  wiped_string bytes(message.ByteSizeLong(), '\0');
  message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

std::string uuid_of(std::string_view random) {
  std::array<unsigned char, 16> bytes{};
  std::copy_n(random.begin(), std::min(random.size(), bytes.size()), bytes.begin());
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  std::string text(2 * bytes.size() + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  for (std::size_t dash : {8, 13, 18, 23})
    text.insert(dash, "-");
  return text;
}

bool is_older(std::string_view sandbox_id) {
  constexpr std::string_view mark = "sb-";
  if (!sandbox_id.starts_with(mark))
    return false;
  sandbox_id.remove_prefix(mark.size());
  return sandbox_id.size() == older_id_letters &&
         std::ranges::all_of(sandbox_id, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; });
}

grpc_call unproven_call(const account& who, std::string_view method, const google::protobuf::MessageLite& request) {
  auto call = rpc_call(who, "server_url", std::string{service} + std::string{method}, bytes_of(request));
  call.timeout = call_within;
  add_key(call, "x-modal-token-id", who.key("token_id"));
  add_key(call, "x-modal-token-secret", who.key("token_secret"));
  add_metadata(call, "x-modal-client-type", who.text("client_type"));
  add_metadata(call, "x-modal-client-version", who.text("client_version"));
  add_metadata(call, "x-modal-libmodal-version", who.text("client_name"));
  add_metadata(call, "x-modal-host", call.to.host); // their front end drops :authority
  return call;
}

grpc_call call_of(const account& who, std::string_view method, const google::protobuf::MessageLite& request) {
  auto call = unproven_call(who, method, request);
  add_key(call, "x-modal-auth-token", who.token(auth_token));
  return call;
}

grpc_call call_about(const account& who, std::string_view sandbox_id, std::string_view method,
                     const google::protobuf::MessageLite& request) {
  return call_of(who, std::string{method} + (is_older(sandbox_id) ? "" : "V2"), request);
}

std::optional<milliseconds> throttle_of(const io_reply& reply) {
  constexpr milliseconds least{100};
  constexpr float most_s = 86'400;
  const auto* answer = answer_of(reply);
  if (!answer || succeeded(answer))
    return std::nullopt;
  for (const auto& [name, value] : answer->trailers) {
    message::StatusDetails details;
    if (name != "grpc-status-details-bin" || !details.ParseFromString(value))
      continue;
    for (const auto& each : details.details()) {
      message::RetryPolicy policy;
      if (ends_with_policy(each.type_url()) && policy.ParseFromString(each.value())) {
        auto told = policy.retry_after_secs();
        told = told > 0 ? std::min(told, most_s) : 0; // NaN is not above 0 either
        return std::max(least, std::chrono::ceil<milliseconds>(std::chrono::duration<float>{told}));
      }
    }
  }
  return std::nullopt;
}

failure failure_in(const account& who, stage now, std::string_view doing, const io_reply& reply) {
  return rpc_failure(who, now, doing, reply, throttle_of(reply));
}

failure unread(const account& who, stage now, std::string_view doing, const io_reply& reply) {
  if (succeeded(answer_of(reply)))
    return not_understood(who, now, doing, "the answer is not the message that it should be");
  return failure_in(who, now, doing, reply);
}

std::optional<wall_time> renew_at(std::string_view jwt) {
  auto begin = jwt.find('.');
  auto end = begin == jwt.npos ? jwt.npos : jwt.find('.', begin + 1);
  if (end == jwt.npos)
    return std::nullopt;
  auto encoded = jwt.substr(begin + 1, end - begin - 1);
  std::string text(encoded.size(), '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(text.data()), text.size(), encoded.data(), encoded.size(), "=",
                        &size, nullptr, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
    return std::nullopt;
  auto claims = nlohmann::json::parse(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size), nullptr, false);
  constexpr double latest = 253'402'300'799; // the last second of the year 9999
  auto seconds_at = [&](std::string_view name) -> std::optional<std::int64_t> {
    const auto& value = at(claims, name);
    double number = value.is_number() ? value.get<double>() : -1;
    return number > 0 && number < latest ? std::optional{static_cast<std::int64_t>(number)} : std::nullopt;
  };
  auto until = seconds_at("exp");
  auto since = seconds_at("iat");
  constexpr std::int64_t margin = 60, thousandths = 1'000;
  if (!until)
    return std::nullopt;
  auto when = since && *since < *until ? *since + (*until - *since) / 2 : *until - margin;
  return wall_time{when * thousandths};
}

// -- requests -----------------------------------------------------------------------------------------------------

grpc_call app(const account& who, bool create) {
  message::AppRequest request;
  request.set_app_name(std::string{who.text("app")});
  request.set_environment_name(std::string{who.text("environment")});
  request.set_creation(create ? 1 : 0);
  return call_of(who, "AppGetOrCreate", request);
}

grpc_call image(const account& who, const std::string& app_id, const std::string& builder, const std::string& image) {
  message::ImageRequest request;
  request.mutable_image()->add_dockerfile_commands("FROM " + image);
  request.set_app_id(app_id);
  request.set_builder_version(builder);
  return call_of(who, "ImageGetOrCreate", request);
}

grpc_call join_image(const account& who, const std::string& image_id, const std::string& last_entry) {
  message::ImageJoinRequest request;
  request.set_image_id(image_id);
  request.set_timeout(image_held_s);
  request.set_last_entry_id(last_entry);
  auto call = call_of(who, "ImageJoinStreaming", request);
  call.timeout = std::chrono::ceil<milliseconds>(std::chrono::duration<float>{image_held_s}) + call_within;
  return call;
}

grpc_call create(const account& who, const provision_order& order, const std::string& app_id,
                 const std::string& image_id) {
  const auto& spec = *order.spec;
  auto options = nlohmann::json::parse(spec.options, nullptr, false);
  message::CreateRequest request;
  request.set_app_id(app_id);
  auto& definition = *request.mutable_definition();
  definition.set_image_id(image_id);
  definition.set_name(name_of(order.stamp));
  for (const auto& each : spec.command)
    definition.add_entrypoint_args(each);
  limit(definition, order);
  definition.mutable_open_ports()->add_ports()->set_port(spec.port);
  if (auto folder = text_at(options, "workdir"); !folder.empty())
    definition.set_workdir(folder);
  if (auto region = text_at(options, "region"); !region.empty())
    definition.mutable_placement()->add_regions(region);
  definition.set_cloud(text_at(options, "cloud"));
  for (const auto& [name, value] : pairs_of(order.stamp)) {
    auto& tag = *request.add_tags();
    tag.set_name(name);
    tag.set_value(value);
  }
  auto& environment = *request.add_secret_sources()->mutable_env()->mutable_contents();
  for (const auto& each : environment_of(order))
    environment[each.name] = std::string_view{each.value};
  auto call = call_of(who, "SandboxCreateV2", request);
  for (auto& each : environment)
    wipe(each.second);
  call.timeout = create_within;
  add_metadata(call, "x-idempotency-key", create_key(order.stamp));
  return call;
}

grpc_call named(const account& who, const std::string& name) {
  message::NameRequest request;
  request.set_sandbox_name(name);
  request.set_app_name(std::string{who.text("app")});
  request.set_environment_name(std::string{who.text("environment")});
  return call_of(who, "SandboxGetFromNameV2", request);
}

grpc_call list(const account& who, const std::string& app_id,
               const std::vector<std::pair<std::string, std::string>>& tags, std::string_view before) {
  message::ListRequest request;
  request.set_app_id(app_id);
  for (const auto& [name, value] : tags) {
    auto& tag = *request.add_tags();
    tag.set_name(name);
    tag.set_value(value);
  }
  double time = 0;
  std::from_chars(before.data(), before.data() + before.size(), time, std::chars_format::hex);
  request.set_before_timestamp(time);
  return call_of(who, "SandboxListV2", request);
}

grpc_call tunnels(const account& who, const std::string& id, seconds held) {
  message::OfSandbox request;
  request.set_sandbox_id(id);
  request.set_timeout(static_cast<float>(held.count()));
  auto call = call_about(who, id, "SandboxGetTunnels", request);
  call.timeout = held + call_within;
  return call;
}

grpc_call poll(const account& who, const std::string& id) {
  message::OfSandbox request;
  request.set_sandbox_id(id);
  request.set_timeout(0);
  return call_about(who, id, "SandboxWait", request);
}

grpc_call terminate(const account& who, const std::string& id) {
  message::OfSandbox request;
  request.set_sandbox_id(id);
  return call_about(who, id, "SandboxTerminate", request);
}

// -- answers ------------------------------------------------------------------------------------------------------

bool is_over(const message::Result& result) {
  return result.status() != 0;
}

std::string words_of(const message::Result& result) {
  constexpr std::array<std::string_view, 9> names{"unknown",        "success",       "failed",
                                                  "terminated",     "timed out",     "not begun",
                                                  "internal error", "idle too long", "evicted"};
  auto at = static_cast<std::size_t>(result.status());
  auto words = std::string{names.at(at < names.size() ? at : 0)};
  return result.exception().empty() ? words : words + ": " + result.exception();
}

std::optional<runtime> reached(const account& who, std::string_view id,
                               const google::protobuf::RepeatedPtrField<message::Tunnel>& tunnels, std::uint16_t port) {
  for (const auto& each : tunnels)
    if (each.container_port() == port && !each.host().empty() && each.port() <= 65'535) {
      // Tunnels end TLS at the provider. Where its own server is spoken to without, so are they.
      auto server = http::parse_url(who.text("server_url")).value_or(http::url{});
      runtime found;
      found.ref = id;
      auto number = each.port() == 0 ? https_port : static_cast<std::uint16_t>(each.port());
      found.where = endpoint{server.tls, each.host(), number, {}};
      found.where.ca_file = who.ca_file;
      return found;
    }
  return std::nullopt;
}

std::string tag_of(const message::Info& seen, std::string_view name) {
  for (const auto& each : seen.tags())
    if (each.name() == name)
      return each.value();
  return {};
}

bool bears(const message::Info& seen, const std::vector<std::pair<std::string, std::string>>& tags) {
  return std::ranges::all_of(tags, [&](const auto& each) { return tag_of(seen, each.first) == each.second; });
}

std::string before_of(const message::Page& page) {
  if (page.sandboxes().empty() || !(page.sandboxes().rbegin()->created_at() > 0))
    return {};
  std::array<char, 40> text{};
  auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), page.sandboxes().rbegin()->created_at(),
                                    std::chars_format::hex);
  return {text.data(), end};
}

} // namespace nestor::providers::internal::modal
