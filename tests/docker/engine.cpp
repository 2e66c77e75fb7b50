#include "engine.hpp"

#include <boost/asio/steady_timer.hpp>

#include <cstdlib>
#include <stdexcept>

namespace nestor::tests {
namespace {

// Above what the provider allows for a call, waiting for its turn included.
constexpr milliseconds answered_within{60'000};

std::string told_by(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error{std::string{name} + " is not set: these tests are run by tests/stages/docker"};
  return value;
}

} // namespace

std::string engine_socket() {
  return told_by("NESTOR_DOCKER_SOCKET");
}
std::string engine_image() {
  return told_by("NESTOR_DOCKER_IMAGE");
}

providers::account account_at(const std::string& socket) {
  providers::account who;
  who.name = "docker";
  who.speaks = providers::of_kind("docker");
  who.settings = {{"socket", socket}};
  return who;
}

runtime_spec server_spec() {
  runtime_spec spec;
  spec.image = engine_image();
  spec.command = {"/bin/nestor-nested-server", "--bind", "0.0.0.0", "--dialect", "openhands"};
  spec.port = 3000;
  spec.cpu = cpu_wanted;
  spec.memory_bytes = memory_wanted;
  return spec;
}

http_reply engine::perform(http_call call, milliseconds after) {
  boost::asio::steady_timer timer{world_.context, after};
  std::optional<http_reply> got;
  timer.async_wait([&](const auto&) { client_.call(std::move(call), [&](http_reply r) { got = std::move(r); }); });
  world_.until([&] { return got.has_value(); }, answered_within);
  return std::move(*got);
}

http::response engine::ask(http::method verb, const std::string& target, const nlohmann::json& body) {
  http_call call;
  call.to.unix_path = engine_socket();
  call.from = address_source::node;
  call.timeout = answered_within;
  call.request.verb = verb;
  call.request.target = "/v1.41" + target;
  if (!body.is_null())
    call.request.body = wiped_string{body.dump()};
  auto reply = perform(std::move(call), milliseconds{0});
  if (auto* broke = std::get_if<http::transport_error>(&reply))
    throw std::runtime_error{"the engine does not answer: " + std::string{http::name_of(*broke)}};
  return std::move(std::get<http::response>(reply));
}

nlohmann::json engine::containers() {
  return nlohmann::json::parse(ask(http::method::get, "/containers/json?all=true").body);
}

nlohmann::json engine::inspect(const std::string& ref) {
  return nlohmann::json::parse(ask(http::method::get, "/containers/" + ref + "/json").body);
}

} // namespace nestor::tests
