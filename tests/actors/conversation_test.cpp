// The conversation that a specification wants, on virtual time: never before Ready, once as far as one can know, and
// the sandbox stays served whatever comes of it.
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

#include <algorithm>

using namespace nestor;
using namespace nestor::tests;

namespace {

struct talking_server {
  std::string dialect = "openhands";
  bool chooses_ids = true;
};

struct talking_node {
  test_node node;
  sandbox_id id;

  static nested_server::model_options options_for(const talking_server& how) {
    auto options = options_of(how.dialect);
    options.rate_limit = false;
    options.server_info_delay = milliseconds{0};
    options.choose_conversation_id = how.chooses_ids;
    return options;
  }
  explicit talking_node(const talking_server& how) : node(options_for(how)), dialect_(how.dialect) {}

  sandbox_spec spec() const {
    auto wanted = canary_spec({"process", dialect_, dialect_});
    wanted.conversation =
      dialect_ == "openhands"
        ? R"({"initial_user_msg":"hello"})"
        : R"({"workspace":{"working_dir":"/w"},"agent":{"kind":"Agent"},"initial_message":{"role":"user"}})";
    return wanted;
  }
  void create() { id = node.create(spec()); }
  std::string shown(bool reason = false) {
    auto view = node.see(id);
    for (const auto& each : view->conditions)
      if (each.type == "Conversation")
        return std::string{reason ? each.reason : name_of(each.status)};
    return "none";
  }
  /// Nothing of it is under way any more.
  bool over() {
    auto why = shown(true);
    return node.see(id)->word == status::ready &&
           (why == "started" || shown() == "False" || why == "conversation_unknown") && why != "starting" &&
           why != "not_started";
  }
  bool run_until_over() {
    return node.run_until([&] { return ended(node.see(id)->word) || over(); }, std::chrono::hours{2});
  }
  const nested_server::server_state* state() {
    auto running = node.world->running();
    return running.empty() ? nullptr : node.world->server(running.front()).find();
  }
  std::size_t conversations() { return state() ? state()->conversations.size() : 0; }
  std::string transcript() {
    std::string text = node.told();
    for (const auto& line : node.world->log())
      text += line + "\n";
    return text;
  }

private:
  std::string dialect_;
};

const std::vector<talking_server> servers{{"openhands", true}, {"openhands", false}, {"agent-server", true}};
const std::string start = "POST /api/conversations";

} // namespace

TEST_CASE("a conversation is started once the generation is Ready, its intent durable first", "[conversation]") {
  for (const auto& how : servers) {
    talking_node here{how};
    here.create();
    REQUIRE(here.run_until_over());
    INFO(here.transcript());
    CHECK(here.shown() == "True");
    CHECK(here.conversations() == 1);
    CHECK(here.state()->conversations.begin()->second.events.size() == 1);
    CHECK(here.node.world->writes().back() == start); // everything else came before
    std::vector<supervision::note> notes;
    for (const auto& [what, observed] : here.node.journal->written)
      notes.push_back(what);
    using enum supervision::note;
    CHECK(notes == std::vector{intent, runtime, confirmed, conversing, conversed});
    CHECK_THAT(here.node.told(), Catch::Contains("Ready"));
    if (how.dialect == "agent-server")
      CHECK(here.state()->conversations.begin()->second.secrets.size() == 4);
    REQUIRE_FALSE(here.node.ask<actors::access>(actors::get_access{here.id}).refused);
    here.node.system.advance(std::chrono::minutes{30}); // probes and read-backs change nothing
    CHECK(here.conversations() == 1);
    CHECK(here.node.see(here.id)->word == status::ready);
    CHECK(here.node.world->most_in_flight() <= 1);
  }
}

TEST_CASE("whichever io fails, there is at most one conversation, and never one before Ready",
          "[conversation][faults]") {
  constexpr std::size_t ios_max = 60;
  for (const auto& how : servers)
    for (int kind = 1; kind < static_cast<int>(fault::count_); ++kind)
      for (std::size_t nth = 0; nth < ios_max; ++nth) {
        talking_node here{how};
        here.node.world->fail(nth, static_cast<fault>(kind), 1);
        here.create();
        bool rested = here.run_until_over();
        INFO(how.dialect << " " << how.chooses_ids << ": io " << nth << " fails: " << name_of(static_cast<fault>(kind))
                         << "\n"
                         << here.transcript());
        REQUIRE(rested);
        CHECK(here.conversations() <= 1);
        if (here.shown() == "True")
          CHECK(here.conversations() == 1);
        if (here.shown() == "False")
          CHECK(here.conversations() == 0);
        if (how.chooses_ids && here.node.see(here.id)->word == status::ready)
          CHECK(here.shown() == "True");
        if (here.node.world->performed() <= nth)
          break;
      }
}

