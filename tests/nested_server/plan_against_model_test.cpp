// The plan against a server that really holds what it is sent, with every exchange of every run failing in every way.
// The one question: is there a confirmation of something that is not so?
#include "support/canary.hpp"
#include "support/nested_transcript.hpp"

#include <nested_server/faulty_server.hpp>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <random>

using namespace nestor;
using namespace nestor::nested;
using namespace nestor::nested::testing;
using nestor::nested_server::fault_kind;
using nestor::nested_server::fault_plan;
using nestor::nested_server::fault_rule;
using nestor::nested_server::faulty_server;
using nestor::nested_server::model_options;
using nestor::nested_server::server_model;
using nestor::nested_server::wire_reply;

namespace {

/// A server and the time at it, which goes on from run to run.
struct peer : faulty_server {
  explicit peer(const model_options& options) : faulty_server(options) {}
  instant now{};
};

peer server_of(const std::string& dialect) {
  model_options options;
  options.dialect = dialect;
  options.session_key = text_secret("CANARY-session");
  return peer{options};
}

/// What an HTTP client makes of it.
http_reply as_reply(wire_reply wire, milliseconds timeout, bool& dead) {
  using way = wire_reply::way;
  if (dead)
    return http::transport_error::refused;
  auto bytes = static_cast<std::int64_t>(wire.response.body.size());
  switch (wire.how) {
    case way::reset: return http::transport_error::reset;
    case way::hang: return http::transport_error::timed_out;
    case way::die: dead = true; return http::transport_error::reset;
    case way::answer: break;
  }
  if (wire.body_sent < wire.response.body.size())
    return http::transport_error::malformed;
  if (wire.delay + wire.per_byte * bytes > timeout)
    return http::transport_error::timed_out;
  return std::move(wire.response);
}

outcome_of_run run_against(peer& server, push_order order) {
  bool dead = false;
  order.limits.alive_within = milliseconds{2'000};
  return drive(std::move(order), [&](const send_request& send) -> http_reply {
    server.now = server.now + milliseconds{500}; // the V0 server's rate limit is another test's subject
    if (dead)
      return http::transport_error::refused;
    return as_reply(server.handle(send.request, server.now, "10.0.0.1"), send.timeout, dead);
  });
}

/// What is not as wanted: names, with `values` the values too, and with `nothing_else` what else there is.
std::string wrong(const server_model& model, const configuration& wanted, bool values, bool nothing_else = true) {
  const auto* state = model.find();
  if (!state || !state->settings)
    return "there are no settings";
  auto held = nlohmann::json::parse(model.settings_text());
  auto asked = nlohmann::json::parse(wanted.settings.begin(), wanted.settings.end());
  for (const auto& [name, value] : asked.items())
    if (!held.contains(name) || (values && held[name] != value))
      return "setting " + name;
  if (nothing_else &&
      (state->git_providers.size() != wanted.git_providers.size() || state->secrets.size() != wanted.secrets.size()))
    return "more or fewer names";
  for (const auto& c : wanted.git_providers) {
    auto at = state->git_providers.find(c.git_provider);
    if (at == state->git_providers.end() || at->second.host != c.host ||
        (values &&
         !c.token.expose([&](std::string_view token) { return std::string_view{at->second.token} == token; })))
      return "git provider " + c.git_provider;
  }
  for (const auto& s : wanted.secrets) {
    auto at = state->secrets.find(s.name);
    if (at == state->secrets.end() || (values && !s.value.expose([&](std::string_view value) {
          return std::string_view{at->second.value} == value;
        })))
      return "secret " + s.name;
  }
  return {};
}

/// Every way in which one exchange may go wrong.
std::vector<fault_rule> every_fault() {
  auto with = [](fault_kind kind, std::int64_t argument = 0) {
    fault_rule rule;
    rule.kind = kind;
    rule.argument = argument;
    return rule;
  };
  std::vector<fault_rule> all{with(fault_kind::refuse),
                              with(fault_kind::reset),
                              with(fault_kind::hang),
                              with(fault_kind::slow, 60'000),
                              with(fault_kind::busy, 1),
                              with(fault_kind::truncated),
                              with(fault_kind::cut),
                              with(fault_kind::page, 200),
                              with(fault_kind::page, 502),
                              with(fault_kind::no_effect),
                              with(fault_kind::wrong_effect),
                              with(fault_kind::answer_lost),
                              with(fault_kind::restart),
                              with(fault_kind::answer_hangs),
                              with(fault_kind::trickle, 5'000),
                              with(fault_kind::git_unreachable),
                              with(fault_kind::die),
                              with(fault_kind::die_after)};
  for (auto& rule : all)
    if (rule.kind == fault_kind::wrong_effect) // of a read it would be a change after the look, which no look shows
      rule.verb = http::method::post;
  all.push_back(with(fault_kind::wrong_effect));
  all.back().verb = http::method::del;
  for (int status : {400, 401, 403, 404, 409, 413, 422, 500, 502, 503, 504})
    all.push_back(with(fault_kind::status, status));
  return all;
}

/// A server whose writes replace can forget a new value and keep the old name; nothing it shows tells. The evidence
/// says `presence` for that. The V0 server's names are taken away first, so there the name proves the value.
bool lies_about_values(const fault_rule& fault) {
  return fault.kind == fault_kind::no_effect;
}

struct story {
  std::string name;
  std::string dialect;
  bool from_nothing;                 ///< nothing of the wanted names was there before
  std::function<void(peer&)> before; ///< without faults
  std::function<push_order()> order;
};

configuration older() {
  auto c = usual();
  c.settings = R"({"agent":"Other","llm_api_key":"old","llm_base_url":"http://old","search_api_key":"old"})";
  c.secret_settings = {"/llm_api_key", "/search_api_key"};
  c.git_providers = {{"bitbucket", text_secret("old-bb"), {}, {}}, {"gitlab", text_secret("old-gl"), "old.test", "me"}};
  c.secrets = {{"API_TOKEN", text_secret("old"), ""}, {"OLD", text_secret("old"), ""}};
  return c;
}

push_order with(push_order order, purpose why, bool knows) {
  order.why = why;
  if (knows)
    order.before = std::make_shared<const delivery>(delivery_of(older(), *order.key));
  return order;
}

std::vector<story> stories() {
  std::vector<story> all;
  for (std::string dialect : {"openhands", "generic"}) {
    auto hold_older = [dialect](peer& server) {
      REQUIRE(run_against(server, order_for(older(), dialect)).confirmed());
    };
    auto nothing = [](peer&) {};
    auto usual_order = [dialect] { return order_for(usual(), dialect); };
    all.push_back({"a new server", dialect, true, nothing, usual_order});
    all.push_back({"a server with something else", dialect, false, hold_older, usual_order});
    all.push_back(
      {"an update", dialect, false, hold_older, [=] { return with(usual_order(), purpose::update, true); }});
    all.push_back(
      {"a restore", dialect, false, hold_older, [=] { return with(usual_order(), purpose::restore, true); }});
  }
  all.push_back({"auto", "openhands", true, [](peer&) {}, [] { return order_for(usual(), "auto"); }});
  return all;
}

} // namespace

TEST_CASE("without faults every story ends confirmed, and the server holds exactly what is wanted") {
  for (const auto& s : stories()) {
    auto server = server_of(s.dialect);
    s.before(server);
    auto run = run_against(server, s.order());
    INFO(s.dialect << ": " << s.name << "\n" << joined(run.asked));
    REQUIRE(run.confirmed());
    CHECK(run.done().strength == evidence::presence);
    CHECK(wrong(server.model(), usual(), true) == "");
  }
}

TEST_CASE("whichever exchange fails, and however, nothing is confirmed that is not so, and the next run repairs it") {
  std::size_t runs = 0;
  std::size_t confirmed = 0;
  for (const auto& s : stories()) {
    auto plain = server_of(s.dialect);
    s.before(plain);
    auto exchanges = static_cast<std::uint32_t>(run_against(plain, s.order()).asked.size());
    for (auto fault : every_fault())
      for (std::uint32_t times : {1U, 2U, 0U})
        for (std::uint32_t nth = 1; nth <= exchanges + 1; ++nth) {
          if (s.dialect == "generic" && fault.kind == fault_kind::git_unreachable)
            continue; // covered by the V0 server
          auto server = server_of(s.dialect);
          s.before(server);
          fault.first = nth;
          fault.times = times;
          server.set_faults(fault_plan{{fault}});
          auto run = run_against(server, s.order());
          ++runs;
          auto judge = [&](bool good, const std::string& what, const outcome_of_run& of) {
            if (!good) // only then is there something to write down
              FAIL(s.dialect << ": " << s.name << "; " << nested_server::name_of(fault.kind) << ":" << fault.argument
                             << " at exchange " << nth << " times " << times << ": " << what << "\n"
                             << joined(of.asked));
          };
          if (run.confirmed()) {
            ++confirmed;
            bool looked = run.done().strength > evidence::answer; // else it was told, and says so
            judge(looked || s.dialect == "generic", "the V0 server can always be looked at", run);
            bool values = s.from_nothing || s.dialect != "generic" || !lies_about_values(fault);
            auto difference = wrong(server.model(), usual(), values, looked);
            judge(difference.empty(), difference, run);
          } else {
            judge(tests::canary_in(to_string(run.why())) == "", "a secret in the failure", run);
          }
          server.set_faults(fault_plan{});
          auto repair = order_for(usual(), s.dialect);
          repair.before = std::make_shared<const delivery>(delivery_of(usual(), *repair.key));
          auto repaired = run_against(server, repair);
          judge(repaired.confirmed(), "not repaired", repaired);
          judge(wrong(server.model(), usual(), true).empty(), "repaired wrongly", repaired);
        }
  }
  CHECK(runs > 9'000);
  CHECK(confirmed > runs / 3); // most single faults are survived
}

TEST_CASE("a withdrawal that is confirmed has taken back everything of ours and nothing of theirs") {
  for (std::string dialect : {"openhands", "generic"}) {
    auto prepare = [&](peer& server) {
      configuration theirs;
      theirs.git_providers = {{"azure_devops", text_secret("theirs"), {}, {}}};
      theirs.secrets = {{"THEIRS", text_secret("theirs"), ""}};
      REQUIRE(run_against(server, order_for(theirs, dialect)).confirmed());
      auto ours = order_for(usual(), dialect);
      ours.why = purpose::update;
      REQUIRE(run_against(server, ours).confirmed());
    };
    push_order order = order_for(usual(), dialect);
    order.why = purpose::withdraw;
    order.before = std::make_shared<const delivery>(delivery_of(usual(), *order.key));
    order.wanted.reset();
    for (auto fault : every_fault())
      for (std::uint32_t nth = 0; nth <= 12; ++nth) {
        auto server = server_of(dialect);
        prepare(server);
        fault.first = nth;
        if (nth != 0)
          server.set_faults(fault_plan{{fault}});
        auto run = run_against(server, order);
        INFO(dialect << ": " << nested_server::name_of(fault.kind) << ":" << fault.argument << " at " << nth << "\n"
                     << joined(run.asked));
        bool kept = fault.kind != fault_kind::restart && fault.kind != fault_kind::wrong_effect;
        if (nth == 0)
          REQUIRE(run.confirmed());
        if (!run.confirmed())
          continue;
        const auto* state = server.model().find();
        REQUIRE(state);
        for (auto name : {"github", "gitlab"})
          CHECK_FALSE(state->git_providers.contains(name));
        for (auto name : {"API_TOKEN", "DEPLOY_KEY"})
          CHECK_FALSE(state->secrets.contains(name));
        CHECK(tests::canary_in(server.model().settings_text()) == "");
        if (kept) {
          CHECK(state->git_providers.contains("azure_devops"));
          CHECK(state->secrets.contains("THEIRS"));
        }
      }
  }
}

TEST_CASE("many faults at once, by chance, never add up to a false confirmation") {
  std::mt19937 random{99};
  auto faults = every_fault();
  std::erase_if(faults, [](const fault_rule& f) { return f.kind == fault_kind::wrong_effect || lies_about_values(f); });
  auto all = stories();
  std::size_t confirmed = 0;
  for (int round = 0; round < 3'000; ++round) {
    const auto& s = all[static_cast<std::size_t>(round) % all.size()];
    auto server = server_of(s.dialect);
    s.before(server);
    std::vector<fault_rule> chosen;
    for (int i = 0; i < 4; ++i) {
      auto rule = faults[random() % faults.size()];
      rule.times = 0;
      rule.percent = 8;
      chosen.push_back(rule);
    }
    server.set_faults(fault_plan{chosen, random()});
    auto order = s.order();
    order.seed = random();
    auto run = run_against(server, order);
    if (!run.confirmed())
      continue;
    INFO(s.dialect << ": " << s.name << ", round " << round << "\n" << joined(run.asked));
    ++confirmed;
    if (run.done().strength > evidence::answer)
      REQUIRE(wrong(server.model(), usual(), true) == "");
  }
  CHECK(confirmed > 300); // the faults are survivable, so the test says something
}

TEST_CASE("a generic server that cannot be read is confirmed by its answers alone") {
  model_options options;
  options.dialect = "generic";
  options.reads = false;
  options.session_key = text_secret("CANARY-session");
  peer server{options};
  auto run = run_against(server, order_for(usual(), "generic"));
  REQUIRE(run.confirmed());
  CHECK(run.done().strength == evidence::answer);
  CHECK(wrong(server.model(), usual(), true) == "");
}

TEST_CASE("a git token that is refused is never on the server, whichever of the two it is") {
  for (std::string dialect : {"openhands", "generic"})
    for (std::size_t which : {0U, 1U}) {
      auto c = usual();
      c.git_providers[which].token = text_secret("bad-CANARY");
      auto server = server_of(dialect);
      auto run = run_against(server, order_for(c, dialect));
      REQUIRE_FALSE(run.confirmed());
      CHECK(name_of(run.why().code) == name_of(errc::git_token_refused));
      CHECK(run.why().cause.find("'" + c.git_providers[which].git_provider + "'") != std::string::npos);
      CHECK_FALSE(server.model().find()->git_providers.contains(c.git_providers[which].git_provider));
    }
}
