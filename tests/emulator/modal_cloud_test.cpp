// Modal's traps, each named: asked as a client's gRPC calls, without a wire.
#include "cloud_world.hpp"

#include <emulator/rpc_form.hpp>

#include <nestor_messages/modal.pb.h>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::emulator;
using namespace nestor::emulator::testing;
namespace message = nestor::modal;

namespace {

struct modal_world : emulator::testing::account {
  std::string token, app, image;

  explicit modal_world(cloud_options options = {}) : emulator::testing::account("modal", std::move(options)) {
    message::AuthToken given;
    REQUIRE(call("AuthTokenGet", message::Empty{}, given) == 0);
    token = given.token();
    message::AppRequest wish;
    wish.set_app_name("test");
    wish.set_creation(1);
    message::App made;
    REQUIRE(call("AppGetOrCreate", wish, made) == 0);
    app = made.app_id();
    message::ImageRequest definition;
    definition.mutable_image()->add_dockerfile_commands("FROM nested");
    definition.set_builder_version("2025.06");
    message::Image built;
    REQUIRE(call("ImageGetOrCreate", definition, built) == 0);
    image = built.image_id();
  }

  /// Its status; what it was answered with is in `into`.
  int call(const std::string& method, const google::protobuf::MessageLite& asked, google::protobuf::MessageLite& into,
           const std::string& key = "ak-00112233445566778899aabb") {
    grpc_call what;
    what.method = "/modal.client.ModalClient/" + method;
    for (auto [name, value] :
         std::initializer_list<std::pair<std::string, std::string>>{{"x-modal-token-id", key},
                                                                    {"x-modal-token-secret", key},
                                                                    {"x-modal-client-type", "8"},
                                                                    {"x-modal-client-version", "1.0.0"},
                                                                    {"x-modal-auth-token", token}})
      what.metadata.push_back({name, wiped_string{value}});
    auto bytes = asked.SerializeAsString();
    what.message.assign(bytes.data(), bytes.size());
    auto back = std::make_shared<caught>();
    cloud.serve(request_of(what), back);
    auto limit = time.now() + 200s;
    while (!(back->got && (back->ended || back->parts.empty())) && time.now() < limit && time.step()) {}
    REQUIRE(back->got);
    auto response = back->got->response;
    if (!back->parts.empty())
      response.body.assign(back->parts.data(), back->parts.size());
    last = answer_of(response);
    into.ParseFromArray(last.message.data(), static_cast<int>(last.message.size()));
    return last.status;
  }
  message::CreateRequest wish(const std::string& name = {}) const {
    message::CreateRequest r;
    r.set_app_id(app);
    r.mutable_definition()->set_image_id(image);
    r.mutable_definition()->set_name(name);
    r.mutable_definition()->add_entrypoint_args("nestor-nested-server");
    r.mutable_definition()->mutable_open_ports()->add_ports()->set_port(3000);
    auto& tag = *r.add_tags();
    tag.set_name("k");
    tag.set_value("v");
    return r;
  }
  message::Created created(const message::CreateRequest& r) {
    message::Created made;
    CHECK(call("SandboxCreateV2", r, made) == 0);
    return made;
  }
  message::OfSandbox of(const std::string& id, float timeout = 0) {
    message::OfSandbox r;
    r.set_sandbox_id(id);
    r.set_timeout(timeout);
    return r;
  }
  int state_of(const std::string& id, float timeout = 0) {
    message::Waited now;
    CHECK(call("SandboxWaitV2", of(id, timeout), now) == 0);
    return now.result().status();
  }
  grpc_answer last;
};

} // namespace

TEST_CASE("modal: only a good token gets another, and calls about sandboxes ask for that one") {
  modal_world m;
  message::AuthToken given;
  CHECK(m.call("AuthTokenGet", message::Empty{}, given, "ak-wrong") == 16);
  CHECK(given.token().empty());
  m.token = "a.b.c";
  message::Page page;
  CHECK(m.call("SandboxListV2", message::ListRequest{}, page) == 16);
  message::App app;
  CHECK(m.call("AppGetOrCreate", message::AppRequest{}, app) == 5); // looked up only
  CHECK(m.call("NoSuchMethod", message::Empty{}, app) == 12);
}

