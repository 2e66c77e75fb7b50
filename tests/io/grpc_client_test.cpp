// The gRPC client against a server of libgrpc++'s own on loopback.
#include "io_world.hpp"

#include <nestor/io/grpc_client.hpp>

#include <catch2/catch.hpp>

#ifdef NESTOR_GRPC

#  include <grpcpp/generic/async_generic_service.h>
#  include <grpcpp/grpcpp.h>

#  include <atomic>
#  include <map>

using namespace nestor;
using namespace nestor::test;
using http::transport_error;

namespace {

/// What the method's name says: Echo, Stream, Refuse, Big, Hang.
class scripted final : public grpc::CallbackGenericService {
public:
  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};

private:
  class conversation final : public grpc::ServerGenericBidiReactor {
  public:
    conversation(scripted& owner, grpc::GenericCallbackServerContext& context) : owner_(owner), context_(context) {
      ++owner_.calls;
      StartRead(&asked_);
    }
    void OnReadDone(bool ok) override {
      auto is = [&](std::string_view name) { return context_.method() == "/test.T/" + std::string{name}; };
      if (!ok)
        return end(grpc::Status::CANCELLED);
      if (is("Refuse")) {
        context_.AddTrailingMetadata("x-kind", "trailer");
        return end({grpc::StatusCode::RESOURCE_EXHAUSTED, "slow down", "details"});
      }
      if (is("Hang"))
        return;
      left_ = is("Stream") ? 3 : 1;
      if (is("Big")) {
        grpc::Slice slice{std::string(5'000'000, 'x')};
        asked_ = grpc::ByteBuffer{&slice, 1};
      }
      StartWrite(&asked_);
    }
    void OnWriteDone(bool ok) override { --left_ > 0 && ok ? StartWrite(&asked_) : end(grpc::Status::OK); }
    void OnCancel() override {
      ++owner_.cancelled;
      if (left_ == 0)
        end(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

  private:
    // A call that is cancelled before its message was read hears of both, on two threads.
    void end(const grpc::Status& status) {
      if (!ended_.test_and_set())
        Finish(status);
    }

    scripted& owner_;
    grpc::GenericCallbackServerContext& context_;
    grpc::ByteBuffer asked_;
    std::atomic<int> left_ = 0;
    std::atomic_flag ended_;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new conversation{*this, *context};
  }
};

struct grpc_world : io_world {
  scripted service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<io::grpc_client> client;

  explicit grpc_world(io::grpc_client_options options = {}) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(&service);
    server = builder.BuildAndStart();
    REQUIRE(server);
    client = std::make_unique<io::grpc_client>(context, std::move(options));
  }
  ~grpc_world() {
    client.reset();
    server->Shutdown(std::chrono::system_clock::now());
  }
  grpc_world(const grpc_world&) = delete;
  grpc_world& operator=(const grpc_world&) = delete;

