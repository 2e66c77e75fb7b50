// The engine that stages/docker started, asked directly: the judge of these tests. And a provider's conversation with
// it, held over the real client.
#pragma once

#include <io/io_world.hpp>

#include <nestor/providers/provider.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <variant>

namespace nestor::tests {

/// The engine's socket: NESTOR_DOCKER_SOCKET.
std::string engine_socket();
/// The image that holds nestor-nested-server and a shell: NESTOR_DOCKER_IMAGE.
std::string engine_image();

/// An account of the kind `docker` that uses this socket.
providers::account account_at(const std::string& socket);

/// The nested server of the image, limited to a quarter of a processor and 128 MiB.
runtime_spec server_spec();
inline constexpr double cpu_wanted = 0.25;
inline constexpr std::uint64_t memory_wanted = 134'217'728;

class engine {
public:
  http::response ask(http::method verb, const std::string& target, const nlohmann::json& body = {});
  /// Every container of the engine, whoever made it, running or not.
  nlohmann::json containers();
  nlohmann::json inspect(const std::string& ref);

  /// The whole conversation.
  template <class Result, class Order>
  std::variant<Result, failure> hold(providers::operation<Result, Order> what, const providers::account& who,
                                     const Order& order) {
    providers::heard so_far;
    io_reply reply;
    wiped_string carried;
    auto began = io::steady_now();
    for (;;) {
      so_far.elapsed = std::chrono::duration_cast<milliseconds>(io::steady_now() - began);
      auto came = what(who, order, so_far);
      auto* question = std::get_if<providers::ask>(&came);
      if (!question) {
        if (auto* why = std::get_if<failure>(&came))
          return std::move(*why);
        return std::move(std::get<Result>(came));
      }
      carried = std::move(question->carried);
      reply = perform(std::get<http_call>(std::move(question->request)), question->after);
      so_far = {question->at, &reply, carried, so_far.asked + 1, {}};
    }
  }

private:
  http_reply perform(http_call call, milliseconds after);

  test::io_world world_;
  io::http_client client_{world_.context};
};

} // namespace nestor::tests