TEST_CASE("modal: an issued token ends") {
  modal_world m;
  message::Page page;
  CHECK(m.call("SandboxListV2", message::ListRequest{}, page) == 0);
  m.time.advance(1'201s);
  CHECK(m.call("SandboxListV2", message::ListRequest{}, page) == 16);
}

TEST_CASE("modal: a name is taken while it runs, and its sandbox found by it") {
  modal_world m;
  auto first = m.created(m.wish("box"));
  message::Created second;
  CHECK(m.call("SandboxCreateV2", m.wish("box"), second) == 6);
  CHECK(m.rented() == 1);
  message::NameRequest by_name;
  by_name.set_app_name("test");
  by_name.set_sandbox_name("box");
  message::Named found;
  CHECK(m.call("SandboxGetFromNameV2", by_name, found) == 0);
  CHECK(found.sandbox_id() == first.sandbox_id());
  CHECK(m.call("SandboxGetFromName", by_name, found) == 5); // the older kind has none
  message::Terminated gone;
  CHECK(m.call("SandboxTerminateV2", m.of(first.sandbox_id()), gone) == 0);
  CHECK(m.rented() == 1); // answered before it is done
  CHECK(m.state_of(first.sandbox_id(), 10) == 3);
  CHECK(m.rented() == 0);
  CHECK(m.call("SandboxTerminateV2", m.of(first.sandbox_id()), gone) == 0);
  CHECK(gone.existing_result().status() == 3);
  CHECK(m.call("SandboxTerminateV2", m.of("sb-nobody"), gone) == 5);
  m.created(m.wish("box"));
}

TEST_CASE("modal: pages are short, newest first, and the last one is empty") {
  modal_world m;
  for (int i = 0; i < 7; ++i)
    m.created(m.wish());
  std::vector<double> times;
  message::ListRequest r;
  r.set_app_id(m.app);
  std::size_t pages = 0;
  for (message::Page page; m.call("SandboxListV2", r, page) == 0 && !page.sandboxes().empty(); ++pages) {
    for (const auto& each : page.sandboxes())
      times.push_back(each.created_at());
    r.set_before_timestamp(times.back());
  }
  CHECK(times.size() == 7);
  CHECK(std::is_sorted(times.rbegin(), times.rend()));
  CHECK(pages == 3);
  auto& tag = *r.add_tags();
  tag.set_name("k");
  tag.set_value("other");
  r.set_before_timestamp(0);
  message::Page none;
  CHECK(m.call("SandboxListV2", r, none) == 0);
  CHECK(none.sandboxes().empty());
}

TEST_CASE("modal: a throttle says so in the details, a full account in the code alone") {
  cloud_options few;
  few.sandboxes_max = 1;
  modal_world m{few};
  m.created(m.wish());
  message::Created made;
  CHECK(m.call("SandboxCreateV2", m.wish(), made) == 8);
  CHECK(m.last.trailers.empty());
  m.plan({"throttled:3@POST /modal.client.ModalClient/SandboxCreateV2$"});
  CHECK(m.call("SandboxCreateV2", m.wish(), made) == 8);
  REQUIRE(m.last.trailers.size() == 1);
  message::StatusDetails details;
  REQUIRE(details.ParseFromString(m.last.trailers[0].second));
  message::RetryPolicy policy;
  REQUIRE(policy.ParseFromString(details.details(0).value()));
  CHECK(policy.retry_after_secs() == 3);
}

TEST_CASE("modal: an image is built by and by, and one that is not there fails") {
  modal_world m;
  message::ImageRequest r;
  r.mutable_image()->add_dockerfile_commands("FROM no-such-image");
  r.set_builder_version("2025.06");
  message::Image begun;
  CHECK(m.call("ImageGetOrCreate", r, begun) == 0);
  CHECK_FALSE(begun.has_result());
  message::ImageJoinRequest join;
  join.set_image_id(begun.image_id());
  join.set_timeout(55);
  message::ImageJoin over; // its messages, merged
  CHECK(m.call("ImageJoinStreaming", join, over) == 0);
  CHECK(over.result().status() == 2);
  CHECK(over.entry_id() == "2-0");
  CHECK(over.task_logs().size() == 1);
}

TEST_CASE("modal: a sandbox ends with its command, and when its time is up") {
  modal_world m;
  auto one = m.created(m.wish()).sandbox_id();
  m.time.advance(1s);
  CHECK(m.state_of(one) == 0);
  m.inside.crash(one, 1);
  m.time.advance(1s);
  CHECK(m.state_of(one) == 2);
  auto r = m.wish();
  r.mutable_definition()->set_timeout_secs(60);
  auto brief = m.created(r).sandbox_id();
  m.time.advance(61s);
  CHECK(m.state_of(brief) == 4);
  CHECK(m.inside.count() == 0);
}

TEST_CASE("modal: a port is reached through its tunnel, others are not") {
  modal_world m;
  auto made = m.created(m.wish());
  REQUIRE(made.tunnels().size() == 1);
  auto status_at = [&](const std::string& host) { return m.ask("GET /alive", nullptr, {{"Host", host}})->status(); };
  CHECK(status_at(made.tunnels(0).host()) == 502); // not up yet
  m.time.advance(1s);
  CHECK(status_at(made.tunnels(0).host()) == 200);
  CHECK(status_at("ta-nobody-3000.wo-1.modal.localhost") == 404);
  auto other = made.tunnels(0).host();
  other.replace(other.find("-3000."), 6, "-3001.");
  CHECK(status_at(other) == 404);
}

TEST_CASE("modal: a proxy's page is read as gRPC's clients read it") {
  modal_world m;
  message::Created made;
  m.plan({"page:502@POST /modal.client.ModalClient/SandboxCreateV2$"});
  CHECK(m.call("SandboxCreateV2", m.wish(), made) == 14);
  CHECK(m.rented() == 0);
}
