// Every io of a whole life fails once, in every way, with every dialect and provider: there is no state in between.
#include <support/canary.hpp>
#include <support/test_node.hpp>

#include <catch2/catch.hpp>

using namespace nestor;
using namespace nestor::tests;

namespace {

constexpr std::size_t ios_max = 200; // far beyond what a life needs: the loop must end by itself

nested_server::model_options options_for(const spec_choice& choice) {
  nested_server::model_options options;
  options.dialect = choice.dialect == "generic" ? "generic" : "openhands";
  options.rate_limit = false;
  options.server_info_delay = milliseconds{0};
  if (choice.provider == "static")
    options.session_key = secret::copy_of(std::string{canary} + "-session");
  return options;
}

struct bench {
  spec_choice choice;
  test_node node;
  explicit bench(const spec_choice& c) : choice(c), node(options_for(c)) {
    if (c.provider == "static")
      node.world->add_static(static_port);
  }
  nested_server::server_model& server() {
    auto running = node.world->running();
    return node.world->server(choice.provider == "static" ? static_port : running.at(0));
  }
  std::string transcript() {
    std::string text = node.told();
    for (const auto& line : node.world->log())
      text += line + "\n";
    return text;
  }
};

const spec_choice choices[] = {{"process", "openhands"}, {"process", "generic"}, {"process", "auto"},
                               {"static", "openhands"},  {"static", "generic"},  {"static", "auto"}};

void require_absent(bench& b, const sandbox_id& id) {
  // A withdrawal that keeps failing is shown as Quarantined, and repeated until it succeeds.
  REQUIRE(b.node.run_until([&] { return ended(b.node.see(id)->word); }, std::chrono::hours{2}));
  auto seen = b.node.see(id);
  REQUIRE(seen->why);
  CHECK_FALSE(seen->why->cause.empty());
  CHECK_FALSE(row_of(seen->why->code).remedy.empty());
  CHECK(b.node.world->running().empty());
  if (b.choice.provider == "static")
    CHECK(remains(b.server()) == "");
}

} // namespace

TEST_CASE("whichever io of a start-up fails, the sandbox ends Ready and confirmed, or absent with a reason",
          "[faults]") {
  for (const auto& choice : choices)
    for (int how = 1; how < static_cast<int>(fault::count_); ++how)
      for (std::size_t times : {std::size_t{1}, std::size_t{30}}) {
        std::size_t nth = 0;
        for (; nth < ios_max; ++nth) {
          bench b{choice};
          auto before = b.node.world->performed();
          b.node.world->fail(nth, static_cast<fault>(how), times);
          auto id = b.node.create(canary_spec(choice));
          auto seen = b.node.run_to_rest(id);
          INFO((seen ? nestor::name_of(seen->word) : "unseen")
               << " " << choice.provider << " " << choice.dialect << ": io " << nth << " fails " << times
               << " times: " << name_of(static_cast<fault>(how)) << "\n"
               << b.transcript());
          REQUIRE(seen);
          if (seen->word == status::ready)
            REQUIRE(difference(b.server(), *canary_configuration(), choice.dialect) == "");
          else
            require_absent(b, id);
          CHECK(canary_in(b.node.told()) == "");
          if (b.node.world->performed() - before <= nth)
            break; // there was no such io any more
        }
        CHECK(nth < ios_max);
      }
}

/// A server that says yes and does nothing, about values that it never shows: no client can find that out where a value
/// is overwritten (`generic`), or where it lies every time. The evidence says `presence` or `answer` for that reason.
bool beyond_evidence(const spec_choice& choice, fault how, std::size_t times) {
  return how == fault::no_effect && (choice.dialect == "generic" || times > 1);
}

TEST_CASE("whichever io of a live change fails, the new generation holds, or the old one, or nothing is served",
          "[faults]") {
  for (const auto& choice : choices)
    for (int how = 1; how < static_cast<int>(fault::count_); ++how)
      for (std::size_t times : {std::size_t{1}, std::size_t{30}}) {
        if (beyond_evidence(choice, static_cast<fault>(how), times))
          continue;
        std::size_t nth = 0;
        for (; nth < ios_max; ++nth) {
          bench b{choice};
          auto id = b.node.create(canary_spec(choice));
          REQUIRE(b.node.run_to_rest(id)->word == status::ready);
          auto before = b.node.world->performed();
          b.node.world->fail(nth, static_cast<fault>(how), times);
          auto answer = b.node.ask<actors::accepted>(actors::configure_sandbox{id, canary_configuration(2)});
          REQUIRE_FALSE(answer.refused);
          auto seen = b.node.run_to_rest(id);
          INFO((seen ? nestor::name_of(seen->word) : "unseen")
               << " " << choice.provider << " " << choice.dialect << ": io " << nth << " fails " << times
               << " times: " << name_of(static_cast<fault>(how)) << "\n"
               << b.transcript());
          REQUIRE(seen);
          if (seen->word == status::ready)
            REQUIRE(difference(b.server(), *canary_configuration(seen->observed == 2 ? 2 : 1), choice.dialect) == "");
          else
            REQUIRE(seen->word == status::quarantined);
          CHECK(b.node.world->most_in_flight() <= 1);
          if (choice.provider == "process")
            CHECK(b.node.world->running().size() == 1);
          CHECK(canary_in(b.node.told()) == "");
          if (b.node.world->performed() - before <= nth)
            break;
        }
        CHECK(nth < ios_max);
      }
}
