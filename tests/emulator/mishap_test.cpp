// Mishaps: how they are written, and what each does to a create at every cloud.
#include "cloud_world.hpp"

#include <nestor_messages/modal.pb.h>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;

namespace {

struct create_call {
  std::string_view cloud, what;
  json body;
  json (*prepare)(account&) = nullptr; ///< makes what the create needs first, and gives the body
};

/// The bytes of a sandbox's wish, with the app, the image and the token that it needs; no name.
json modal_wish(account& a) {
  constexpr std::string_view key = "ak-00112233445566778899aabb";
  a.with = {{"Content-Type", "application/grpc"},
            {"x-modal-token-id", std::string{key}},
            {"x-modal-token-secret", std::string{key}},
            {"x-modal-client-type", "8"},
            {"x-modal-client-version", "1.0.0"}};
  auto call = [&](const std::string& method, const google::protobuf::MessageLite& asked,
                  google::protobuf::MessageLite& into) {
    auto answer = a.ask("POST /modal.client.ModalClient/" + method, asked.SerializeAsString());
    REQUIRE(answer->status() == 200);
    const auto& bytes = answer->got->response.body;
    REQUIRE(into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  };
  modal::AuthToken token;
  call("AuthTokenGet", modal::Empty{}, token);
  a.with.emplace_back("x-modal-auth-token", token.token());
  modal::AppRequest wanted_app;
  wanted_app.set_creation(1);
  modal::App app;
  call("AppGetOrCreate", wanted_app, app);
  modal::ImageRequest wanted_image;
  wanted_image.mutable_image()->add_dockerfile_commands("FROM i");
  wanted_image.set_builder_version("2025.06");
  modal::Image image;
  call("ImageGetOrCreate", wanted_image, image);
  modal::CreateRequest wish;
  wish.set_app_id(app.app_id());
  wish.mutable_definition()->set_image_id(image.image_id());
  return wish.SerializeAsString();
}

std::vector<create_call> creates() {
  return {{"daytona", "POST /api/sandbox", {{"snapshot", "s"}}},
          {"e2b", "POST /sandboxes", {{"templateID", "base"}, {"timeout", 3600}}},
          {"runloop", "POST /v1/devboxes", json::object()},
          {"modal", "POST /modal.client.ModalClient/SandboxCreateV2", {}, modal_wish},
          {"remote", "POST /start", {{"image", "i"}, {"session_id", "s"}}}};
}

/// An account at which the create can be asked.
std::unique_ptr<account> account_for(create_call& create) {
  auto a = std::make_unique<account>(create.cloud);
  if (create.prepare)
    create.body = create.prepare(*a);
  return a;
}

} // namespace

TEST_CASE("a mishap is a kind, an argument, and which request it hits") {
  auto m = parse_mishap("throttled:5@POST /v2/sandboxes$#2x3");
  REQUIRE(m);
  CHECK(m->kind == mishap_kind::throttled);
  CHECK(m->argument == 5);
  CHECK(m->verb == http::method::post);
  CHECK(m->path == "/v2/sandboxes$");
  CHECK(m->first == 2);
  CHECK(m->times == 3);
  CHECK(parse_mishap("reset@/ %10")->percent == 10);
  for (auto wrong : {"nonsense", "reset:1", "status:99", "slow:", "slow:x", "reset@nowhere", ""})
    CHECK_FALSE(parse_mishap(wrong));
  for (const auto& row : mishap_table())
    CHECK(parse_mishap(row.name)->kind == row.kind);
}

TEST_CASE("a path may leave a segment open, and may say where it ends") {
  mishap_plan plan{{*parse_mishap("reset@POST /sandboxes/*/pause$ x*"), *parse_mishap("hang@GET /a$ x*")}};
  CHECK(plan.hit(http::method::post, "/sandboxes/i1/pause?x=1"));
  CHECK_FALSE(plan.hit(http::method::post, "/sandboxes/i1/pause/more"));
  CHECK_FALSE(plan.hit(http::method::post, "/sandboxes/i1/connect"));
  CHECK_FALSE(plan.hit(http::method::get, "/sandboxes/i1/pause"));
  CHECK(plan.hit(http::method::get, "/a"));
  CHECK_FALSE(plan.hit(http::method::get, "/ab"));
  CHECK(plan.hits() == 2);
}

TEST_CASE("the table of these tests has a create for every cloud") {
  CHECK(creates().size() == cloud_table().size());
}

TEST_CASE("every mishap does to a create what it says, at every cloud") {
  using way = wire_reply::way;
  for (auto create : creates()) {
    auto after = [&](std::string_view spec) {
      auto a = account_for(create);
      a->plan({std::string{spec} + "@" + std::string{create.what} + "$"});
      auto got = a->ask(create.what, create.body);
      return std::pair{std::move(a), got};
    };
    INFO(create.cloud);
    for (auto without_effect : {"reset", "hang", "status:500", "page", "throttled"})
      CHECK(after(without_effect).first->rented() == 0);
    for (auto with_effect : {"slow", "truncated", "cut", "answer-lost", "answer-hangs", "late-listing", "late-boot:10"})
      CHECK(after(with_effect).first->rented() == 1);
    CHECK(after("reset").second->got->how == way::reset);
    CHECK(after("hang").second->got->how == way::hang);
    CHECK(after("status:500").second->status() == 500);
    CHECK(after("throttled").second->status() == 429);
    CHECK(after("answer-lost").second->got->how == way::reset);
    CHECK(after("answer-hangs").second->got->how == way::hang);
    CHECK(after("slow:700").second->got->delay == 700ms);
    CHECK(after("cut").second->got->body_sent < after("cut").second->got->response.body.size());
  }
}

TEST_CASE("an effect may come after its caller was told of a reset, at every cloud") {
  for (auto create : creates()) {
    INFO(create.cloud);
    auto a = account_for(create);
    a->plan({"late-effect:5000"});
    CHECK(a->begin(create.what, create.body)->got->how == wire_reply::way::reset);
    a->time.advance(4s);
    CHECK(a->rented() == 0);
    a->time.advance(2s);
    CHECK(a->rented() == 1);
  }
}

TEST_CASE("a create may be carried out twice, unless its name is its own") {
  for (auto create : creates()) {
    INFO(create.cloud);
    auto a = account_for(create);
    a->plan({"duplicate"});
    CHECK(a->ask(create.what, create.body)->status() / 100 == 2);
    CHECK(a->rented() == 2);
  }
  account named{"daytona"};
  named.plan({"duplicate"});
  CHECK(named.ask("POST /api/sandbox", {{"name", "a"}})->status() == 200);
  CHECK(named.rented() == 1);
}