  [[nodiscard]] nestor::grpc_call call(std::string method, std::string_view message = {}) const {
    nestor::grpc_call what;
    what.to = {false, "127.0.0.1", static_cast<std::uint16_t>(port), ""};
    what.from = address_source::node;
    what.method = "/test.T/" + std::move(method);
    what.message = message;
    what.timeout = milliseconds{50'000};
    return what;
  }
  grpc_reply ask(nestor::grpc_call what) {
    std::optional<grpc_reply> reply;
    client->call(std::move(what), [&](grpc_reply answer) { reply = std::move(answer); });
    CHECK(!reply); // never inside the call
    until([&] { return reply.has_value(); });
    return std::move(*reply);
  }
  grpc_answer answer_to(nestor::grpc_call what) {
    auto reply = ask(std::move(what));
    if (const auto* error = std::get_if<transport_error>(&reply))
      FAIL("expected an answer, got: " << http::name_of(*error));
    return std::get<grpc_answer>(std::move(reply));
  }
  transport_error error_of(nestor::grpc_call what) {
    auto reply = ask(std::move(what));
    if (const auto* answer = std::get_if<grpc_answer>(&reply))
      FAIL("expected a transport error, got status " << answer->status << " " << answer->status_message);
    return std::get<transport_error>(reply);
  }
};

} // namespace

TEST_CASE("grpc: bytes go out and come back, and a stream's messages are one answer") {
  grpc_world world;
  auto echoed = world.answer_to(world.call("Echo", std::string_view{"\0\x01 bytes", 8}));
  CHECK(echoed.status == 0);
  CHECK(echoed.message == std::string_view{"\0\x01 bytes", 8});
  CHECK(world.answer_to(world.call("Echo")).message.empty());
  CHECK(world.answer_to(world.call("Stream", "ab")).message == "ababab");
}

TEST_CASE("grpc: a status comes with its words and trailers, and is asked for once") {
  grpc_world world;
  auto refused = world.answer_to(world.call("Refuse"));
  CHECK(refused.status == 8);
  CHECK(refused.status_message == "slow down");
  std::map<std::string, std::string> trailers(refused.trailers.begin(), refused.trailers.end());
  CHECK(trailers["x-kind"] == "trailer");
  CHECK(trailers["grpc-status-details-bin"] == "details");
  CHECK(world.service.calls == 1);
}

TEST_CASE("grpc: what got no connection was never sent") {
  grpc_world world;
  auto nobody = world.call("Echo");
  world.server->Shutdown(std::chrono::system_clock::now());
  CHECK(world.error_of(nobody) == transport_error::refused);
  auto elsewhere = world.call("Echo");
  elsewhere.from = address_source::spec;
  CHECK(world.error_of(elsewhere) == transport_error::address_refused);
  elsewhere.to.host = "169.254.169.254";
  elsewhere.from = address_source::node;
  CHECK(world.error_of(elsewhere) == transport_error::address_refused);
  elsewhere.to.host = "no-such-host.invalid";
  CHECK(http::never_sent(world.error_of(elsewhere)));
}

TEST_CASE("grpc: a call with an address of its own looks no name up, and is held to the same rules") {
  grpc_world world;
  auto call = world.call("Echo", "there");
  call.to.host = "worker.invalid";
  call.via = "127.0.0.1";
  CHECK(world.answer_to(call).message == "there");
  call.via = "169.254.169.254";
  CHECK(world.error_of(call) == transport_error::address_refused);
  call.via = "worker";
  CHECK(world.error_of(call) == transport_error::name_unresolved);
  call.via = "127.0.0.1";
  call.from = address_source::spec;
  CHECK(world.error_of(call) == transport_error::address_refused);
}

TEST_CASE("grpc: a server without TLS is no server with TLS") {
  grpc_world world;
  auto call = world.call("Echo");
  call.to.tls = true;
  CHECK(world.error_of(call) == transport_error::tls_refused);
  call.to.ca_file = "/no/such/file.pem";
  CHECK(world.error_of(call) == transport_error::tls_refused);
}

TEST_CASE("grpc: the deadline ends what hangs, and the server hears of it") {
  grpc_world world;
  auto call = world.call("Hang");
  call.timeout = milliseconds{200};
  auto late = world.answer_to(call);
  CHECK(late.status == 4); // it may have taken effect
  world.until([&] { return world.service.cancelled == 1; });
}

TEST_CASE("grpc: an answer beyond the limit is too large, a call beyond the limit is not made") {
  grpc_world world;
  CHECK(world.error_of(world.call("Big")) == transport_error::too_large);
  io::grpc_client_options few;
  few.calls = 1;
  grpc_world narrow{few};
  auto call = narrow.call("Hang");
  call.timeout = milliseconds{500};
  std::optional<grpc_reply> first;
  narrow.client->call(call, [&](grpc_reply reply) { first = std::move(reply); });
  CHECK(narrow.error_of(narrow.call("Echo")) == transport_error::overloaded);
  narrow.until([&] { return first.has_value(); });
  CHECK(narrow.answer_to(narrow.call("Echo", "x")).message == "x");
}

TEST_CASE("grpc: a client that ends answers nobody and waits for nothing") {
  grpc_world world;
  bool answered = false;
  world.client->call(world.call("Hang"), [&](const grpc_reply&) { answered = true; });
  world.until([&] { return world.service.calls == 1; });
  world.client.reset();
  world.until([&] { return world.service.cancelled == 1; });
  CHECK_FALSE(answered);
}

#else

TEST_CASE("grpc: a build without it says so") {
  nestor::test::io_world world;
  nestor::io::grpc_client client{world.context};
  std::optional<nestor::grpc_reply> reply;
  client.call({}, [&](nestor::grpc_reply answer) { reply = std::move(answer); });
  world.until([&] { return reply.has_value(); });
  CHECK(std::get<nestor::grpc_answer>(*reply).status == 12);
}

#endif
