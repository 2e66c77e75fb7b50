// Modal: apps, images, sandboxes, their tunnels and their workers' router. A gRPC call comes as a POST to its method
// with the metadata as headers and the message as the body, and is answered with `grpc-status` and the other trailers
// as headers; grpc_front puts that on the wire. Split by topic: modal_cloud.cpp has the sandboxes,
// internal/modal_account.cpp tokens, apps and images, internal/modal_router.cpp commands and tunnels. What is not known
// of the real service is answered in the way that is hardest on a client: a repeated idempotency key creates again, and
// pages are short.
#pragma once

#include <emulator/internal/call.hpp>

#include <nestor_messages/modal.pb.h>

#include <map>

namespace nestor::emulator {

namespace message = nestor::modal;

/// gRPC's codes, those that are said here.
enum class rpc : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  unauthenticated = 16
};
/// An answer that is an error.
http::response rpc_error(rpc code, std::string_view words);

struct modal_image {
  std::string id, reference; ///< what its first FROM names
  bool there = true, built = false;
  std::vector<std::function<void()>> waiting;
};

struct modal_exec {
  std::int64_t pid = -1;
  std::string out, err;
  std::optional<int> exit_status;
  std::vector<std::function<void()>> waiting;
  std::vector<std::pair<stream, caller>> listeners;
};

struct modal_sandbox {
  std::string id, task, worker, app, name, image;
  variables env;
  std::vector<std::string> command;
  std::vector<std::pair<std::string, std::string>> tags;
  std::vector<std::uint16_t> ports;
  std::int64_t created_ms = 0;
  instant listed_from;
  std::uint32_t timeout_secs = 0;
  bool running = false;
  affliction ill;
  message::Result result; ///< status 0: it is not over
  std::map<std::string, modal_exec> execs;
  std::vector<std::function<void()>> waiting; ///< told when it runs, and when it is over

  [[nodiscard]] bool over() const { return result.status() != 0; }
};

class modal_cloud final : public cloud {
public:
  modal_cloud(cloud_options options, cloud_world world);

  void serve(const http::request& request, const affliction& ill, caller back) override;
  [[nodiscard]] std::vector<rented> truth() const override;
  [[nodiscard]] http::response refusal(std::uint16_t status, const http::request& request) const override;
  [[nodiscard]] http::response throttled(std::int64_t seconds, const http::request& request) const override;

private:
  using handler = void (modal_cloud::*)(const call_ref&);
  struct method {
    std::string_view name; ///< after the service
    handler handle;
    bool proven = false; ///< asks for the token of AuthTokenGet
  };
  static std::span<const method> methods();
  static std::span<const method> router_methods();

  template <class Request>
  static std::optional<Request> read(const call_ref& c);
  static void answer(const call_ref& c, const google::protobuf::MessageLite& m);
  static void refuse(const call_ref& c, rpc code, std::string_view words);
  [[nodiscard]] std::int64_t wall_ms() const;
  /// Calls `then` when `ready` says so of the sandbox, and after `most` in any case.
  void hold(const std::string& id, milliseconds most, bool (*ready)(const modal_sandbox&), std::function<void()> then);

  // modal_account.cpp
  [[nodiscard]] bool admitted(const call_ref& c, const method& m);
  [[nodiscard]] std::string new_jwt(std::chrono::seconds life);
  void auth_token(const call_ref& c);
  void hello(const call_ref& c);
  void app(const call_ref& c);
  void environment(const call_ref& c);
  void image(const call_ref& c);
  void join_image(const call_ref& c);
  modal_image* image_named(const std::string& id);

  // modal_cloud.cpp
  modal_sandbox* find(const std::string& id);
  modal_sandbox* wanted(const call_ref& c, const std::string& id);
  modal_sandbox* named(const std::string& app, const std::string& name);
  void fill_tunnels(const modal_sandbox& s, google::protobuf::RepeatedPtrField<message::Tunnel>& into) const;
  void fill_info(const modal_sandbox& s, message::Info& into) const;
  void boot(const modal_sandbox& s);
  void end(modal_sandbox& s, int status, std::string_view exception = {}, int exitcode = 0);
  void create(const call_ref& c);
  void task_id(const call_ref& c);
  void tunnels(const call_ref& c);
  void wait(const call_ref& c);
  void terminate(const call_ref& c);
  void from_name(const call_ref& c);
  void older(const call_ref& c);
  void list(const call_ref& c);
  void set_tags(const call_ref& c);
  void get_tags(const call_ref& c);

  // modal_router.cpp
  void serve_tunnel(const call_ref& c);
  void router_access(const call_ref& c);
  message::RouterAccess access_to(const modal_sandbox& s);
  [[nodiscard]] bool routed(const call_ref& c, const std::string& task);
  modal_sandbox* of_task(const call_ref& c, const std::string& task);
  modal_exec* of_exec(const call_ref& c, const std::string& task, const std::string& exec);
  modal_exec* known_exec(const std::string& sandbox, const std::string& exec);
  void exec_start(const call_ref& c);
  void exec_read(const call_ref& c);
  void exec_write(const call_ref& c);
  void exec_poll(const call_ref& c);
  void exec_wait(const call_ref& c);

  cloud_options options_;
  cloud_world world_;
  std::uint64_t seed_;
  rate_window creates_;
  std::int64_t last_created_ms_ = 0;
  std::map<std::string, instant> tokens_;     ///< of AuthTokenGet, until when
  std::map<std::string, std::string> apps_;   ///< id by name
  std::map<std::string, modal_image> images_; ///< by definition
  std::map<std::string, modal_sandbox> sandboxes_;
  std::map<std::string, std::string> router_tokens_; ///< task by token
};

template <class Request>
std::optional<Request> modal_cloud::read(const call_ref& c) {
  Request request;
  if (request.ParseFromArray(c->request.body.data(), static_cast<int>(c->request.body.size())))
    return request;
  refuse(c, rpc::internal, "Failed to parse the request");
  return std::nullopt;
}

/// 26 characters of Crockford's base 32.
std::string ulid(std::uint64_t& seed);

} // namespace nestor::emulator
