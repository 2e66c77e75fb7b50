// A start over a journal that knows many sandboxes: all of them are there when the node is, truthfully Unknown, and
// what they cost is printed. Their servers do not exist.
#include "support/run_program.hpp"

#include <nestor/actors/system.hpp>
#include <nestor/io/clock.hpp>
#include <nestor/io/journal_store.hpp>
#include <nestor/supervision/resume.hpp>

#include <catch2/catch.hpp>

#include <cstdio>
#include <fstream>

namespace nestor::tests {
namespace {

using namespace std::chrono_literals;
namespace op = journal::op;

constexpr std::uint16_t nobody_listens = 1; // on loopback

struct prepared : caf::actor_system_config {
  prepared() {
    actors::register_messages();
    actors::dedicate(*this);
  }
};

sandbox_id id_of(std::size_t number) {
  std::vector<std::uint8_t> bytes(id_entropy_bytes, 0);
  for (std::size_t i = 0; i < sizeof number; ++i)
    bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return make_sandbox_id(bytes);
}

std::vector<journal::operation> ready_sandbox(std::size_t number) {
  auto text = std::to_string(number);
  auto spec = std::make_shared<sandbox_spec>();
  spec->name = "sandbox-" + text;
  spec->provider = "static";
  spec->dialect = "openhands";
  auto runtime = std::make_shared<runtime_spec>();
  runtime->url = "http://127.0.0.1:" + std::to_string(nobody_listens) + "/s/" + text;
  spec->runtime = runtime;
  auto c = std::make_shared<nested::configuration>();
  c->settings = R"({"llm_model":"m"})";
  c->git_providers.push_back({"github", secret::copy_of("token-" + text), {}, {}});
  c->secrets.push_back({"TOKEN", secret::copy_of("value-" + text), ""});
  spec->configuration = c;

  journal::actual_record actual;
  actual.sandbox = id_of(number);
  actual.revision = 4;
  actual.kept.what = supervision::note::confirmed;
  actual.kept.number = 1;
  actual.kept.open = actual.kept.touched = true;
  actual.kept.wanted = actual.kept.observed = 1;
  actual.dialect = "openhands";
  auto where = std::make_shared<providers::runtime>();
  where->ref = runtime->url;
  where->where = {false, "127.0.0.1", nobody_listens, "", ""};
  where->path_prefix = "/s/" + text;
  actual.runtime = where;
  actual.holds = std::make_shared<nested::delivery>();
  return {op::want{{actual.sandbox, 1, spec}}, op::write{actual}};
}

std::size_t resident_kb() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

void start_over(std::size_t sandboxes) {
  scratch_folder folder;
  {
    auto opened = io::journal_store::open({folder.file("journal.db"), folder.file("journal.db.keys")});
    REQUIRE(opened);
    std::vector<journal::operation> batch;
    for (std::size_t i = 0; i < sandboxes; ++i) {
      for (auto& each : ready_sandbox(i))
        batch.push_back(std::move(each));
      if (batch.size() >= 500 || i + 1 == sandboxes) {
        for (const auto& each : (*opened)->perform(batch))
          REQUIRE(each.done);
        batch.clear();
      }
    }
  }
  prepared config;
  caf::actor_system system{config};
  auto before = resident_kb();
  auto began = io::steady_now();
  actors::node_options options;
  options.journal = "sqlite://" + folder.file("journal.db");
  options.addresses_allowed = {"127.0.0.0/8"};
  options.limits.sandboxes_max = options.limits.per_tenant_max = sandboxes + 1;
  actors::node node{system, std::move(options)};
  auto known = io::steady_now() - began;

  caf::scoped_actor self{system};
  std::size_t unknown = 0;
  actors::ask(self, node.front(), 60s, actors::list_sandboxes{})
    .receive(
      [&](const actors::sandbox_list& all) {
        CHECK(all.items.size() == sandboxes);
        for (const auto& [id, word] : all.items)
          unknown += word == status::unknown ? 1 : 0;
      },
      [](const caf::error&) {});
  CHECK(unknown == sandboxes); // nobody has looked at them yet: nothing is served
  std::optional<failure> refused;
  actors::ask(self, node.front(), 60s, actors::get_access{id_of(sandboxes / 2)})
    .receive([&](const actors::access& a) { refused = a.refused; }, [](const caf::error&) {});
  CHECK(refused);
  auto again = std::get<op::want>(ready_sandbox(7).front()).record.spec;
  std::optional<failure> taken;
  actors::ask(self, node.front(), 60s, actors::create_sandbox{again})
    .receive([&](const actors::accepted& a) { taken = a.refused; }, [](const caf::error&) {});
  REQUIRE(taken);
  CHECK(taken->code == errc::name_taken); // names are theirs from the first moment on
  std::printf(R"({"sandboxes":%zu,"known_ms":%lld,"rss_growth_kb":%zu})"
              "\n",
              sandboxes, static_cast<long long>(known.count() / 1000), resident_kb() - before);
}

} // namespace

TEST_CASE("2000 sandboxes of an earlier node are known when the node is there") {
  start_over(2'000);
}

TEST_CASE("100000 sandboxes of an earlier node are known when the node is there", "[.long]") {
  start_over(100'000);
}

} // namespace nestor::tests