TEST_CASE("a conversation whose answers are always lost is not started twice, and the sandbox is served",
          "[conversation]") {
  for (const auto& how : servers) {
    talking_node here{how};
    here.node.world->fail_always(start, fault::answer_lost);
    here.create();
    REQUIRE(here.run_until_over());
    INFO(here.transcript());
    CHECK(here.conversations() == (how.chooses_ids ? 1 : 0)); // else all that was lost are refusals of an id
    CHECK(here.shown() == (how.chooses_ids ? "True" : "False"));
    REQUIRE_FALSE(here.node.ask<actors::access>(actors::get_access{here.id}).refused);
    here.node.system.advance(std::chrono::hours{1});
    CHECK(here.conversations() <= 1);
  }
}

TEST_CASE("a conversation that nobody can look for is unknown once its answer is lost, and not asked for again",
          "[conversation]") {
  bool found = false;
  for (std::size_t nth = 0; nth < 40 && !found; ++nth) {
    talking_node here{{"openhands", false}};
    here.node.world->fail(nth, fault::answer_lost);
    here.create();
    REQUIRE(here.run_until_over());
    found = here.node.see(here.id)->word == status::ready && here.shown(true) == "conversation_unknown";
    if (!found)
      continue;
    INFO(here.transcript());
    CHECK(here.shown() == "Unknown");
    CHECK(here.conversations() == 1);
    auto why = here.node.see(here.id)->why;
    REQUIRE(why);
    CHECK(why->code == errc::conversation_unknown);
    REQUIRE_FALSE(here.node.ask<actors::access>(actors::get_access{here.id}).refused);
    here.node.system.advance(std::chrono::hours{1});
    CHECK(here.conversations() == 1);
    CHECK(here.shown() == "Unknown");
  }
  CHECK(found);
}

TEST_CASE("a conversation outlives the SUPERVISOR that asked for it, and is not asked for by the next",
          "[conversation]") {
  for (const auto& how : servers)
    for (bool heard : {false, true}) {
      talking_node here{how};
      here.create();
      if (heard)
        REQUIRE(here.run_until_over());
      else
        REQUIRE(here.node.run_until([&] { return here.conversations() == 1; }, 1min));
      here.node.end_supervisor({});
      REQUIRE(
        here.node.run_until([&] { return here.node.see(here.id)->word == status::unknown || !here.over(); }, 1min));
      REQUIRE(here.run_until_over());
      INFO(how.dialect << " " << how.chooses_ids << " " << heard << "\n" << here.transcript());
      CHECK(here.conversations() == 1);
      CHECK(here.shown() == (how.chooses_ids || heard ? "True" : "Unknown"));
    }
}

TEST_CASE("a refused conversation leaves the sandbox Ready, and is asked for again with the next generation",
          "[conversation]") {
  talking_node here{{}};
  auto spec = here.spec();
  auto keyless = std::make_shared<nested::configuration>(*spec.configuration);
  keyless->settings = R"({"agent":"CodeActAgent","llm_model":"m"})";
  keyless->secret_settings.clear();
  spec.configuration = keyless;
  here.id = here.node.create(std::move(spec));
  REQUIRE(here.run_until_over());
  INFO(here.transcript());
  auto seen = here.node.see(here.id);
  CHECK(seen->word == status::ready);
  CHECK(here.shown() == "False");
  CHECK(here.shown(true) == "configuration_refused");
  REQUIRE(seen->why);
  CHECK_THAT(seen->why->cause, Catch::Contains("llm_api_key"));
  REQUIRE_FALSE(here.node.ask<actors::access>(actors::get_access{here.id}).refused);
  auto answer = here.node.ask<actors::accepted>(actors::configure_sandbox{here.id, canary_configuration(2)});
  REQUIRE_FALSE(answer.refused);
  REQUIRE(here.node.run_until([&] { return here.node.see(here.id)->observed == 2; }, 1min));
  REQUIRE(here.run_until_over());
  CHECK(here.shown() == "True");
  CHECK(here.conversations() == 1);
  CHECK_FALSE(here.node.see(here.id)->why);
}

TEST_CASE("a sandbox whose conversation cannot be recorded is Ready, and nothing is asked until it can",
          "[conversation]") {
  talking_node here{{}};
  here.create();
  REQUIRE(here.node.run_until(
    [&] {
      auto notes = here.node.journal->written.size();
      if (notes == 3) // intent, runtime, confirmed
        here.node.journal->refuse_next = 2;
      return notes >= 3;
    },
    1min));
  REQUIRE(here.run_until_over());
  INFO(here.transcript());
  CHECK(here.shown() == "True");
  CHECK(here.conversations() == 1);
}
