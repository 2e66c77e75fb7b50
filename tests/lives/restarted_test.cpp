// Somebody restarts a sandbox behind our back: it comes back elsewhere, or behind another token, and empty.
#include "life.hpp"

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

namespace {

/// As a person does it on the provider's own pages.
void press(renting_node& here, std::string_view kind, std::string target) {
  struct nobody final : emulator::reply_door {
    void reply(emulator::wire_reply&&) override {}
    void count_in(nested_server::traffic&) override {}
    void begin(const http::response&) override {}
    void more(std::string_view) override {}
    void end() override {}
  };
  http::request request;
  request.verb = http::method::post;
  request.target = std::move(target);
  wiped_string key{"Bearer "};
  keys_of_clouds()(reference_kind::env, std::string{kind})->expose([&](std::string_view text) { key += text; });
  request.headers.push_back({"Authorization", std::move(key)});
  here.clouds->cloud(kind).serve(request, std::make_shared<nobody>());
  here.node->system.advance(std::chrono::seconds{1});
}

} // namespace

TEST_CASE("daytona trap: a restart makes another preview token, which is asked for and not waited for in vain",
          "[lives]") {
  renting_node here;
  auto id = here.create("daytona", [](sandbox_spec& spec) {
    auto runtime = std::make_shared<runtime_spec>(*spec.runtime);
    runtime->image = "agent"; // it starts the nested server by itself, after a restart too
    runtime->command.clear();
    spec.runtime = std::move(runtime);
  });
  REQUIRE(here.to_rest(id) == status::ready);
  auto before = here.node->see(id)->fence;
  auto ref = here.clouds->rented("daytona", id).at(0).id;
  press(here, "daytona", "/api/sandbox/" + ref + "/stop");
  press(here, "daytona", "/api/sandbox/" + ref + "/start");
  CHECK(here.difference_in("daytona", id) == "there are no settings");

  // The next probe finds that it does not answer; it is served again only with everything pushed again.
  here.node->run_until([&] { return here.word(id) != status::ready; }, std::chrono::minutes{5});
  CHECK(here.word(id) != status::ready);
  CHECK(here.to_rest(id) == status::ready);
  CHECK(here.difference_in("daytona", id).empty());
  CHECK(here.node->see(id)->fence != before);
  CHECK(here.clouds->rented("daytona").size() == 1);
  here.destroy(id);
  CHECK(here.to_end(id));
  CHECK(here.clouds->rented("daytona").empty());
}
