#include "api_client.hpp"

#include "state_folder.hpp"
#include "verbs.hpp"

#include <nestor/core/problem.hpp>
#include <nestor/http/url.hpp>
#include <nestor/io/http_client.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace nestor::cli {
namespace {

constexpr std::uint64_t answer_max = std::uint64_t{16} << 20U; // bytes: a page of 200 sandboxes is below 1 MiB
constexpr std::string_view default_server = "http://127.0.0.1:7077";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : value;
}

std::string first_line(const std::string& file) {
  std::ifstream in{file};
  std::string line;
  std::getline(in, line);
  return line;
}

std::string token_of(const client_options& options) {
  if (!options.token.empty())
    return options.token;
  if (auto token = environment("NESTOR_TOKEN"); !token.empty())
    return token;
  if (auto file = environment("NESTOR_TOKEN_FILE"); !file.empty())
    return first_line(file);
  auto state = state_folder_of(environment("NESTOR_STATE"));
  return state.empty() ? state : first_line(state + "/token");
}

io::http_client_options options_of_client() {
  io::http_client_options options;
  options.body_max = answer_max;
  options.ca_file = environment("NESTOR_CA_FILE");
  return options;
}

} // namespace

nlohmann::ordered_json api_answer::json() const {
  auto parsed = nlohmann::ordered_json::parse(raw.body.begin(), raw.body.end(), nullptr, false);
  if (parsed.is_discarded())
    throw node_unreachable{"what answers there is no node: its answer is no JSON"};
  return parsed;
}

failure api_answer::why() const {
  if (auto said = from_problem(raw.body))
    return *said;
  return {errc::nested_protocol,
          step::queue,
          "what answers there is no node of this version: status " + std::to_string(status),
          status,
          {}};
}

std::string api_answer::header(std::string_view name) const {
  const auto* found = raw.find(name);
  return found ? *found : std::string{};
}

struct api_client::impl {
  boost::asio::io_context context{1};
  boost::asio::signal_set signals{context, SIGINT, SIGTERM};
  io::http_client http{context, options_of_client()};
  http::url server;
  std::string shown;
  secret token;
  bool interrupted = false;
};

api_client::api_client(const client_options& options) : impl_(std::make_unique<impl>()) {
  impl_->shown = !options.server.empty() ? options.server : environment("NESTOR_SERVER");
  if (impl_->shown.empty())
    impl_->shown = default_server;
  auto url = http::parse_url(impl_->shown);
  if (!url)
    throw node_unreachable{"`" + impl_->shown + "` is no http or https URL (--server, NESTOR_SERVER)"};
  impl_->server = std::move(*url);
  impl_->token = secret{token_of(options)};
  impl_->signals.async_wait(
    [this](const boost::system::error_code& failed, int) { impl_->interrupted = impl_->interrupted || !failed; });
}

api_client::~api_client() = default;

api_answer api_client::ask(api_request what) {
  http_call call;
  call.to = {impl_->server.tls, impl_->server.host, impl_->server.port, {}, {}};
  call.from = address_source::node;
  call.timeout = what.within;
  call.request.verb = what.verb;
  call.request.target = http::join_path(impl_->server, what.target);
  call.request.headers = std::move(what.headers);
  if (!impl_->token.empty())
    impl_->token.expose([&](std::string_view token) {
      call.request.headers.push_back({"Authorization", wiped_string{"Bearer "}.append(token)});
    });
  if (!what.type.empty())
    call.request.headers.push_back({"Content-Type", wiped_string{what.type}});
  call.request.body = std::move(what.body);
  std::optional<http_reply> reply;
  impl_->http.call(std::move(call), [&](http_reply came) { reply = std::move(came); });
  while (!reply && !impl_->interrupted)
    impl_->context.run_one();
  if (!reply)
    throw interrupted_by_user{};
  if (const auto* broken = std::get_if<http::transport_error>(&*reply))
    throw node_unreachable{"the node at " + impl_->shown + " cannot be reached: " + std::string{name_of(*broken)} +
                           " (is `nestor serve` running? --server, NESTOR_SERVER)"};
  auto& response = std::get<http::response>(*reply);
  return {response.status, std::move(response)};
}

} // namespace nestor::cli
